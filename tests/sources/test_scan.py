"""The scan counts what readers read, whatever the chunks, and finds records again."""

import csv
import io
import os
import resource
import time
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pratique.errors import SourceError
from pratique.model import CsvForm, Position
from pratique.schema import Dialect, Field, Schema
from pratique.sources import ReadLimits, open_source
from pratique.sources.files.scan import Layout, Scan, scan

LAYOUT = Layout(ord('"'), ord(","), utf8=True, record_bytes_max=1 << 20)
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

text = st.text(st.sampled_from(list('ab "",\n\ré;#\t')), max_size=6)


@st.composite
def csv_files(draw):
    """A well-formed CSV: (bytes, header, rows) with quotes, line ends in quotes, blank lines, CRLF or LF."""
    width = draw(st.integers(1, 4))
    rows = draw(st.lists(st.lists(text, min_size=width, max_size=width), max_size=12))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    out = ["\ufeff" if draw(st.booleans()) else ""]
    header = [f"c{number}" for number in range(width)]
    for number, row in enumerate([header, *rows]):
        out.append(end * draw(st.sampled_from([0, 0, 0, 1, 2])))
        cells = []
        for value in row:
            must = any(mark in value for mark in '",\r\n') or (width == 1 and not value)
            cells.append('"' + value.replace('"', '""') + '"' if must or draw(st.booleans()) else value)
        out.append(",".join(cells) + (end if number < len(rows) or draw(st.booleans()) else ""))
    return "".join(out).encode(), header, rows


def scanned(path: Path, chunk_bytes: int = 1 << 20, *, vectorised: bool = False, layout: Layout = LAYOUT) -> Scan:
    """Scan a file in one of the two ways."""
    handle = os.open(path, os.O_RDONLY)
    try:
        return scan(handle, layout, chunk_bytes, vectorised=vectorised)
    finally:
        os.close(handle)


def facts(found: Scan) -> tuple[object, ...]:
    """All that a scan found."""
    index = found.index
    return (
        found.sha256, found.size, found.records, found.blank_lines, found.multiline, found.irregular,
        index.stride, list(index.offsets), list(index.lines),
    )  # fmt: skip


def landed(folder: Path, header: list[str], name: str = "a.csv", **words):
    """Land one CSV file with this header."""
    schema = Schema("s", 1, tuple(Field(item) for item in header), dialect=words.pop("dialect", Dialect()))
    return open_source("s", path=name, base=folder, format="csv", schema=schema, **words).land(Position())


@QUICK
@given(file=csv_files())
def test_count_equals_csv_and_duckdb(tmp_path, file):
    """The count and the skipped lines are those that Python's csv and DuckDB read: records and values agree."""
    content, header, rows = file
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    result = landed(tmp_path, header)
    assert result.held == ()
    form = result.parts[0].form
    assert isinstance(form, CsvForm)
    assert form.columns == tuple(header)
    columns = dict.fromkeys(header, "VARCHAR") | {"spare": "VARCHAR"}
    read = duckdb.read_csv(
        str(path), columns=columns, auto_detect=False, header=False, skiprows=form.skip, delimiter=",", quotechar='"',
        escapechar='"', null_padding=True, strict_mode=True, na_values="\x01none", parallel=False,
    ).fetchall()  # fmt: skip
    assert [list(row[:-1]) for row in read] == rows
    assert result.count == len(rows) == len(read)


@QUICK
@given(file=csv_files())
def test_records_come_back(tmp_path, file):
    """Each record is given back with its values, its raw text and its physical line."""
    content, header, rows = file
    (tmp_path / "a.csv").write_bytes(content)
    result = landed(tmp_path, header)
    landed_file = result.files[0]
    numbers = range(2, len(rows) + 2)
    given_back = list(result.reader.records(result.parts[0], landed_file, numbers))
    assert [list(record.values.values()) for record in given_back] == rows
    assert [record.number for record in given_back] == list(numbers)
    lines = content.decode("utf-8-sig").split("\n")
    for record in given_back:
        assert next(csv.reader(io.StringIO(record.raw, newline=""))) == rows[record.number - 2]
        assert "\n".join(lines[record.line - 1 :]).startswith(record.raw)


