"""What became of one source so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from pratique.errors import PratiqueError
from pratique.model import Cause, FileVersion, HeldFile, Landed, Tally, Written
from pratique.secrets import hide_secrets


@dataclass(slots=True)
class Progress:
    """What became of one source so far: its loads of this run."""

    tallies: list[Tally] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)
    causes: list[tuple[Cause, ...]] = field(default_factory=list)
    loaded: set[str] = field(default_factory=set)
    known: dict[str, None] = field(default_factory=dict)
    held: dict[str, HeldFile] = field(default_factory=dict)
    evidence: list[Tally] = field(default_factory=list)  # of loads that the gate refused
    refused_causes: list[tuple[Cause, ...]] = field(default_factory=list)
    refused: list[tuple[Landed, PratiqueError]] = field(default_factory=list)
    retries: int = 0
    aside: list[FileVersion] = field(default_factory=list)  # refused, or judged by a dry run: no marker names them

    def settled(self, tally: Tally, written: Written, causes: tuple[Cause, ...]) -> None:
        """Put a load on the account."""
        self.tallies.append(tally)
        self.written.append(written)
        self.causes.append(causes)

    def refuse(self, landed: Landed, error: PratiqueError, *, alone: bool) -> HeldFile | None:
        """Set a load aside for this run; with `alone`, only the file that the error names, which is then held."""
        guilty = next((file for file in landed.files if file.version.name == error.facts.get("file")), None)
        if guilty is None or not alone:
            self.refused.append((landed, error))
            return None
        held = HeldFile(guilty.version, hide_secrets(error.message), hide_secrets(error.hint))
        self.held[guilty.version.name] = held
        self.aside.append(guilty.version)
        return held
