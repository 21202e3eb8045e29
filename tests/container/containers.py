"""A container engine for the tests: the one of this machine, or one that scripts beside the checkout can provide."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(os.environ.get("PRATIQUE_CONTAINER_SCRIPTS", ROOT.parent / "shared" / "container"))
HARDENED = (
    *("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true"),
    *("--tmpfs", "/tmp:size=64m,mode=1777,noexec,nosuid,nodev"),  # noqa: S108 - inside the container
)


@dataclass(frozen=True)
class Engine:
    """Runs `docker` with the environment that leads to the engine."""

    environment: Mapping[str, str]

    def docker(self, *words: object, check: bool = True, timeout: float = 300, **more: Any) -> str:
        """What `docker WORDS` prints to both streams; unless `check` is off it must end well."""
        done = self.ask(*words, timeout=timeout, **more)
        printed = done.stdout + done.stderr
        assert not check or done.returncode == 0, (
            f"docker {' '.join(map(str, words))}: exit {done.returncode}\n{printed}"
        )
        return printed

    def ask(self, *words: object, timeout: float = 300, **more: Any) -> subprocess.CompletedProcess[str]:
        """`docker WORDS` with both streams and the exit code."""
        environment = {**self.environment, **more.pop("environment", {})}
        return subprocess.run(
            ["docker", *map(str, words)],
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
            **more,
        )

    def inspect(self, name: str, what: str = "container") -> dict[str, Any]:
        """What the engine knows of a container, an image or a volume."""
        (known,) = json.loads(self.docker(what, "inspect", name))
        return dict(known)


def until(condition: Callable[[], object], seconds: float, what: Callable[[], str] = lambda: "") -> None:
    """Wait until the condition holds; fail with what is to be seen after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s\n{what()}"
        time.sleep(0.3)


def _answers(environment: Mapping[str, str]) -> bool:
    try:
        done = subprocess.run(
            ["docker", "version"], env=dict(environment), check=False, capture_output=True, timeout=30
        )
    except FileNotFoundError:
        return False
    return done.returncode == 0


def _script(name: str, *words: str, environment: Mapping[str, str], seconds: float = 300) -> str:
    command = ["bash", str(SCRIPTS / name), *words]
    done = subprocess.run(command, env=dict(environment), check=False, capture_output=True, text=True, timeout=seconds)
    if done.returncode != 0:
        pytest.fail(f"{name} {' '.join(words)}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


@contextmanager
def engine() -> Iterator[Engine]:
    """The engine that answers, or a private one that is gone at the end; fails plainly where neither can be had."""
    own = dict(os.environ)
    if _answers(own):
        yield Engine(own)
        return
    if not (SCRIPTS / "daemon.sh").exists() or os.getuid() != 0:
        pytest.fail(
            "the container tests need a container engine, and none can be had: `docker version` does not answer; "
            "start Docker 24 or newer, and run: make container-test",
            pytrace=False,
        )
    if not Path("/usr/sbin/dockerd").exists():
        _script("install-engine.sh", environment=own, seconds=600)
    private = {**own, "PATH": f"/usr/bin:{own['PATH']}"}
    _script("daemon.sh", "start", environment=private)
    try:
        told = _script("daemon.sh", "env", environment=private)  # export DOCKER_HOST=… PATH=…
        private["DOCKER_HOST"] = told.split("DOCKER_HOST=")[1].split()[0]
        _script("make-base-images.sh", "all", environment=private, seconds=600)
        yield Engine(private)
    finally:
        _script("daemon.sh", "clean", environment=private)
