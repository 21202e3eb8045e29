"""`CSVDataSource` gives Python the text of every record with its lineage."""

import tracemalloc
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from pratique.errors import SourceError
from pratique.schema import Field, Schema
from pratique.sources.csv_source import CSVDataSource


@dataclass
class Config:
    """What `CSVDataSource` needs of a configuration."""

    root: Path


def test_records_have_text_and_lineage(tmp_path):
    """Values are the text as read; numbers start at 2 under a header; the time is UTC."""
    path = tmp_path / "users.csv"
    path.write_text('id,name\n007,"a ""b"""\n\n8,\n')
    records = list(CSVDataSource(None, path).ingest())
    moment = records[0].pop("_ingestion_timestamp")
    assert datetime.fromisoformat(moment).utcoffset().total_seconds() == 0
    assert records[0] == {"id": "007", "name": 'a "b"', "_source": "users", "_file": "users.csv", "_row_number": 2}
    assert (records[1]["name"], records[1]["_row_number"]) == ("", 3)


def test_paths_are_looked_for_under_the_root(tmp_path):
    """A relative path is taken from the configuration's root if the file is there."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "users.csv").write_text("id\n1\n")
    assert [item["id"] for item in CSVDataSource(Config(tmp_path), "data/users.csv").ingest()] == ["1"]


def test_the_dialect_is_never_guessed(tmp_path):
    """A header that looks like another delimiter is refused with the word to set; with it the file is read."""
    path = tmp_path / "a.csv"
    path.write_text("id;name\n1;x\n")
    with pytest.raises(SourceError) as refused:
        list(CSVDataSource(None, path).ingest())
    assert "dialect.delimiter" in refused.value.hint
    assert [item["name"] for item in CSVDataSource(None, path, delimiter=";").ingest()] == ["x"]


def test_malformed_records_stop_after_the_good_ones(tmp_path):
    """The records before a record of the wrong width are given, then an error names its line."""
    path = tmp_path / "a.csv"
    path.write_text('id,name\n1,"x\ny"\n2\n3,z\n')
    records = CSVDataSource(None, path).ingest()
    assert next(records)["name"] == "x\ny"
    with pytest.raises(SourceError, match="line 4: expected 2 fields, found 1"):
        next(records)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "it is empty"),
        ("a,a\n1,2\n", "twice"),
        ('a,b\n"x', "line 2: the quote opened in line 2 is never closed"),
        ("a,b\n1,\udcff\n", "line 2: byte 0xff is not UTF-8"),
    ],
)
def test_unreadable_files(tmp_path, content, message):
    """What cannot be read is an error with the path, never a traceback of another library."""
    path = tmp_path / "a.csv"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(SourceError, match=message) as refused:
        list(CSVDataSource(None, path).ingest())
    assert refused.value.where == str(path)


def test_missing_file(tmp_path):
    """A file that is not there is a SourceError."""
    with pytest.raises(SourceError, match="cannot be read"):
        list(CSVDataSource(None, tmp_path / "no.csv").ingest())


def test_a_schema_gives_and_checks_the_names(tmp_path):
    """With a schema a header must fit; without a header its fields name the columns."""
    path = tmp_path / "a.csv"
    path.write_text("1,2\n")
    schema = Schema("s", 1, (Field("a"), Field("b")))
    with pytest.raises(SourceError, match="no header of the schema"):
        list(CSVDataSource(None, path, schema).ingest())
    records = list(CSVDataSource(None, path, schema, header=False).ingest())
    assert [(item["a"], item["b"], item["_row_number"]) for item in records] == [("1", "2", 1)]


def test_memory_is_flat(tmp_path):
    """Reading does not keep what it has given."""
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + "1,xxxxxxxxxxxxxxxxxxxxxxxxxxxx\n" * 20_000)
    source = CSVDataSource(None, path)
    tracemalloc.start()
    count = sum(1 for _ in source.ingest())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (count, peak < 2 << 20) == (20_000, True)
