"""The scan counts what readers read, whatever the chunks, and finds records again."""

import csv
import io
import os
import resource
import time
from codecs import BOM_UTF8
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pratique.errors import SourceError
from pratique.model import CsvForm, Position
from pratique.schema import Dialect, Field, Schema
from pratique.sources import ReadLimits, open_source
from pratique.sources.files.cutter import Cutter, end_of
from pratique.sources.files.grammar import grammar
from pratique.sources.files.scan import Layout, Scan, scan
from pratique.sources.files.text import Text

LIMIT = 1 << 20
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


def scanned(path: Path, width: int | None, header: bytes = b"", chunk_bytes: int = 1 << 20, quote: str = '"') -> Scan:
    """Scan a file whose records begin behind its header line."""
    begin = len(header) + 1 if header else 0
    layout = Layout(LIMIT, ord(quote) if quote else None, ord(","), width, header, begin)
    handle = os.open(path, os.O_RDONLY)
    try:
        return scan(handle, layout, chunk_bytes)
    finally:
        os.close(handle)


def cuts(path: Path, width: int, header: bytes = b"", chunk_bytes: int = 1 << 20, quote: str | None = '"') -> Cutter:
    """Cut the records of a file, its header line among them."""
    marks = grammar(Dialect(quote_char=quote or None), width, header=header)
    return Cutter(Text(path, 0, "utf-8").chunks(size=chunk_bytes), marks, LIMIT)


