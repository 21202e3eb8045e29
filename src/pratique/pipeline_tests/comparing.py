"""What became of a test against what it expects: sources, account, gate, tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pratique.cases import Case, Expectation, ExpectedRecord, Records
from pratique.measures import score
from pratique.model import Account, HeldFile
from pratique.pipeline_tests.differences import Difference, counted, listed
from pratique.pipeline_tests.records import compare_held, compare_rows, holding, same_text
from pratique.pipeline_tests.running import Ran
from pratique.planning import SourcePlan
from pratique.quarantine.records import masked
from pratique.reports import SourceReport
from pratique.schema.written import told_value

_ORDERLY = frozenset({"loaded", "unchanged"})


def compare(case: Case, ran: Ran) -> list[Difference]:
    """Everything that is not as the test says.

    What it does not say of a source must not happen: no record quarantined or skipped, no file held, no failure.
    """
    reports = {report.source: report for report in ran.report.sources}
    found: list[Difference] = []
    surprising: set[str] = set()  # tables that hold something else because of how a source ended
    for plan in case.pipeline.sources:
        if plan.given in case.given:
            source = _Source(case, plan, reports[plan.name], ran)
            found += source.differences()
            surprising |= {plan.table} if source.surprising else set()
    for name, rows in case.tables.items():
        if name in surprising:
            continue
        got = ran.tables[name]
        what = f"table {name}"
        if isinstance(rows.records, tuple):
            found += compare_rows(rows.schema, rows.records, got, what, rows.where, exact=False)
        elif rows.records != len(got):
            found.append(Difference(rows.where, what, counted(rows.records or 0, "row"), counted(len(got), "row")))
    return found


class _Source:
    """Compares one source."""

    def __init__(self, case: Case, plan: SourcePlan, report: SourceReport, ran: Ran) -> None:
        self._case = case
        self._plan = plan
        self._report = report
        self._expected: Expectation | None = case.expect.get(plan.name)
        self._account = report.judged or report.account or Account(0, 0, 0)
        self._loaded = ran.loaded.get(plan.name, [])
        self._held = ran.quarantined.get(plan.name, [])
        self._reasons = ran.gates.get(plan.name, [])
        self.surprising = False

    def differences(self) -> list[Difference]:
        """In the order in which a load goes: files, gate, records, what is told of them."""
        if stopped := list(self._outcome()):
            self.surprising = True
            return stopped
        found = [*self._files(), *self._gate()]
        self.surprising = bool(found)
        return [*found, *self._records(), *self._told()]

    def _differs(self, word: str, expected: str, got: str, *notes: str) -> Difference:
        where = self._expected.where(word) if self._expected else self._case.where
        return Difference(where, f"{self._plan.name}.{word}", expected, got, notes=notes)

    def _outcome(self) -> Iterator[Difference]:
        """How the source ended; where that is a surprise nothing else is told."""
        report, expected = self._report, self._expected
        problem = report.problem
        notes = (problem.message, *([f"do: {problem.hint}"] if problem.hint else [])) if problem else ()
        said = expected.spec.outcome if expected else None
        if said is not None:
            if said != report.outcome:
                yield self._differs("outcome", said, report.outcome, *notes)
            return
        held = expected is not None and bool(expected.spec.held) and bool(report.held)
        gated = expected is not None and expected.spec.gate is not None and report.outcome == "gated"
        waits = report.outcome == "not run" and expected is None and self._parent_should_fail()
        if report.outcome not in _ORDERLY and not (held or gated or waits):
            yield self._differs("outcome", "loaded", report.outcome, *notes)

    def _parent_should_fail(self) -> bool:
        wanted = [self._case.expect[name].spec for name in self._plan.parents if name in self._case.expect]
        return any(spec.gate == "failed" or spec.outcome in {"failed", "gated", "not run"} for spec in wanted)

    def _files(self) -> Iterator[Difference]:
        wanted = (self._expected.spec.held if self._expected else None) or 0
        if self._said_how_it_ended() and not wanted:
            return
        held = self._report.held
        told = tuple(f"{file.version.name}: {file.reason}" for file in held)
        if isinstance(wanted, int):
            if wanted != len(held):
                yield self._differs("held", counted(wanted, "file"), counted(len(held), "file"), *told)
            return
        rest = list(held)
        for item in wanted:
            match = next((file for file in rest if _is_file(item, file)), None)
            if match is None:
                yield self._differs("held", _mapping(item), f"held: {listed(told)}")
            else:
                rest.remove(match)
        for file in rest:
            yield self._differs("held", "no such file", f"{file.version.name}: {file.reason}")

    def _said_how_it_ended(self) -> bool:
        return self._expected is not None and self._expected.spec.outcome is not None

    def _gate(self) -> Iterator[Difference]:
        spec = self._expected.spec if self._expected else None
        if spec is None or spec.gate is None:
            return
        got = "failed" if self._reasons else "passed"
        if got != spec.gate:
            yield self._differs("gate", spec.gate, got, *self._reasons)
        elif spec.reasons is not None:
            rest = list(self._reasons)
            for wanted in spec.reasons:
                match = next((reason for reason in rest if wanted in reason), None)
                if match is None:
                    yield self._differs("reasons", wanted, "; ".join(rest) or "no other reason")
                else:
                    rest.remove(match)
            for reason in rest:
                yield self._differs("reasons", "no such reason", reason)

    def _records(self) -> Iterator[Difference]:
        expected, account, name = self._expected, self._account, self._plan.name
        if self._report.outcome == "not run":
            return
        loaded: Records = expected.loaded if expected else None
        held: Records = expected.quarantined if expected else None
        held = 0 if held is None else held
        if isinstance(loaded, tuple) and expected:
            yield from compare_rows(
                self._plan.schema,
                loaded,
                self._loaded,
                f"{name}.loaded",
                expected.where("loaded"),
                exact=expected.spec.exact,
                explain=self._why_not_loaded,
            )
        elif loaded is not None and loaded != account.loaded:
            yield self._differs("loaded", _count(loaded), counted(account.loaded, "record"), self._told_account())
        if isinstance(held, tuple) and expected:
            where = expected.where("quarantined")
            yield from compare_held(
                self._plan.schema, held, self._held, f"{name}.quarantined", where, self._why_not_held
            )
        elif held != account.quarantined:
            told = [self._one_held(record) for record in self._held[:5]] or [
                f"{cause.rule}: {cause.message}" for cause in self._report.causes
            ]
            got = counted(account.quarantined, "record")
            yield self._differs("quarantined", _count(held), got, *told)
        yield from self._skipped()

    def _skipped(self) -> Iterator[Difference]:
        got = {reason: number for reason, number in self._account.skipped.items() if number}
        wanted = (self._expected.spec.skipped if self._expected else None) or {}
        if isinstance(wanted, int):
            same = wanted == sum(got.values())
        else:
            wanted = {reason: number for reason, number in wanted.items() if number}
            same = wanted == got
        if not same:
            told = counted(wanted, "record") if isinstance(wanted, int) else _mapping(wanted) if wanted else "0 records"
            yield self._differs("skipped", told, _mapping(got) if got else "0 records", self._told_account())

    def _told(self) -> Iterator[Difference]:
        """Quality and warnings, if the test speaks of them."""
        spec = self._expected.spec if self._expected else None
        if spec is not None and spec.quality is not None:
            quality = self._report.quality
            least = spec.quality["at_least"] if isinstance(spec.quality, dict) else None
            shown = "none" if quality is None else score(quality)
            parts = [f"{name}: {score(share)}" for name, share in self._report.dimensions.items()]
            if least is not None and (quality is None or quality < least):
                yield self._differs("quality", f"at least {least}", shown, *parts)
            elif least is None and (quality is None or shown != score(spec.quality)):
                yield self._differs("quality", score(spec.quality), shown, *parts)
        if spec is not None and spec.warnings is not None:
            got = {rule.name: rule.failed for rule in self._report.warnings}
            wanted = spec.warnings
            if isinstance(wanted, dict):
                if {rule: number for rule, number in wanted.items() if number} != got:
                    yield self._differs("warnings", _mapping(wanted), _mapping(got))
            elif set(wanted) != set(got):
                yield self._differs("warnings", listed(sorted(set(wanted))), listed(sorted(got)))

    # --- what explains a difference

    def _told_account(self) -> str:
        account = self._account
        skipped = "".join(f", {number} skipped as {reason}" for reason, number in account.skipped.items() if number)
        return f"of {account.read:,} read {account.loaded:,} loaded, {account.quarantined:,} quarantined{skipped}"

    def _one_held(self, record: Mapping[str, Any]) -> str:
        shown = masked(dict(record))
        at = f"line {shown['line']}" if shown["line"] else f"record {shown['record_number']}"
        told = "; ".join(
            f"{error['rule']}: {error['message']}" for error in shown["errors"] if error["severity"] != "warn"
        )
        return f"{at}: {told}"

    def _why_not_loaded(self, want: ExpectedRecord) -> tuple[str, ...]:
        """If a record that should be loaded is held: by what."""
        headers = {item.name: item.headers for item in self._plan.schema.fields}

        def original(record: Mapping[str, Any], name: str) -> Any:
            return next((record["values"][header] for header in headers[name] if header in record["values"]), None)

        best: tuple[int, Mapping[str, Any]] | None = None
        for record in self._held:
            same = sum(_alike(value, original(record, name)) for name, value in want.values.items())
            if same and (best is None or same > best[0]):
                best = (same, record)
        return (f"quarantined: {self._one_held(best[1])}",) if best else (self._told_account(),)

    def _why_not_held(self, want: ExpectedRecord) -> tuple[str, ...]:
        """If a record that should be held is loaded, say so."""
        names = {header: item.name for item in self._plan.schema.fields for header in item.headers}
        values = {names[header]: text for header, text in want.values.items() if names.get(header)}
        for row in self._loaded:
            if values and all(_alike(row.get(name), text) for name, text in values.items()):
                return ("this record was loaded",)
        known = {rule for record in self._held for rule in holding(record)}
        return (self._told_account(), *([f"rules that hold records: {listed(sorted(known))}"] if known else []))


def _alike(value: Any, text: Any) -> bool:
    """Whether an original text may be the one of a typed value: only to explain a difference."""
    if value is None or text is None:
        return value is text
    return str(text) in {str(value), told_value(value).strip('"')} or same_text(str(text), value)


def _is_file(wanted: Mapping[str, Any], file: HeldFile) -> bool:
    name = file.version.name
    return (
        wanted.get("file") in {None, name, name.rpartition("/")[2]}
        and str(wanted.get("reason") or "").casefold() in file.reason.casefold()
    )


def _count(records: Records) -> str:
    return counted(len(records) if isinstance(records, tuple) else records or 0, "record")


def _mapping(value: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{key}: {item}" for key, item in value.items()) + "}"
