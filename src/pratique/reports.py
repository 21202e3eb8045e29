"""What a run says at its end: values that the terminal, `--json`, the ledger and whoever listens are told alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pratique.errors import Gravity
from pratique.model import Account, Cause, Disposition, HeldFile, RuleTally, SetVerdict, Written

SourceOutcome = Literal["loaded", "unchanged", "failed", "gated", "not run"]
RunOutcome = Literal["running", "done", "partial", "gated", "failed", "interrupted"]


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as the report keeps it: what PratiqueError says, without the exception."""

    code: str
    message: str
    hint: str = ""
    where: str = ""
    exit_code: int = 5
    gravity: Gravity = "permanent"


@dataclass(frozen=True, slots=True)
class SourceReport:
    """What became of one source in one run; the account sums all of its loads.

    `judged` is the split of a load that the gate refused: evidence, nothing of it took effect.
    """

    source: str
    table: str
    outcome: SourceOutcome
    account: Account | None = None
    written: Written | None = None
    disposition: Disposition = "append"
    quality: float | None = None
    dimensions: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[RuleTally, ...] = ()
    causes: tuple[Cause, ...] = ()
    sets: tuple[SetVerdict, ...] = ()
    changed: Mapping[str, int] = field(default_factory=dict)
    files_loaded: int = 0
    files_known: tuple[str, ...] = ()
    held: tuple[HeldFile, ...] = ()
    newest: str | None = None
    problem: Problem | None = None
    seconds: float = 0.0
    judged: Account | None = None
    retries: int = 0


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run says at its end; terminal, `--json` and ledger show this and nothing else. Times UTC, ISO 8601."""

    run_id: str
    pipeline: str
    environment: str
    outcome: RunOutcome
    exit_code: int
    started_at: str
    ended_at: str
    sources: tuple[SourceReport, ...] = ()
    problem: Problem | None = None
    notices: tuple[str, ...] = ()
    dry_run: bool = False
    destination: str = ""
