"""Parquet files are described by their footer; damaged ones are held."""

from pathlib import Path

import duckdb
import pytest

from pratique.model import ParquetForm, Position
from pratique.schema import Field, FieldType, Schema
from pratique.sources import open_source

SCHEMA = Schema("s", 1, (Field("a"), Field("at"), Field("price")))


def landed(folder: Path, path: str = "*.parquet", schema: Schema = SCHEMA):
    """Land the Parquet files of a folder."""
    return open_source("s", path=path, base=folder, format="parquet", schema=schema).land(Position())


@pytest.fixture
def parquet(tmp_path) -> Path:
    """5,000 records in row groups of 2,048."""
    path = tmp_path / "a.parquet"
    duckdb.sql(
        "SELECT i::BIGINT AS a, TIMESTAMPTZ '2026-01-01 00:00:00+00' AS at, (i / 100)::DECIMAL(9,2) AS price FROM range(5000) r(i)"
    ).write_parquet(str(path), row_group_size=2048)
    return path


def test_columns_and_count_by_the_footer(parquet):
    """Types are DuckDB's, the count is the footer's, numbers start at 1."""
    result = landed(parquet.parent)
    assert result.parts[0].form == ParquetForm(
        {"a": "BIGINT", "at": "TIMESTAMP WITH TIME ZONE", "price": "DECIMAL(9,2)"}
    )
    assert (result.count, result.files[0].first_number) == (5000, 1)


def test_records_by_number(parquet):
    """Records are given back across row groups, with what the file holds."""
    result = landed(parquet.parent)
    numbers = [1, 2, 2048, 2049, 5000]
    given_back = list(result.reader.records(result.parts[0], result.files[0], numbers))
    assert [record.values["a"] for record in given_back] == [number - 1 for number in numbers]
    assert (given_back[0].line, given_back[0].raw) == (None, None)


def test_moments_beyond_python_are_given_back_as_text(tmp_path):
    """Nanoseconds, far years and the end of time come out as text, also inside of other values, and nothing breaks."""
    duckdb.sql(
        "SELECT 1 AS a, '2020-01-01 00:00:00.123456789'::TIMESTAMP_NS AS at, "
        "{'when': ['2020-01-01 00:00:00.5'::TIMESTAMP_NS], far: '20000-01-01'::DATE} AS price"
    ).write_parquet(str(tmp_path / "a.parquet"))
    nested = Schema("s", 1, (Field("a"), Field("at"), Field("price", FieldType("json"))))
    result = landed(tmp_path, schema=nested)
    (record,) = result.reader.records(result.parts[0], result.files[0], [1])
    assert record.values == {
        "a": 1,
        "at": "2020-01-01 00:00:00.123456789",
        "price": {"when": ["2020-01-01 00:00:00.5"], "far": "20000-01-01"},
    }


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_truncated_files_are_held(parquet, share):
    """A file cut anywhere is held, and the whole one beside it is landed."""
    content = parquet.read_bytes()
    (parquet.parent / "cut.parquet").write_bytes(content[: int(len(content) * share)])
    result = landed(parquet.parent)
    assert [held.version.name for held in result.held] == ["cut.parquet"]
    assert result.held[0].reason.startswith("it is no complete Parquet file")
    assert [file.version.name for file in result.files] == ["a.parquet"]


def test_other_columns_are_held(tmp_path):
    """A file whose columns do not fit the schema is held with the difference."""
    duckdb.sql("SELECT 1 AS a, 2 AS other").write_parquet(str(tmp_path / "a.parquet"))
    assert "missing 'at', 'price', unknown 'other'" in landed(tmp_path).held[0].reason


def test_a_name_that_is_a_pattern_is_held(parquet):
    """A name that DuckDB would take for a pattern never reads another file."""
    parquet.rename(parquet.parent / "a[1].parquet")
    duckdb.sql("SELECT 1 AS a").write_parquet(str(parquet.parent / "a1.txt"))
    assert "pattern" in landed(parquet.parent).held[0].reason
