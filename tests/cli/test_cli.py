"""The command `pratique` as people and programs meet it: help, errors, runs, quarantine."""

import contextlib
import csv
import io
import itertools
import json
import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pratique.cli.main import program
from pratique.cli.problems import render_error
from pratique.cli.progress import moving, told
from pratique.cli.run import worst
from pratique.cli.text import columns, middle, shown, table, wrapped
from pratique.errors import ConfigurationError
from pratique.events import LoadCommitted, RowsStaged, RunStarted, SourceIngested, SourceLanded, StageProgressed
from pratique.events.event import size
from pratique.ledger import open_ledger
from pratique.model import Account, Cause, Marker, Written
from pratique.quarantine import Quarantine
from pratique.reports import RunReport, SourceReport

EVIL = "\x1b[2J\u202e"


def pratique(*args: str | Path, columns: int = 80) -> Result:
    """Run the program in this process."""
    return CliRunner().invoke(program, [str(arg) for arg in args], env={"COLUMNS": str(columns)})


def process(*args: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the program as a process of its own."""
    command = [sys.executable, "-m", "pratique", *args]
    source = str(Path(__file__).parents[2] / "src")
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": source, **more},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def held(number: int, load: str, **changes: object) -> dict[str, object]:
    """Give a quarantined record."""
    record = {
        "id": f"{load[:12]}-{number}",
        "file": "in/sales.csv",
        "record_number": number + 1,
        "line": number + 1,
        "raw": f"{number},x",
        "values": {"order": str(number), "amount": "=1+1", "email": "a@b.example", "note": EVIL},
        "errors": [
            {
                "rule": "amount.type",
                "field": "amount",
                "value": "=1+1",
                "message": f'not decimal(9,2): "=1+1"{EVIL}',
                "severity": "quarantine",
            }
        ],
        "sensitive": ["email"],
        "pipeline": "shop",
        "source": "sales",
        "table": "sales",
        "run_id": "7f3a91" + "0" * 26,
        "load_id": load,
        "attempt": 1,
        "schema": "sales",
        "schema_version": 1,
        "quarantined_at": "2026-10-31T07:00:00.000+00:00",
    }
    return {**record, **changes}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a project in which one run of pipeline `shop` held twelve records of `sales`."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "default.yaml").write_text("logging: {level: INFO}\n")
    ledger = open_ledger(tmp_path / ".pratique" / "ledger.sqlite")
    load = "0f3b9c5d7e21" + "0" * 20
    quarantine = Quarantine(tmp_path / ".pratique" / "quarantine", ledger)
    cause = Cause(
        "amount.type", "amount", f'not decimal(9,2): "=1+1"{EVIL}', 12, (("in/sales.csv", 2), ("in/sales.csv", 3))
    )
    with ledger.begin("shop", "dev") as handle:
        segment = quarantine.write("shop", load, 1, iter([held(number, load) for number in range(1, 13)]))
        account = Account(20, 8, 12)
        now = datetime.now(UTC).isoformat()
        handle.record(
            Marker(
                load,
                1,
                handle.run_id,
                "shop",
                "sales",
                "sales",
                "append",
                "sales",
                1,
                (),
                account,
                Written(8),
                segment,
                (cause,),
                {},
                now,
                now,
                1,
            )
        )
        source = SourceReport("sales", "sales", "loaded", account, Written(8), causes=(cause,))
        handle.finish(RunReport(handle.run_id, "shop", "dev", "done", 0, now, now, (source,)))
    ledger.close()
    return tmp_path


def run_of(project: Path) -> str:
    """Give the short id of the one run."""
    return json.loads(pratique("runs", "--project", project, "--json").stdout)["run_id"][:6]


# --- help -------------------------------------------------------------------------------------------------------


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    """`pratique --help` loads no driver, no parser and no display library: it has to be there at once."""
    code = (
        "import sys\nsys.argv = ['pratique', '--help']\nfrom pratique.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'pydantic', 'duckdb', 'sqlglot', 'rich', 'pyarrow', 'numpy', 'yaml', 'sqlite3', 'structlog', 'logging'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)\n"
    )
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    env = {**unmeasured, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "Exit codes" in done.stdout


@pytest.mark.parametrize(
    "command",
    [
        ["run"],
        ["runs"],
        ["runs", "show"],
        ["quarantine"],
        ["quarantine", "list"],
        ["quarantine", "show"],
        ["quarantine", "export"],
        ["metrics"],
        ["health"],
        ["version"],
    ],
)
def test_every_command_has_help(command: list[str]) -> None:
    """Each command says in 80 columns what it does."""
    result = pratique(*command, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: ")
    assert max(map(columns, result.stdout.splitlines())) <= 80


def test_version_names_what_decides_values() -> None:
    """The version is told with those of the libraries that judge, also as JSON."""
    assert set(json.loads(pratique("version", "--json").stdout)) >= {"pratique", "duckdb", "python"}
    assert "duckdb " in pratique("version").stdout
    assert pratique("--version").stdout.startswith("pratique ")


def test_a_wrong_command_names_the_nearest(tmp_path: Path) -> None:
    """A slip of the pen gets the command that was probably meant, and exit code 2."""
    done = process("rnus", cwd=tmp_path)
    assert done.returncode == 2
    assert "do: pratique runs" in done.stderr


# --- errors -----------------------------------------------------------------------------------------------------


def test_an_error_shows_the_place(tmp_path: Path) -> None:
    """An error quotes the line that it is about, with a caret under the column, and says what to do."""
    path = tmp_path / "p.yaml"
    path.write_text("sources:\n\tsales:\n  売上: {pth: x}\n")
    error = ConfigurationError(
        "unknown key pth",
        where=f"{path}:3:8",
        hint="path is near",
        facts={"more": [{"message": "also bad", "where": f"{path}:2", "hint": ""}]},
    )
    assert render_error(error, width=200).split("\n") == [
        f"{path}:3:8: error value: unknown key pth",
        "      3 |   売上: {pth: x}",
        "        |          ^^^",
        "  do: path is near",
        f"{path}:2: error value: also bad",
        r"      2 | \tsales:",
    ]


@pytest.mark.parametrize(
    "where", ["nowhere.yaml:1:1", "data/warehouse.duckdb", "{folder}/.env:1:1", "{folder}/p.yaml:99:1", ""]
)
def test_an_error_quotes_no_secret_and_no_missing_file(tmp_path: Path, where: str) -> None:
    """Files that may hold secrets are not quoted, nor is what cannot be read; the place is told anyway."""
    (tmp_path / ".env").write_text("PASSWORD=hunter2\n")
    (tmp_path / "p.yaml").write_text("a: 1\n")
    text = render_error(ConfigurationError("wrong", where=where.format(folder=tmp_path)), width=200)
    assert " | " not in text
    assert "hunter2" not in text


def test_a_long_line_is_quoted_around_its_place(tmp_path: Path) -> None:
    """The caret stays within the terminal, under the same characters."""
    path = tmp_path / "p.yaml"
    path.write_text("a" * 300 + "HERE" + "b" * 300)
    lines = render_error(ConfigurationError("x", where=f"{path}:1:301"), width=80).split("\n")
    quoted, caret = next((line, below) for line, below in itertools.pairwise(lines) if below.endswith("^"))
    assert columns(caret) <= 80
    assert columns(quoted) <= 80
    assert quoted[caret.index("^") :].startswith("HERE")


def test_errors_end_without_traceback(project: Path) -> None:
    """A mistake of the user is told in lines, with the exit code of its class; as JSON where that was asked for."""
    result = pratique("runs", "show", "ffff", "--project", project)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr
    asked = pratique("runs", "show", "ffff", "--project", project, "--json")
    assert json.loads(asked.stderr)["exit_code"] == 2
    assert asked.stdout == ""


def test_an_unexpected_error_is_one_line_until_debug(project: Path) -> None:
    """A fault of ours is exit code 5 and one line that names its kind; `--debug` adds the traceback."""
    (project / ".pratique" / "ledger.sqlite").unlink()
    broken = project / "config" / "default.yaml"
    broken.unlink()
    broken.mkdir()  # a folder where a file should be: whatever becomes of it, it is told in lines
    result = pratique("runs", "--project", project)
    assert result.exit_code in {2, 5}
    assert "Traceback" not in result.stderr
    assert "Traceback" in pratique("--debug", "runs", "--project", project).stderr


# --- runs -------------------------------------------------------------------------------------------------------


def test_runs_are_listed_and_shown(project: Path) -> None:
    """A run is in the list with its sums, and is told in full by the first characters of its id."""
    listed = pratique("runs", "--project", project).stdout.splitlines()
    assert len(listed) == 2
    assert listed[1].split()[:3] == [run_of(project), "shop", "dev"]
    assert listed[1].split()[-3:] == ["done", "8", "12"]
    text = pratique("runs", "show", run_of(project), "--project", project).stdout
    assert pratique("runs", "show", "--project", project).stdout == text  # the latest one
    assert "20 =" in text
    assert "Q1  12  sales.amount.type" in text


def test_no_runs_say_how_to_begin(tmp_path: Path) -> None:
    """An empty ledger names the command that fills it."""
    assert "pratique run" in pratique("runs", "--project", tmp_path).stdout
    shown = pratique("runs", "show", "--project", tmp_path)
    assert shown.exit_code == 2
    assert "pratique run" in shown.stderr


def test_a_project_without_pipelines_says_so(tmp_path: Path) -> None:
    """`run` in an empty folder is a mistake in the configuration that names where pipelines are looked for."""
    result = pratique("run", "--project", tmp_path)
    assert result.exit_code == 2
    assert "pipelines" in result.stderr


# --- quarantine -------------------------------------------------------------------------------------------------


def test_causes_have_the_numbers_of_the_report(project: Path) -> None:
    """Q1 of a run's report is Q1 of `quarantine list --run` and of `quarantine show --run`."""
    run = run_of(project)
    assert "Q1  12  sales.amount.type" in pratique("quarantine", "list", "--run", run, "--project", project).stdout
    records = pratique("quarantine", "show", "q1", "--run", run, "--project", project, "--json").stdout.splitlines()
    assert [json.loads(line)["record_number"] for line in records] == list(range(2, 12))


@pytest.mark.parametrize("width", [80, 120])
def test_what_is_held_cannot_steer_the_terminal(project: Path, width: int) -> None:
    """Lists and records fit the width, and show control characters of the data instead of obeying them."""
    for command in (["list"], ["show", "Q1"], ["show", "0f3b9c5d7e21-3"]):
        with contextlib.chdir(project):
            text = pratique("quarantine", *command, columns=width).stdout
        assert not set(text) & set(EVIL[0] + EVIL[-1])
        assert r"\x1b[2J\u202e" in text
        assert max(map(columns, text.splitlines())) <= width


def test_sensitive_values_are_masked_until_revealed(project: Path) -> None:
    """Sensitive values stand as *** in records and exports; only --reveal shows them."""
    for command in (["show", "Q1"], ["show", "Q1", "--json"], ["export"], ["export", "--format", "csv"]):
        hidden, open_ = (
            pratique("quarantine", *command, *more, "--project", project).stdout for more in ([], ["--reveal"])
        )
        assert "a@b.example" not in hidden
        assert "***" in hidden
        assert "a@b.example" in open_


def test_a_record_is_shown_whole_by_its_id(project: Path) -> None:
    """One record has its place, its values, its raw text and its context."""
    text = pratique("quarantine", "show", "0f3b9c5d7e21-3", "--reveal", "--project", project).stdout
    for part in ("in/sales.csv line 4", "amount==1+1", "3,x", "0f3b9c5d7e21"):
        assert part in text
    missing = pratique("quarantine", "show", "0f3b9c5d7e21-99", "--project", project)
    assert (missing.exit_code, "quarantine list" in missing.stderr) == (2, True)


def test_exports_are_complete(project: Path) -> None:
    """JSON lines and CSV have every record; CSV makes formulas harmless and says how many."""
    target = project / "held.csv"
    result = pratique("quarantine", "export", "--format", "csv", "--output", target, "--project", project)
    assert "12 records" in result.stderr
    assert "24 cells" in result.stderr or "12 cells" in result.stderr
    rows = list(csv.DictReader(io.StringIO(target.read_text(encoding="utf-8"))))
    assert [row["amount"] for row in rows] == ["'=1+1"] * 12
    lines = pratique("quarantine", "export", "--cause", "Q1", "--project", project).stdout.splitlines()
    assert [json.loads(line)["values"]["order"] for line in lines] == [str(number) for number in range(1, 13)]


def test_filters_choose(project: Path) -> None:
    """What fits no filter is not listed; a run that there is not is an error."""
    assert (
        pratique("quarantine", "list", "--source", "other", "--project", project).stdout
        == "nothing is held that fits\n"
    )
    assert pratique("quarantine", "list", "--run", "ffffff", "--project", project).exit_code == 2


# --- as a process -----------------------------------------------------------------------------------------------


def test_a_reader_that_leaves_is_no_error(project: Path) -> None:
    """`pratique … | head -1` ends without a word on stderr."""
    source = str(Path(__file__).parents[2] / "src")
    for command in ("export", "show Q1", "list"):
        piped = f"{sys.executable} -m pratique quarantine {command} | head -c 1"
        done = subprocess.run(
            ["sh", "-c", piped],
            cwd=project,
            env={**os.environ, "PYTHONPATH": source},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert "error" not in done.stderr.lower()
        assert "Traceback" not in done.stderr


def test_colour_only_where_it_is_wanted(project: Path) -> None:
    """A pipe gets no colour; --color always does; NO_COLOR wins over a guess."""
    assert "\x1b[" not in process("quarantine", "list", cwd=project).stdout
    assert "\x1b[" in process("quarantine", "list", "--color", "always", cwd=project).stdout


def test_a_poor_terminal_breaks_nothing(project: Path) -> None:
    """Where stdout takes ASCII only, signs are escaped instead of ending the command."""
    done = process("runs", "show", run_of(project), cwd=project, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "sales" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_exit_code_7(tmp_path: Path, number: int) -> None:
    """The first signal ends the command with code 7 and says that the next run goes on."""
    code = (
        "import os, click\nfrom pratique.cli import main\n"
        "from pratique.cli.run import run\n"
        # CPython ends itself by SIGINT if the interrupt passed through exec() of a text, as in many an import
        f"run.callback = lambda **_: exec('os.kill(os.getpid(), {int(number)})')\n"
        "import sys\nsys.argv = ['pratique', 'run']\nmain.main()\n"
    )
    (tmp_path / "stopped.py").write_text(code)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    done = subprocess.run(
        [sys.executable, "-m", "stopped"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 7, (done.returncode, done.stderr)
    assert "stays" in done.stderr
    assert "Traceback" not in done.stderr


# --- small parts ------------------------------------------------------------------------------------------------


def test_the_worst_code_decides() -> None:
    """Of several pipelines the code comes first that needs a person most: 5 2 4 3 1 8 7 6."""
    assert [worst(codes) for codes in ([], [0, 0], [0, 6], [6, 8], [3, 1], [7, 2], [2, 5])] == [0, 0, 6, 8, 3, 2, 5]


def test_words_of_events() -> None:
    """Events that matter are told in one line with their numbers; steps on the way are not."""
    common = {"pipeline": "shop", "run_id": "7f3a91" + "0" * 26}
    assert told(RunStarted(**common, environment="dev", started_at="")) == "run 7f3a91 started (dev)"
    landed = SourceLanded(
        **common, source="s", files=1, records=1_000, size_bytes=1_234_567, files_known=2, seconds=0.25
    )
    assert told(landed) == "landed 1 file, 1,000 records, 1.2 MB, 2 loaded before (0.2 s)"
    staged = RowsStaged(**common, source="s", load_id="l", read=10, good=7, quarantined=2, skipped={"filter": 1})
    assert told(staged) == "judged 10: 7 good, 2 to quarantine, 1 skipped"
    loaded = LoadCommitted(
        **common, source="s", load_id="l", attempt=1, table=EVIL, account=Account(10, 7, 2), written=Written(7)
    )
    assert told(loaded) == r"loaded 7 rows into \x1b[2J\u202e"
    assert told(StageProgressed(**common, source="s", stage="judging")) == ""
    report = SourceReport("s", "s", "loaded", Account(3, 2, 1), quality=96.67)
    assert told(SourceIngested(**common, source="s", report=report)).endswith(
        "+ 0 skipped, quality 96.6"
    )  # as the report


def test_the_moving_display_leaves_the_screen_as_it_was() -> None:
    """The display takes every event of a run and is gone afterwards."""
    common = {"pipeline": "shop", "run_id": "7f3a91" + "0" * 26}
    with contextlib.redirect_stderr(io.StringIO()) as screen, moving() as show:
        show(RunStarted(**common, environment="dev", started_at="", sources=("s",)))
        show(StageProgressed(**common, source="s", stage="judging", rows=5, fraction=0.5))
        show(SourceIngested(**common, source="s", report=SourceReport("s", "s", "loaded")))
    assert "\n\n\n" not in screen.getvalue()


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (127_000_000, "127.0 MB"), (5e15, "5000.0 TB")]
)
def test_sizes(number: float, text: str) -> None:
    """Sizes are told in decimal units."""
    assert size(int(number)) == text


def test_text_fits() -> None:
    """Wrapping, shortening and tables never exceed their width, wide characters included."""
    text = "売上 " * 30 + "x" * 100 + " end"
    for width in (20, 33, 80):
        assert max(map(columns, wrapped(text, width))) <= width
        assert columns(middle(text, width)) <= width
        assert max(map(columns, table(("name", "n"), [(text, "1"), ("a", "22")], width, numbers=(1,)))) <= width
    assert "".join(wrapped("abcdef ghi", 3)) == "abcdefghi"


def test_shown_escapes_what_steers_and_nothing_else() -> None:
    """Printable text of any script stays as it is; controls, bidi marks and lone surrogates are escaped."""
    assert shown("Größe 売上 é 😀") == "Größe 売上 é 😀"
    assert shown("a\r\n\t\x07\x9b\u200e\u2028\ud800") == r"a\r\n\t\x07\x9b\u200e\u2028\ud800"
    assert re.fullmatch(r"\\U000e0001", shown("\U000e0001"))


def test_a_mistyped_option_is_told_like_any_mistake(tmp_path: Path) -> None:
    """A wrong option is one `error:` with the help to ask for; with --json it is a problem of RFC 9457 on stderr."""
    plain = pratique("run", "--nosuch", "--project", tmp_path)
    assert (plain.exit_code, plain.stderr) == (2, "error: there is no option --nosuch\n  do: pratique run --help\n")
    asked = pratique("run", "--json", "--nosuch", "--project", tmp_path)
    assert json.loads(asked.stderr)["hint"] == "pratique run --help"
    assert asked.stdout == ""


def test_a_list_that_is_cut_says_so(project: Path) -> None:
    """Ten of twelve records: the end says how many there are and which command gives all of them."""
    text = pratique("quarantine", "show", "Q1", "--project", project).stdout
    assert "these are 10 of 12 records; all of them: pratique quarantine export --cause Q1" in text
    assert "all of them" not in pratique("quarantine", "show", "Q1", "--limit", "12", "--project", project).stdout
