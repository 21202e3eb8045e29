"""The Tab key: commands, options and the names of a project, in real shells, whatever state the project is in."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import forked
import pytest
from click.testing import CliRunner

from pratique.cli.main import program

SOURCE = str(Path(__file__).parents[2] / "src")
BASH = """
set -eu
eval "$(pratique completion bash)"
complete -p pratique >/dev/null
COMP_WORDS=({words})
COMP_CWORD={index}
compopt() {{ :; }}
_pratique_completion pratique
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
FILES = {
    "config/default.yaml": "connections: {warehouse: {url: 'duckdb://w.duckdb'}}\nstate: {path: var}\n",
    "config/prod.yaml": "logging: {level: WARNING}\n",
    "schemas/orders.yaml": "version: 1\nfields: {id: integer}\n---\nversion: 2\nfields: {id: integer}\n",
    "pipelines/shop.yaml": (
        "sources: {orders: {path: 'in/*.csv', schema: orders, quarantine: {max_share: 0.9}}}\n"
        "destination: {connection: warehouse}\n"
    ),
    "pipelines/crm.yaml": "sources: {contacts: {path: 'c.csv', schema: orders}}\ndestination: {connection: warehouse}\n",
    "in/orders.csv": "id\n1\nx\n",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a project with two pipelines, of which one has run."""
    folder = tmp_path_factory.mktemp("project")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    assert CliRunner().invoke(program, ["run", "shop", "--project", str(folder)]).exit_code == 0
    return folder


def ask(command: list[str], folder: Path, **env: str) -> list[str]:
    """What a shell prints; it must not complain."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": forked.path(), "PYTHONPATH": SOURCE, "HOME": str(folder), **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def bash(words: list[str], folder: Path) -> list[str]:
    """What bash offers for the last word."""
    quoted = " ".join(f"'{word}'" for word in words)
    script = BASH.format(words=quoted, index=len(words) - 1)
    return ask(["bash", "--norc", "-c", script], folder)


def run_id(project: Path) -> str:
    """Give the short id of the one run."""
    return str(json.loads(CliRunner().invoke(program, ["runs", "--project", str(project), "--json"]).stdout)["run_id"])[
        :6
    ]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("qu", ["quarantine"]),
        ("quarantine ex", ["export"]),
        ("run --st", ["--strict"]),
        ("run ", ["crm", "shop"]),
        ("run crm s", ["shop"]),
        ("run --env p", ["prod"]),
        ("schema show o", ["orders", "orders@1", "orders@2"]),
        ("schema diff orders@1 orders@", ["orders@1", "orders@2"]),
        ("config show sh", ["shop"]),
        ("quarantine list --source ", ["contacts", "orders"]),
        ("quarantine list --pipeline shop --source ", ["orders"]),
        ("quarantine list --rule i", ["id.type"]),
        ("quarantine show ", ["Q1"]),
        ("quarantine export --cause Q", ["Q1"]),
        ("quarantine export --format ", ["jsonl", "json", "csv"]),
        ("completion ", ["bash", "zsh", "fish"]),
    ],
    ids=str,
)
def test_bash_completes(project: Path, typed: str, offered: list[str]) -> None:
    """Bash offers commands, options and the names of the project in which it stands, below its root too."""
    assert bash(["pratique", *typed.split(" ")], project / "in") == offered


def test_runs_are_offered_by_their_ids(project: Path) -> None:
    """A run is offered by the id that `runs` shows."""
    for typed in (["runs", "show", ""], ["quarantine", "list", "--run", ""]):
        assert bash(["pratique", *typed], project) == [run_id(project)]


@pytest.mark.parametrize("shell", [name for name in ("fish",) if shutil.which(name)])
def test_fish_completes(project: Path, shell: str) -> None:
    """Fish offers the same, with what each is."""
    script = "pratique completion fish | source; complete -C 'pratique run '"
    assert ask([shell, "--no-config", "-c", script], project) == ["crm\tpipeline", "shop\tpipeline"]


@pytest.mark.parametrize("shell", [name for name in ("zsh",) if shutil.which(name)])
def test_zsh_takes_the_script(project: Path, shell: str) -> None:
    """Zsh registers the script's function for `pratique`."""
    script = 'autoload -Uz compinit; compinit -u; eval "$(pratique completion zsh)"; print ${_comps[pratique]}'
    assert ask([shell, "-f", "-c", script], project) == ["_pratique_completion"]


def test_zsh_is_told_what_a_name_is(project: Path) -> None:
    """In the protocol of zsh each name has its kind."""
    asked = {"COMP_WORDS": "pratique run s", "COMP_CWORD": "2", "_PRATIQUE_COMPLETE": "zsh_complete"}
    assert ask(["pratique"], project, **asked) == ["plain", "shop", "pipeline"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config/default.yaml", "{["),
        ("pipelines/shop.yaml", "\t- {"),
        ("schemas/orders.yaml", "\x00"),
        ("var/ledger.sqlite", "no database"),
    ],
)
@pytest.mark.parametrize(
    "typed", ["run ", "schema show ", "quarantine list --source ", "quarantine show ", "runs show ", "run --env "]
)
def test_a_broken_project_is_silent(project: Path, tmp_path: Path, name: str, text: str, typed: str) -> None:
    """Whatever is broken, the Tab key offers what can be read, says nothing else, and makes no file."""
    shutil.copytree(project, tmp_path / "copy")
    (tmp_path / "copy" / name).write_text(text)
    before = sorted(path for path in (tmp_path / "copy").rglob("*") if "ledger" not in path.name)
    asked = {"COMP_WORDS": f"pratique {typed}", "COMP_CWORD": str(len(typed.split()) + 1)}
    ask(["pratique"], tmp_path / "copy", _PRATIQUE_COMPLETE="bash_complete", **asked)
    assert sorted(path for path in (tmp_path / "copy").rglob("*") if "ledger" not in path.name) == before


def test_an_empty_folder_stays_empty(tmp_path: Path) -> None:
    """Outside of a project there is nothing to offer, and nothing is made."""
    for typed in ("run", "runs show", "quarantine show"):
        assert bash(["pratique", *typed.split(), ""], tmp_path) in ([], [""])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("typed", ["run", "schema show", "runs show", "quarantine show"])
def test_completion_loads_nothing_heavy(project: Path, typed: str) -> None:
    """An answer takes no longer than Python and click take to start: no driver, no parser of SQL, no pydantic."""
    code = (
        "import os, sys\nfrom pratique.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print({'pydantic', 'duckdb', 'sqlglot', 'rich', 'pyarrow', 'numpy'} & set(sys.modules) or 'light')\n"
    )
    asked = {"COMP_WORDS": f"pratique {typed} ", "COMP_CWORD": str(len(typed.split()) + 1)}
    unmeasured = {"COVERAGE_PROCESS_START": "", "COVERAGE_PROCESS_CONFIG": ""}
    printed = ask([sys.executable, "-c", code], project, _PRATIQUE_COMPLETE="bash_complete", **asked, **unmeasured)
    assert len(printed) > 1
    assert printed[-1] == "light"
