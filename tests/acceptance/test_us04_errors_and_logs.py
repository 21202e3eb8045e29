"""US-04: every error is logged for people and machines, counted, and costs no run; bad records go into quarantine."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from project import PERSONAL, SECRET, make_project, pratique

from pratique.config_manager import ConfigManager
from pratique.errors import DestinationLockedError, InternalError, SourceError, StateError
from pratique.logging_config import ErrorTracker, LoggerSetup, setup_pipeline_logger

PLAIN = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d - pipeline - (DEBUG|INFO|WARNING|ERROR|CRITICAL) - .+")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The project as the working directory; the log is taken away afterwards."""
    monkeypatch.chdir(make_project(tmp_path))
    monkeypatch.setenv("GONE", "/proc/nowhere")
    yield tmp_path
    LoggerSetup(ConfigManager()).close()


def log(root: Path) -> str:
    """What stands in the log file."""
    return (root / "logs" / "pipeline.log").read_text()


def fails(message: str = "Invalid data format") -> ValueError:
    """An error with a stack that has a local variable in it."""
    try:
        hidden_local = "local-canary"
        raise ValueError(message + hidden_local[:0])  # noqa: TRY301
    except ValueError as error:
        return error


def test_every_error_has_time_source_level_and_stack_trace(root: Path) -> None:
    """An error of a pipeline and one of the user's own program, with frames and without any local variable."""
    assert pratique(root, "run", "lost").returncode != 0
    setup_pipeline_logger(ConfigManager("dev"))
    ErrorTracker().log_error(fails(), "data_validation", {"id": 123})
    lines = log(root).splitlines()
    starts = [place for place, line in enumerate(lines) if not line.startswith(" ")]
    assert all(PLAIN.fullmatch(lines[place]) for place in starts)
    errors = [place for place in starts if " - ERROR - " in lines[place] or " - CRITICAL - " in lines[place]]
    assert any("pipeline=lost" in lines[place] for place in errors)
    own = next(place for place in errors if "Invalid data format" in lines[place])
    assert "source=data_validation" in lines[own]
    assert "id=123" in lines[own]
    assert lines[own + 1] == "    Traceback (most recent call last):"
    assert any("in fails" in line for line in lines[own:])
    assert any("Traceback" in lines[place + 1] for place in errors if "pipeline=lost" in lines[place])
    assert "local-canary'" not in log(root)


def test_four_levels_are_told_apart(root: Path) -> None:
    """INFO, WARNING, ERROR and CRITICAL stand in the log as such."""
    logger = setup_pipeline_logger(ConfigManager("dev"))
    for level in ("info", "warning", "error", "critical"):
        getattr(logger, level)(f"at {level}")
    assert [line.split(" - ")[2] for line in log(root).splitlines()] == ["INFO", "WARNING", "ERROR", "CRITICAL"]


