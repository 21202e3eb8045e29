"""What Pratique knows of its runs. The markers in the destinations are the authority; from them it can be rebuilt."""

from __future__ import annotations

from pathlib import Path

from pratique.ledger.base import Alerts, Ledger, MetricPoint, Reconciled, RunHandle
from pratique.ledger.reports import report_from_json, report_to_json

__all__ = [
    "Alerts",
    "Ledger",
    "MetricPoint",
    "Reconciled",
    "RunHandle",
    "open_ledger",
    "report_from_json",
    "report_to_json",
]


def open_ledger(path: Path) -> Ledger:
    """The ledger in this file, made with its folder if there is none, brought to the newest form.

    Raises StateError if the file is not a ledger, was written by a newer Pratique, or cannot be used.
    """
    from pratique.ledger.sqlite import SqliteLedger  # noqa: PLC0415  the driver is loaded when it is needed

    return SqliteLedger(path)
