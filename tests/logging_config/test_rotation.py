"""The log file: whole lines, whoever writes; put aside by size and by day; a fault of the disk costs one warning."""

from __future__ import annotations

import logging
import os
import re
import resource
import subprocess
import sys
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from pratique.logging_config.rotation import LogFile, TellingHandler

WRITER = """
import sys
from pathlib import Path
from pratique.logging_config.rotation import LogFile
log = LogFile(Path(sys.argv[1]), 64_000, 50, 30)
for number in range(2000):
    log.write(f"{sys.argv[2]} {number} " + "x" * (number % 90) + " end\\n")
"""


def lines_of(folder: Path) -> list[str]:
    """Every line of every file of the log."""
    return [line for path in folder.glob("pipeline.log*") for line in path.read_text().splitlines()]


def test_four_processes_lose_and_tear_no_line(tmp_path: Path) -> None:
    """Four processes write at once, the file is rotated a dozen times meanwhile: each line is there once and whole."""
    path = tmp_path / "pipeline.log"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(number)]) for number in range(4)]
    assert [writer.wait(timeout=300) for writer in writers] == [0, 0, 0, 0]
    found = lines_of(tmp_path)
    assert all(re.fullmatch(r"[0-3] \d+ x* end", line) for line in found)
    assert len(list(tmp_path.glob("pipeline.log.*"))) > 4
    expected = sorted((who, number) for who in range(4) for number in range(2000))
    assert sorted(tuple(map(int, line.split()[:2])) for line in found) == expected


def test_forked_processes_take_turns_too(tmp_path: Path) -> None:
    """A log that was open when its process forked is written by parent and child without loss."""
    log = LogFile(tmp_path / "pipeline.log", 20_000, 50, 30)
    log.write("before 0 end\n")
    child = os.fork()
    who = "parent" if child else "child"
    for number in range(1000):
        log.write(f"{who} {number} end\n")
    if not child:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert sorted(lines_of(tmp_path)) == sorted(
        ["before 0 end", *(f"{who} {number} end" for who in ("parent", "child") for number in range(1000))]
    )


def test_a_full_file_is_put_aside_and_five_are_kept(tmp_path: Path) -> None:
    """No file grows beyond its size; of one day the newest five full ones stay."""
    log = LogFile(tmp_path / "pipeline.log", 1000, 5, 30)
    for number in range(200):
        log.write(f"line {number:04d} " + "x" * 88 + "\n")
    names = sorted(path.name for path in tmp_path.iterdir())
    day = datetime.now().astimezone().date()
    assert names == ["pipeline.log", *(f"pipeline.log.{day}.{number}" for number in range(1, 6))]
    assert all(path.stat().st_size <= 1000 for path in tmp_path.iterdir())
    assert (tmp_path / "pipeline.log").read_text().splitlines()[-1].startswith("line 0199")
    assert (tmp_path / f"pipeline.log.{day}.1").read_text() > (tmp_path / f"pipeline.log.{day}.2").read_text()


def test_a_new_day_begins_a_new_file_and_thirty_days_are_kept(tmp_path: Path) -> None:
    """What was written yesterday stands under yesterday's date; what is older than thirty days goes, other files stay."""
    path = tmp_path / "pipeline.log"
    log = LogFile(path, 10_000_000, 5, 30)
    log.write("yesterday\n")
    today = datetime.now().astimezone().date()
    moment = (datetime.now().astimezone() - timedelta(days=1)).timestamp()
    os.utime(path, (moment, moment))
    kept, gone = (tmp_path / f"pipeline.log.{today - timedelta(days=days)}.1" for days in (30, 31))
    for other in (kept, gone, tmp_path / "pipeline.log.2020-01-01", tmp_path / "pipeline.log.not-aa-day.1"):
        other.write_text("old\n")
    log.write("today\n")
    assert path.read_text() == "today\n"
    assert (tmp_path / f"pipeline.log.{today - timedelta(days=1)}.1").read_text() == "yesterday\n"
    assert kept.exists()
    assert not gone.exists()
    assert (tmp_path / "pipeline.log.2020-01-01").exists()
    assert (tmp_path / "pipeline.log.not-aa-day.1").exists()
    assert date.fromisoformat("2020-01-01") < today


def test_a_full_disk_leaves_no_half_line_and_costs_one_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line that does not fit is not there at all; the failure is told once, counted each time, and never raised."""
    path = tmp_path / "pipeline.log"
    handler = TellingHandler(LogFile(path, 10_000_000, 5, 30), str(path))
    logger = logging.getLogger("test_a_full_disk")
    logger.addHandler(handler)
    logger.setLevel("INFO")
    logger.propagate = False
    logger.info("fits")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, before[1]))  # SIGXFSZ is ignored by Python: the write fails
    try:
        logger.info("x" * 100)
        logger.info("y" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    logger.info("again")
    handler.close()
    assert path.read_text() == "fits\nagain\n"
    assert handler.failures == 2
    assert capsys.readouterr().err.count("warning: the log cannot be written") == 1


def test_a_file_that_cannot_be_put_aside_takes_the_line_all_the_same(tmp_path: Path) -> None:
    """A folder stands where the backup should be: the line is written, and the failure is the caller's to tell."""
    path = tmp_path / "pipeline.log"
    log = LogFile(path, 1000, 1, 30)
    day = datetime.now().astimezone().date()
    (tmp_path / f"pipeline.log.{day}.1" / "in the way").mkdir(parents=True)
    log.write("x" * 990 + "\n")
    with pytest.raises(OSError, match="directory"):
        log.write("y" * 20 + "\n")
    assert path.read_text().splitlines()[-1] == "y" * 20


def test_a_file_that_was_moved_away_is_made_anew(tmp_path: Path) -> None:
    """Who moves the file (as logrotate does) finds later lines in a new one of the old name."""
    path = tmp_path / "pipeline.log"
    log = LogFile(path, 10_000_000, 5, 30)
    log.write("one\n")
    path.rename(tmp_path / "moved")
    log.write("two\n")
    assert path.read_text() == "two\n"
    log.close()
    log.close()
