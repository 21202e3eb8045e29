"""`pratique init`: what it writes, asks, refuses."""

from __future__ import annotations

import functools
import http.server
import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner, Result

from pratique.cli.main import program
from pratique.documents import load_document, load_documents
from pratique.errors import SourceError
from pratique.inference.download import download, file_of
from pratique.project import Project

ORDERS = """\
order_id,ordered_on,amount,country
1,2026-11-02,19.90,DE
2,2026-11-03,5.00,PL
3,2026-11-03,7.25,FR
4,2026-11-04,12.40,DE
"""


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PRATIQUE_ENV", raising=False)
    return tmp_path


def init(*args: str, width: int = 100) -> Result:
    """Run `pratique init`."""
    return CliRunner().invoke(program, ["init", *args], env={"COLUMNS": str(width)})


def profile(text: str | bytes, *args: str, name: str = "data.csv") -> dict[str, dict]:
    """Write a file, look at it, and give its columns by header."""
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    done = init(name, "--no-run", "--force", "--json", *args)
    assert done.exit_code == 0, done.output
    (table,) = json.loads(done.stdout.splitlines()[0])["tables"]
    return {column["header"]: column for column in table["columns"]}


def loaded(table: str, warehouse: str = "warehouse.duckdb") -> list[tuple]:
    """The rows of a table."""
    with duckdb.connect(warehouse, read_only=True) as connection:
        return connection.execute(f'SELECT * EXCLUDE (_load_id) FROM "{table}" ORDER BY ALL').fetchall()


def test_a_file_becomes_a_project_that_has_run(root: Path) -> None:
    """Configuration, schema, pipeline and test are written, said, without a mistake, and the rows are there."""
    (root / "orders.csv").write_text(ORDERS, encoding="utf-8")
    done = init("orders.csv")
    assert done.exit_code == 0, done.output
    written = ["config/default.yaml", "schemas/orders.yaml", "pipelines/orders.yaml", "pipelines/tests/orders.yaml"]
    assert all((root / path).is_file() and path in done.stdout for path in written)
    assert "DONE · exit 0" in done.stdout
    assert len(loaded("orders")) == 4
    schema = Project(root).schema("orders")
    assert schema.primary_key == ("order_id",)
    assert [str(item.type) for item in schema.fields] == ["integer", "date", "decimal(9,2)", "string"]
    assert all(item.required for item in schema.fields)
    assert {check.severity for check in schema.checks} == {"warn"}
    assert CliRunner().invoke(program, ["lint", "--strict"]).exit_code == 0


def test_every_line_says_what_it_rests_on(root: Path) -> None:
    """No line of the files for people is without a comment, but for records of the test."""
    (root / "orders.csv").write_text(ORDERS, encoding="utf-8")
    init("orders.csv", "--no-run")
    for path in (*root.glob("config/*.yaml"), *root.glob("schemas/*"), *root.glob("pipelines/**/*.yaml")):
        lines = path.read_text(encoding="utf-8").splitlines()
        for before, line in zip(["", *lines], lines, strict=False):
            bare = "#" not in line and not before.strip().startswith("#")
            assert not bare or line.strip().startswith("- {"), f"{path.name}: {line}"
            assert len(line) <= 140


def test_nothing_that_is_there_is_replaced_unasked(root: Path) -> None:
    """A second init writes nothing; --force does, and leaves the configuration alone."""
    (root / "orders.csv").write_text(ORDERS, encoding="utf-8")
    assert init("orders.csv", "--no-run").exit_code == 0
    mine = "fields: {order_id: integer, ordered_on: date, amount: number, country: string} # mine\n"
    (root / "schemas/orders.yaml").write_text(mine, encoding="utf-8")
    config = (root / "config/default.yaml").read_text(encoding="utf-8") + "logging: {level: DEBUG}\n"
    (root / "config/default.yaml").write_text(config, encoding="utf-8")
    again = init("orders.csv")
    assert again.exit_code == 2
    assert "schemas/orders.yaml is there already: nothing was written" in " ".join(again.stderr.split())
    assert (root / "schemas/orders.yaml").read_text(encoding="utf-8") == mine
    assert init("orders.csv", "--force", "--no-run").exit_code == 0
    assert "mine" not in (root / "schemas/orders.yaml").read_text(encoding="utf-8")
    assert (root / "config/default.yaml").read_text(encoding="utf-8") == config
    other = init("orders.csv", "--name", "others", "--no-run")
    assert other.exit_code == 0
    assert Project(root).pipeline_names() == ["orders", "others"]


