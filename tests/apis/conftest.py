"""A project over an API for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from api_project import SECRET, Crm


@pytest.fixture
def crm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crm]:
    """A project over an API."""
    monkeypatch.setenv("CRM_SECRET", SECRET)
    with ExitStack() as servers:
        yield Crm(tmp_path, servers)
