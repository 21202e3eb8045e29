"""A project over an API for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import rest_servers
from api_project import SECRET, Crm


@pytest.fixture
def crm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crm]:
    """A project over an API."""
    monkeypatch.setenv("CRM_SECRET", SECRET)
    with ExitStack() as servers:
        yield Crm(tmp_path, servers)


@pytest.fixture(scope="session")
def rest() -> Iterator[Any]:
    """The servers by name, each started when a test needs it first."""
    with ExitStack() as stack:
        urls: dict[str, str] = {}

        def url(name: str) -> str:
            if name not in urls:
                urls[name] = stack.enter_context(getattr(rest_servers, name)())
            return urls[name]

        yield url