def test_who_was_interrupted_does_the_same_again(root: Path) -> None:
    """What an earlier init wrote, and nobody changed, is in nobody's way: the rest is written, and the pipeline runs."""
    (root / "orders.csv").write_text(ORDERS, encoding="utf-8")
    assert init("orders.csv", "--no-run").exit_code == 0
    (root / "pipelines/orders.yaml").unlink()
    again = init("orders.csv")
    assert again.exit_code == 0, again.stderr
    assert "DONE" in again.stdout


def test_a_project_with_a_database_is_added_to(root: Path) -> None:
    """The connection that is there is used; without one, the line to add is told and nothing is written."""
    (root / "orders.csv").write_text(ORDERS, encoding="utf-8")
    (root / "config").mkdir()
    (root / "config/default.yaml").write_text("connections: {lake: {url: 'duckdb://lake.duckdb'}}\n", encoding="utf-8")
    assert init("orders.csv").exit_code == 0
    assert len(loaded("orders", "lake.duckdb")) == 4
    (root / "config/default.yaml").write_text("logging: {level: INFO}\n", encoding="utf-8")
    refused = init("orders.csv", "--name", "more")
    assert refused.exit_code == 2
    assert "warehouse: {url: duckdb://warehouse.duckdb}" in refused.stderr
    assert not (root / "schemas/more.yaml").exists()


