"""What the commands look up in the state folder of a project: its ledger and its quarantine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pratique.ledger import Ledger, open_ledger
from pratique.project import Project
from pratique.quarantine import Quarantine


def _folder(root: Path | None, environment: str | None) -> Path:
    config = Project(root, environment).config
    return Path(config.root / config.settings.state.path)


@contextmanager
def ledger_of(root: Path | None, environment: str | None) -> Iterator[Ledger]:
    """Open the project's ledger while the context is open."""
    ledger = open_ledger(_folder(root, environment) / "ledger.sqlite")
    try:
        yield ledger
    finally:
        ledger.close()


@contextmanager
def quarantine_of(root: Path | None, environment: str | None) -> Iterator[tuple[Quarantine, Ledger]]:
    """Open the project's quarantine, and the ledger that says what of it exists."""
    with ledger_of(root, environment) as ledger:
        yield Quarantine(_folder(root, environment) / "quarantine", ledger), ledger
