"""A file in the making: pieces of text whose truth is known, how they become bytes, and what must come of each."""

import bz2
import codecs
import gzip
import io
import re
import zipfile
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Literal

from backports import zstd
from base_tables import INVALID, TABLES, WORDS_8_BIT, WORDS_ALL, Table, cells, typed

BAD = "\udc81"  # stands for what the declared encoding cannot decode: byte 0x81, or half of a surrogate pair
UNDECODABLE = re.compile("[\0\ud800-\udfff]")
LINE_END = re.compile(r"\r\n|\n|\r")
# name -> (what the schema declares, codec, byte order mark)
ENCODINGS: dict[str, tuple[str, str, bytes]] = {
    "utf-8": ("utf-8", "utf-8", b""),
    "utf-8-bom": ("utf-8", "utf-8", codecs.BOM_UTF8),
    "utf-16": ("utf-16", "utf-16-le", codecs.BOM_UTF16_LE),
    "utf-16-le": ("utf-16-le", "utf-16-le", b""),
    "utf-16-be": ("utf-16-be", "utf-16-be", b""),
    "latin-1": ("latin-1", "latin-1", b""),
    "windows-1252": ("windows-1252", "cp1252", b""),
}
LINE_ENDS = {"LF": "\n", "CRLF": "\r\n", "CR": "\r"}
PACKINGS = ("none", "none", "none", "none", "gz", "zst", "bz2", "zip")  # half of the files are not packed


@dataclass
class Piece:
    """What stands between two line ends outside of quotes.

    `reason` must match why it is quarantined, which it must be even if its text looks legal; `expected` only if not.
    """

    text: str
    end: str
    kind: Literal["header", "record", "noise"] = "record"
    cells: list[str] = field(default_factory=list)
    reason: str = ""
    expected: str = ""


@dataclass(frozen=True)
class Item:
    """The truth of one record: loaded with `values`, or quarantined for a reason that matches each of `reasons`."""

    text: str
    line: int
    line_by_newlines: int  # where only a line feed counts as a line's end
    offset: int | None  # in bytes of UTF-8 from the beginning of the file or of its decoded text
    values: tuple[object, ...] | None
    reasons: tuple[str, ...] = ()
    fields: tuple[str, ...] | None = None  # as text, where the record is legal text


@dataclass
class Draft:
    """A file in the making."""

    table: Table
    encoding: str
    line_end: str
    pieces: list[Piece]
    held: str = ""  # what the reason of the held file must match
    blocks: bytes | None = None  # the bytes, where they are not those of the pieces
    pack_damage: str = ""

    @classmethod
    def sound(cls, table: Table, size: int, number: int, rng: Random, encoding: str, line_end: str) -> "Draft":
        """A file without any damage, with values that no other file has."""
        end = LINE_ENDS[line_end]
        words = WORDS_ALL if encoding.startswith("utf") else WORDS_8_BIT
        pieces = [Piece(table.delimiter.join(table.header), end, "header", list(table.header))]
        for record in range(size):
            made = cells(table, number * 1000 + record, rng, end, words)
            pieces.append(Piece(table.delimiter.join(made), end, "record", made))
        return cls(table, encoding, end, pieces)

    def records(self) -> list[Piece]:
        """The records in order."""
        return [piece for piece in self.pieces if piece.kind == "record"]

    def write(self, piece: Piece, made: list[str]) -> None:
        """Put other cells into a record."""
        piece.cells, piece.text = made, self.table.delimiter.join(made)

    def insert(self, before: Piece, text: str, kind: Literal["record", "noise"] = "record", reason: str = "") -> None:
        """Put a piece before another."""
        self.pieces.insert(self.pieces.index(before), Piece(text, self.line_end, kind, reason=reason))

    def to_bytes(self) -> bytes:
        """The file before it is packed."""
        if self.blocks is not None:
            return self.blocks
        mark = ENCODINGS[self.encoding][2]
        return mark + encoded("".join(piece.text + piece.end for piece in self.pieces), self.encoding)

    def unknowable(self) -> bool:
        """Whether a damaged piece, alone or with its neighbours, reads as a sound record that nobody wrote."""
        whole = "".join(piece.text + piece.end for piece in self.pieces)
        record = _record(self.table.delimiter)
        at = 0
        for piece in self.pieces:
            inner = [0, *(match.end() for match in LINE_END.finditer(piece.text))]
            cut_wrong = piece.kind == "record" and not piece.reason and not UNDECODABLE.search(piece.text)
            for start in inner if cut_wrong and fields(piece.text, self.table) is None else []:
                found = record.match(whole, at + start)
                if found and len(_split(found[1], self.table.delimiter)) == self.table.width:
                    return True
            at += len(piece.text + piece.end)
        return False

    def items(self, reason: str) -> tuple[Item, ...]:
        """The truth of every record, in order; `reason` is what that of a malformed one must match."""
        lines = newlines = 0
        offset: int | None = len(ENCODINGS[self.encoding][2]) if self.encoding == "utf-8-bom" else 0
        made = []
        for piece in self.pieces:
            if piece.kind == "record":
                made.append(self._item(piece, (lines + 1, newlines + 1, offset), reason))
            text = piece.text + piece.end
            lines += len(LINE_END.findall(text))
            newlines += text.count("\n")
            broken = BAD in text and not self.encoding.startswith("utf-8")
            offset = None if broken or offset is None else offset + len(text.encode("utf-8", "surrogateescape"))
        return tuple(made)

    def _item(self, piece: Piece, place: tuple[int, int, int | None], reason: str) -> Item:
        line, by_newlines, offset = place
        found = fields(piece.text, self.table)
        if found is None or piece.reason:
            return Item(piece.text, line, by_newlines, offset, None, (piece.reason or piece.expected or reason,))
        texts = dict(zip(self.table.header, found, strict=True))
        values = {name: typed(texts[name], kind) for name, kind in TABLES[self.table.name].types.items()}
        wrong = [rf"^{name}\.type" for name, value in values.items() if value is INVALID]
        loaded = None if wrong else tuple(values.values())
        return Item(piece.text, line, by_newlines, offset, loaded, tuple(wrong), tuple(found))