def test_a_file_elsewhere_gets_a_connection(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A source outside of the project is reached by a connection that names its folder."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "orders.csv").write_text(ORDERS, encoding="utf-8")
    assert init(str(folder / "orders.csv")).exit_code == 0
    connections = load_document(root / "config/default.yaml").value["connections"]
    assert connections["orders_files"] == {"url": str(folder)}
    assert len(loaded("orders")) == 4


def test_alone_it_makes_a_project_with_a_quarantine() -> None:
    """The example runs, and one of its records is held for a reason that is told."""
    done = init()
    assert done.exit_code == 0, done.output
    assert 'orders.ordered_on.type   not date: "2026-02-30"' in done.stdout
    assert len(loaded("orders")) == 4
    assert CliRunner().invoke(program, ["lint", "--strict"]).exit_code == 0
    again = init()
    assert again.exit_code == 2
    assert "is a project already" in " ".join(again.stderr.split())


def test_the_first_test_names_records_that_do_what_it_says(root: Path) -> None:
    """The sound record is loaded and the other is held for the named rule, when their values are run."""
    (root / "people.csv").write_text(
        "id,name,email,born\n" + "".join(f"{n},Ann B,ann{n}@mail.example,200{n}-01-01\n" for n in range(1, 6)),
        encoding="utf-8",
    )
    assert init("people.csv", "--no-run").exit_code == 0
    (document,) = load_documents(root / "pipelines/tests/people.yaml")
    sound, broken = document.value["tests"]
    assert sound["given"] == {
        "people": [{"id": "1", "name": "xxx x", "email": "someone@example.org", "born": "2001-01-01"}]
    }
    assert sound["expect"] == {"people": {"loaded": 1}}
    assert broken["given"]["people"][0]["born"] == "2026-02-30"
    assert broken["expect"] == {"people": {"quarantined": [{"id": "1", "rules": ["born.type"]}]}}
    header = ",".join(sound["given"]["people"][0])
    records = [",".join(case["given"]["people"][0].values()) for case in (sound, broken)]
    (root / "people.csv").write_text("\n".join([header, *records, ""]), encoding="utf-8")
    run = CliRunner().invoke(program, ["run", "people", "--json"])
    assert '"rule": "born.type"' in run.stdout.replace('":"', '": "')


def columns_of(cases: dict[tuple[str, ...], object], *options: str) -> list[dict]:
    """One file with a column for each case, at which init looks, and of which a run holds nothing."""
    rows = max(map(len, cases))
    lines = [";".join(f"x{number}" for number in range(len(cases))) + ";t"]
    lines += [";".join([*(case[min(row, len(case) - 1)] for case in cases), "text"]) for row in range(rows)]
    found = profile("\n".join([*lines, ""]), *options)
    run = CliRunner().invoke(program, ["run", "data", "--json", "--strict"])
    assert run.exit_code == 0, run.stdout
    return [found[f"x{number}"] for number in range(len(cases))]


UNTOLD = {
    ("01/02/2024", "03/04/2024"): ("string", None),
    ("01/02/2024", "13/04/2024"): ("date", "%d/%m/%Y"),
    ("01/02/2024", "04/13/2024"): ("date", "%m/%d/%Y"),
    ("01/02/2024 10:00", "03/04/2024 11:30"): ("string", None),
    ("1.234", "5.678"): ("string", None),
    ("1,234", "5,678"): ("string", None),
    ("1.234", "5.6"): ("decimal(9,3)", None),
    ("1.234", "0.678"): ("decimal(9,3)", None),
    ("1.234", "1.234.567"): ("integer", None),
    ("1.234,50", "7,25"): ("decimal(9,2)", None),
    ("1,234.50", "7.25"): ("decimal(9,2)", None),
    ("1 234,5", "7,25"): ("decimal(9,2)", None),
}
DAY_FIRST = {
    ("01/02/2024", "03/04/2024"): ("date", "%d/%m/%Y"),
    ("01/02/2024 10:00", "03/04/2024 11:30"): ("datetime", "%d/%m/%Y %H:%M"),
    ("01/02/2024", "04/13/2024"): ("date", "%m/%d/%Y"),
}
MONTH_FIRST = {
    ("01/02/2024", "03/04/2024"): ("date", "%m/%d/%Y"),
    ("01/02/2024", "13/04/2024"): ("date", "%d/%m/%Y"),
}
POINT = {("1.234", "5.678"): ("decimal(9,3)", None), ("1,234", "5,678"): ("integer", None)}
COMMA = {("1.234", "5.678"): ("integer", None), ("1,234", "5,678"): ("decimal(9,3)", None)}


@pytest.mark.parametrize(
    ("options", "cases"),
    [
        ((), UNTOLD),
        (("--dates", "day-first"), DAY_FIRST),
        (("--dates", "month-first"), MONTH_FIRST),
        (("--decimals", "point"), POINT),
        (("--decimals", "comma"), COMMA),
    ],
)
def test_two_ways_to_read_are_told_apart_by_all_records_or_asked(
    options: tuple[str, ...], cases: dict[tuple[str, ...], tuple[str, str | None]]
) -> None:
    """What one record excludes is excluded; what none does stays text until somebody says what is meant."""
    found = columns_of(dict(cases), *options)
    assert {case: (column["type"], column["format"]) for case, column in zip(cases, found, strict=True)} == cases
    assert [column["question"] is not None for column in found] == [kind == "string" for kind, _ in cases.values()]


TYPES = {
    ("1", "2", "-3"): "integer",
    ("01067", "80331"): "string",
    ("+49", "+44"): "string",
    ("9223372036854775808", "1"): "decimal(38,0)",
    ("9" * 39, "1"): "string",
    ("0.5", "12.25"): "decimal(9,2)",
    ("1e5", "2.5"): "number",
    ("0.123456", "1.5"): "number",
    ("true", "false"): "boolean",
    ("yes", "no"): "boolean",
    ("yes", "yes"): "string",
    ("yes", "maybe"): "string",
    ("1", "0"): "integer",
    ("2026-11-02", "2024-02-29"): "date",
    ("2026-11-02", "2026-02-30"): "string",
    ("2026-11-02 10:00:00", "2026-11-02T11:00"): "datetime",
    ("2026-11-02T10:00:00Z", "2026-11-02T11:00:00+02:00"): "datetime",
    ("10:00", "23:59:59"): "time",
    ("3 Nov 2026", "12 Feb 2026"): "date",
    ("8d3f2f1e-0000-4000-8000-000000000001", "8d3f2f1e-0000-4000-8000-000000000002"): "uuid",
    ("a@example.org", "b.c@mail.example.org"): "string email",
    ("https://example.org/a", "ftp://example.org"): "string uri",
    ("10.0.0.1", "192.168.1.254"): "string ipv4",
    ("", ""): "string",
    (" 1 ", "2"): "integer",
}


def test_a_type_is_what_all_values_have() -> None:
    """By elimination over all records, and a run loads every one of them."""
    found = columns_of(dict(TYPES))
    named = [
        f"{column['type']} {column['format']}" if column["type"] == "string" and column["format"] else column["type"]
        for column in found
    ]
    assert dict(zip(TYPES, named, strict=True)) == TYPES


def test_words_for_what_is_missing_are_proposed_in_columns_of_a_type() -> None:
    """`NA` among numbers is a missing value, with its count; among texts it stays a text, and is told."""
    columns = profile("n,t\n1,a\nNA,NA\n-,b\n,c\n")
    assert columns["n"]["missing_words"] == {"-": 1, "NA": 1}
    assert (columns["n"]["type"], columns["n"]["values"], columns["n"]["required"]) == ("integer", 1, False)
    assert (columns["t"]["type"], columns["t"]["values"], columns["t"]["required"]) == ("string", 4, True)
    assert '1 times "NA": if that means nothing' in Path("schemas/data.yaml").read_text(encoding="utf-8")


def test_a_type_that_nearly_all_values_have_is_told_with_the_first_that_has_not() -> None:
    """A wrong value makes a text of a column, and the schema says which value in which record it was."""
    columns = profile("id,day\n1,2026-11-02\n2,2026-11-03\n3,2026-02-30\n4,2026-11-03\n")
    assert columns["day"]["nearly"] == {"type": "date", "format": None, "wrong": 1, "example": "2026-02-30"}
    schema = " ".join(Path("schemas/data.yaml").read_text(encoding="utf-8").replace("# ", "").split())
    assert '1 of them is no date: "2026-02-30" in record 4; write {type: date} to hold it' in schema


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "it is empty"),
        ("a.csv", b",b\n1,2\n", "its header has no name for column 1"),
        ("a.csv", b"a,a\n1,2\n", "its header has 'a' twice"),
        ("a.csv", b'id,na"me,b\n1,2,3\n4,5,6\n', "its header in line 1 cannot be read"),
        ("a.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "it is not text"),
        ("a.json", b"[1, 2]", "it holds no JSON object"),
        ("a.parquet", b"PAR1 and nothing else", "it is no complete Parquet file"),
        ("a.xls", b"\xd0\xcf\x11\xe0", ".xls files are not looked at yet"),
        ("a*.csv", b"a,b\n1,2\n", "characters that stand for others"),
        ("a.csv.gz", b"\x1f\x8b\x08\0cut", "the gzip file is"),
    ],
)
def test_what_cannot_be_read_is_told_and_leaves_no_project(root: Path, name: str, content: bytes, message: str) -> None:
    """One error with the file and what to do; nothing is written."""
    (root / name).write_bytes(content)
    done = init(name)
    assert done.exit_code == 3, done.output
    assert message in done.stderr
    assert "do:" in done.stderr
    assert not (root / "schemas").exists()
    assert not (root / "config").exists()


