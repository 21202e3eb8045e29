"""What every command keeps to: JSON on request, colour only where people look, one voice for mistakes, quiet ends."""

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import forked
import pytest
from click.testing import CliRunner, Result
from receivers import web

from pratique.cli.main import program
from pratique.cli.text import columns

SOURCE = str(Path(__file__).parents[2] / "src")
FILES = {
    "config/default.yaml": "connections: {warehouse: {url: 'duckdb://w.duckdb'}}\n",
    "config/prod.yaml": "logging: {level: WARNING}\n",
    "schemas/orders.yaml": "primaryKey: id\nfields: {id: integer, amount: {type: 'decimal(9,2)', minimum: 0}}\n",
    "pipelines/shop.yaml": (
        "sources: {orders: {path: 'in/*.csv', schema: orders, quarantine: {max_share: 0.9}}}\n"
        "destination: {connection: warehouse}\n"
    ),
    "in/orders.csv": "id,amount\n1,1.00\n2,x\n3,-1\n",
}
# Commands that tell nothing of a project: what they print is for a shell or an editor, and has one form.
ONE_FORM = {"pratique completion", "pratique schema json-schema"}


def commands(command: click.Command = program, name: str = "pratique") -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with its whole name."""
    context = click.Context(command, info_name=name)
    if not isinstance(command, click.Group) or (command.invoke_without_command and command is not program):
        yield name, command
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None
            yield from commands(found, f"{name} {child}")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a project with one pipeline, and one file for it."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def invoke(*args: str | Path, **env: str) -> Result:
    """Run the program in this process, 80 columns wide."""
    return CliRunner().invoke(program, [str(arg) for arg in args], env={"COLUMNS": "80", **env})


def shell(command: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash."""
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": forked.path(), **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


# --- JSON -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, _ in commands() if name not in ONE_FORM])
def test_every_command_speaks_json(name: str) -> None:
    """A command that tells something has --json, or a --format that has it."""
    options = [item for item in dict(commands())[name].params if isinstance(item, click.Option)]
    forms = [option.type for option in options if "--format" in option.opts]
    choices = [set(form.choices) for form in forms if isinstance(form, click.Choice)]
    assert any("--json" in option.opts for option in options) or any("json" in form for form in choices)


def test_json_is_all_that_is_printed(project: Path) -> None:
    """With --json each line of stdout is JSON, and stderr is empty."""
    run = invoke("run", "--project", project, "--json")
    short = json.loads(run.stdout)["run_id"][:6]
    asked = [
        run,
        *(invoke(*words, "--project", project, "--json") for words in (("runs",), ("runs", "show", short), ("lint",))),
        *(invoke("quarantine", *words, "--project", project, "--json") for words in (("list",), ("show", "Q1"))),
        *(invoke("schema", *words, "--project", project, "--json") for words in (("list",), ("show", "orders"))),
        invoke("config", "show", "shop", "--project", project, "--json"),
        invoke("version", "--json"),
    ]
    for result in asked:
        assert (result.exit_code, result.stderr) == (0, "")
        assert [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize(
    "args",
    [
        ("run", "shpo", "--json"),
        ("runs", "show", "ffff", "--json"),
        ("quarantine", "list", "--run", "ffff", "--json"),
        ("schema", "show", "ordres", "--json"),
        ("config", "show", "shpo", "--json"),
        ("quarantine", "export", "--format=json", "--run", "ffff"),
        ("runs", "--jsn", "--json"),
        ("rnus", "--json"),
        ("lint", "--format", "json", "nowhere.yaml"),
    ],
    ids=" ".join,
)
def test_an_error_is_a_problem(project: Path, args: tuple[str, ...]) -> None:
    """With --json an error is one problem of RFC 9457 on stderr, with code, hint, place and exit code."""
    with contextlib.chdir(project):
        result = invoke(*args)
    told = json.loads(result.stderr)
    assert result.stdout == ""
    assert (told["type"], told["exit_code"]) == ("urn:pratique:problem:configuration", result.exit_code)
    assert told.keys() >= {"title", "detail", "code", "hint", "where", "retryable", "facts"}
    assert told["detail"]
    assert told["hint"]


# --- colour -----------------------------------------------------------------------------------------------------


def seen(command: str, folder: Path, **env: str) -> str:
    """What a terminal of 80 columns gets."""
    line = f'"{sys.executable}" -m pratique {command}'
    plain = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    return subprocess.run(
        ["script", "-qec", f"stty cols 80 rows 24; {line}", "/dev/null"],
        cwd=folder,
        env={**plain, "PYTHONPATH": SOURCE, "TERM": "xterm", **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
    ).stdout


def test_colour_is_for_terminals(project: Path) -> None:
    """A terminal gets colour; NO_COLOR, TERM=dumb and --no-color switch it off, for errors too; a pipe gets none."""
    shell("pratique run", project)
    assert "\x1b[3" in seen("quarantine list", project)
    assert "\x1b[3" in seen("runs show ffff", project)
    for quiet in (
        seen("quarantine list", project, NO_COLOR="1"),
        seen("quarantine list", project, TERM="dumb"),
        seen("quarantine list --no-color", project),
        seen("runs show ffff --no-color", project),
        seen("runs show ffff", project, NO_COLOR="yes"),
        shell("pratique quarantine list | cat", project).stdout,
    ):
        assert quiet
        assert "\x1b" not in quiet
    assert "\x1b[3" in shell("pratique quarantine list --color always | cat", project, NO_COLOR="1").stdout


# --- mistakes of the hand ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (("lnt",), "pratique lint"),
        (("quarantine", "lst"), "pratique quarantine list"),
        (("runs", "shwo"), "pratique runs show"),
        (("run", "--strct"), "did you mean --strict? All options: pratique run --help"),
        (("--vrsion",), "did you mean --version? All options: pratique --help"),
        (("quarantine", "show"), "pratique quarantine show --help"),
        (("quarantine", "list", "--limit"), "pratique quarantine list --help"),
    ],
    ids=str,
)
def test_a_slip_names_the_nearest(args: tuple[str, ...], hint: str) -> None:
    """A mistyped command or option names the one that was meant, and the help that lists all."""
    result = invoke(*args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert f"do: {hint}" in " ".join(result.stderr.split())


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=[name for name, _ in commands()])
def test_help_fits_and_shows_an_example(name: str, command: click.Command) -> None:
    """`-h` and `--help` of every command say the same in 80 columns, with an example of its use."""
    words = name.split()[1:]
    asked = [invoke(*words, flag) for flag in ("-h", "--help")]
    assert asked[0].stdout == asked[1].stdout
    assert [result.exit_code for result in asked] == [0, 0]
    assert max(map(columns, asked[0].stdout.splitlines())) <= 80
    assert "\b" not in asked[0].stdout  # click's mark for lines that stay as they are
    assert f"  {name}" in (command.epilog or "")