@QUICK
@given(
    content=st.one_of(
        csv_files().map(lambda file: file[0]),
        text.map(str.encode),
        st.lists(text).map(lambda parts: "\n".join(parts).encode()),
    )
)
@pytest.mark.parametrize("quote", [ord('"'), None])
def test_both_ways_and_all_chunk_sizes_find_the_same(tmp_path, content, quote):
    """The vectorised scan and the plain one, in chunks of any size, find the same or refuse alike, damaged files too."""
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    layout = Layout(quote, ord(","), utf8=True, record_bytes_max=1 << 20)
    found = set()
    for vectorised in (False, True):
        for chunk_bytes in (1, 2, 3, 7, 1 << 20):
            try:
                found.add(str(facts(scanned(path, chunk_bytes, vectorised=vectorised, layout=layout))))
            except SourceError:
                found.add("refused")
    assert len(found) == 1


@pytest.mark.parametrize("vectorised", [False, True])
def test_index_of_many_blocks(tmp_path, vectorised):
    """Past one stride the index names the right offsets and lines, blank lines and quoted line ends included."""
    rows = ["a,b"] + [f'{n},"x\ny"' if n % 7 == 0 else f"{n},z" if n % 5 else f"{n},z\n" for n in range(1000)]
    content = "\n".join(rows).encode()
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    found = scanned(path, 100, vectorised=vectorised)
    assert found.records == 1001
    for block, (offset, line) in enumerate(zip(found.index.offsets, found.index.lines, strict=True)):
        start = content[offset:].split(b",")[0]
        assert start == (b"a" if block == 0 else str(block * found.index.stride - 1).encode())
        assert content[:offset].count(b"\n") + 1 == line


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'a,b\n1,"x\n3,4\n', "the quote opened in line 2 is never closed"),
        (b'a,b\n1,2\n1,x"y\n3,4\n', "line 3 (are broken|is never closed)"),
        (b'a,b\n1,"x"y\n3,4\n', "the quotes of the record in line 2 are broken"),
        (b'a,b\n1, "x"\n3,4\n', "the quotes of the record in line 2 are broken"),
        (b'a,b\n1,"x" \n3,4\n', "the quotes of the record in line 2 are broken"),
        (b"a,b\n1,2\n3,\xff\n", "line 3 is not UTF-8: byte 0xff"),
    ],
)
@pytest.mark.parametrize("vectorised", [False, True])
def test_damage_is_named_by_its_line(tmp_path, content, words, vectorised):
    """What DuckDB would change in silence or refuse without a place is refused with its line."""
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=words):
        scanned(path, vectorised=vectorised)


def test_endless_line_is_refused_at_once(tmp_path):
    """A single line of 4 GB is refused within two seconds, in flat memory."""
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n")
    os.truncate(path, 4 << 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    result = landed(tmp_path, ["a", "b"])
    assert time.process_time() - started < 2
    assert "longer than 16,777,216 bytes" in result.held[0].reason
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_unclosed_quote_in_a_large_file_is_refused_early(tmp_path):
    """A quote that swallows more than a record may hold is refused, naming the record's line."""
    path = tmp_path / "a.csv"
    path.write_bytes(b'a,b\n1,2\n3,"x\n' + b"4,5\n" * 20_000)
    result = landed(tmp_path, ["a", "b"], limits=ReadLimits(record_bytes_max=10_000))
    assert "the record in line 3 is longer than 10,000 bytes" in result.held[0].reason


def test_many_line_ends_in_one_quoted_field(tmp_path):
    """Half a million line ends inside one field take linear time."""
    (tmp_path / "a.csv").write_bytes(b'a,b\n1,"' + b"\n" * 500_000 + b'"\n')
    started = time.process_time()
    result = landed(tmp_path, ["a", "b"])
    record = next(result.reader.records(result.parts[0], result.files[0], [2]))
    assert time.process_time() - started < 5
    assert record.values["b"] == "\n" * 500_000


def test_number_that_is_not_there(tmp_path):
    """A record number beyond the file is an error, never a shorter answer."""
    (tmp_path / "a.csv").write_bytes(b"a,b\n1,2\n")
    result = landed(tmp_path, ["a", "b"])
    with pytest.raises(SourceError, match="none of them is number 3"):
        list(result.reader.records(result.parts[0], result.files[0], [3]))