@pytest.mark.parametrize("name", ["pipe.csv", "pipe"])
def test_a_pipe_is_not_waited_for(root: Path, name: str) -> None:
    """What is no file is refused at once, whether its name says a format or not."""
    os.mkfifo(root / name)
    command = [sys.executable, "-m", "pratique", "init", name]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, "it is not a regular file" in done.stderr) == (3, True)


@pytest.mark.parametrize(
    ("content", "records"),
    [
        ("a,b\n", 0),
        ("a\n1\n2\n", 2),
        ("1,2,3\n4,5,6\n", 2),
        ("Report of Monday\n\na;b;c\n1;2;3\n4;5;6\n", 2),
        ('Report "Monday"\na;b;c\n1;2;3\n4;5;6\n', 2),
        ("select,order,group by,größe,_load_id,rowid,x:y,#h,on,null,Ab,a b\n" + "1,2,3,4,5,6,7,8,9,0,1,2\n" * 2, 2),
        ("rowid,_many,_there,_text,_trimmed,_pratique_number,r0,v0,t\n" + "a,b,c,d,e,f,g,h,i\n" * 2, 2),
        (",".join(f"column {n}" for n in range(300)) + "\n" + ",".join(map(str, range(300))) + "\n", 1),
        ("name,city\nJosé,Köln\n".encode("windows-1252"), 1),
        ("name,city\nJosé,Köln\n".encode("utf-16"), 1),
        ('a,b\n"x\ny",1\n', 1),
        (" a , b \n 1 , 2 \n", 1),
    ],
)
def test_odd_files_are_projects_that_run(root: Path, content: str | bytes, records: int) -> None:
    """Headers of SQL words, of blanks, of 300 columns, none at all, text above them: no edit, nothing held."""
    (root / "data.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    done = init("data.csv", "--json")
    assert done.exit_code == 0, done.output
    _, report = (json.loads(line) for line in done.stdout.splitlines())
    (source,) = report["sources"]
    assert (source["account"]["loaded"], source["account"]["quarantined"]) == (records, 0)
    assert CliRunner().invoke(program, ["lint", "--strict"]).exit_code == 0


def test_torn_records_are_all_that_is_held(root: Path) -> None:
    """What cannot be read is held by the first run; every other record is loaded, though half of them are torn."""
    (root / "data.csv").write_text("id,b\n1,x\n2\n3,y,z\n4,w\n", encoding="utf-8")
    done = init("data.csv", "--json")
    assert done.exit_code == 0, done.output
    _, report = (json.loads(line) for line in done.stdout.splitlines())
    account = report["sources"][0]["account"]
    assert (account["read"], account["loaded"], account["quarantined"]) == (4, 2, 2)


def test_files_of_a_folder_that_differ_in_numbers_are_one_source(root: Path) -> None:
    """One header, names apart from numbers: a glob. Keys and references hold over all of the files."""
    folder = root / "in"
    folder.mkdir()
    (folder / "customers.csv").write_text("id,name\n" + "".join(f"{n},c{n}\n" for n in range(1, 21)), encoding="utf-8")
    for month in (1, 2):
        rows = "".join(f"{month * 100 + n},{n},{n}.50\n" for n in range(1, 11))
        (folder / f"orders_2026-0{month}.csv").write_text(f"id,customer_id,amount\n{rows}", encoding="utf-8")
    (folder / "notes.md").write_text("hello\n", encoding="utf-8")
    done = init("in", "--name", "shop", "--json")
    assert done.exit_code == 0, done.output
    first, report = (json.loads(line) for line in done.stdout.splitlines())
    assert [(table["name"], table["path"], table["records"]) for table in first["tables"]] == [
        ("customers", "in/customers.csv", 20),
        ("orders", "in/orders_*.csv", 20),
    ]
    assert [(link["field"], link["parent"], link["rule"]) for link in first["references"]] == [
        ("customer_id", "customers", True)
    ]
    assert first["left_out"] == ["notes.md: no format that is known"]
    assert [source["account"]["loaded"] for source in report["sources"]] == [20, 20]


def test_a_reference_that_does_not_hold_is_told_and_not_made(root: Path) -> None:
    """One order of a customer that is not there: the numbers stand in a comment."""
    (root / "in").mkdir()
    (root / "in/customers.csv").write_text("id,name\n1,a\n2,b\n3,c\n", encoding="utf-8")
    (root / "in/orders.csv").write_text("id,customer_id\n1,1\n2,2\n3,9\n", encoding="utf-8")
    assert init("in").exit_code == 0
    schema = (root / "schemas/orders.yaml").read_text(encoding="utf-8")
    assert "# customer_id may refer to customers.id: 2 of 3 values occur there (66.7 %)" in schema
    assert Project(root).schema("orders").references == ()


@pytest.mark.parametrize(
    ("typed", "expected"), [("d\n", "%d/%m/%Y"), ("m\n", "%m/%d/%Y"), ("\n", None), ("?\nd\n", "%d/%m/%Y")]
)
def test_a_person_at_a_terminal_is_asked(root: Path, typed: str, expected: str | None) -> None:
    """The question shows the values; Enter keeps the text; what is no answer is asked again."""
    (root / "data.csv").write_text("id,day\n1,01/02/2024\n2,03/04/2024\n", encoding="utf-8")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pratique", "init", "data.csv", "--no-run"]
    with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, text=True) as process:
        os.close(theirs)
        os.write(ours, typed.encode())
        seen = b""
        try:
            while piece := os.read(ours, 4096):
                seen += piece
        except OSError:  # the other end is closed
            pass
        out = process.communicate(timeout=60)[0]
    os.close(ours)
    assert process.returncode == 0, seen
    assert b"data.day has 01/02/2024, 03/04/2024" in seen
    assert seen.count(b"or Enter to keep text") == typed.count("\n")
    field = Project(root).schema("data").field("day")
    assert (field.type.name, field.format) == (("date", expected) if expected else ("string", None))
    assert "wrote" in out