def test_the_plain_file_has_exactly_this_format(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`2026-02-10 15:30:45 - pipeline - INFO - Pipeline started`, and the same on the console."""
    setup_pipeline_logger(ConfigManager("dev")).info("Pipeline started")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d - pipeline - INFO - Pipeline started\n", log(root))
    assert "Pipeline started" in capsys.readouterr().err


def test_the_console_is_coloured_for_people_on_a_terminal_only(root: Path) -> None:
    """On a terminal a level has its colour; in a pipe, or with NO_COLOR, there is none."""
    code = (
        "from pratique.logging_config import setup_pipeline_logger\n"
        "setup_pipeline_logger().error('red \\x1b[2J', note='a b')\n"
    )
    program = [sys.executable, "-c", code]
    plain = subprocess.run(program, cwd=root, check=True, capture_output=True, text=True).stderr
    assert "\x1b" not in plain
    assert r"red \x1b[2J" in plain
    for variables, coloured in (({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False)):
        master, slave = os.openpty()
        subprocess.run(program, cwd=root, env={**os.environ, **variables}, check=True, stderr=slave)
        os.close(slave)
        shown = os.read(master, 10_000).decode()
        os.close(master)
        assert ("\x1b[" in shown) is coloured
        assert "\x1b[2J" not in shown


def test_machines_get_json_lines_with_ecs_names(root: Path) -> None:
    """With logging.format json stderr is one object a line: time in UTC, level, action, outcome, our own fields."""
    done = pratique(root, "run", "users", PRATIQUE__LOGGING__FORMAT="json")
    assert done.returncode == 0
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    for line in lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["@timestamp"])
        assert line.keys() >= {"log.level", "message", "ecs.version", "log.logger", "service.name", "service.version"}
        assert all("." in name or name in {"message", "@timestamp"} for name in line)
    ends = {line["event.action"]: line for line in lines}
    assert ends["run.start"]["pratique.pipeline"] == "users"
    complete = ends["run.complete"]
    assert (complete["event.outcome"], complete["log.level"], complete["pratique.rows_read"]) == ("success", "info", 5)
    assert isinstance(complete["event.duration"], int)
    assert ends["row.quarantined"]["pratique.rows_quarantined"] == 2
    failed = pratique(root, "run", "lost", PRATIQUE__LOGGING__FORMAT="json").stderr.splitlines()
    error = next(line for line in map(json.loads, failed) if "error.stack_trace" in line)
    assert error["error.type"] == "destination"
    assert error["error.message"]


def test_the_level_follows_the_environment(root: Path) -> None:
    """Dev tells what happens in DEBUG, prod only what is wrong."""
    assert pratique(root, "run", "users", "--env", "dev").returncode == 0
    assert {line.split(" - ")[2] for line in log(root).splitlines()} == {"DEBUG", "INFO", "WARNING"}
    shutil.rmtree(root / "logs")
    (root / "in" / "more.csv").write_text("id,name,SSN\n11,Fay,1\n12,G,2\n")
    assert pratique(root, "run", "users", "--env", "prod").returncode == 0
    assert {line.split(" - ")[2] for line in log(root).splitlines()} == {"WARNING"}
    assert setup_pipeline_logger(ConfigManager("prod")).isEnabledFor(logging.WARNING)
    assert not setup_pipeline_logger(ConfigManager("prod")).isEnabledFor(logging.INFO)


def test_critical_transient_and_permanent_errors_are_told_apart(root: Path) -> None:
    """By type, in the log and in the summary."""
    setup_pipeline_logger(ConfigManager("dev"))
    tracker = ErrorTracker()
    for error in (DestinationLockedError("held"), ConnectionResetError(), SourceError("gone"), ValueError("odd")):
        tracker.log_error(error, "load")
    for error in (StateError("disk full"), InternalError("promise broken"), MemoryError()):
        tracker.log_error(error, "load")
    assert (DestinationLockedError.retryable, DestinationLockedError.critical) == (True, False)
    assert (StateError.retryable, StateError.critical) == (False, True)
    summary = tracker.get_error_summary()
    told = [summary[f"{kind}_errors"] for kind in ("transient", "permanent", "critical")]
    assert told == [2, 2, 3]
    written = [line for line in log(root).splitlines() if PLAIN.fullmatch(line)]
    assert [line.split(" - ")[2] for line in written] == ["ERROR"] * 4 + ["CRITICAL"] * 3
    assert [line.count("gravity=transient") for line in written] == [1, 1, 0, 0, 0, 0, 0]


def test_the_summary_counts_by_type_and_source_and_can_be_cleared(root: Path) -> None:
    """Totals, types, sources and the newest errors; exported as JSON; after clear() nothing is left."""
    tracker = ErrorTracker()
    tracker.log_error(fails(), "a")
    tracker.log_error(fails("again"), "b")
    tracker.log_error(KeyError("x"), "b")
    tracker.log_warning("careful", "a")
    summary = tracker.get_error_summary()
    assert summary["total_errors"] == 3
    assert summary["error_types"] == {"ValueError": 2, "KeyError": 1}
    assert summary["by_source"] == {"a": 1, "b": 2}
    assert summary["total_warnings"] == 1
    assert [error["message"] for error in summary["recent"]] == ["Invalid data format", "again", "'x'"]
    exported = json.loads(tracker.export(root / "out" / "errors.json").read_text())
    assert exported["total_errors"] == 3
    tracker.clear()
    assert tracker.get_error_summary()["total_errors"] == 0
    assert tracker.get_error_summary()["recent"] == []


class _WordlessError(Exception):
    """An error that cannot say what it is."""

    def __str__(self) -> str:
        raise KeyError(self)


def test_no_error_is_too_odd_to_be_logged(root: Path) -> None:
    """What is told in an `except` never raises: an error without words, values that hold themselves, odd objects."""
    logger = setup_pipeline_logger(ConfigManager(environment="dev"))
    tracker = ErrorTracker()
    itself: dict[str, object] = {"id": 7, "SSN": [1]}
    itself["me"], itself["odd"] = itself, _WordlessError()
    tracker.log_error(_WordlessError(), "a", itself)
    logger.error("failed", extra=itself)
    tracker.log_warning("odd", "a", itself)
    assert tracker.get_error_summary()["error_types"] == {"_WordlessError": 1}
    assert "<exception str() failed>" in log(root)
    assert "failed" in log(root)


@pytest.mark.parametrize("record", [None, "id=7", [7]])
def test_what_is_no_record_is_not_held_as_one(root: Path, record: object) -> None:
    """It is told at once, and nothing stands in the quarantine; so is a record without end."""
    with pytest.raises(TypeError, match="a record is a mapping of names to values"):
        ErrorTracker().quarantine_record(record, "odd")  # type: ignore[arg-type]
    itself: dict[str, object] = {}
    itself["me"] = itself
    with pytest.raises(StateError, match="holds itself"):
        ErrorTracker().quarantine_record(itself, "odd")
    assert not (root / ".pratique" / "quarantine").exists()


def test_a_record_held_by_hand_is_seen_at_once(root: Path) -> None:
    """It stands whole in the same quarantine, in the pipeline _manual, on no account, sensitive values masked."""
    record = {"id": 7, "SSN": f"{PERSONAL}77", "note": "late"}
    identity = ErrorTracker().quarantine_record(record, "validation_failed")
    listed = [json.loads(line) for line in pratique(root, "quarantine", "list", "--json").stdout.splitlines()]
    assert [(cause["pipeline"], cause["rule"], cause["records"]) for cause in listed] == [
        ("_manual", "validation_failed", 1)
    ]
    shown = json.loads(pratique(root, "quarantine", "show", identity, "--json").stdout)
    assert shown["values"] == {"id": 7, "SSN": "***", "note": "late"}
    revealed = json.loads(pratique(root, "quarantine", "show", identity, "--reveal", "--json").stdout)
    assert revealed["values"] == record
    assert pratique(root, "runs", "--json").stdout == ""
    assert pratique(root, "run", "users").returncode == 0
    assert len(pratique(root, "quarantine", "list", "--json").stdout.splitlines()) == 3
    for words in (("quarantine", "list"), ("quarantine", "show", "Q1")):
        assert pratique(root, *words).returncode == 0


def test_what_is_no_error_is_refused_by_name(root: Path) -> None:
    """A text where an exception belongs: said plainly, and nothing is counted."""
    tracker = ErrorTracker(ConfigManager(root=root))
    with pytest.raises(TypeError, match="log_warning takes a text"):
        tracker.log_error("it broke", "load")  # type: ignore[arg-type]
    summary = tracker.get_error_summary()
    assert summary["total_errors"] == 0


def test_failed_records_are_json_records_with_place_rules_and_context(root: Path) -> None:
    """A record of a pipeline that failed keeps its text, its line, every rule and where it came from."""
    assert pratique(root, "run", "users").returncode == 0
    exported = pratique(root, "quarantine", "export", "--reveal").stdout.splitlines()
    held = {record["record_number"]: record for record in map(json.loads, exported)}
    assert held[4]["raw"] == f"3,C,{PERSONAL}3"
    assert (held[4]["file"], held[4]["line"], held[4]["pipeline"]) == ("in/users.csv", 4, "users")
    assert [error["rule"] for error in held[4]["errors"]] == ["name.minLength"]
    assert [error["rule"] for error in held[5]["errors"]] == ["ssn.pattern"]


def test_files_rotate_at_ten_megabytes_with_five_backups_and_are_kept_thirty_days(root: Path) -> None:
    """These are the defaults; a log beyond ten megabytes is put aside with its day in its name."""
    spec = ConfigManager().settings.logging
    assert (spec.file_bytes_max, spec.backups_max, spec.days_max) == (10 * 1024 * 1024, 5, 30)
    (root / "logs").mkdir()
    (root / "logs" / "pipeline.log").write_bytes(b"x" * (10 * 1024 * 1024 - 10))
    setup_pipeline_logger(ConfigManager("dev")).info("Pipeline started")
    assert log(root).count("\n") == 1
    assert len(list((root / "logs").glob("pipeline.log.????-??-??.1"))) == 1


RUN_TWICE = """
import os, sys
from pratique.config_manager import ConfigManager
from pratique.ingestion import DataIngestionPipeline
from pratique.logging_config import LoggerSetup
def run(folder):
    os.chdir(folder)
    with LoggerSetup(ConfigManager()) as setup:
        setup.logger.error("one")
        setup.logger.error("two")
        return DataIngestionPipeline(ConfigManager(), "users").run().outcome
run(sys.argv[1])  # loads every module as long as this user may read them
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
sys.stderr.write("now without rights\\n")
print(run(sys.argv[2]))
"""


def test_a_log_that_cannot_be_written_costs_one_warning_and_no_run(root: Path) -> None:
    """A user without rights on the log folder: the run is done, and one warning says what to do.

    Root may write everywhere, so its process becomes a user without rights first.
    """
    folder = Path(tempfile.mkdtemp())
    try:
        make_project(folder)
        (folder / "logs").mkdir(mode=0o555)
        for path in (folder, *folder.rglob("*")):
            if os.getuid() == 0 and path.name != "logs":
                os.chown(path, 65534, 65534)
        program = [sys.executable, "-c", RUN_TWICE, str(root), str(folder)]
        done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=120)
        assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
        told = done.stderr.partition("now without rights\n")[2]
        assert told.count("warning: the log cannot be written") == 1
        assert "Permission denied" in told
        assert "logging.file" in told
        assert told.count("] one") == told.count("] two") == 1
        assert list((folder / "logs").iterdir()) == []
    finally:
        shutil.rmtree(folder)


def test_a_file_in_the_place_of_the_log_folder_costs_one_warning_and_no_run(root: Path) -> None:
    """The command ends as it would without a log, and says once that there is none."""
    (root / "logs").write_text("in the way")
    done = pratique(root, "run", "users")
    assert done.returncode == 0
    assert done.stderr.count("warning: the log cannot be written") == 1


def test_no_output_holds_a_secret_or_a_sensitive_value(root: Path) -> None:
    """Not in the file, not on the console, not as JSON: of pipelines, of the logger, and of the tracker."""
    for form in ("text", "json"):
        for name in ("users", "lost"):
            done = pratique(root, "run", name, GONE=f"/proc/{SECRET}", PRATIQUE__LOGGING__FORMAT=form)
            assert SECRET not in done.stdout + done.stderr
            assert PERSONAL not in done.stdout + done.stderr
    for form in ("text", "json"):
        code = (
            "from pratique.config_manager import ConfigManager\n"
            "from pratique.logging_config import ErrorTracker, setup_pipeline_logger\n"
            "config = ConfigManager()\nlogger = setup_pipeline_logger(config)\n"
            f"logger.warning('seen {PERSONAL}8', ssn='{PERSONAL}8', row={{'SSN': '{PERSONAL}9'}}, at='/proc/{SECRET}')\n"
            f"try:\n    raise ValueError('bad {PERSONAL}7 at {SECRET}')\n"
            f"except ValueError as error:\n    ErrorTracker(config).log_error(error, 's', {{'SSN': '{PERSONAL}7'}})\n"
            f"tracker = ErrorTracker(config)\ntracker.log_error(ValueError('{PERSONAL}6'), 's', {{'ssn': '{PERSONAL}6'}})\n"
            f"assert '{PERSONAL}' not in str(tracker.get_error_summary())\n"
        )
        variables = {**os.environ, "GONE": SECRET, "PRATIQUE__LOGGING__FORMAT": form}
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=root,
            env=variables,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert "***" in done.stderr
        assert SECRET not in done.stderr
        assert PERSONAL not in done.stderr
    written = log(root)
    assert "***" in written
    assert SECRET not in written
    assert PERSONAL not in written


def test_one_entry_is_one_line_whatever_it_holds(root: Path) -> None:
    """Line ends, colours and bidi marks in a message, a field or an error are shown, not obeyed."""
    logger = LoggerSetup(ConfigManager("dev"), console=False).logger
    logger.info("a\n2026-01-01 00:00:00 - pipeline - INFO - forged", note="x\x1b[2J\u202e")
    logger.error("%s and %d", "text", "no number")
    logger.error("oh", exc_info=fails("b\r\n2026-01-01 00:00:00 - pipeline - INFO - forged"))
    lines = log(root).splitlines()
    assert sum(not line.startswith("    ") for line in lines) == 3
    assert "\x1b" not in log(root)
    assert "\u202e" not in log(root)
    assert r"a\n2026" in lines[0]
