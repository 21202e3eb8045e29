"""One test run for real, in a folder of its own: the same engine and story, a DuckDB file that nobody else sees."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pratique.cases import Case, ExpectedRecord, GivenFile, TableRows, bare, given_only
from pratique.destinations import open_destination
from pratique.destinations.base import Destination, Load
from pratique.errors import ConfigurationError
from pratique.ingestion.run import run_planned
from pratique.ingestion.story import ask_gate
from pratique.ledger import open_ledger
from pratique.model import Lookup, Marker, Rows, Tally, Target, Written
from pratique.pipeline_tests.inputs import landed_plan, one_line
from pratique.planning import Pipeline, SourcePlan
from pratique.quarantine import Quarantine
from pratique.reports import RunReport
from pratique.schema import Schema
from pratique.specs.settings import LimitsSpec

Record = Mapping[str, Any]


@dataclass(slots=True)
class Ran:
    """What became of one test: the report, and what the report only counts, by source; tables as they are then."""

    report: RunReport
    loaded: dict[str, list[Record]] = field(default_factory=dict)
    quarantined: dict[str, list[Record]] = field(default_factory=dict)  # with their values: mask before you show them
    gates: dict[str, list[str]] = field(default_factory=dict)
    tables: dict[str, list[Record]] = field(default_factory=dict)


def run_case(case: Case, limits: LimitsSpec) -> Ran:
    """Run the test; nothing outside of a temporary folder is touched, and that is gone afterwards.

    The gate is asked for sources of which the test says `gate`; else a record of which the test wants to know
    that it is held would hold the load. Raises ConfigurationError where what is given cannot be given.
    """
    gated = {name for name, expected in case.expect.items() if expected.spec.gate is not None}
    ran = _run(case, limits, gated)
    refused = {item.source for item in ran.report.sources if item.outcome == "gated"}
    lists = {
        name
        for name, expected in case.expect.items()
        if name in refused and (isinstance(expected.loaded, tuple) or isinstance(expected.quarantined, tuple))
    }
    if lists:  # a load that is refused writes nothing: which records it had is seen where it is let through
        through = _run(case, limits, gated - lists)
        for name in lists:
            ran.loaded[name] = through.loaded.get(name, [])
            ran.quarantined[name] = through.quarantined.get(name, [])
    return ran


def _run(case: Case, limits: LimitsSpec, gated: set[str]) -> Ran:
    with tempfile.TemporaryDirectory(prefix="pratique-test-") as name:
        folder = Path(name)
        pipeline = case.pipeline
        target = open_destination("duckdb", folder / "test.duckdb", name=pipeline.destination.name)
        watched = _Watched(target)
        gates: dict[str, list[str]] = {}

        def asked(plan: SourcePlan, tally: Tally) -> tuple[str, ...]:
            reasons = ask_gate(plan, tally)
            gates.setdefault(plan.name, []).extend(reasons)
            return reasons if plan.name in gated else ()

        state = folder / "state"
        with closing(open_ledger(state / "ledger.sqlite")) as ledger:
            there = _there(case, folder)
            if there.sources:
                _check_there(case, run_planned(there, target, ledger, state, limits, asked=lambda *_: ()))
            if case.before:
                earlier = _landed(pipeline, case.before, folder, "before")
                _check_before(case, run_planned(earlier, target, ledger, state, limits, asked=lambda *_: ()))
            given = _landed(pipeline, case.given, folder, "given")
            report = run_planned(given, watched, ledger, state, limits, asked=asked)
            held = Quarantine(state / "quarantine", ledger)
            return Ran(
                report=report,
                loaded=watched.loaded,
                quarantined={
                    source.source: list(
                        held.records(reveal=True, pipeline=pipeline.name, source=source.source, run=report.run_id)
                    )
                    for source in report.sources
                },
                gates=gates,
                tables={name: list(_rows(target, name, rows.schema)) for name, rows in case.tables.items()},
            )


def _landed(pipeline: Pipeline, inputs: Mapping[str, tuple[GivenFile, ...]], folder: Path, stem: str) -> Pipeline:
    """The pipeline over files of the test; those of an earlier run stand there still."""
    chosen = given_only(pipeline, inputs)
    plans = (
        plan if plan.nest else landed_plan(plan, inputs[plan.name], folder / "in" / plan.name, stem)
        for plan in chosen.sources
    )
    return replace(chosen, sources=tuple(plans))


def _there(case: Case, folder: Path) -> Pipeline:
    """A pipeline that loads the rows that are there before."""
    plans = []
    for number, (table, rows) in enumerate(case.there.items(), 1):
        schema = bare(rows.schema)
        path = folder / "there" / f"{number}.jsonl"
        path.parent.mkdir(exist_ok=True)
        names = [item.name for item in schema.fields]
        path.write_text("".join(one_line(names, row) for row in rows.written), encoding="utf-8")
        model = case.pipeline.sources[0]
        plan = replace(
            model, name=f"there-{number}", path=path.name, base=path.parent, format="jsonl", schema=schema, table=table
        )
        plans.append(
            replace(plan, write="append", keep=None, on_new_version=None, overrides=(), parents=(), reference_tables={})
        )
    return replace(case.pipeline, name="there", sources=tuple(plans), notices=())


def _check_there(case: Case, report: RunReport) -> None:
    """Whatever a table cannot hold is a mistake of the test."""
    for source, rows in zip(report.sources, case.there.values(), strict=True):
        if source.outcome != "loaded" or not source.account or source.account.quarantined:
            why = source.problem.message if source.problem else ""
            cause = next(iter(source.causes), None)
            told = f"{cause.rule}: {cause.message}" if cause else why
            raise ConfigurationError(
                f"these rows cannot be there: {told}",
                where=_place(rows, cause.places[0][1] if cause and cause.places else 0),
                hint="write the values as the table holds them",
                facts={"code": "value"},
            )


def _check_before(case: Case, report: RunReport) -> None:
    """An earlier run that did not do what it should makes the test mean something else."""
    for source in report.sources:
        if source.problem or source.held:
            why = source.problem.message if source.problem else source.held[0].reason
            raise ConfigurationError(
                f"the earlier run of {source.source} failed: {why}",
                where=case.before[source.source][0].where,
                hint="give it what a run can load",
                facts={"code": "value"},
            )


def _place(rows: TableRows, number: int) -> str:
    records: tuple[ExpectedRecord, ...] = rows.records if isinstance(rows.records, tuple) else ()
    return records[number - 1].where if 0 < number <= len(records) else rows.where


def _rows(destination: Destination, table: str, schema: Schema) -> Iterator[Record]:
    columns = tuple(item.name for item in schema.fields if item.store != "drop")
    with destination.lookup().existing(table, columns, None) as rows:
        for batch in rows.batches() if rows else ():
            yield from batch.to_pylist()


class _Watched:
    """A destination whose committed rows are remembered, as they were handed over."""

    def __init__(self, inner: Destination) -> None:
        self._inner = inner
        self.name = inner.name
        self.loaded: dict[str, list[Record]] = {}

    def paths(self) -> tuple[Path, ...]:
        """As the destination's."""
        return self._inner.paths()

    def markers(self, pipeline: str) -> tuple[Marker, ...]:
        """As the destination's."""
        return self._inner.markers(pipeline)

    def lookup(self) -> Lookup:
        """As the destination's."""
        return self._inner.lookup()

    @contextmanager
    def begin(self, load_id: str, judged_against: Lookup | None = None) -> Iterator[_WatchedLoad]:
        """As the destination's; the load's rows are remembered once it is committed."""
        with self._inner.begin(load_id, judged_against) as load:
            yield _WatchedLoad(load, self.loaded)


@dataclass(slots=True)
class _WatchedLoad:
    inner: Load
    loaded: dict[str, list[Record]]
    rows: dict[str, list[Record]] = field(default_factory=dict)  # by table

    def write(self, rows: Rows, target: Target) -> Written:
        """As the destination's."""
        self.rows[target.table] = [record for batch in rows.batches() for record in batch.to_pylist()]
        return self.inner.write(rows, target)

    def commit(self, marker: Marker, *beside: Marker) -> Marker:
        """As the destination's."""
        stored = self.inner.commit(marker, *beside)
        for one in (marker, *beside):
            self.loaded.setdefault(one.source, []).extend(self.rows[one.table])
        return stored
