"""Every record is read once, in order, with its number, and judged; what cannot be judged says why."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest

from pratique.engines import open_engine
from pratique.engines.duckdb_session import Session
from pratique.engines.settings import EngineSettings
from pratique.errors import ConfigurationError, SourceError, StateError
from pratique.model import (
    LINEAGE_COLUMNS,
    ArrowForm,
    CsvForm,
    FileVersion,
    Landed,
    LandedFile,
    ParquetForm,
    Part,
    Stamp,
    Target,
)
from pratique.schema import Check, Field, FieldType, Schema

INT, DAY = FieldType("integer"), FieldType("date")
PLAIN = Schema("sales", 1, (Field("id", INT, required=True), Field("name"), Field("day", DAY)))


def test_split(stage, good, held):
    """Good rows come typed, held ones with every failed rule and their original text; the balance holds."""
    staged = stage("id,name,day\n1,x,2024-01-02\n2,y,2024-02-30\n,z,oops\n4,,\n", PLAIN)
    assert good(staged) == [(1, "x", date(2024, 1, 2), "b" * 32), (4, None, None, "b" * 32)]
    assert held(staged) == [(0, 3, ["day.type"]), (0, 4, ["id.required", "day.type"])]
    first, second = staged.quarantined()
    assert first.values == {"id": "2", "name": "y", "day": "2024-02-30"}
    assert [failure.value for failure in second.failures] == ["", "oops"]
    tally = staged.tally
    assert (tally.read, tally.good, tally.quarantined, tally.skipped, tally.malformed) == (4, 2, 2, {}, 0)
    assert tally.newest == "2024-01-02"
    counts = {rule.name: (rule.decided, rule.failed) for rule in tally.rules}
    assert counts == {"id.type": (3, 0), "id.required": (4, 1), "day.type": (3, 2)}


def test_no_word_means_missing(stage, good, held):
    """Where no word means a missing value, a text that is none of its type costs its record, and no more."""
    names = {"id": INT, "day": DAY, "price": FieldType("decimal", 9, 2), "share": FieldType("number")}
    schema = Schema("s", 1, tuple(Field(name, kind, missing_values=()) for name, kind in names.items()))
    rows = ["1,2024-01-02,1.20,0.5", "x,2024-02-30,1.239,y", ",,,", "1.7,oops,many,1e400"]
    staged = stage("\n".join([",".join(names), *rows]) + "\n", schema)
    assert [row[:-1] for row in good(staged)] == [(1, date(2024, 1, 2), Decimal("1.20"), 0.5)]
    assert held(staged) == [(0, number, [f"{name}.type" for name in names]) for number in (3, 4, 5)]


def test_many_columns(stage, good, held):
    """A header of more than a thousand columns is read, and short records of it are told."""
    names = [f"c{number}" for number in range(1100)]
    schema = Schema("wide", 1, tuple(Field(name) for name in names))
    staged = stage("\n".join([",".join(names), ",".join(names), ",".join(names[:-1])]) + "\n", schema)
    assert [row[:-1] for row in good(staged)] == [tuple(names)]
    assert held(staged) == [(0, 3, ["malformed"])]
    assert next(iter(staged.quarantined())).failures[0].message == "expected 1100 fields, found 1099"


def test_field_counts(stage, held):
    """A record with a field too many, even an empty last one, or too few is malformed; the others are loaded."""
    staged = stage("id,name,day\n1,a,\n2,b\n3,c,,\n4,d,,x\n5\n6,f,\n", PLAIN)
    assert held(staged) == [(0, number, ["malformed"]) for number in (3, 4, 5, 6)]
    messages = [record.failures[0].message for record in staged.quarantined()]
    assert messages == [f"expected 3 fields, found {found}" for found in (2, 4, 4, 1)]
    assert all(record.values is None for record in staged.quarantined())
    assert (staged.tally.malformed, staged.tally.good) == (4, 2)
    assert all(rule.decided <= 2 for rule in staged.tally.rules)


def test_nulls_are_never_guessed(stage, good):
    r"""Quoted and plain NULL words stay the texts they are; only missingValues are NULL."""
    schema = Schema("s", 1, (Field("a"), Field("b")))
    staged = stage('a,b\nNULL,\\N\n"NA","\\N"\n"",\n', schema)
    assert [row[:2] for row in good(staged)] == [("NULL", "\\N"), ("NA", "\\N"), (None, None)]


def test_several_files_and_lineage(stage, good, held):
    """Files keep their order; numbers count from each file's own header; captures and lineage follow the file."""
    schema = Schema("s", 1, (Field("id", INT), Field("who", capture="partner"), Field("x")))
    target = Target("s", lineage=LINEAGE_COLUMNS)
    texts = ["id,x\n1,a\n2,b\n", "id,x\n", "id,x\nq,c\n4,d\n"]
    staged = stage(texts, schema, target=target, captures=[{"partner": name} for name in ("acme", "none", "glo'bex")])
    rows = good(staged)
    assert [(row[0], row[1], row[4], row[5]) for row in rows] == [
        (1, "acme", "in0.csv", 2),
        (2, "acme", "in0.csv", 3),
        (4, "glo'bex", "in2.csv", 3),
    ]
    assert rows[0][3] == "sales"
    assert rows[0][6].isoformat() == "2026-01-02T00:00:00+00:00"
    assert rows[0][7:] == ("a" * 32, "b" * 32)
    assert held(staged) == [(2, 2, ["id.type"])]
    assert staged.tally.per_file == (2, 0, 2)
    assert [str(column.type) for column in staged.good().columns][3:] == [
        "string", "string", "integer", "datetime", "string", "string",
    ]  # fmt: skip


