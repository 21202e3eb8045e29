"""Workbooks against an independent reader, and damaged ones: read exactly, held, or quarantined; never otherwise."""

from __future__ import annotations

import csv
import io
import math
import random
import tempfile
import zipfile
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from workbooks import one_sheet, rows, sheet, workbook

from pratique.model import Position
from pratique.schema import Field, Schema
from pratique.sources import open_source

pytestmark = pytest.mark.filterwarnings("ignore:Workbook contains no default style")  # openpyxl, of written by hand

SCHEMA = Schema("s", 1, (Field("a"), Field("b"), Field("c")))
HEADER = ["a", "b", "c"]
# What a cell can hold; Excel's own escapes are left out, because openpyxl does not read them.
TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=20).filter(
    lambda text: not text.startswith("=") and "_x" not in text and text[0] != "#"
)
MOMENT = st.datetimes(datetime(1900, 3, 1), datetime(9999, 12, 30)).map(lambda at: at.replace(microsecond=0))  # noqa: DTZ001 - Excel has no zones
VALUE = (
    st.none()
    | st.booleans()
    | st.integers(-(10**14), 10**14)
    | st.floats(-1e300, 1e300)
    | TEXT
    | MOMENT
    | MOMENT.map(datetime.date)
    | st.times().map(lambda at: at.replace(microsecond=0))
)


def read(content: bytes) -> list[list[str] | str] | None:
    """Every record as the engine gets it, or why it cannot be judged; None if the file is held."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        (path / "a.xlsx").write_bytes(content)
        words = {"path": "a.xlsx", "base": path, "format": "excel", "schema": SCHEMA, "workspace": path}
        result = open_source("s", **words).land(Position())
        if result.held:
            assert result.held[0].reason
            assert result.held[0].hint
            assert [item.name for item in path.iterdir()] == ["a.xlsx"]
            return None
        (file,) = result.files
        made = list(csv.reader(io.StringIO(file.path.read_bytes().decode(), newline="")))[1:]
        assert len(made) == result.count
        mark = result.parts[0].form.broken
        again = list(
            result.reader.records(result.parts[0], file, range(file.first_number, file.first_number + len(made)))
        )
        for values, raw in zip(made, again, strict=True):
            assert values[0].startswith(mark) or values == list(raw.values.values())
        return [bytes.fromhex(row[0].removeprefix(mark)).decode() if row[0].startswith(mark) else row for row in made]


def text_of(value: object) -> str:
    """What a value must be as text, said in another way than the product says it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        exact = Decimal(repr(value))
        if exact and abs(exact.adjusted()) > 40:
            return str(exact)
        text = f"{exact:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return value.isoformat() if isinstance(value, (date, datetime, time)) else str(value)


def written(table: list[list[object]]) -> bytes:
    """A workbook as openpyxl writes it."""
    book = openpyxl.Workbook()
    for line in [HEADER, *table]:
        book.active.append(line)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def openpyxl_reads(content: bytes) -> list[list[str]]:
    """The texts of all rows below the header that hold something, as openpyxl reads them."""
    book = openpyxl.load_workbook(io.BytesIO(content), data_only=True)
    lines = [[text_of(value) for value in line] for line in book.active.iter_rows(min_row=2, values_only=True)]
    return [[*line, "", ""][:3] for line in lines if any(line)]


def same(left: str, right: str, tolerance: float = 0) -> bool:
    """Whether two texts are the same, the same double, or the same day."""
    if right in {left, f"{left}T00:00:00"}:
        return True
    try:
        return math.isclose(float(left), float(right), rel_tol=tolerance)
    except ValueError:
        return False


def nearly_same(left: str, right: str) -> bool:
    """The same but for the 17th digit, which openpyxl does not write."""
    return same(left, right, 1e-15)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(table=st.lists(st.lists(VALUE, min_size=3, max_size=3), max_size=6))
