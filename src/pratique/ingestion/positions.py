"""Where a source stands, and what a load takes the place of: by the committed markers alone (Invariant 4)."""

from __future__ import annotations

from collections.abc import Sequence

from pratique.errors import SourceError
from pratique.model import FileVersion, Landed, Marker, Position
from pratique.planning import SourcePlan


def _mine(markers: Sequence[Marker], plan: SourcePlan) -> list[Marker]:
    """The loads of a source whose rows are in its table: those since, and with, its newest replace."""
    table = plan.table.casefold()
    mine = [marker for marker in markers if marker.source == plan.name and marker.table.casefold() == table]
    replaces = [at for at, marker in enumerate(mine) if marker.disposition == "replace"]
    return mine[replaces[-1] :] if replaces else mine


def growing(markers: Sequence[Marker], plan: SourcePlan) -> list[Marker]:
    """The loads of a source that were read by a cursor, oldest first."""
    return [marker for marker in _mine(markers, plan) if marker.cursor]


def position(markers: Sequence[Marker], plan: SourcePlan, aside: Sequence[FileVersion]) -> Position:
    """Where the source stands, by its markers and what this run has set aside."""
    mine = _mine(markers, plan)
    latest = mine[-1].files if mine else ()
    cursor = next((marker.cursor for marker in reversed(mine) if marker.cursor), None)
    versions = [*(version for marker in mine for version in marker.files), *aside]
    if plan.on_new_version == "replace":  # of a file's contents only the newest is in the table
        return Position(tuple({version.name: version for version in versions}.values()), latest, cursor)
    return Position(tuple(reversed(dict.fromkeys(reversed(versions)))), latest, cursor)


def replaced_loads(markers: Sequence[Marker], plan: SourcePlan, landed: Landed) -> tuple[str, ...]:
    """Ids of the loads of which corrected files take the place.

    Refused where `on_new_version: replace` would have to tell a file's rows from those of others in its load.
    """
    newest = {version.name: marker for marker in _mine(markers, plan) for version in marker.files}
    replaced = {name: newest[name] for name in landed.supersedes if name in newest}
    for name, marker in replaced.items():
        others = len(marker.files) - 1
        if others and plan.on_new_version == "replace":
            raise SourceError(
                f"its rows were loaded together with {others} other files and cannot be told apart",
                where=name,
                hint="set on_new_version: replace before the first load, or reload the source with write: replace",
            )
    return tuple(dict.fromkeys(marker.load_id for marker in replaced.values()))


def loads_before(markers: Sequence[Marker], plan: SourcePlan) -> tuple[str, ...]:
    """Id of the load after which its table began anew, if there is one: a replace."""
    mine = _mine(markers, plan)
    before = mine[-1:] if plan.write == "replace" else [item for item in mine[:1] if item.disposition == "replace"]
    return tuple(marker.load_id for marker in before)
