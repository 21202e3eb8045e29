"""Irregular files are read through a fair copy; what is quarantined is read from the file itself."""

import csv
import io
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import duckdb
import forked
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pratique.errors import SourceError
from pratique.model import Position
from pratique.schema import Dialect, Field, Schema
from pratique.sources import open_source
from pratique.sources.files.cutter import Cut
from pratique.sources.files.fair_copy import Places
from pratique.sources.files.text import utf8_text

REPORT = (
    b'Report\nof today\n\nid;name;amount\n1;"x";2\n2;y"z;3\n3;"open;4\n4;d;5\n5;e\n6;\xff;7\n6;f;7.123\n7;"g\n";8\n'
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose schema declares no delimiter, and a file with a preamble and broken records."""
    for folder in ("config", "pipelines", "schemas", "in"):
        (tmp_path / folder).mkdir()
    (tmp_path / "config" / "default.yaml").write_text(
        'connections: {target: {url: "duckdb://out.duckdb"}}\nquarantine: {max_share: 1}\n'
    )
    (tmp_path / "schemas" / "s.yaml").write_text(
        'schema: s\nversion: 1\nfields: {id: {type: integer}, name: {}, amount: {type: "decimal(9,2)"}}\n'
    )
    (tmp_path / "pipelines" / "p.yaml").write_text(
        "sources: {s: {type: files, path: in/*.csv, format: csv, schema: s, write: append}}\n"
        "destination: {connection: target}\nlineage: [_row_number]\n"
    )
    (tmp_path / "in" / "a.csv").write_bytes(REPORT)
    return tmp_path


def run(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    return forked.pratique(*words, "--project", project)


def test_each_broken_record_costs_itself(project: Path) -> None:
    """Sound records load with the number of their line; each broken one is held with text, line, offset and reason."""
    done = run(project, "run", "p", "--env", "dev", "--json")
    assert done.returncode == 0, done.stderr
    with duckdb.connect(str(project / "out.duckdb"), read_only=True) as connection:
        rows = connection.execute("SELECT _row_number, id, name FROM s ORDER BY 1").fetchall()
    assert rows == [(5, 1, "x"), (8, 4, "d"), (12, 7, "g\n")]
    exported = run(project, "quarantine", "export")
    records = [json.loads(line) for line in exported.stdout.splitlines()]
    assert [(item["line"], item["record_number"], item["errors"][0]["message"]) for item in records[:4]] == [
        (6, 6, "its quotes are broken: one stands inside an unquoted field, or text stands after a closing one"),
        (7, 7, "its quotes are broken: one stands inside an unquoted field, or text stands after a closing one"),
        (9, 9, "expected 3 fields, found 2"),
        (10, 10, "byte 0xff is not UTF-8"),
    ]
    assert records[4]["errors"][0]["rule"] == "amount.type"
    for record in records:
        text = REPORT[record["offset"] :].split(b"\n")[0]
        assert text == REPORT.split(b"\n")[record["line"] - 1]
        assert record["raw"] is None or record["raw"].encode() == text
    assert list((project / ".pratique" / "tmp").iterdir()) == []


def test_what_was_found_out_is_told(project: Path) -> None:
    """Another delimiter than the comma, and lines above the header, stand in the report."""
    told = run(project, "run", "p", "--env", "dev").stdout
    words = " ".join(told.split())
    assert "s: in/a.csv: its fields are separated by ';': only so its header fits" in words
    assert "s: in/a.csv: its header stands in line 4: the 3 lines above it are left out" in words


@pytest.mark.parametrize("encoding", ["utf-8", "windows-1252"])
def test_a_full_disk_is_the_operators(project: Path, encoding: str) -> None:
    """No space for a copy: the folder is named, the file is not blamed, nothing is loaded and nothing is left there."""
    with (project / "schemas" / "s.yaml").open("a") as schema:
        schema.write(f"dialect: {{encoding: {encoding}, delimiter: ';'}}\n")
    (project / "in" / "a.csv").write_bytes(
        b"id;name;amount\n1;x\n" + b"1;" + b"y" * 90 + b";2\n" + b"2;z;3\n" * 300_000
    )
    command = [sys.executable, "-m", "pratique", "run", "p", "--env", "dev", "--project", str(project)]
    small = f"import resource, os; resource.setrlimit(resource.RLIMIT_FSIZE, (800_000, -1)); os.execv({sys.executable!r}, {command!r})"
    done = subprocess.run([sys.executable, "-c", small], capture_output=True, text=True, check=False)
    assert done.returncode == 5
    assert f"a file cannot be {'copied' if encoding == 'utf-8' else 'decoded'} into" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not (project / "out.duckdb").exists()
    assert list((project / ".pratique" / "tmp").iterdir()) == []


def test_a_file_that_is_held_leaves_no_copy(tmp_path: Path) -> None:
    """Text below a footer, and an encoding that nobody knows, hold the file; the folder for copies is empty then."""
    (tmp_path / "work").mkdir()
    (tmp_path / "x.csv").write_bytes(b"a,b\n1,2\nSum,2\n3,4\n")
    for dialect in (Dialect(footer="^Sum"), Dialect(footer="^Sum", encoding="latin-1"), Dialect(encoding="klingon")):
        schema = Schema("s", 1, (Field("a"), Field("b")), dialect=dialect)
        source = open_source("s", path="x.csv", base=tmp_path, format="csv", schema=schema, workspace=tmp_path / "work")
        assert len(source.land(Position()).held) == 1
        assert list((tmp_path / "work").iterdir()) == []


MARKS = [
    Dialect(escape_char="\\"),
    Dialect(delimiter="§"),
    Dialect(delimiter="¦", quote_char="»"),
    Dialect(quote_char=None, escape_char="\\"),
    Dialect(delimiter="x"),
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), dialect=st.sampled_from(MARKS))
def test_what_is_rewritten_keeps_its_values(tmp_path: Path, data: st.DataObject, dialect: Dialect) -> None:
    """Escapes and unusual marks: each sound record of the copy has the values that the record itself has."""
    mark, quote = dialect.delimiter or ",", dialect.quote_char or "~"
    parts = ["a", mark, quote, "\\", "\n", "é", "\r\n", " ", f"{quote}u{quote}", f"\\{quote}", f"\\{mark}", "0"]
    text = "".join(data.draw(st.lists(st.sampled_from(parts), max_size=30)))
    (tmp_path / "x.csv").write_bytes(f"A{mark}B\n{text}".encode())
    schema = Schema("s", 1, (Field("A"), Field("B")), dialect=dialect)
    result = open_source("s", path="x.csv", base=tmp_path, format="csv", schema=schema).land(Position())
    assert result.held == ()
    (file,) = result.files
    copied = list(csv.reader(io.StringIO(file.path.read_text("utf-8"), newline=""), strict=True))[1:]
    records = list(result.reader.records(result.parts[0], file, range(2, result.count + 2)))
    assert len(copied) == len(records)
    form = result.parts[0].form
    for values, record in zip(copied, records, strict=True):
        told = list(record.values.values())
        if form.encoded and values[0].startswith(form.encoded):
            assert "\n" in record.raw or "\r" in record.raw
            assert [values[0].removeprefix(form.encoded), *values[1:]] == [value.encode().hex() for value in told]
        elif not values[0].startswith(form.broken):
            assert values == told


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["a\nb", 'say ""hi""\r\n', "\n", "é\r;\n", ""], id="several lines"),
        pytest.param(["a\rb", "\r", "c", "", "d;e"], id="a carriage return alone"),
        pytest.param(["a", 'say ""hi""', "c", "", "d;e"], id="one line each"),
    ],
)
def test_records_of_a_broken_file_keep_their_values(project: Path, names: list[str]) -> None:
    """One broken record makes a copy; line ends, quotes and empty texts inside of the others are as they were."""
    truth = [name.replace('""', '"') or None for name in names]  # an empty text is a missing value
    lines = [f'{number};"{names[number % 5]}";{number}\n' for number in range(60_000)]
    lines[41_000] = '41000;"x"y;3\n'
    (project / "in" / "a.csv").write_bytes(("id;name;amount\n" + "".join(lines)).encode())
    done = run(project, "run", "p", "--env", "dev", "--json")
    assert done.returncode == 0, done.stderr
    account = json.loads(done.stdout)["sources"][0]["account"]
    assert (account["read"], account["loaded"], account["quarantined"]) == (60_000, 59_999, 1)
    with duckdb.connect(str(project / "out.duckdb"), read_only=True) as connection:
        rows = connection.execute("SELECT _row_number, id, name, amount FROM s ORDER BY 1").fetchall()
    assert len(rows) == 59_999
    for number, key, name, amount in rows:
        assert (number, name, amount) == (key + 2, truth[key % 5], key)


def test_two_delimiters_that_fit_are_one_too_many(tmp_path: Path) -> None:
    """Where the header fits with more than one mark the file is held; a declared mark is never replaced."""
    one = Schema("s", 1, (Field("a"), Field("b", required=True)), extra_fields="drop")
    (tmp_path / "x.csv").write_text("a;b\n1;2\na|b\n")
    result = open_source("s", path="x.csv", base=tmp_path, format="csv", schema=one).land(Position())
    assert "more than one delimiter" in result.held[0].reason
    declared = Schema("s", 1, (Field("a"), Field("b")), dialect=Dialect(delimiter=","))
    result = open_source("s", path="x.csv", base=tmp_path, format="csv", schema=declared).land(Position())
    assert "no header of the schema" in result.held[0].reason


def test_records_come_back_from_a_file_of_broken_ones(tmp_path: Path) -> None:
    """More broken records than places are kept: each is still found, at its own offset and line."""
    count = 140_000
    (tmp_path / "x.csv").write_bytes(b"a,b\n" + b"".join(b"%d\n%d,x\n\n" % (n, n) for n in range(count)))
    schema = Schema("s", 1, (Field("a"), Field("b")))
    result = open_source("s", path="x.csv", base=tmp_path, format="csv", schema=schema).land(Position())
    assert result.count == 2 * count
    numbers = [2, 3, 4, 5, *range(100_001, 104_000), 180_000, 180_004, 200_004, 2 * count, 2 * count + 1]
    found = list(result.reader.records(result.parts[0], result.files[0], numbers))
    for number, record in zip(numbers, found, strict=True):
        n, sound = divmod(number - 2, 2)
        assert (record.number, record.line) == (number, 3 * n + 2 + sound)
        assert record.raw == (f"{n},x" if sound else str(n))
    assert [record.raw for record in result.reader.records(result.parts[0], result.files[0], [5])] == ["1,x"]
    with pytest.raises(SourceError, match="none of them is number"):
        list(result.reader.records(result.parts[0], result.files[0], [2 * count + 2]))


def test_places_are_spread_evenly() -> None:
    """However many cuts there are, the places kept stand equally far apart, so no part is searched for long."""
    places = Places()
    for number in range(1_200_000):
        places.add(number, Cut(10 * number, number + 1, b"x" * 10, 1, None))
    assert 260_000 < len(places.ordinals) <= 1 << 19
    assert {after - before for before, after in pairwise(places.ordinals)} == {places.stride}
    assert places.ordinals[places.before(1_199_999)] > 1_199_999 - places.stride


@pytest.mark.parametrize(
    ("encoding", "data", "text"),
    [
        ("windows-1252", b"caf\xe9 \x81", "café \udc81"),
        ("utf-16", b"\xff\xfea\x00\x00\xdcb\x00", "a\udc00b"),
        ("utf-16", b"\xfe\xff\x00a\xdc\x00\x00b", "a\udc00b"),
        ("utf-16-be", b"\xfe\xff\x00a\x00", "a\udc00"),
        ("shift_jis", b"\x83\x65\x83", "テ\udc83"),
    ],
)
def test_what_cannot_be_decoded_is_kept(tmp_path: Path, encoding: str, data: bytes, text: str) -> None:
    """A copy in UTF-8 holds undecodable bytes and halves of pairs as such; no other text has their bytes."""
    path = tmp_path / "x.csv"
    path.write_bytes(data)
    with path.open("rb") as file:
        found = utf8_text(file.fileno(), path, encoding, tmp_path)
    assert found.decode(found.path.read_bytes()) == text
    with pytest.raises(UnicodeDecodeError):
        found.path.read_bytes().decode()


def test_utf16_without_a_mark(tmp_path: Path) -> None:
    """Which half of a character comes first is not guessed; an unknown encoding is an error too."""
    path = tmp_path / "x.csv"
    path.write_bytes("a,b\n".encode("utf-16-le"))
    with path.open("rb") as file:
        with pytest.raises(SourceError, match="no byte order mark of utf-16"):
            utf8_text(file.fileno(), path, "UTF_16", tmp_path)
        with pytest.raises(SourceError, match="is not known"):
            utf8_text(file.fileno(), path, "klingon", tmp_path)
