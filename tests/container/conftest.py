"""One engine and one image for all container tests of a run."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from containers import ROOT, Engine, engine

IMAGE = "pratique:under-test"


@pytest.fixture(scope="session")
def docker() -> Iterator[Engine]:
    """A container engine."""
    with engine() as found:
        yield found


@pytest.fixture(scope="session")
def image(docker: Engine) -> str:
    """The image, built from this tree."""
    began = time.monotonic()
    docker.docker("build", "--tag", IMAGE, ".", cwd=ROOT, timeout=900)
    print(f"\nimage built in {time.monotonic() - began:.0f} s")  # noqa: T201 - a figure for people
    return IMAGE
