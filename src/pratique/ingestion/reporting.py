"""What became of one source, as the report and the markers say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pratique import accounting
from pratique.events import SourceRetried
from pratique.ingestion.progress import Progress
from pratique.model import Account, Tally, Written
from pratique.planning import SourcePlan
from pratique.reports import Problem, SourceOutcome, SourceReport
from pratique.schema.gate import warnings
from pratique.sources import Retries


def retried(plan: SourcePlan, progress: Progress, pipeline: str, run_id: str, retries: Retries) -> SourceRetried | None:
    """What was tried again for a source since this was asked last, as an event; it counts in its progress."""
    again = retries.taken()
    if not again:
        return None
    progress.retries += again.total()
    return SourceRetried(pipeline=pipeline, run_id=run_id, source=plan.name, retries=again, source_type=plan.type)


def source_report(
    plan: SourcePlan, progress: Progress, outcome: SourceOutcome, problem: Problem | None, seconds: float
) -> SourceReport:
    """The report on a source: its account sums all of its loads."""
    tally = accounting.summed_tally(progress.tallies)
    judged = accounting.summed_tally(progress.evidence) if progress.evidence else tally
    quality, dimensions = judged.quality()
    written = accounting.summed_written(progress.written)
    return SourceReport(
        source=plan.name,
        table=plan.table,
        outcome=outcome,
        account=_account(progress, tally, written, outcome),
        judged=accounting.account_of(judged, Written(judged.good)) if progress.evidence else None,
        written=written if progress.tallies else None,
        disposition=plan.write,
        quality=quality,
        dimensions=dimensions,
        warnings=warnings(plan.schema, judged),
        causes=accounting.summed_causes(progress.refused_causes or progress.causes),
        sets=judged.sets,
        changed=judged.changed,
        files_loaded=len(progress.loaded),
        files_known=tuple(sorted(progress.known)),
        held=tuple(progress.held.values()),
        newest=judged.newest,
        problem=problem,
        seconds=seconds,
        retries=progress.retries,
    )


def _account(progress: Progress, tally: Tally, written: Written, outcome: SourceOutcome) -> Account | None:
    if progress.tallies or outcome == "unchanged":
        return accounting.account_of(tally, written)
    return None


def told(plan: SourcePlan, tally: Tally) -> Mapping[str, Any]:
    """What the report says of a load beyond its account, as plain values for the marker."""
    quality, dimensions = tally.quality()
    return {
        "quality": quality,
        "dimensions": dimensions,
        "warnings": [asdict(rule) for rule in warnings(plan.schema, tally)],
        "changed": dict(tally.changed),
        "newest": tally.newest,
    }