def examples() -> list[str]:
    """Every command that a help text shows, without what is said about it."""
    every = [program.epilog, *(command.epilog for _, command in commands())]
    lines = [line for epilog in every for line in (epilog or "").splitlines()]
    found = [re.match(r"  (pratique .*?)(?: {2,}.*)?$", line) for line in lines]
    return [
        text
        for text in dict.fromkeys(match[1] for match in found if match)
        if not re.search("(https|postgres)://", text)
    ]  # no network


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """Make the project that the examples speak of, after a run, and the web server that gets its alerts."""
    folder = tmp_path_factory.mktemp("shop")
    pipeline = (
        "sources: {sales: {path: 'in/*.csv', schema: orders, quarantine: {max_share: 0.9}}}\n"
        "destination: {connection: warehouse}\n"
    )
    second = FILES["schemas/orders.yaml"].replace("primaryKey", "version: 2\nprimaryKey")
    orders = f"version: 1\nfields: {{id: integer}}\n---\n{second}"
    files = {
        **FILES,
        "pipelines/shop_daily.yaml": pipeline,
        "schemas/orders.yaml": orders,
        "schemas/a.yaml": "fields: {id: integer}\n",
        "ids.csv": "id\n1\n",
        "orders.csv": FILES["in/orders.csv"],
        "pipelines/orders.yaml": "sources: {orders: {path: ids.csv, schema: a}}\ndestination: {connection: warehouse}\n",
        "pipelines/tests/orders.yaml": (
            "pipeline: orders\ntests:\n"
            "  - {name: a date that is none, given: {orders: [{id: x}]}, expect: {orders: {quarantined: [{id: x}]}}}\n"
        ),
    }
    del files["pipelines/shop.yaml"]
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(text, encoding="utf-8")
    with web() as hook:
        config = folder / "config" / "default.yaml"
        config.write_text(f"{config.read_text()}alerts: {{channels: {{ops: {{url: {hook.url}}}}}}}\n", encoding="utf-8")
        yield folder, _ids(folder)