def facts(found: Scan) -> tuple[object, ...]:
    """All that a scan found."""
    index = found.index
    if found.irregular:
        return ("irregular",)
    return (
        found.sha256, found.size, found.records, found.blank_lines, found.multiline,
        index.stride, tuple(index.offsets), tuple(index.lines),
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
        str(result.files[0].path), columns=columns, auto_detect=False, header=False, skiprows=form.skip, delimiter=",", quotechar='"',
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


contents = st.one_of(
    csv_files().map(lambda file: file[0].removeprefix(BOM_UTF8)),
    text.map(str.encode),
    st.lists(text).map(lambda parts: "\n".join(parts).encode()),
    st.lists(st.sampled_from([b"a,b", b'"', b",", b"\n", b"\r\n", b"x,y\n", b"\0", b"\xff", b"\r", b'""'])).map(
        b"".join
    ),
)


@QUICK
@given(content=contents, quote=st.sampled_from(['"', ""]))
def test_scan_and_cutter_find_the_same(tmp_path, content, quote):
    """A file is regular for the scan only if the cutter finds nothing broken; both count and place its records alike.

    The scan may call a file irregular that is not (a blank line where a header was looked for), never the reverse.
    """
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    found = {facts(scanned(path, 2, b"a,b", chunk_bytes, quote)) for chunk_bytes in (1, 2, 3, 7, 1 << 20)}
    assert len(found) == 1
    seen = set()
    for chunk_bytes in (1, 2, 3, 7, 1 << 20):
        cutter = cuts(path, 2, b"", chunk_bytes, quote)
        made = list(cutter)
        assert all(cut.data != end_of(cut.data) for cut in made)
        seen.add((cutter.offset, cutter.blank_lines, sum(cut.records for cut in made)))
        broken = [cut for cut in made if cut.problem]
        assert cutter.offset == len(content)
        if found != {("irregular",)}:
            assert broken == []
            assert len(cutter.ends) <= 1
            (scanned_facts,) = found
            assert scanned_facts[2:5] == (sum(cut.records for cut in made), cutter.blank_lines, cutter.multiline)
        elif not broken and len(cutter.ends) <= 1 and b"\r" not in cutter.ends:
            assert b"a,b" in content  # the header again, which this cutter was not told of
    assert len(seen) == 1


@pytest.mark.parametrize("chunk_bytes", [100, 1 << 20])
def test_index_of_many_blocks(tmp_path, chunk_bytes):
    """Past one stride the index names the right offsets and lines, blank lines and quoted line ends included."""
    rows = ["a,b"] + [f'{n},"x\ny"' if n % 7 == 0 else f"{n},z" if n % 5 else f"{n},z\n" for n in range(1000)]
    content = "\n".join(rows).encode()
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    found = scanned(path, 2, b"a,b", chunk_bytes)
    assert (found.records, found.irregular) == (1001, False)
    for block, (offset, line) in enumerate(zip(found.index.offsets, found.index.lines, strict=True)):
        start = content[offset:].split(b",")[0]
        assert start == (b"a" if block == 0 else str(block * found.index.stride - 1).encode())
        assert content[:offset].count(b"\n") + 1 == line


BROKEN_QUOTES = "its quotes are broken: one stands inside an unquoted field, or text stands after a closing one"


@pytest.mark.parametrize(
    ("content", "broken"),
    [
        (b'a,b\n1,"x\n3,4\n', {2: "the quote opened in line 2 is never closed"}),
        (b'a,b\n1,2\n1,x"y\n3,4\n', {3: BROKEN_QUOTES}),
        (b'a,b\n1,"x"y\n3,4\n', {2: BROKEN_QUOTES}),
        (b'a,b\n1, "x"\n3,4\n', {2: BROKEN_QUOTES}),
        (b'a,b\n1,"x" \n3,4\n', {2: BROKEN_QUOTES}),
        (b"a,b\n1,2\n3,\xff\n5,6\n", {3: "byte 0xff is not UTF-8"}),
        (b"a,b\n1,2\n3\n5,6\n", {3: "expected 2 fields, found 1"}),
        (b"a,b\n1,2,,\n5,6\n", {2: "expected 2 fields, found 4"}),
        (b'a,b\n1,"x\ny",3\n5,6\n', {2: "expected 2 fields, found 3"}),
        (b'a,b\n1,"2\n3,4\n5,6"x\n7,8\n', {2: BROKEN_QUOTES, 4: BROKEN_QUOTES}),
        (b'a,b\n0,"1,2\n3,4\n5,6\n7,8",9\n0,0\n', {
            2: "the quote opened in line 2 is closed only behind other records", 5: BROKEN_QUOTES,
        }),
        (b"a,b\n1,2\na,b\n3,4\n", {3: "it repeats the header"}),
        (b"a,b\n1,x\ry\n3,4\n", {2: "a carriage return stands alone in it"}),
        (b"a,b\n1,\0\n3,4\n", {2: "a NUL character"}),
        (b'a,b\n1,"x\n3,4\xff\n5,6\n"\n7,8\n', {2: "byte 0xff is not UTF-8"}),
    ],
)  # fmt: skip
def test_damage_costs_its_line(tmp_path, content, broken):
    """Each broken record is told with its line and reason, the other lines are records; the scan sees it too."""
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    assert scanned(path, 2, b"a,b").irregular
    result = landed(tmp_path, ["a", "b"])
    lines = content.split(b"\n")
    reasons = {}
    numbers = range(2, result.count + 2)
    for record in result.reader.records(result.parts[0], result.files[0], numbers):
        assert content[record.offset :].startswith(record.raw.encode("utf-8", "surrogateescape"))
        assert content[: record.offset].count(b"\n") + 1 == record.line
        reasons[record.line] = record.raw
    assert broken.keys() <= reasons.keys()
    copy = result.files[0].path.read_text("utf-8").split("\n")[1:]
    told = {
        line: bytes.fromhex(text.removeprefix(result.parts[0].form.broken)).decode()
        for line, text in zip(reasons, copy, strict=False)
        if text.startswith(result.parts[0].form.broken)
    }
    assert told == broken
    assert lines


BROKEN_ALL_OVER = {
    "unclosed": lambda size: b'1,"x\n' * size,
    "one quote": lambda size: b'"\n' + b"1,2\n" * size,
    "too wide": lambda size: b'1,2,"\n"' * size,
    "bad bytes": lambda size: b"1,\xff\n" * size,
}


@pytest.mark.parametrize("name", BROKEN_ALL_OVER)
def test_a_broken_record_after_another_takes_linear_time(tmp_path, name):
    """Four times as many broken records, or lines behind a quote that is never closed, take about four times as long."""
    seconds = []
    for size in (15_000, 60_000):
        (tmp_path / "a.csv").write_bytes(b"a,b\n" + BROKEN_ALL_OVER[name](size))
        started = time.process_time()
        assert landed(tmp_path, ["a", "b"]).held == ()
        seconds.append(time.process_time() - started)
    assert seconds[1] < 10 * seconds[0]  # quadratic would be 16 times


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


def test_a_quote_that_is_open_for_too_long(tmp_path):
    """A quote that swallows more than a record may hold costs its line; the lines behind it are records."""
    path = tmp_path / "a.csv"
    path.write_bytes(b'a,b\n1,2\n3,"x\n' + b"4,5\n" * 20_000)
    result = landed(tmp_path, ["a", "b"], limits=ReadLimits(record_bytes_max=10_000))
    assert (result.held, result.count) == ((), 20_002)
    copy = result.files[0].path.read_text("utf-8").split("\n")
    reason = bytes.fromhex(copy[2].removeprefix(result.parts[0].form.broken)).decode()
    assert reason == "the quote opened in line 3 is never closed within 10,000 bytes"


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
