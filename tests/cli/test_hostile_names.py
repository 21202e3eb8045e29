"""Whatever names, values and numbers data has: lines fit the terminal, and nothing of it steers the terminal."""

import contextlib
import re
import subprocess
import sys
import unicodedata
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pratique.cli.console import Console
from pratique.cli.main import program
from pratique.cli.quarantine import listing, record_lines
from pratique.cli.report import render
from pratique.cli.runs import runs_table
from pratique.cli.text import columns
from pratique.model import Account, Cause, FileVersion, HeldFile, SetVerdict, Written
from pratique.quarantine import HeldCause
from pratique.reports import Problem, RunReport, SourceReport

HOSTILE = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="売上é\u0301\u202e\x1b[2J\x07/\\ .;$'\"", min_size=1, max_size=90),
    st.sampled_from(
        ["\x1b]0;owned\x07", "\x1b[2J\x1b[H", "a/" * 60, "x" * 200, "語" * 100, "\r\nread = loaded", "\u200b" * 9]
    ),
)
NUMBER = st.one_of(st.integers(0, 20), st.integers(10**11, 10**12 - 1))
NOW = datetime(2026, 10, 31, 7, 0, tzinfo=UTC)
STEERING = {"Cc", "Cf", "Cs", "Zl", "Zp"}


@st.composite
def sources(draw: st.DrawFn) -> SourceReport:
    """One source of a run, with hostile names everywhere."""
    loaded, held, skipped = draw(NUMBER), draw(NUMBER), draw(NUMBER)
    account = Account(loaded + held + skipped, loaded, held, {draw(HOSTILE): skipped})
    cause = Cause(draw(HOSTILE), draw(HOSTILE), draw(HOSTILE), held, tuple((draw(HOSTILE), 7) for _ in range(3)))
    outcome = draw(st.sampled_from(["loaded", "unchanged", "failed", "gated", "not run"]))
    return SourceReport(
        draw(HOSTILE),
        draw(HOSTILE),
        outcome,
        account if outcome in {"loaded", "unchanged"} else None,
        Written(loaded, held, skipped),
        disposition=draw(st.sampled_from(["append", "merge"])),
        quality=98.7,
        causes=(cause,),
        sets=(SetVerdict(draw(HOSTILE), "fail", passed=False, message=draw(HOSTILE)),),
        changed={draw(HOSTILE): held},
        files_known=(draw(HOSTILE),),
        held=(HeldFile(FileVersion(draw(HOSTILE), "0" * 64, 9), draw(HOSTILE), draw(HOSTILE)),),
        newest=draw(HOSTILE),
        problem=Problem("source", draw(HOSTILE), draw(HOSTILE), draw(HOSTILE)),
        judged=account,
    )


@st.composite
def reports(draw: st.DrawFn) -> RunReport:
    """A run of up to three such sources."""
    began = NOW.isoformat(timespec="milliseconds")
    found = tuple(draw(st.lists(sources(), max_size=3)))
    outcome = draw(st.sampled_from(["done", "partial", "gated", "failed", "interrupted"]))
    return RunReport(
        "7f3a91" + "0" * 26,
        draw(HOSTILE),
        draw(HOSTILE),
        outcome,
        8,
        began,
        began,
        found,
        notices=(draw(HOSTILE),),
        dry_run=draw(st.booleans()),
        destination=draw(HOSTILE),
    )


def wrong(text: str, width: int) -> list[str]:
    """The lines that do not fit, but for commands, which are there to be copied; and those that steer the terminal."""
    lines = text.split("\n")
    steering = [line for line in lines if any(unicodedata.category(char) in STEERING for char in line)]
    return steering + [line for line in lines if columns(line) > width and "pratique " not in line]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(report=reports(), width=st.sampled_from([80, 120]), detail=st.booleans())
