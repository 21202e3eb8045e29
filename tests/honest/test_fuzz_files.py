"""Bytes at random: no error but ours comes out, every byte is accounted for, and sound files read as others read them."""

import csv
import io
import os
import re
import tempfile
import time
from base64 import b64decode
from pathlib import Path
from random import Random
from shutil import rmtree

import pytest
from drafts import ENCODINGS, first_record
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from project_run import ProjectRun, Seen
from selection import Case, group_of, sound_case

from pratique.model import Landed, Position, RawRecord
from pratique.schema import Dialect, Field, Schema
from pratique.sources import ReadLimits, open_source

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
FILES_PER_RUN = 150
LONG_SECONDS = float(os.environ.get("PRATIQUE_FUZZ_SECONDS", "600"))
READ_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "latin-1", "windows-1252")

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"), max_size=8)
hard_texts = st.text(st.sampled_from('ab",;\n\r \té'), max_size=8)
PARTS = [
    b"a", b"b", b"1", b",", b",", b'"', b'"', b'""', b"\n", b"\n", b"\r\n", b"\r", b"\0", b"\xff", b"\xc3\xa9", b"\xc3",
    b"\xef\xbb\xbf", b"\xff\xfe", b" ", b"\t", b"\t", b";", b"#", b"\\", b"a,b\n", b"1,2\n", b"a\tb\tc\n", b"1\t\t\n",
]  # fmt: skip
pieces = st.sampled_from(PARTS)
damaged_bytes = st.lists(pieces, max_size=40).map(b"".join)


@st.composite
def sound_files(draw):
    """(text, header, rows, delimiter): quotes stand where they must and elsewhere."""
    width = draw(st.integers(1, 5))
    delimiter = draw(st.sampled_from(",;\t|"))
    cells = st.one_of(texts, hard_texts)
    rows = draw(st.lists(st.lists(cells, min_size=width, max_size=width), max_size=8))
    header = [f"c{place}" for place in range(width)]
    end = draw(st.sampled_from(["\n", "\r\n"]))
    lines = []
    for row in [header, *rows]:
        always = draw(st.booleans()) or (width == 1 and not row[0])
        quoted = [always or any(mark in cell for mark in (delimiter, '"', "\r", "\n")) for cell in row]
        made = ['"' + cell.replace('"', '""') + '"' if quote else cell for cell, quote in zip(row, quoted, strict=True)]
        lines.append(delimiter.join(made) + end)
    return "".join(lines), header, rows, delimiter


def land(folder: Path, data: bytes, header: list[str], dialect: Dialect) -> Landed:
    """Land one file."""
    (folder / "a.csv").write_bytes(data)
    schema = Schema("s", 1, tuple(Field(name) for name in header), dialect=dialect)
    source = open_source(
        "s", path="a.csv", base=folder, format="csv", schema=schema, limits=ReadLimits(1 << 16), workspace=folder
    )
    return source.land(Position())


def given_back(landed: Landed) -> list[RawRecord]:
    """Every record of the file as it stands there."""
    part = landed.parts[0]
    file = part.files[0]
    numbers = range(file.first_number, file.first_number + file.records)
    return list(landed.reader.records(part, file, numbers))


@QUICK
@given(file=sound_files(), encoding=st.sampled_from(READ_ENCODINGS))
def test_sound_files_read_as_python_reads_them(file, encoding):
    """Every record has the values that Python's csv module finds in the same bytes, in whatever encoding."""
    text, header, rows, delimiter = file
    data = text.encode(encoding, "ignore")
    with tempfile.TemporaryDirectory() as folder:
        landed = land(Path(folder), data, header, Dialect(delimiter=delimiter, encoding=encoding))
        assert landed.held == ()
        read = list(csv.reader(io.StringIO(data.decode(encoding), newline=""), delimiter=delimiter))[1:]
        assert len(read) == len(rows) or encoding not in READ_ENCODINGS[:3]
        assert [list(record.values.values()) for record in given_back(landed)] == [row for row in read if row]