def test_parts_with_other_headers(tmp_path):
    """Files with other column orders, aliases and extra columns are parts of one load, each bound by its own header."""
    schema = Schema("s", 1, (Field("id", INT, aliases=("id", "ID No")), Field("x")))
    parts = []
    for number, (header, body) in enumerate(((("id", "x"), "1,a\nq,b\n"), (("more", "x", "ID No"), "m,c,3\nm,d,w\n"))):
        path = tmp_path / f"{number}.csv"
        path.write_text(",".join(header) + "\n" + body)
        parts.append(Part(CsvForm(header), (LandedFile(path, FileVersion(path.name, "", 1), 2, 2),)))
    staged = open_engine(tmp_path / "tmp").stage(Landed("s", tuple(parts), None), schema, Target("s"), _stamp(), None)
    assert [row for batch in staged.good().batches() for row in batch.column("id").to_pylist()] == [1, 3]
    records = list(staged.quarantined())
    assert [(record.file, record.number, record.failures[0].value) for record in records] == [(0, 3, "q"), (1, 3, "w")]
    assert records[1].values == {"more": "m", "x": "d", "ID No": "w"}
    staged.close()


def test_multiline_and_dialect(stage, good):
    """Line ends inside quotes, another delimiter and another escape are read as declared."""
    schema = Schema("s", 1, (Field("a"), Field("b")))
    staged = stage('a,b\n"1\n2",x\n"he said ""no""",y\n', schema, multiline=True)
    assert [row[:2] for row in good(staged)] == [("1\n2", "x"), ('he said "no"', "y")]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (b'id,name,day\n1,a,\n2,"b,\n3,c,\n', 3, "unterminated quote"),
        (b"id,name,day\n1,a,\n2,\xff,\n", 3, "Invalid unicode"),
        (b"id,name,day\n1,a,\n2,b,,,,\n", 3, "Expected Number of Columns"),
    ],
)
def test_unreadable_file(stage, text, line, reason):
    """A file on which the reader gives up is the source owner's, with file and line."""
    with pytest.raises(SourceError) as caught:
        stage(text, PLAIN)
    assert caught.value.where == f"in0.csv:{line}"
    assert reason in caught.value.message
    assert caught.value.hint


def test_nothing_to_read(tmp_path, stage):
    """A header alone, and no file at all, give an empty load with every rule decided zero times."""
    assert stage("id,name,day\n", PLAIN).tally.read == 0
    schema = Schema("s", 1, (Field("id", INT), Field("n", INT, expression="id + 1")))
    staged = open_engine(tmp_path / "tmp").stage(Landed("s", (), None), schema, Target("s"), _stamp(), None)
    assert (staged.tally.read, staged.tally.per_file) == (0, ())
    assert [column.name for column in staged.good().columns] == ["id", "n", "_load_id"]
    assert list(staged.good().batches()) == []
    staged.close()


@pytest.mark.parametrize("name", ["_file", "_FILE", "_row_number", "_load_id", "rowid"])
def test_a_header_may_have_a_name_of_lineage(stage, good, held, name):
    """What Pratique wrote with its lineage it can read again, under a name of the schema's choice."""
    schema = Schema("sales", 1, (Field("origin", aliases=(name,)), Field("id", INT)))
    staged = stage(f"{name},id\nx,1\ny,no\n", schema)
    assert good(staged) == [("x", 1, "b" * 32)]
    assert held(staged) == [(0, 3, ["id.type"])]