def _ids(folder: Path) -> dict[str, str]:
    """After a run, what stands there for the ids in the examples."""
    run = json.loads(invoke("run", "shop_daily", "--project", folder, "--json").stdout)["run_id"]
    held = invoke("quarantine", "show", "Q1", "--project", folder, "--json").stdout.splitlines()[0]
    alert = json.loads(invoke("alerts", "list", "--project", folder, "--json").stdout)["alerts"][0]["alert_id"]
    invoke("run", "shop_daily", "--project", folder)  # nothing new: its health does not hang on the order of examples
    return {"7f3a91": run[:6], "0f3b9c5d7e21-88": json.loads(held)["id"], "3f9a2c": alert[:6]}


@pytest.mark.parametrize("example", examples())
def test_the_examples_of_the_help_work(shop: tuple[Path, dict[str, str]], tmp_path: Path, example: str) -> None:
    """What a help text shows can be typed as it stands; only ids are others, and what jq does is left to jq."""
    folder, ids = shop
    if example.startswith("pratique init"):  # it makes a project where none is
        (tmp_path / "data").mkdir()
        for name in ("orders.csv", "data/orders.csv"):
            (tmp_path / name).write_text("id,sold_on\n1,2026-10-31\n2,2026-11-01\n")
        folder = tmp_path
    for shown, real in ids.items():
        example = example.replace(shown, real)
    done = shell(example.partition(" | jq")[0], folder)
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr


@pytest.mark.parametrize("words", [(), ("quarantine",), ("schema",), ("config",)], ids=str)
def test_help_of_groups_fits(words: tuple[str, ...]) -> None:
    """What lists commands fits 80 columns too."""
    told = invoke(*words, "--help").stdout
    assert max(map(columns, told.splitlines())) <= 80
    assert "\b" not in told


def test_alone_it_shows_the_way(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """`pratique` alone says where one stands and the commands that make sense there; each of them exists."""
    empty = tmp_path_factory.mktemp("empty")
    nowhere, inside = shell("pratique", empty), shell("pratique", project / "in")
    assert (nowhere.returncode, inside.returncode) == (0, 0)
    assert "no project here" in nowhere.stdout
    assert "pipelines  shop" in inside.stdout
    assert "pratique run shop --dry-run" in inside.stdout
    for told in (nowhere.stdout, inside.stdout):
        assert len(told.splitlines()) <= 12
        assert max(map(columns, told.splitlines())) <= 80
        for command in re.findall(r"^  (pratique \S+)", told, re.MULTILINE):
            assert invoke(*command.split()[1:], "--help").exit_code == 0
    (project / "pipelines" / "shop.yaml").unlink()
    assert "pipelines  none yet" in shell("pratique", project).stdout


# --- the other end of the pipe ----------------------------------------------------------------------------------


def test_a_reader_that_leaves_ends_it_quietly(project: Path) -> None:
    """Whoever reads one line of an export gets it; the writer ends without a word, as if by SIGPIPE."""
    lines = "".join(f"{number},x\n" for number in range(1, 20_000))
    (project / "in" / "orders.csv").write_text(f"id,amount\n{lines}30000,1\n", encoding="utf-8")
    shell("sed -i 's/max_share: 0.9/max_share: 1/' pipelines/shop.yaml; pratique run", project)
    for command in ("quarantine export", "quarantine show Q1 --limit 20000"):
        done = shell(f"pratique {command} | head -c 1 >/dev/null; echo ${{PIPESTATUS[0]}}", project)
        assert (done.stdout, done.stderr) == ("141\n", "")


def test_work_goes_on_without_a_reader(project: Path) -> None:
    """A run whose report nobody reads is done all the same, and its exit code says so."""
    done = shell("pratique run 2>/dev/null | true; echo ${PIPESTATUS[0]}", project)
    assert done.stdout == "0\n"
    assert json.loads(invoke("runs", "--project", project, "--json").stdout)["outcome"] == "done"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_from_the_start_is_no_error(project: Path, closed: str) -> None:
    """Started as some services start programs, without standard streams, a run is done, and so is what reads of it."""
    real = f"{sys.executable} -m pratique"  # a start of Python: which streams it finds is what matters
    done = [shell(f"{real} {command} {closed}", project) for command in ("run", "quarantine list")]
    assert [ended.returncode for ended in done] == [0, 0]
    assert all("Traceback" not in ended.stderr for ended in done)
    assert json.loads(invoke("runs", "--project", project, "--json").stdout)["outcome"] == "done"


@pytest.mark.parametrize("command", ["run", "runs", "quarantine export", "quarantine list", "lint", "version"])
def test_a_full_disk_is_an_error(project: Path, command: str) -> None:
    """Output that cannot be written is told with exit code 5, whatever was to be printed."""
    shell("pratique run", project)
    done = shell(f"pratique {command} > /dev/full", project)
    assert done.returncode == 5
    assert "error: the output cannot be written: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