@pytest.fixture
def server(root: Path) -> Iterator[str]:
    """A web server on this machine that serves a folder with orders.csv."""
    folder = root / "served"
    folder.mkdir()
    (folder / "orders.csv").write_text(ORDERS, encoding="utf-8")
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()
        thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_an_address_is_fetched_once(root: Path, server: str) -> None:
    """The file lands in data/, whole, is said, and is the source; a file that is there is not fetched over."""
    done = init(f"{server}/orders.csv", "--allow-private-address")
    assert done.exit_code == 0, done.output
    assert (root / "data/orders.csv").read_text(encoding="utf-8") == ORDERS
    assert "at most 1 GiB" in done.stderr
    assert len(loaded("orders")) == 4
    assert "nothing was fetched" in init(f"{server}/orders.csv", "--allow-private-address").stderr


def test_addresses_inside_of_a_network_are_refused(root: Path, server: str) -> None:
    """This machine's own address is not asked for anything unless somebody says so."""
    done = init(f"{server}/orders.csv")
    assert done.exit_code == 3
    assert "an address inside of a network" in " ".join(done.stderr.split())
    assert list((root / "data").iterdir()) == []


def test_a_download_has_a_limit_and_its_failures_are_told(root: Path, server: str) -> None:
    """Too large, not there, nobody listening, no http: an error each, and no half file."""
    for url, most, message in (
        (f"{server}/orders.csv", 10, "more than 10 bytes"),
        (f"{server}/other.csv", 1000, "404"),
        ("http://127.0.0.1:9/x.csv", 1000, "cannot be reached"),
    ):
        with pytest.raises(SourceError, match=message):
            download(url, root / "got.csv", private=True, most=most)
    assert init("ftp://example.org/x.csv").exit_code == 2
    assert not list(root.glob("*got*"))
    assert file_of("https://example.org/a%2F..%2Fb/x%20y.csv?z=1") == "x_y.csv"


@pytest.mark.parametrize("name", ["data.parquet", "data.json", "data.jsonl", "data.csv.gz", "data"])
def test_every_format_is_served(name: str) -> None:
    """Typed columns keep their types; texts are looked at; a file without a suffix is told by its content."""
    query = (
        "SELECT i AS id, (i * 1.5)::DECIMAL(9,2) AS amount, DATE '2026-11-02' + i::INTEGER AS day FROM range(1, 9) t(i)"
    )
    form = {"data.parquet": "parquet", "data.json": "json, array true", "data.jsonl": "json"}.get(name, "csv")
    packed = ", compression gzip" if name.endswith("gz") else ""
    duckdb.sql(f"COPY ({query}) TO '{name}' (FORMAT {form}{packed})")
    done = init(name, "--json")
    assert done.exit_code == 0, done.output
    first, report = (json.loads(line) for line in done.stdout.splitlines())
    kinds = {column["header"]: column["type"] for column in first["tables"][0]["columns"]}
    assert kinds["id"] == "integer"
    assert kinds["amount"].startswith("decimal(9,")
    assert kinds["day"] == "date"
    assert report["sources"][0]["account"]["loaded"] == 8