def test_names_that_case_hides(stage):
    """Two columns that differ by case only are refused: DuckDB would mix them up."""
    with pytest.raises(SourceError, match="but for case"):
        stage("id,name,ID\n1,a,2\n", PLAIN)


def test_parquet(tmp_path):
    """Typed columns pass as they are; several files keep their order; held records leave their values to the source."""
    files = []
    for number, rows in enumerate(("(1, 1.50::DECIMAL(9,2)), (2, NULL)", "(NULL, -1.00::DECIMAL(9,2))")):
        path = tmp_path / f"{number}.parquet"
        with duckdb.connect() as connection:
            connection.execute(f"COPY (SELECT * FROM (VALUES {rows}) v(id, amount)) TO '{path}'")
        files.append(LandedFile(path, FileVersion(path.name, "", 1), 2 - number))
    amount = Field("amount", FieldType("decimal", 9, 2), minimum="0")
    schema = Schema("s", 1, (Field("id", INT, required=True), amount))
    part = Part(ParquetForm({"id": "INTEGER", "amount": "DECIMAL(9,2)"}), tuple(files))
    staged = open_engine(tmp_path / "tmp").stage(Landed("s", (part,), None), schema, Target("s"), _stamp(), None)
    rows = [tuple(row.values())[:2] for batch in staged.good().batches() for row in batch.to_pylist()]
    assert rows == [(1, Decimal("1.50")), (2, None)]
    [record] = staged.quarantined()
    assert (record.file, record.number, record.values) == (1, 1, None)
    assert [failure.rule for failure in record.failures] == ["id.required", "amount.minimum"]
    assert staged.tally.per_file == (2, 1)
    staged.close()


def test_arrow(tmp_path):
    """Batches are cut where the files' own counts say; malformed ones carry their reason; our errors come out whole."""

    def batches():
        yield pa.RecordBatch.from_pydict(
            {"id": ["1", "x", "3"], "_malformed": pa.array([None, None, None], pa.string())}
        )
        yield pa.RecordBatch.from_pydict({"id": [None, "5"], "_malformed": ["not an object", None]})

    def broken():
        yield from batches()
        raise SourceError("gone", where="f1:7")

    files = tuple(LandedFile(tmp_path / name, FileVersion(name, "", 1), n) for name, n in (("f0", 2), ("f1", 3)))
    schema = Schema("s", 1, (Field("id", INT),))
    engine = open_engine(tmp_path / "tmp")
    form = ArrowForm({"id": "VARCHAR"}, batches, malformed=True)
    staged = engine.stage(Landed("s", (Part(form, files),), None), schema, Target("s"), _stamp(), None)
    found = [(record.file, record.number, record.failures[0].message) for record in staged.quarantined()]
    assert found == [(0, 2, 'not integer: "x"'), (1, 2, "not an object")]
    assert staged.tally.per_file == (2, 3)
    staged.close()
    failing = Landed("s", (Part(ArrowForm({"id": "VARCHAR"}, broken, malformed=True), files),), None)
    with pytest.raises(SourceError, match="gone") as caught:
        engine.stage(failing, schema, Target("s"), _stamp(), None)
    assert caught.value.where == "f1:7"


def test_filter_and_warnings(stage, good, held):
    """A filtered row is skipped under its name and not judged; a warning only counts; a held row says its warnings."""
    schema = Schema(
        "s", 1, (Field("id", INT), Field("n", INT)), filter="n > 0", checks=(Check("big", "n < 10", severity="warn"),)
    )
    staged = stage("id,n\n1,5\n2,-1\n3,50\nx,60\nx,-1\n", schema)
    assert [row[0] for row in good(staged)] == [1, 3]
    assert staged.tally.skipped == {"filter": 2}
    assert held(staged) == [(0, 5, ["id.type", "big"])]
    counts = {rule.name: (rule.decided, rule.failed) for rule in staged.tally.rules}
    assert (counts["id.type"], counts["big"]) == ((3, 1), (3, 2))


def test_unknown(stage, held):
    """A check that raises is unknown: held, counted, and said to be undecided."""
    huge = "9223372036854775807"
    schema = Schema("s", 1, (Field("n", INT),), checks=(Check("more", "n + 1 > n"),))
    staged = stage(f'n\n1\n{huge}\n""\n', schema)
    assert held(staged) == [(0, 3, ["more"])]
    [record] = staged.quarantined()
    assert record.failures[0].message.startswith("could not be decided")
    tally = next(rule for rule in staged.tally.rules if rule.name == "more")
    assert (tally.failed, tally.unknown) == (1, 1)


