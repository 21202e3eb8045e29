"""The parts of a workbook: a zip of XML files that name each other; every checksum is verified as a part is read."""

from __future__ import annotations

import mmap
import os
import posixpath
import re
import zipfile
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Final, NoReturn, Self
from xml.parsers import expat

from pratique.errors import SourceError
from pratique.sources.base import ReadLimits
from pratique.sources.files.excel_text import Shown, shown_by, unescaped
from pratique.sources.files.scratch import scratch_file
from pratique.sources.files.unpack import ZIP, ZIP_ERRORS, check_expansion

PIECE_BYTES: Final = 1 << 18
# Limit: bytes of the parts that are held in memory as a whole: the list of sheets, their places, the styles.
_PART_BYTES_MAX: Final = 64 << 20
# Limit: shared texts; each costs 8 bytes of memory.
_TEXTS_MAX: Final = 1 << 25
_LOCK_BYTES: Final = 165  # of a file ~$NAME.xlsx: the length of a person's name, the name, blanks
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")  # the name of a stream in an OLE file
_TRUE: Final = frozenset({"1", "true"})
_OLE_BYTES: Final = 4 << 20  # Limit: of an old Office file, looked at for what it is
_SEND_AGAIN: Final = "nothing of it was loaded; open it in Excel and save it again, or ask for it to be sent anew"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet as the workbook lists it; `part` is None if it holds no cells (a chart)."""

    name: str
    hidden: bool
    part: str | None


@dataclass(slots=True)
class Workbook:
    """An open workbook: its sheets in order, and what the cells of all of them refer to."""

    package: Package
    sheets: list[Sheet] = field(default_factory=list)
    since_1904: bool = False
    uncomputed: bool = False  # it says itself that its formulas are to be computed when it is opened
    shown: list[Shown] = field(default_factory=list)  # by the style of a cell
    texts_part: str | None = None


def check_workbook(handle: int) -> None:
    """Raise SourceError, saying what it is instead, if a file does not even begin as a workbook."""
    head = os.pread(handle, 64, 0)
    if head.startswith(ZIP):
        return
    if head.startswith(_OLE):
        last = max(os.fstat(handle).st_size - _OLE_BYTES, 0)
        if any(_ENCRYPTED in os.pread(handle, _OLE_BYTES, at) for at in (0, last)):
            raise SourceError("it is protected by a password", hint="save it without a password in Excel")
        raise SourceError("it is an Excel file of the old kind (.xls)", hint="save it as .xlsx in Excel")
    if not head:
        raise SourceError("it is empty", hint="ask the sender")
    if os.fstat(handle).st_size == _LOCK_BYTES and head[0] < ord(" "):
        raise SourceError(
            "it is the mark that Excel leaves beside a workbook while it is open",
            hint="close it in Excel, and run again",
        )
    if head.lstrip()[:1] in {b"<", b"{"}:
        raise SourceError(
            "it is no workbook but HTML, XML or JSON",
            hint="programs name such exports .xlsx; save it as .xlsx in Excel",
        )
    try:
        begin = head.decode().splitlines()[0][:40]
    except (UnicodeDecodeError, IndexError):
        raise SourceError("it is no workbook", hint=_SEND_AGAIN) from None
    raise SourceError(f"it is no workbook but begins with {begin!r}", hint="if it is CSV, say `format: csv`")


def is_workbook(handle: int) -> bool:
    """Whether a zip file is a workbook itself, not one that holds a file."""
    try:
        with os.fdopen(os.dup(handle), "rb") as file, zipfile.ZipFile(file) as archive:
            return "[Content_Types].xml" in archive.namelist()
    except ZIP_ERRORS:
        return os.pread(handle, len(ZIP), 0) == ZIP  # then its damage is told as that of a workbook


class Package:
    """An open zip of parts. SourceError, naming the part, wherever one is missing, damaged or too large."""

    def __init__(self, handle: int, limits: ReadLimits) -> None:
        self._limits = limits
        self._packed = os.fstat(handle).st_size
        self._file = os.fdopen(os.dup(handle), "rb")
        try:
            self._archive = zipfile.ZipFile(self._file)
            self._members: dict[str, list[zipfile.ZipInfo]] = {}
            for item in self._archive.infolist():
                self._members.setdefault(_part_name(item.filename), []).append(item)
        except ZIP_ERRORS as error:
            self._file.close()
            raise SourceError(f"the workbook is damaged: {error}", hint=_SEND_AGAIN) from error

    def close(self) -> None:
        """Close it."""
        self._archive.close()
        self._file.close()

    def has(self, part: str) -> bool:
        """Whether there is such a part."""
        return _part_name(part) in self._members

    def pieces(self, part: str, bytes_max: int | None = None) -> Iterator[bytes]:
        """Yield the content of a part, up to its end, where its checksum is verified."""
        found = self._members.get(_part_name(part), [])
        if len(found) != 1:
            how = f"holds {part} {len(found)} times" if found else f"is incomplete: {part} is missing"
            raise SourceError(f"the workbook {how}", hint=_SEND_AGAIN)
        size = 0
        try:
            with self._archive.open(found[0]) as member:
                while piece := member.read(PIECE_BYTES):
                    size += len(piece)
                    check_expansion(size, self._packed, self._limits)
                    if bytes_max is not None and size > bytes_max:
                        raise SourceError(
                            f"{part} is larger than {bytes_max:,} bytes", hint="no program writes so much there"
                        )
                    yield piece
        except ZIP_ERRORS as error:
            raise SourceError(f"the workbook is damaged in {part}: {error}", hint=_SEND_AGAIN) from error

    def parse(self, part: str, reading: Xml, bytes_max: int | None = _PART_BYTES_MAX) -> None:
        """Read a part to its end by these handlers."""
        for piece in self.pieces(part, bytes_max):
            reading.feed(piece)
        reading.feed(b"", last=True)


def _part_name(name: str) -> str:
    """Names of parts ignore case; some programs write them with backslashes."""
    return name.replace("\\", "/").lstrip("/").casefold()


class Xml:
    """Expat with what is safe: no document type (so no entity of its own making), nothing fetched, flat memory.

    Names come as `namespace name`. The handlers may raise SourceError.
    """

    def __init__(self, part: str, unread_max: int = _PART_BYTES_MAX) -> None:
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._part, self._unread_max = part, unread_max
        self._size = 0

    def feed(self, piece: bytes, *, last: bool = False) -> None:
        """Parse on; SourceError where it is no XML."""
        self._size += len(piece)
        try:
            self.parser.Parse(piece, last)
        except expat.ExpatError as error:
            raise SourceError(
                f"the workbook is damaged: {self._part} is no XML: {expat.ErrorString(error.code)}", hint=_SEND_AGAIN
            ) from error
        if self._size - self.parser.CurrentByteIndex > self._unread_max:
            self.broken(f"something in it is longer than {self._unread_max:,} bytes")

    def broken(self, why: str) -> NoReturn:
        """Refuse the file."""
        raise SourceError(f"the workbook is damaged: {self._part}: {why}", hint=_SEND_AGAIN)

    def _refuse_doctype(self, *_: object) -> None:
        raise SourceError(
            f"{self._part} declares a document type, as XML bombs do",
            hint="no program that writes workbooks does; look where it comes from",
        )


def _elements(package: Package, part: str, wanted: Callable[[str, dict[str, str]], None]) -> None:
    """Give the local name and attributes (by local name) of every element of a small part, in order."""

    def start(name: str, attributes: dict[str, str]) -> None:
        wanted(name.rpartition(" ")[2], {key.rpartition(" ")[2]: value for key, value in attributes.items()})

    reading = Xml(part)
    reading.parser.StartElementHandler = start
    package.parse(part, reading)


def _relations(package: Package, part: str) -> dict[str, tuple[str, str]]:
    """What a part refers to: id -> (last word of the kind, part)."""
    folder, name = posixpath.split(part)
    found: dict[str, tuple[str, str]] = {}

    def relation(element: str, values: dict[str, str]) -> None:
        if element == "Relationship" and values.get("TargetMode") != "External":
            target = posixpath.normpath(posixpath.join("/", folder, values.get("Target", "")))
            found[values.get("Id", "")] = (values.get("Type", "").rpartition("/")[2], target.lstrip("/"))

    _elements(package, posixpath.join(folder, "_rels", f"{name}.rels"), relation)
    return found


def open_workbook(package: Package) -> Workbook:
    """The sheets and styles of a workbook; no cell is read."""
    roots = [part for kind, part in _relations(package, "").values() if kind == "officeDocument"]
    if len(roots) != 1 or not package.has(roots[0]) or not roots[0].endswith(".xml"):
        _refuse_other(package)
    relations = _relations(package, roots[0])
    made = Workbook(package)

    def element(name: str, values: dict[str, str]) -> None:
        if name == "sheet":
            made.sheets.append(_sheet(values, relations))
        elif name == "workbookPr":
            made.since_1904 = values.get("date1904") in _TRUE
        elif name == "calcPr":
            made.uncomputed = values.get("fullCalcOnLoad") in _TRUE

    _elements(package, roots[0], element)
    for kind, part in relations.values():
        if kind == "styles":
            made.shown = _styles(package, part)
        elif kind == "sharedStrings":
            made.texts_part = part
    return made


def _sheet(values: dict[str, str], relations: dict[str, tuple[str, str]]) -> Sheet:
    name = values.get("name", "")
    kind, part = relations.get(values.get("id", ""), ("", ""))
    if not part:
        raise SourceError(f"the workbook is damaged: its sheet {name!r} leads nowhere", hint=_SEND_AGAIN)
    return Sheet(name, values.get("state", "visible") != "visible", part if kind == "worksheet" else None)


def _refuse_other(package: Package) -> NoReturn:
    for part, what in (
        ("xl/workbook.bin", "a binary workbook (.xlsb)"),
        ("word/document.xml", "a Word document"),
        ("ppt/presentation.xml", "a presentation"),
    ):
        if package.has(part):
            raise SourceError(f"it is {what}", hint="save it as .xlsx in Excel")
    raise SourceError("the workbook is damaged: it does not say where its sheets are", hint=_SEND_AGAIN)


def _styles(package: Package, part: str) -> list[Shown]:
    """What the number format of each style makes of a number."""
    codes: dict[int, str] = {}
    numbers: list[int] = []
    inside: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(" ")[2]
        if local == "numFmt" and "numFmts" in inside:
            codes[_whole(attributes.get("numFmtId"))] = attributes.get("formatCode", "")
        elif local == "xf" and inside[-1:] == ["cellXfs"]:
            numbers.append(_whole(attributes.get("numFmtId", "0")))
        inside.append(local)

    reading = Xml(part)
    reading.parser.StartElementHandler = start
    reading.parser.EndElementHandler = lambda _: inside.pop() and None
    package.parse(part, reading)
    return [shown_by(number, codes.get(number)) for number in numbers]


def _whole(text: str | None) -> int:
    if text is None or re.fullmatch("[0-9]{1,9}", text) is None:
        raise SourceError(f"the workbook is damaged: {text!r} should be the number of a style", hint=_SEND_AGAIN)
    return int(text)


class Texts:
    """The texts that cells share, on disk; in memory 8 bytes each. A context: it is closed at its end."""

    def __init__(self, workbook: Workbook, workspace: Path, limits: ReadLimits) -> None:
        self._ends = array("q", [0])
        self._map: mmap.mmap | None = None
        if workbook.texts_part is None:
            return
        with scratch_file(workspace, "the texts of a workbook cannot be unpacked") as file:
            for texts in shared_texts(workbook.package, workbook.texts_part, limits):
                encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
                file.write(b"".join(encoded))
                self._ends.extend(accumulate(map(len, encoded), initial=self._ends.pop()))
        try:
            if self._ends[-1]:
                with file.path.open("rb") as made:
                    self._map = mmap.mmap(made.fileno(), 0, access=mmap.ACCESS_READ)
        finally:
            file.path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._map is not None:
            self._map.close()

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, number: int) -> str:
        """The text of this number, from 0; IndexError if there is none."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        begin, end = self._ends[number], self._ends[number + 1]
        return self._map[begin:end].decode("utf-8", "surrogatepass") if self._map is not None and end > begin else ""