def check_damaged(data: bytes, encoding: str) -> None:
    """A file of any bytes is held with a reason, or every byte of it is in a record, a header or a line end."""
    with tempfile.TemporaryDirectory() as folder:
        landed = land(Path(folder), b"a,b\n" + data, ["a", "b"], Dialect(encoding=encoding))
        if landed.held:
            assert landed.held[0].reason
            return
        text = (b"a,b\n" + data).decode(encoding, "surrogateescape").removeprefix("\ufeff")
        rest = text[len("a,b") :]
        for record in given_back(landed):
            gap, found, rest = rest.partition(record.raw)
            assert found or not record.raw
            assert re.fullmatch(r"[\r\n]*", gap), (gap, record)
        assert re.fullmatch(r"[\r\n]*", rest), rest


@QUICK
@given(data=damaged_bytes)
def test_any_bytes_are_accounted_for(data):
    """No error comes out of a file of whatever bytes, and none of its bytes is forgotten."""
    check_damaged(data, "utf-8")


@QUICK
@given(data=damaged_bytes, encoding=st.sampled_from(("latin-1", "windows-1252")))
def test_any_bytes_in_other_encodings(data, encoding):
    """The same holds for encodings in which nearly every byte is a character."""
    check_damaged(data, encoding)


def through_the_product(root: Path, seed: int) -> None:
    """Push files of bytes at random through `pratique run`; read back, nothing is lost, invented or changed."""
    rng = Random(seed)  # noqa: S311 - reproducible, not secret
    head, made = b"topic\tnote\tremark\n", []
    for number in range(FILES_PER_RUN):
        encoding = rng.choice(["utf-8", "latin-1", "windows-1252"])
        data = head + b"".join(rng.choice(PARTS) for _ in range(rng.randrange(60)))
        axes = ("LF", encoding, "", "none")
        name, group = f"z{number:05}.csv", group_of("notes", encoding)
        if any(case.data == data for case in made):
            continue  # a second copy is loaded before
        made.append(Case(name, group, (f"seed {seed}",), axes, data, data, "loaded", "", "\t", ()))
    made += [sound_case(case, number) for number, case in enumerate({case.group: case for case in made}.values())]
    seen = ProjectRun(root, made).run()
    assert (seen.tracebacks, seen.unbalanced) == ([], [])
    for case in made:
        if case.name not in seen.held and case.name not in seen.stopped:
            assert not forgotten(case, seen), (seed, case.data, case.group)


def forgotten(case: Case, seen: Seen) -> str:
    """What of the text is in no record, or not as it was loaded; the text itself is read by RFC 4180 alone."""
    text = case.data.decode(ENCODINGS[case.axes[1]][1], "surrogateescape")
    rest = text.removeprefix("\ufeff").partition("\n")[2]
    there = dict(seen.rows.get(case.name, []))
    held = {record["record_number"]: record for record in seen.quarantined.get(case.name, [])}
    for number in range(2, 2 + len(there) + len(held)):
        if number in held:
            record = held[number]
            raw = record["raw"]
            if raw is None:
                raw = b64decode(record["raw_base64"]).decode(ENCODINGS[case.axes[1]][1], "surrogateescape")
            found = re.match(r"[\r\n]*?" + re.escape(raw), rest)  # a record may begin with a lone carriage return
            if found is None:
                return f"record {number}: {raw!r} is not {rest[:80]!r}"
            rest = rest[found.end() :]
            continue
        rest = rest.lstrip("\r\n")
        try:
            fields, end = first_record(rest, "\t")
        except ValueError:
            return f"record {number} is loaded, but broken: {rest[:80]!r}"
        if tuple(value or "" for value in there[number]) != tuple(fields):
            return f"record {number}: {there[number]} is not {fields}"
        rest = rest[end:]
    return rest.strip("\r\n")


def test_random_files_through_the_product(tmp_path):
    """Whatever bytes come, the whole product loses nothing, invents nothing and changes nothing."""
    through_the_product(tmp_path / "project", 20_241)


@pytest.mark.nightly
def test_fuzzing_for_a_long_time(tmp_path):
    """All of this, for as long as PRATIQUE_FUZZ_SECONDS says."""
    end = time.monotonic() + LONG_SECONDS
    rounds = 0
    while time.monotonic() < end:
        for test in (
            test_sound_files_read_as_python_reads_them,
            test_any_bytes_are_accounted_for,
            test_any_bytes_in_other_encodings,
        ):
            test()
        through_the_product(tmp_path / f"project{rounds}", rounds)
        rmtree(tmp_path / f"project{rounds}")
        rounds += 1
    assert rounds
