"""Reports as JSON and back, and the report that can be told from markers alone."""

from __future__ import annotations

import json
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pratique import accounting
from pratique.model import Marker, RuleTally
from pratique.reports import RunReport, SourceReport

T = TypeVar("T")


def report_to_json(report: RunReport) -> str:
    """One line of ASCII JSON, from which `report_from_json` makes an equal report."""
    return json.dumps(asdict(report))


def report_from_json(text: str) -> RunReport:
    """The report of which `text` is the JSON. Names that this version does not know are left out."""
    return decode(RunReport, json.loads(text))


def decode(kind: type[T], data: Any) -> T:
    """`data`, as JSON gives it, as a value of a type made of frozen dataclasses, tuples, mappings and plain values."""
    return _decode(kind, data)  # type: ignore[no-any-return]


@cache
def _types(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {item.name: hints[item.name] for item in fields(kind)}


def _decode(kind: Any, data: Any) -> Any:
    if data is None:
        return None
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(option for option in get_args(kind) if option is not types.NoneType)
    if is_dataclass(kind):
        names = _types(kind)  # type: ignore[arg-type]
        return kind(**{name: _decode(names[name], value) for name, value in data.items() if name in names})  # type: ignore[operator]
    if get_origin(kind) is tuple:
        inner = get_args(kind)
        if inner[1:] == (...,):
            return tuple(_decode(inner[0], item) for item in data)
        return tuple(_decode(one, item) for one, item in zip(inner, data, strict=True))
    if isinstance(data, Mapping):
        return dict(data)
    return data


def settled(report: RunReport, markers: Sequence[Marker], uncommitted: Iterable[str]) -> RunReport:
    """The final report of a run that was killed, told from its markers; quality and warnings are the newest load's.

    `uncommitted` are sources with an attempt that was not committed. The run is `done` if every source it meant to
    ingest is committed and no attempt is open, `partial` if some are, `interrupted` if none.
    """
    open_sources = set(uncommitted)
    known = {source.source: source for source in report.sources}
    for name in sorted(open_sources - known.keys()):
        known[name] = SourceReport(name, "", "not run")
    for name in dict.fromkeys(marker.source for marker in markers):
        known[name] = _source_report([marker for marker in markers if marker.source == name])
    sources = tuple(known.values())
    if not markers:
        return replace(
            report,
            outcome="interrupted",
            exit_code=7,
            sources=sources,
            notices=("killed before anything was committed",),
        )
    done = not open_sources and all(source.outcome == "loaded" for source in sources)
    return replace(
        report,
        outcome="done" if done else "partial",
        exit_code=0 if done else 8,
        ended_at=max(marker.committed_at for marker in markers),
        sources=sources,
        notices=("killed after its last commit; told from the markers in the destination",),
    )


def rebuilt(run_id: str, markers: Sequence[Marker]) -> RunReport:
    """The report of a run that only markers know of; what it did not commit is not known any more."""
    first = markers[0]
    started = min(marker.started_at for marker in markers)
    bare = RunReport(run_id, first.pipeline, "", "running", 0, started, "")
    return replace(settled(bare, markers, ()), notices=("rebuilt from the markers in the destination",))


def _source_report(markers: Sequence[Marker]) -> SourceReport:
    newest = markers[-1]
    return SourceReport(
        source=newest.source,
        table=newest.table,
        outcome="loaded",
        account=accounting.summed_account(marker.account for marker in markers),
        written=accounting.summed_written(marker.written for marker in markers),
        disposition=newest.disposition,
        quality=newest.tally.get("quality"),
        dimensions=dict(newest.tally.get("dimensions") or {}),
        warnings=_decode(tuple[RuleTally, ...], newest.tally.get("warnings") or ()),
        causes=accounting.summed_causes(marker.causes for marker in markers),
        changed=dict(newest.tally.get("changed") or {}),
        files_loaded=sum(len(marker.files) for marker in markers),
        newest=newest.tally.get("newest"),
    )
