"""The script that demands whole coverage: it is seen to fail for every reason for which it should."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "check_coverage.py"
TEXT = """
def sign(number):
    word = ""
    if number < 0:
        word = "minus"
    return word
"""


@pytest.fixture
def checked(tmp_path):
    """Measure calls of `sign` in a.py, b.py besides; what the script says of some files, and its exit code."""

    def check(calls, *patterns):
        (tmp_path / "a.py").write_text(TEXT + calls)
        (tmp_path / "b.py").write_text("")
        options = {"cwd": tmp_path, "capture_output": True, "text": True}
        measure = [sys.executable, "-m", "coverage", "run", "--branch", "--data-file=.coverage", "a.py"]
        subprocess.run(measure, check=True, **options)
        done = subprocess.run([sys.executable, SCRIPT, *patterns], check=False, **options)
        return done.returncode, done.stdout + done.stderr

    return check


def test_what_is_covered_whole_passes(checked):
    """Every line and both branches were run."""
    code, told = checked("sign(1)\nsign(-1)\n", "a*.py")
    assert code == 0, told


@pytest.mark.parametrize(("calls", "missing"), [("sign(1)\n", "5"), ("sign(-1)\n", "4->6")])
def test_a_line_and_a_branch_that_nothing_ran_are_named(checked, calls, missing):
    """A missing line fails, and so does a condition that was never false."""
    code, told = checked(calls, "a.py")
    assert code == 1
    assert f" {missing}\n" in told
    assert "a.py" in told


def test_a_file_that_vanished_fails(checked):
    """A name in the list that no file bears is told, whatever the others are."""
    code, told = checked("sign(1)\nsign(-1)\n", "a.py", "renamed/*.py")
    assert code == 1
    assert "renamed/*.py: no such file" in told


def test_a_file_that_was_not_measured_fails(checked):
    """A file that no test imports is no file without gaps."""
    for patterns in (["b.py"], ["a.py", "b.py"]):
        code, told = checked("sign(1)\nsign(-1)\n", *patterns)
        assert code == 1
        assert "b.py: not measured" in told
