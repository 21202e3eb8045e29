"""US-06: the same targets of make run on a developer's machine, before a commit, in the devcontainer and in CI."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
CALLERS = [
    ".ci/run",
    ".pre-commit-config.yaml",
    ".devcontainer/devcontainer.json",
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))),
]
WHOLE = {"format", "lint", "types", "contract", "test", "docs", "security", "container-test"}


def called(name: str) -> set[str]:
    """The targets that a file calls."""
    text = (ROOT / name).read_text(encoding="utf-8")
    lines = re.findall(r"\bmake ((?:--\S+ )*)([a-z -]+?)\s*[\"#,}\n]", text)
    return {target for _, line in lines for target in line.split()}


@pytest.mark.parametrize("name", CALLERS)
def test_every_target_that_is_called_exists(name: str) -> None:
    """Nobody calls a target that was renamed."""
    assert called(name) <= TARGETS


def test_ci_runs_everything() -> None:
    """`make`, .ci/run and the workflows run the same checks."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    everything = set(re.findall(r"\$\(MAKE\) ([a-z-]+)", makefile.partition("setup:")[0]))
    workflows = {target for name in CALLERS if "workflows" in name for target in called(name)}
    assert everything == called(".ci/run") == WHOLE
    assert workflows >= WHOLE


def test_hooks_and_the_devcontainer_can_be_used() -> None:
    """The hooks are valid for pre-commit, and the devcontainer is set up by one command."""
    command = [sys.executable, "-m", "pre_commit", "validate-config", ".pre-commit-config.yaml"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    assert container["postCreateCommand"] == "make setup"


def test_actions_are_pinned_and_say_their_version() -> None:
    """Every action of somebody else stands with a digest, and with its version for people."""
    lines = [
        line
        for path in (ROOT / ".github" / "workflows").glob("*.yml")
        for line in path.read_text(encoding="utf-8").splitlines()
        if "uses:" in line and "./.github" not in line
    ]
    assert len(lines) > 10
    assert [line for line in lines if not re.search(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line)] == []
