"""A machine with Python and make only: what the README shows works there, and no step is missing."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import pytest
from containers import ROOT, Engine

pytestmark = pytest.mark.container

MACHINE = """FROM python:3.12-slim
RUN apt-get update -q && apt-get install -y -q --no-install-recommends make && ! command -v git gcc
"""


@pytest.fixture(scope="module")
def fresh(docker: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running container with a clone of this tree, and nothing else but Python and make."""
    folder = tmp_path_factory.mktemp("fresh")
    (folder / "Dockerfile").write_text(MACHINE)
    docker.docker("build", "--tag", "pratique:fresh-machine", str(folder))
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in filter(
        None, subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    ):
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    container = docker.docker("run", "--detach", "pratique:fresh-machine", "sleep", "infinity").strip()
    try:
        docker.docker("cp", "--quiet", f"{clone}/.", f"{container}:/checkout")
        docker.docker("exec", container, "chown", "--recursive", "0:0", "/checkout")
        yield container
    finally:
        docker.docker("rm", "--force", "--volumes", container)


def make(docker: Engine, container: str, target: str, seconds: float) -> str:
    """What `make TARGET` prints in the clone."""
    return docker.docker("exec", "--workdir", "/checkout", container, "make", target, timeout=seconds)


def test_the_demo_runs_on_a_fresh_machine(docker: Engine, fresh: str) -> None:
    """`make demo` fetches what it needs, loads real data, and the account balances."""
    told = make(docker, fresh, "demo", 600)
    assert "account   balances" in told or "account  balances" in told
    assert "flights" in told


@pytest.mark.nightly
def test_the_tests_run_on_a_fresh_machine(docker: Engine, fresh: str) -> None:
    """`make test` installs the servers that it needs, and passes."""
    assert " passed" in make(docker, fresh, "test", 3600)