def shared_texts(package: Package, part: str, limits: ReadLimits) -> Iterator[list[str]]:
    """Yield the shared texts in order, many at a time; runs of one text are joined, phonetic readings are left out."""
    reading = Xml(part, limits.record_bytes_max)
    made: list[str] = []
    pieces: list[str] = []
    inside: list[str] = []
    count = 0

    def start(name: str, _: object) -> None:
        inside.append(name.rpartition(" ")[2])
        if len(inside) > 8:  # noqa: PLR2004 - sst, si, r, t, and what is between
            reading.broken("its elements nest too deep")

    def end(_: str) -> None:
        if inside.pop() == "si" and len(inside) == 1:
            made.append(unescaped("".join(pieces)))
            pieces.clear()

    def text(data: str) -> None:
        if inside[-1] == "t" and "rPh" not in inside:
            pieces.append(data)

    reading.parser.StartElementHandler, reading.parser.EndElementHandler = start, end
    reading.parser.CharacterDataHandler = text
    for piece in package.pieces(part):
        reading.feed(piece)
        count += len(made)
        if count > _TEXTS_MAX or sum(map(len, pieces)) > limits.record_bytes_max:
            reading.broken(
                f"it holds more than {_TEXTS_MAX:,} texts, or one of more than {limits.record_bytes_max:,} bytes"
            )
        yield made
        made.clear()
    reading.feed(b"", last=True)
    yield made
