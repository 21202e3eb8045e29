"""The rows of a parent, one by one, for a source that is asked for each of them."""

from __future__ import annotations

from pratique.destinations.base import Destination
from pratique.planning import SourcePlan


def parent_values(destination: Destination, plan: SourcePlan) -> list[tuple[str, ...]]:
    """What stands in the path for each row of the parent's table, each combination once, in order; nothing for NULL."""
    assert plan.api is not None and plan.api.parent is not None  # noqa: S101, PT018 - asked for children only
    parent = plan.api.parent
    with destination.lookup().existing(parent.table, parent.fields, None) as rows:
        found = {
            tuple(str(row[name]) for name in parent.fields)
            for batch in (rows.batches() if rows else ())
            for row in batch.to_pylist()
            if None not in row.values()
        }
    return sorted(found)
