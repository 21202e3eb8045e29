"""What a run says at its end, as text. Pure: the same report, width and moment give the same text.

Two modules share the drawing: this one says what happened; `cli.account` draws the table of the account.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final

from pratique.cli.account import account_table, count, percent, rows
from pratique.cli.text import coloured, columns, hanging, left, middle, right, shown, wrapped
from pratique.measures import PERFECT, score
from pratique.model import Cause
from pratique.reports import Problem, RunReport, SourceReport

SHORT_ID: Final[int] = 6
_NAMES_SHOWN: Final[int] = 3  # Limit: names of known files in the report; `runs show` gives all
_NAME_COLUMNS: Final[int] = 40  # Limit: of a rule's name in a list
_ENVIRONMENT_COLUMNS: Final[int] = 12  # Limit: of its name in the first line
_PLACES_MIN: Final[int] = 2  # Limit: so many places of a cause are named before its line is broken
_MESSAGE_COLUMNS: Final[int] = 300  # Limit: a message may quote a value of any length
COLOURS: Final[Mapping[str, str]] = {
    "done": "green",
    "partial": "yellow",
    "gated": "red",
    "failed": "red",
    "interrupted": "yellow",
    "running": "cyan",
}
_DAY, _HOUR, _MINUTE = 86_400, 3_600, 60


def render(
    report: RunReport,
    *,
    width: int = 80,
    color: bool = False,
    now: datetime | None = None,
    detail: bool = False,
    options: str = "",
) -> str:
    """Give the report as lines of at most `width` columns.

    Times are told in the zone of `now`, with the date if the run began on another day. `detail` leaves nothing out.
    `options` (such as ` --env prod`) ends every command that is printed, so that it can be typed as it stands.
    """
    page = _Page(
        report,
        width=max(width, 60),  # Limit: narrower than that a table cannot be
        color=color,
        now=now or datetime.now().astimezone(),
        detail=detail,
        options=options,
    )
    return "\n".join(line.rstrip() for line in page.lines())


def duration(seconds: float) -> str:
    """Tell a time span in the two largest units that matter: `0.4 s`, `12 s`, `1 min 12 s`, `2 h 5 min`, `1 d 3 h`."""
    if seconds < 10:  # noqa: PLR2004 - Limit: tenths matter below ten seconds
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def places(cause: Cause, most: int | None = None) -> str:
    """Tell where the records of a cause stand: `sales.csv lines 2-5, 9, +12`; runs of neighbours are joined.

    `most` is how many of the known places are named at most; the others are counted with the rest.
    """
    files: dict[str, list[int]] = {}
    named = cause.places[:most]
    for name, number in named:
        files.setdefault(name, []).append(number)
    parts = []
    for name, numbers in files.items():
        unit = "row" if name.endswith(".parquet") else "line"
        parts.append(f"{shown(name)} {unit}{'s' if len(set(numbers)) > 1 else ''} {_ranges(sorted(set(numbers)))}")
    more = cause.records - len(named)
    return " · ".join(parts) + (f", +{count(more)}" if parts and more > 0 else "")


def fitting_places(cause: Cause, room: int) -> str:
    """Tell as many places as fit into `room` columns, two of them at least: `sales.csv lines 2, 9, +15`."""
    least = min(_PLACES_MIN, len(cause.places))
    tried = (places(cause, most) for most in range(len(cause.places), least, -1))
    return next((text for text in tried if columns(text) <= room), places(cause, least))


def _ranges(numbers: list[int]) -> str:
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}–{last}" for first, last in spans)  # noqa: RUF001


def numbered(causes: Iterable[tuple[str, Cause]]) -> list[tuple[str, str, Cause]]:
    """Give (source, cause) pairs their short names Q1, Q2, …: most records first, then by source and rule."""
    ordered = sorted(causes, key=lambda pair: (-pair[1].records, pair[0], pair[1].rule))
    return [(f"Q{place}", source, cause) for place, (source, cause) in enumerate(ordered, 1)]


class _Page:
    """One report being written, part after part, in the order in which a reader needs them."""

    def __init__(
        self,
        report: RunReport,
        *,
        width: int,
        color: bool,
        now: datetime,
        detail: bool,
        options: str,
    ) -> None:
        self.report, self.width, self.color, self.now, self.detail = report, width, color, now, detail
        self.options = options
        self.short = report.run_id[:SHORT_ID]

    def lines(self) -> Iterator[str]:
        """Give the lines from the outcome down to what to type next."""
        yield from self._header()
        if self.report.sources:
            yield from account_table(self.report, self.width, color=self.color, now=self.now)
        else:
            yield "  no source finished" + ("" if self.report.ended_at else " yet")
        yield from self._problems()
        yield from self._held_files()
        yield from self._set_checks()
        yield from self._quarantine()
        yield from self._evidence()
        yield from self._skipped()
        yield from self._details()
        yield from self._warnings()
        yield from self._last()

    def _header(self) -> Iterator[str]:
        report = self.report
        begun = datetime.fromisoformat(report.started_at).astimezone(self.now.tzinfo)
        start = f"{begun:%H:%M:%S}" if begun.date() == self.now.date() else f"{begun:%Y-%m-%d %H:%M:%S}"
        end, took = "", "still running"
        if report.ended_at:
            ended = datetime.fromisoformat(report.ended_at).astimezone(self.now.tzinfo)
            end, took = f" → {ended:%H:%M:%S}", duration((ended - begun).total_seconds())
        outcome = ("DRY RUN · " if report.dry_run else "") + report.outcome.upper()
        outcome += f" · exit {report.exit_code}" if report.ended_at else ""
        name = shown(report.pipeline)
        environment = middle(shown(report.environment), _ENVIRONMENT_COLUMNS)
        rest = f"  run {self.short}  {environment}  {start}{end} ({took})"
        if columns(name + rest) + 2 + columns(outcome) > self.width:
            rest = rest.replace(end, "") if end else rest
        told = coloured(outcome, COLOURS[report.outcome], on=self.color)
        room = self.width - columns(rest) - 2 - columns(outcome)
        if room >= min(columns(name), 8):
            line = middle(name, room) + rest
            yield line + " " * (self.width - columns(line) - columns(outcome)) + told
        else:
            yield from hanging("", middle(name, _NAME_COLUMNS) + rest, self.width)
            yield f"  {told}"

    def _section(self, label: str, text: str) -> list[str]:
        """One part of the report: its label, then text that wraps under itself."""
        return hanging(f"  {left(label, 8)} ", text, self.width)

    def _command(self, text: str) -> str:
        return f"pratique {text}{self.options}"

    def _problems(self) -> Iterator[str]:
        told = set()
        for source in self.report.sources:
            if source.outcome in {"failed", "gated", "not run"}:
                problem = source.problem or Problem("", "not run" if source.outcome == "not run" else source.outcome)
                told.add((problem.where, problem.message))
                yield from self._problem(shown(source.source), problem, self._effect(source))
        stopped = self.report.problem
        if stopped and (stopped.where, stopped.message) not in told:
            kept = any(source.account and source.account.loaded for source in self.report.sources)
            effect = "what is loaded above stays" if kept and not self.report.dry_run else "nothing was loaded"
            yield from self._problem("run", stopped, effect)

    def _problem(self, name: str, problem: Problem, effect: str) -> Iterator[str]:
        message = f"{problem.where}: {problem.message}" if problem.where else problem.message
        first, *rest = hanging(f"  ✗ {middle(name, 24)}   ", self._message(message), self.width)
        yield coloured("  ✗", "red", on=self.color) + first[3:]
        yield from rest
        yield from hanging("      effect   ", effect, self.width)
        if problem.hint:
            yield from hanging("      action   ", shown(problem.hint), self.width)

    def _effect(self, source: SourceReport) -> str:
        if self.report.dry_run:
            return "none: a dry run writes nothing"
        if source.outcome == "not run":
            return "nothing of it read or loaded, its table as before"
        if source.account and source.account.loaded:
            return f"{rows(source.account.loaded)} of other loads of this run stay, nothing of this is loaded"
        return "nothing of it loaded, its table as before"

    def _held_files(self) -> Iterator[str]:
        for source in self.report.sources:
            for held in source.held:
                name = f"{shown(source.source)}: {shown(held.version.name)} not loaded: "
                yield from self._section("held", name + self._message(held.reason))
                if held.hint:
                    yield from hanging("           action   ", shown(held.hint), self.width)

    def _set_checks(self) -> Iterator[str]:
        """Checks over the whole load; those that the gate refused the source for are told by its problem."""
        for source in self.report.sources:
            for verdict in source.sets:
                if verdict.passed is not True and (verdict.severity == "warn" or source.outcome != "gated"):
                    said = "failed" if verdict.passed is False else "could not be decided"
                    name = f"{shown(source.source)}.{shown(verdict.name)} ({verdict.severity}) {said}"
                    message = f": {self._message(verdict.message)}" if verdict.message else ""
                    yield from self._section("check", name + message)

    def _quarantine(self) -> Iterator[str]:
        loaded = [source for source in self.report.sources if source.outcome not in {"gated", "not run"}]
        total = sum(source.account.quarantined for source in self.report.sources if source.account)
        causes = numbered((source.source, cause) for source in loaded for cause in source.causes)
        if not total and not causes:
            return
        would = " would be held (dry run: nothing is written)" if self.report.dry_run else ""
        text = f"quarantine {rows(total)}{would}, {len(causes)} cause{'s' if len(causes) != 1 else ''}"
        yield from hanging("  ", text, self.width)
        yield from self._causes(causes)
        if causes and not self.report.dry_run:
            yield f"  look at them: {self._command(f'quarantine show Q1 --run {self.short}')}"

    def _evidence(self) -> Iterator[str]:
        for source in self.report.sources:
            if source.outcome == "gated" and source.causes:
                held = f"{rows(source.judged.quarantined)} of " if source.judged else "rows of "
                text = f"{held}{shown(source.source)} that are not good enough (in no quarantine: still in the source)"
                yield from self._section("why", text)
                causes = numbered((source.source, cause) for cause in source.causes)
                yield from self._causes([("", name, cause) for _, name, cause in causes])

    def _causes(self, causes: list[tuple[str, str, Cause]]) -> Iterator[str]:
        """Each cause on one line if message and places fit beside its name, else on several."""
        ids = max((len(short) for short, _, _ in causes), default=0)
        sizes = max((len(count(cause.records)) for _, _, cause in causes), default=0)
        names = [middle(f"{shown(source)}.{shown(cause.rule)}", _NAME_COLUMNS) for _, source, cause in causes]
        widest = max((columns(name) for name in names), default=0)
        for (short, _, cause), name in zip(causes, names, strict=True):
            start = f"  {coloured(left(short, ids), 'yellow', on=self.color)}  {right(count(cause.records), sizes)}  "
            indent = 6 + ids + sizes
            message, room = self._message(cause.message), self.width - indent
            line = f"{left(name, widest)}   {message}"
            where = self._places(cause, room - columns(line) - 3)
            if columns(line) + 3 + columns(where) <= room:
                yield f"{start}{line}   {where}"
                continue
            first, *rest = [line] if columns(line) <= room else [name, *wrapped(message, room)]
            yield start + first
            where = self._places(cause, room)
            for text in (*rest, *(wrapped(where, room) if where else ())):
                yield " " * indent + text

    def _places(self, cause: Cause, room: int) -> str:
        return places(cause) if self.detail else fitting_places(cause, room)

    def _skipped(self) -> Iterator[str]:
        reasons: dict[str, int] = {}
        for source in self.report.sources:
            for reason, number in (source.account.skipped if source.account else {}).items():
                reasons[reason] = reasons.get(reason, 0) + number
        parts = [f"{rows(number)} as {shown(reason)}" for reason, number in reasons.items() if number]
        known = [shown(name) for source in self.report.sources for name in source.files_known]
        if known:
            names = known if self.detail else known[:_NAMES_SHOWN]
            more = f", +{count(len(known) - len(names))}" if len(known) > len(names) else ""
            parts.append(
                f"{count(len(known))} file{'s' if len(known) > 1 else ''} loaded before ({', '.join(names)}{more})"
            )
        if parts:
            yield from self._section("skipped", " · ".join(parts))

    def _details(self) -> Iterator[str]:
        """What only `runs show` tells: time, files and rewritten values of each source."""
        if not self.detail:
            return
        for source in self.report.sources:
            changed = ", ".join(f"{shown(name)} {count(number)}" for name, number in source.changed.items() if number)
            text = f"{shown(source.source)} → {shown(source.table)} ({source.disposition}): {duration(source.seconds)}"
            text += f", {count(source.files_loaded)} file{'s' if source.files_loaded != 1 else ''} loaded"
            yield from self._section("source", text + (f"; rewritten by trim or parsing: {changed}" if changed else ""))
        if self.report.destination:
            yield from self._section("into", shown(self.report.destination))

    def _warnings(self) -> Iterator[str]:
        found = [(source, rule) for source in self.report.sources for rule in source.warnings if rule.failed]
        names = [f"{shown(source.source)}.{shown(rule.name)}" for source, rule in found]
        widest = max((columns(name) for name in names if columns(name) <= _NAME_COLUMNS), default=0)
        for name, (_, rule) in zip(names, found, strict=True):
            share = percent(rule.failed, rule.decided)
            text = f"{count(rule.failed)} of {count(rule.decided)} rows ({share})"
            yield from self._section("warning", f"{left(name, widest)}   {text}")
        for notice in self.report.notices:
            yield from self._section("note", self._message(notice))

    def _last(self) -> Iterator[str]:
        parts = []
        for source in self.report.sources:
            if source.quality is not None:
                low = [
                    f"{name} {score(value)}"
                    for name, value in source.dimensions.items()
                    if self.detail or value < PERFECT
                ]
                dimensions = f" ({', '.join(low)})" if low else ""
                parts.append(f"{shown(source.source)} {score(source.quality)}{dimensions}")
        if parts:
            yield from self._section("quality", " · ".join(parts))
        if self.report.dry_run:
            yield from self._section("next", self._command(f"run {shlex.quote(shown(self.report.pipeline))}"))
        elif not self.detail:
            yield from self._section("more", self._command(f"runs show {self.short}"))
        elif self.report.exit_code and self.report.ended_at:
            yield from self._section("next", self._command(f"run {shlex.quote(shown(self.report.pipeline))}"))

    def _message(self, text: str) -> str:
        return middle(shown(text), _MESSAGE_COLUMNS)