def test_set_checks(stage):
    """Checks over the load see the rows to be loaded only; one without an answer is unknown."""
    checks = (
        Check("some", "count(*) = 2", scope="set"),
        Check("sum", "sum(n) > 100", scope="set", severity="fail"),
        Check("none", "sum(m) > 0", scope="set"),
    )
    schema = Schema("s", 1, (Field("n", INT), Field("m", INT)), checks=checks)
    verdicts = {item.name: item for item in stage("n,m\n1,\n2,\nx,9\n", schema).tally.sets}
    assert [verdicts[name].passed for name in ("some", "sum", "none")] == [True, False, None]
    assert "sum(n) > 100" in verdicts["sum"].message


def test_rule_that_cannot_be_bound(stage):
    """A rule whose types do not fit is the config author's, by name and place."""
    check = Check("odd", "date_trunc('month', name) = day", where="schemas/s.yaml:9:3")
    schema = Schema("s", 1, PLAIN.fields, checks=(check,))
    with pytest.raises(ConfigurationError) as caught:
        stage("id,name,day\n1,x,2024-01-01\n", schema)
    assert "odd" in caught.value.message
    assert caught.value.where.startswith("schemas/s.yaml:9")


def test_store(stage, good):
    """Hashed, masked and dropped fields leave the engine that way; the judge sees the values."""
    fields = (
        Field("id", INT, store="hash"),
        Field("mail", format="email", store="mask"),
        Field("pin", INT, minimum="10", store="drop"),
        Field("rest"),
    )
    staged = stage("id,mail,pin,rest\n1,a@b.cc,12,x\n2,nope,12,y\n3,,9,z\n4,,,w\n", Schema("s", 1, fields))
    hashed = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
    assert good(staged)[0] == (hashed, "***", "x", "b" * 32)
    assert good(staged)[1][1] is None
    assert [(column.name, column.type) for column in staged.good().columns][:3] == [
        ("id", "string"), ("mail", "string"), ("rest", "string"),
    ]  # fmt: skip
    assert staged.tally.quarantined == 2


def test_changed_is_counted(stage):
    """What trim and declared parsing rewrote is counted per field."""
    fields = (Field("a", trim=True), Field("n", FieldType("decimal", 9, 2), decimal_char=","))
    staged = stage("a,n\n x,1\ny,2.5\nz ,3\n", Schema("s", 1, fields))
    assert staged.tally.changed == {"a": 2}


_INTERRUPTED = """
import os, signal, sys, threading
from pathlib import Path
from pratique.engines.duckdb_session import Session
from pratique.engines.settings import EngineSettings
signal.signal(signal.SIGINT, signal.default_int_handler)
for _ in range(8):
    session = Session(EngineSettings(Path(sys.argv[1])))
    try:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        session.run("CREATE TABLE x AS SELECT sum(a.range * b.range) FROM range(10000000) a, range(1000000) b")
    except KeyboardInterrupt:
        print("interrupted")
    session.close()
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
"""


def test_interrupt(tmp_path):
    """A signal ends a long statement as KeyboardInterrupt in all of DuckDB's threads, and the session can be closed."""
    command = [sys.executable, "-c", _INTERRUPTED, str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["interrupted"] * 8
    assert list(tmp_path.iterdir()) == []


def test_exhausted(tmp_path):
    """Too little memory and disk is the operator's: the error names folder and limits."""
    settings = EngineSettings(tmp_path / "tmp", memory_limit="20MB", max_temp_directory_size="1MB", threads=1)
    session = Session(settings)
    with pytest.raises(StateError) as caught:
        session.run("CREATE TABLE x AS SELECT random()::VARCHAR || range AS t FROM range(5000000)")
    session.close()
    assert "20MB" in caught.value.message
    assert str(tmp_path / "tmp") in caught.value.message
    assert "limits" in caught.value.hint


def test_temporary_folder_that_cannot_be(tmp_path):
    """A temporary folder that cannot be made is the operator's, before anything is read."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="temporary folder"):
        Session(EngineSettings(tmp_path / "file" / "tmp"))


def _stamp() -> Stamp:
    return Stamp("s", "a" * 32, "b" * 32, datetime(2026, 1, 2, tzinfo=UTC))


def test_batches_are_bounded(stage):
    """No Arrow batch is larger than its limit, and all of them together are the rows."""
    text = "id,name,day\n" + "".join(f"{n},x,\n" for n in range(70_000))
    rows = stage(text, PLAIN).good()
    sizes = [batch.num_rows for batch in rows.batches()]
    assert sum(sizes) == rows.count == 70_000
    assert max(sizes) <= 32_768
