"""Where files lie: a folder of this machine, or something that brings its files here when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol

from pratique.sources.files.pattern import Candidate, PathPattern


class Folder(Protocol):
    """The files that a pattern names."""

    @property
    def shown(self) -> str:
        """Where it is, as people may read it."""
        ...

    def files(self) -> list[Candidate]:
        """Every file that is there now, by name ascending. SourceError if a single one is not there."""
        ...

    def captures(self, name: str) -> Mapping[str, str]:
        """What a file's path says, by its name; nothing if the pattern does not name it."""
        ...

    def bringing(self, wanted: Sequence[Candidate]) -> AbstractContextManager[object]:
        """While the block runs, these are brought here, in this order, some before they are asked for."""
        ...

    def here(self, candidate: Candidate) -> tuple[Candidate, Path]:
        """The candidate with a path on this machine, and the folder in which it must lie.

        SourceError if it cannot be read in the version that was listed; SourceUnreachableError if nothing can.
        """
        ...

    def forget(self, candidate: Candidate) -> None:
        """It is loaded: what was written for it can go."""
        ...


class LocalFolder:
    """A folder of this machine: its files are read where they are."""

    def __init__(self, pattern: PathPattern) -> None:
        self._pattern = pattern

    @property
    def shown(self) -> str:
        """Its path."""
        return str(self._pattern.base)

    def files(self) -> list[Candidate]:
        """Every file that is there now."""
        return self._pattern.files()

    def captures(self, name: str) -> Mapping[str, str]:
        """What its path says."""
        return self._pattern.captures(name)

    def bringing(self, wanted: Sequence[Candidate]) -> AbstractContextManager[object]:
        """They are here."""
        return nullcontext(wanted)

    def here(self, candidate: Candidate) -> tuple[Candidate, Path]:
        """It is here."""
        return candidate, self._pattern.base

    def forget(self, candidate: Candidate) -> None:
        """Nothing was written for it."""