def test_a_report_fits(report: RunReport, width: int, detail: bool) -> None:  # noqa: FBT001 - hypothesis gives it
    """A run's report has no line wider than the terminal, and no character that moves the cursor or turns text round."""
    assert wrong(render(report, width=width, now=NOW, detail=detail), width) == []


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(found=st.lists(reports(), min_size=1, max_size=3), width=st.sampled_from([80, 120]))
def test_the_list_of_runs_fits(found: list[RunReport], width: int) -> None:
    """`pratique runs` likewise."""
    assert wrong("\n".join(runs_table(found, width)), width) == []


def test_times_stay_whole_as_long_as_names_can_give_way() -> None:
    """In 80 columns a pipeline's name loses its middle before a time loses a digit."""
    began = NOW.isoformat(timespec="milliseconds")
    report = RunReport("7f3a91" + "0" * 26, "a_pipeline_with_a_long_name", "production", "done", 0, began, began)
    line = runs_table([report], 80)[1]
    assert re.search(r"a_p\S*…\S*me .* 2026-10-\d\d \d\d:\d\d ", line)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), width=st.sampled_from([80, 120]))
def test_the_list_of_causes_fits(data: st.DataObject, width: int) -> None:
    """`pratique quarantine list` and `show` likewise."""
    draw = data.draw
    console = Console(color=False, color_error=False, width=width)
    moment = NOW.isoformat()
    causes = [
        HeldCause(
            f"Q{place}", *(draw(HOSTILE) for _ in range(5)), draw(NUMBER), ((draw(HOSTILE), 3),), moment, draw(HOSTILE)
        )
        for place in (1, 2)
    ]
    assert wrong("\n".join(listing(causes, console)), width) == []
    error = {"rule": draw(HOSTILE), "severity": "warn", "message": draw(HOSTILE), "field": None, "value": None}
    texts = ("raw", "table", "run_id", "load_id", "schema", "quarantined_at", "pipeline", "source", "file", "id")
    numbers = {name: draw(NUMBER) for name in ("attempt", "schema_version", "line", "record_number")}
    values = {draw(HOSTILE): draw(HOSTILE), draw(HOSTILE): None}
    record = {**{name: draw(HOSTILE) for name in texts}, **numbers, "errors": [error], "values": values}
    for whole in (True, False):
        assert wrong("\n".join(record_lines(record, console, whole=whole)), width) == []


@pytest.mark.parametrize("width", [80, 120])
def test_nothing_of_a_file_reaches_the_terminal(tmp_path: Path, width: int) -> None:
    """Escape sequences in file names, headers and values are shown as text by every command, on both streams."""
    evil = "\x1b]0;owned\x07\x1b[2J\u202e"
    files = {
        "config/default.yaml": "connections: {warehouse: {url: 'duckdb://w.duckdb'}}\n",
        "schemas/orders.yaml": "fields: {id: integer}\n",
        "pipelines/shop.yaml": (
            "sources: {orders: {path: 'in/*.csv', schema: orders, quarantine: {max_share: 1}}}\n"
            "destination: {connection: warehouse}\n"
        ),
        f"in/a{evil}.csv": f"id\n1\n{evil}\n",
        f"in/b{evil}.csv": f"id,{evil}\n1,2\n",
        f"in/c{evil}.csv": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    commands = ("run", "runs", "quarantine list", "quarantine show Q1", "run --dry-run", "lint", "config show shop")
    printed = {}
    for command in commands:
        with contextlib.chdir(tmp_path):  # so that no path is long for another reason
            done = CliRunner().invoke(program, command.split(), env={"COLUMNS": str(width)})
        printed[command] = done.stdout
        assert wrong(done.stdout, width) == [], command
        assert [line for line in done.stderr.split("\n") if set(line) & set(evil[:1] + "\x07\u202e")] == []
    assert r"a\x1b]0;owned\x07\x1b[2J\u202e.csv" in printed["quarantine list"].replace("\n", "").replace(" ", "")
    exported = [sys.executable, "-m", "pratique", "quarantine", "export", "--project", str(tmp_path)]
    assert b"\x1b" not in subprocess.run(exported, capture_output=True, check=True, timeout=60).stdout