def test_what_openpyxl_writes_is_read_as_it_was_meant(table):
    """Every value that a program writes comes out as it was given, and as that program itself reads it again."""
    content = written(table)
    found = read(content)
    kept = [[text_of(value) for value in line] for line in table]
    kept = [line for line in kept if any(line)]
    assert found is not None
    other = openpyxl_reads(content)
    assert len(found) == len(kept) == len(other)
    for line, wanted, read_there in zip(found, kept, other, strict=True):
        assert all(map(nearly_same, line, wanted)), (line, wanted)
        assert all(map(same, line, read_there)), (line, read_there)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    table=st.lists(st.lists(st.none() | st.integers() | TEXT, min_size=3, max_size=3), max_size=6),
    form=st.sampled_from(["usual", "comment", "spaces", "prefix"]),
)
def test_what_is_written_by_hand_is_read_as_openpyxl_reads_it(table, form):
    """However the XML is laid out: comments, spaces between rows and prefixes of names change nothing."""
    text = sheet(rows(HEADER, *table))
    if form == "comment":
        text = text.replace("<sheetData>", "<sheetData><!-- <c> -->")
    elif form == "spaces":
        text = text.replace("<row", "\n  <row").replace("<c ", "\n    <c ").replace("<sheetData>", "<sheetData >")
    elif form == "prefix":
        text = (
            text.replace("</", "<~")
            .replace("<", "<x:")
            .replace("<x:~", "</x:")
            .replace("<x:?", "<?")
            .replace("xmlns", "xmlns:x")
        )
    content = workbook({"S": text})
    kept = openpyxl_reads(content)
    assert read(content) == kept


# --- damage -------------------------------------------------------------------------------------------------------


def sound() -> tuple[bytes, list[list[str] | str]]:
    """A workbook with values of all kinds, and what is in it."""
    day = datetime(2024, 2, 29)  # noqa: DTZ001 - Excel has no zones
    table = [[number, f"name {number % 7} ä", day + timedelta(days=number)] for number in range(60)]
    content = written([*table, [0.5, True, None]])
    truth = read(content)
    assert truth is not None
    assert truth[-1] == ["0.5", "true", ""]
    return content, truth


DAMAGES = ("bit", "zero", "cut", "gap", "twice")


def damaged(content: bytes, damage: str, at: int, chance: random.Random) -> bytes:
    """A file with one damage at this place."""
    made = bytearray(content)
    if damage == "bit":
        made[at] ^= 1 << chance.randrange(8)
    elif damage == "zero":
        made[at : at + chance.randrange(1, 40)] = bytes(8)
    elif damage == "cut":
        del made[at:]
    elif damage == "gap":
        del made[at : at + chance.randrange(1, 200)]
    else:
        made[at:at] = made[at : at + chance.randrange(1, 200)]
    return bytes(made)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_read_exactly_or_held(damage):
    """Bits turned over, bytes zeroed, cut off, left out or doubled at 200 places: all of it is right, or nothing read."""
    content, truth = sound()
    chance = random.Random(f"excel {damage}")  # noqa: S311 - the same damages every time
    held = 0
    for number in range(200):
        at = number * (len(content) - 1) // 199
        found = read(damaged(content, damage, at, chance))
        assert found in (None, truth), (damage, at)
        held += found is None
    assert held > 60  # some bytes of a zip mean nothing: dates, flags, what is no part of the workbook


def _packed_again(content: bytes, part: str, text: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(made, "w") as other:
        for item in archive.infolist():
            other.writestr(item.filename, text if item.filename == part else archive.read(item))
    return made.getvalue()


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_change_of_the_xml_is_read_otherwise_than_openpyxl_reads_it(data):
    """XML that was changed before it was packed: held, or quarantined, or read as the other reader reads it."""
    content = one_sheet(HEADER, [1, "x", 2.5], [None, "y", 3], [4, '<c t="b"><v>1</v></c>', "z"])
    part = "xl/worksheets/sheet1.xml"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        text = bytearray(archive.read(part))
    begin = text.index(b"<sheetData>")
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.integers(begin, len(text) - 1))
        inserted = data.draw(st.lists(st.sampled_from(list(b"0123456789ABC<>/=\"'& !-rcvtsn?[]")), max_size=3))
        text[at : at + data.draw(st.integers(0, 3))] = bytes(inserted)
    changed = _packed_again(content, part, bytes(text))
    found = read(changed)
    if found is None or any(isinstance(line, str) for line in found):
        return
    other = openpyxl_reads(changed)
    assert len(found) == len(other), bytes(text)
    for line, wanted in zip(found, other, strict=True):
        assert all(map(same, line, wanted)), (line, wanted, bytes(text))
