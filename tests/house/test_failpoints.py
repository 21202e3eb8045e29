"""Failpoints: the list that crash tests walk through is the list of places that exist."""

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import pratique
from pratique.failpoints import FAILPOINTS

PACKAGE = Path(pratique.__file__).parent


def hits() -> set[str]:
    """Names that the package passes to `failpoints.hit`."""
    names = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("failpoints.hit", "hit"):
                names.add(ast.literal_eval(node.args[0]))
    return names


def test_every_failpoint_is_hit_and_every_hit_is_listed() -> None:
    """A crash test that walks through FAILPOINTS visits every named place, and none in vain."""
    assert hits() == set(FAILPOINTS)


@pytest.mark.parametrize(("armed", "code"), [("run.begun", -signal.SIGKILL), ("run.finished", 0), ("", 0)])
def test_only_the_armed_failpoint_kills(armed: str, code: int) -> None:
    """A process dies by SIGKILL at the place that its environment names, and nowhere else."""
    program = "from pratique import failpoints; failpoints.hit('run.begun')"
    environment = {**os.environ, "PRATIQUE_FAILPOINT": armed}
    assert subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode == code
