"""What a dry run can judge: nothing that it would have loaded just before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from pratique.ingestion.progress import Progress
from pratique.planning import SourcePlan
from pratique.schema import Schema


def judged_dry(
    plan: SourcePlan, own: Progress, plans: Iterable[SourcePlan], progress: Mapping[str, Progress]
) -> tuple[Schema, tuple[str, ...]]:
    """The schema without references to rows that only a real run would have written by now, and what to tell people."""
    told = []
    if own.tallies and plan.schema.keys and plan.write == "append":
        told.append(
            f"dry run: the loads of {plan.name} are judged by what its table holds now, not by each other's keys"
        )
    new = {
        other.schema.name
        for other in plans
        if other.name in plan.parents
        and not _together(plan, other)
        and any(tally.good for tally in progress[other.name].tallies)
    }
    left_out = [item.name for item in plan.schema.references if item.parent in new]
    if left_out:
        told.append(
            f"dry run: {plan.name} is judged without {', '.join(left_out)}: the parents' new rows are not written"
        )
    kept = tuple(item for item in plan.schema.references if item.parent not in new)
    return replace(plan.schema, references=kept), tuple(told)


def _together(plan: SourcePlan, other: SourcePlan) -> bool:
    """Whether nested records come with these documents, or with others from the same ones."""
    return plan.nest is not None and plan.nest.of == (other.nest.of if other.nest else other.name)
