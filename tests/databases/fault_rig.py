"""What networks do, between a source and its server: a run ends within its limit, loses nothing and doubles nothing."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
import stamina
from fault_proxy import Fault, FaultProxy

SLOW = ("latency", "slow")  # what costs time alone
LASTING = ("cut", "reset", "silence", "refuse")
KINDS = (*SLOW, *LASTING)


@dataclass
class Place:
    """A project whose source is read through a door; `middle`: after so many bytes of answers records are under way."""

    root: Path
    door: FaultProxy
    run: Callable[[int], dict[str, Any]]  # with the exit code that is expected; its report
    table: str
    expected: list[tuple[Any, ...]]
    middle: int
    where: str = ""  # what an error names
    seconds_max: float = 20

    def __post_init__(self) -> None:
        self.where = self.where or f"127.0.0.1:{self.door.port}"

    def loaded(self) -> list[tuple[Any, ...]]:
        """What the destination holds, in order."""
        if not (self.root / "lake.duckdb").exists():
            return []
        with duckdb.connect(str(self.root / "lake.duckdb"), read_only=True) as lake:
            if (self.table,) not in lake.execute("SELECT table_name FROM duckdb_tables()").fetchall():
                return []
            return lake.execute(f"SELECT * EXCLUDE (_load_id) FROM {self.table} ORDER BY ALL").fetchall()

    def forget(self) -> None:
        """As if there had been no run."""
        for path in self.root.glob("lake.duckdb*"):
            path.unlink()
        shutil.rmtree(self.root / ".pratique", ignore_errors=True)

    def timed(self, code: int) -> dict[str, Any]:
        """The report on the one source of a run that ends within its limit."""
        began = time.monotonic()
        report: dict[str, Any] = self.run(code)["sources"][0]
        assert time.monotonic() - began < self.seconds_max
        return report


def passes(place: Place, kind: Any) -> None:
    """The fault happens once, or costs time alone: the run succeeds, after retries; the next one finds nothing new."""
    seconds = {"latency": 0.03, "slow": 0.0005}.get(kind, 0.0)
    place.door.fail(Fault(kind, place.middle, seconds), times=1)
    if kind == "refuse":  # until it is tried again
        stamina.instrumentation.set_on_retry_hooks([lambda _: place.door.mend()])
    try:
        report = place.timed(0)
    finally:
        stamina.instrumentation.set_on_retry_hooks(())
    account = report["account"]
    assert place.loaded() == place.expected
    assert (account["read"], account["loaded"]) == (len(place.expected), len(place.expected))
    assert (report["retries"] > 0) == (kind in LASTING)
    place.door.mend()
    place.timed(0)
    assert place.loaded() == place.expected


def lasts(place: Place, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault stays: the run ends with what, where and next, and loads nothing; without it the next run is whole."""
    monkeypatch.setenv("PRATIQUE__LIMITS__RETRIES_MAX", "0")  # how often it is tried again is not what is asked here
    place.door.fail(Fault(kind, place.middle))
    problem = place.timed(3)["problem"]
    assert (problem["code"], problem["gravity"]) == ("source_unreachable", "transient")
    assert place.where in problem["message"]
    assert problem["hint"]
    assert place.loaded() == []
    place.door.mend()
    place.timed(0)
    assert place.loaded() == place.expected


def notices(place: Place, seen: bytes, other: bytes) -> None:
    """The negative control: a door that changes one byte on the way must be seen, or the rig proves nothing."""
    assert len(seen) == len(other)
    place.door.alter = lambda data: data.replace(seen, other)
    place.timed(0)
    with pytest.raises(AssertionError):
        assert place.loaded() == place.expected
    place.forget()
    place.door.alter = lambda data: data
    place.timed(0)
    assert place.loaded() == place.expected
