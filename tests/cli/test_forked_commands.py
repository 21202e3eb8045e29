"""What most tests see of a command, they see of one that is forked: it is the same as one that is started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import forked
import pytest
from project import make_project


@pytest.mark.parametrize(
    "words",
    ["", "--help", "nosuch", "version --json", "lint", "config show users", "schema show nosuch", "run users --env nosuch"],
)  # fmt: skip
def test_a_forked_command_is_the_same_as_a_started_one(tmp_path: Path, words: str) -> None:
    """The same words in the same folder: the same output, the same messages, the same exit code."""
    root = make_project(tmp_path)
    (root / "schemas" / "users.yaml").write_text("fields: {é: nosuch}\n", encoding="utf-8")
    started = subprocess.run(
        [sys.executable, "-m", "pratique", *words.split()], cwd=root, capture_output=True, text=True, check=False
    )
    environment = {**os.environ, "PATH": forked.path()}
    typed = subprocess.run(
        ["bash", "-c", f"pratique {words}"], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    for done in (forked.pratique(*words.split(), cwd=root), typed):
        assert (done.returncode, done.stdout, done.stderr) == (started.returncode, started.stdout, started.stderr)


def test_a_forked_command_that_a_signal_ends_says_so(tmp_path: Path) -> None:
    """A failpoint kills it: the exit code is that of a killed process, for a shell too."""
    root = make_project(tmp_path)
    fatal = {"PRATIQUE_FAILPOINT": "run.begun", "GONE": "nowhere"}
    assert forked.pratique("run", "users", cwd=root, env=fatal).returncode == -signal.SIGKILL
    environment = {**os.environ, "PATH": forked.path(), **fatal}
    command = ["bash", "-c", "pratique run users; echo $?"]
    typed = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
    assert typed.stdout.splitlines()[-1] == "137"
