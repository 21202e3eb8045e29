"""Every format of files, and what a Python program gives, keeps every promise of a source."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import forked
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pratique.sources.arrow import ArrowSource
from pratique.testing import LandingSuite, SourcePlace, SourceSuite
from pratique.testing.landing_suite import FIELDS, Record, texts

ARROW = pa.schema(
    [("id", pa.int64()), ("note", pa.string()), ("amount", pa.decimal128(18, 4)), ("at", pa.timestamp("us"))]
)


def as_csv(records: Sequence[Record]) -> bytes:
    """Records under a header."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, FIELDS)
    writer.writeheader()
    writer.writerows(map(texts, records))
    return text.getvalue().encode()


def as_json(record: Record) -> str:
    """A record as an object; numbers as numbers with all of their digits."""
    number = {name: value for name, value in texts(record).items() if name in {"id", "amount"}}
    parts = {name: json.dumps(value, ensure_ascii=False) for name, value in texts(record).items()}
    parts.update({name: "null" if value is None else value for name, value in number.items()})
    return "{" + ", ".join(f'"{name}": {value}' for name, value in parts.items()) + "}"


def as_jsonl(records: Sequence[Record]) -> bytes:
    """A record in each line."""
    return "".join(as_json(record) + "\n" for record in records).encode()


def as_array(records: Sequence[Record]) -> bytes:
    """One array."""
    return ("[" + ",\n".join(map(as_json, records)) + "]").encode()


def as_parquet(records: Sequence[Record]) -> bytes:
    """A Parquet file with checksums."""
    file = io.BytesIO()
    table = pa.Table.from_pylist([dict(record) for record in records], schema=ARROW)
    pq.write_table(table, file, write_page_checksum=True)
    return file.getvalue()


def as_workbook(records: Sequence[Record]) -> bytes:
    """A workbook; a cell is text, because its numbers have 15 digits."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(list(FIELDS))
    for row, record in enumerate(records, 2):
        for column, value in enumerate(texts(record).values(), 1):
            cell = sheet.cell(row, column)
            cell.value = value
            cell.data_type = "n" if value is None else "s"
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def files(
    root: Path, suffix: str, write: Callable[[Sequence[Record]], bytes], limits: Sequence[str] = ("columns_max",)
) -> SourcePlace:
    """A folder to which each `put` adds a file."""
    folder = root / "in"
    folder.mkdir()

    def put(records: Sequence[Record]) -> None:
        name = f"{len(list(folder.iterdir())):03}.{suffix}"
        (root / name).write_bytes(write(records))
        (root / name).rename(folder / name)

    return SourcePlace(root, {"path": f"in/*.{suffix}"}, put, limits=limits, program=[forked.program()])


class TestCSV(SourceSuite):
    """CSV files."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> SourcePlace:
        """A folder of them."""
        return files(tmp_path, "csv", as_csv, ("columns_max", "record_bytes_max"))


class TestPackedCSV(SourceSuite):
    """CSV files in gzip."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> SourcePlace:
        """A folder of them."""
        return files(
            tmp_path, "csv.gz", lambda records: gzip.compress(as_csv(records)), ("columns_max", "unpacked_bytes_max")
        )


class TestJSONLines(SourceSuite):
    """JSON Lines files."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> SourcePlace:
        """A folder of them."""
        return files(tmp_path, "jsonl", as_jsonl, ("record_bytes_max",))


class TestJSON(SourceSuite):
    """JSON files."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> SourcePlace:
        """A folder of them."""
        return files(tmp_path, "json", as_array, ("record_bytes_max",))


class TestParquet(SourceSuite):
    """Parquet files."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> SourcePlace:
        """A folder of them."""
        return files(tmp_path, "parquet", as_parquet)


class TestExcel(SourceSuite):
    """Workbooks."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> SourcePlace:
        """A folder of them."""
        return files(tmp_path, "xlsx", as_workbook)


class ArrowPlace:
    """Batches of this program."""

    limits = ("columns_max",)

    def __init__(self) -> None:
        self._batches: list[pa.RecordBatch] = []

    def put(self, records: Sequence[Record]) -> None:
        """Add a batch."""
        self._batches.append(pa.RecordBatch.from_pylist([dict(record) for record in records], schema=ARROW))

    def open(self, schema, limits, workspace):
        """A source over the batches there are."""
        del workspace
        return ArrowSource("records", schema, lambda: iter(self._batches), limits=limits)


class TestArrow(LandingSuite):
    """Record batches."""

    @pytest.fixture
    def place(self) -> ArrowPlace:
        """No batch yet."""
        return ArrowPlace()


def test_the_suite_can_fail(tmp_path: Path) -> None:
    """A source that rounds, doubles or loses a record does not pass: the suite is no formality."""
    damages: dict[str, Callable[[list[Record]], list[Record]]] = {
        "rounds": lambda rows: [{**row, "amount": round(row["amount"] or Decimal(0), 2)} for row in rows],
        "doubles": lambda rows: [*rows, rows[0]],
        "loses": lambda rows: rows[1:],
    }
    for name, damage in damages.items():
        (tmp_path / name).mkdir()
        place = files(tmp_path / name, "csv", lambda records, damage=damage: as_csv(damage([*records])))
        with pytest.raises(AssertionError):
            SourceSuite().test_a_run_loads_every_record_once_and_exactly(place)