@cache
def _record(delimiter: str) -> re.Pattern[str]:
    mark = re.escape(delimiter)
    cell = rf'(?:"(?:[^"]|"")*+"|[^"{mark}\r\n]*+)'
    return re.compile(rf"({cell}(?:{mark}{cell})*+)(?:\r\n|\n|\r|\Z)")


def _split(record: str, delimiter: str) -> list[str]:
    mark = re.escape(delimiter)
    found = re.findall(rf'("(?:[^"]|"")*+"|[^"{mark}\r\n]*+)(?:{mark}|\Z)', record)
    if not record.endswith(delimiter) and record:
        found.pop()  # the empty match behind the last cell
    return [cell[1:-1].replace('""', '"') if cell.startswith('"') else cell for cell in found]


def fields(text: str, table: Table) -> list[str] | None:
    """What RFC 4180 reads out of one record, or None: broken quotes, a wrong number of fields, undecodable bytes."""
    if not _record(table.delimiter).fullmatch(text) or UNDECODABLE.search(text):
        return None
    if LINE_END.search(text) and text.endswith(("\r", "\n")):
        return None
    found = _split(text, table.delimiter)
    return found if len(found) == table.width else None


def first_record(text: str, delimiter: str) -> tuple[list[str], int]:
    """The fields of the record at the beginning of a text, and where the next one begins; ValueError if it is broken."""
    found = _record(delimiter).match(text)
    if found is None:
        raise ValueError(text[:80])
    return _split(found[1], delimiter), found.end()


def encoded(text: str, encoding: str) -> bytes:
    """The bytes of a text; BAD becomes what cannot be decoded (in Latin-1 everything can)."""
    codec = ENCODINGS[encoding][1]
    if codec.startswith("utf-16"):
        return text.encode(codec, "surrogatepass")
    return text.encode(codec, "surrogateescape")


def packed(data: bytes, packing: str, damage: str = "") -> bytes:
    """The file as it lies there."""
    if packing == "gz":
        done = gzip.compress(data, mtime=0)
    elif packing == "zst":
        done = zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1})
    elif packing == "bz2":
        done = bz2.compress(data)
    elif packing == "zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo("data.csv"), data, zipfile.ZIP_DEFLATED)
        done = buffer.getvalue()
    else:
        done = data
    if damage == "cut":
        return done[: len(done) * 2 // 3]
    if damage == "checksum":
        return _wrong_checksum(done, packing)
    return done


def _wrong_checksum(done: bytes, packing: str) -> bytes:
    """Turn a bit of what the archive says about its content."""
    made = bytearray(done)
    if packing == "zip":
        made[14] ^= 1  # of the local header, and of the directory
        made[done.index(b"PK\x01\x02") + 16] ^= 1
    else:
        made[{"gz": -8, "zst": -2, "bz2": 12}[packing]] ^= 1
    return bytes(made)
