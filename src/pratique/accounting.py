"""The account: every record read stands on it once. Pure arithmetic over what source, engine and destination report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pratique.errors import InternalError, SourceError
from pratique.model import Account, Cause, HeldRecord, Landed, RuleTally, Segment, Tally, Written
from pratique.reports import SourceReport

# Limit: places kept per cause; a person looks at a few, the segment has them all.
PLACES_MAX = 10


def balance(landed: Landed, tally: Tally) -> None:
    """Stop the load unless the source's count, the engine's count and the split agree, file by file (Invariant 6)."""
    for index, file in enumerate(landed.files):
        if tally.per_file[index] != file.records:
            raise SourceError(
                f"{file.records:,} records were counted in the file, but {tally.per_file[index]:,} were read",
                where=file.version.name,
                hint="the file is irregular (quotes or line ends): compare it with the schema's dialect; "
                "nothing of it was loaded",
                facts={"file": file.version.name, "counted": file.records, "read": tally.per_file[index]},
            )
    skipped = sum(tally.skipped.values())
    if tally.read != landed.count or tally.read != tally.good + tally.quarantined + skipped:
        raise InternalError(
            f"the account of {landed.source} does not balance: {landed.count:,} counted, {tally.read:,} read = "
            f"{tally.good:,} good + {tally.quarantined:,} quarantined + {skipped:,} skipped",
            hint="nothing was loaded; please report this with the schema and the file's first lines",
        )


def without(tally: Tally, known: Iterable[HeldRecord]) -> Tally:
    """The tally where held records are known: skipped as `held before`, their failures counted when they were held."""
    number, failed = 0, Counter[str]()
    for record in known:
        number += 1
        failed.update({failure.rule for failure in record.failures})
    rules = []
    for rule in tally.rules:
        left, decided = rule.failed - failed[rule.name], rule.decided - failed[rule.name]
        rules.append(replace(rule, decided=decided, failed=left, unknown=min(rule.unknown, left)))
    return replace(
        tally,
        quarantined=tally.quarantined - number,
        skipped={**tally.skipped, "held before": number},
        rules=tuple(rules),
        malformed=tally.malformed - failed["malformed"],
    )


def account_of(tally: Tally, written: Written) -> Account:
    """The account of loads that were settled one by one, out of their summed tally and writes."""
    loaded = written.inserted + written.updated + written.unchanged
    return Account(tally.read, loaded, tally.quarantined, dict(tally.skipped))


def settle(tally: Tally, written: Written, segment: Segment | None) -> Account:
    """The account as destination and quarantine report it; InternalError if that is not what was judged."""
    loaded = written.inserted + written.updated + written.unchanged
    account = Account(tally.read, loaded, segment.records if segment else 0, dict(tally.skipped))
    if not account.balances() or loaded != tally.good:
        raise InternalError(
            f"the account does not balance: {account.read:,} read, {account.loaded:,} loaded of {tally.good:,} good, "
            f"{account.quarantined:,} in quarantine, {sum(account.skipped.values()):,} skipped",
            hint="nothing was loaded; please report this",
        )
    return account


@dataclass(slots=True)
class CauseCollector:
    """Groups held records by the rule that they failed while they stream past; memory grows with rules only."""

    landed: Landed
    _found: dict[str, list[Any]] = field(default_factory=dict)

    def watch(self, held: Iterable[HeldRecord]) -> Iterator[HeldRecord]:
        """Pass every record on, counted under each rule that holds it (warnings do not)."""
        for record in held:
            for failure in record.failures:
                if failure.severity == "warn":
                    continue
                entry = self._found.setdefault(failure.rule, [failure.field, failure.message, 0, []])
                entry[2] += 1
                if len(entry[3]) < PLACES_MAX:
                    entry[3].append((record.file, record.number))
            yield record

    def causes(self) -> tuple[Cause, ...]:
        """What was seen so far, most records first; the places are looked up in their files."""
        names = [file.version.name for file in self.landed.files]
        lines = self._lines()
        found = [
            Cause(rule, field_name, message, records, tuple((names[place[0]], lines[place]) for place in places))
            for rule, (field_name, message, records, places) in self._found.items()
        ]
        return tuple(sorted(found, key=lambda cause: (-cause.records, cause.rule)))

    def _lines(self) -> dict[tuple[int, int], int]:
        """The physical line of each place that is kept; the record's number where the format has no lines."""
        kept: set[tuple[int, int]] = {place for entry in self._found.values() for place in entry[3]}
        lines = {place: place[1] for place in kept}
        files = [(part, file) for part in self.landed.parts for file in part.files]
        for index in sorted({index for index, _ in kept}):
            numbers = sorted(number for at, number in kept if at == index)
            for record in self.landed.reader.records(*files[index], numbers):
                if record.line is not None:
                    lines[index, record.number] = record.line
        return lines


def summed_causes(parts: Iterable[Iterable[Cause]]) -> tuple[Cause, ...]:
    """Causes of several loads as one list: counts added, the first places kept."""
    total: dict[str, Cause] = {}
    for cause in (cause for part in parts for cause in part):
        known = total.get(cause.rule)
        total[cause.rule] = (
            Cause(
                cause.rule,
                known.field,
                known.message,
                known.records + cause.records,
                (known.places + cause.places)[:PLACES_MAX],
            )
            if known
            else cause
        )
    return tuple(sorted(total.values(), key=lambda cause: (-cause.records, cause.rule)))


def _summed(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in parts:
        for key, value in part.items():
            total[key] = total.get(key, 0) + value
    return total


def summed_account(accounts: Iterable[Account]) -> Account:
    """Several loads' accounts as one."""
    items = list(accounts)
    return Account(
        sum(item.read for item in items),
        sum(item.loaded for item in items),
        sum(item.quarantined for item in items),
        _summed(item.skipped for item in items),
    )


def summed_tally(tallies: Iterable[Tally]) -> Tally:
    """Several loads' tallies as one; a rule's decisions are added, the newest value is the newest of all."""
    items = list(tallies)
    rules: dict[str, RuleTally] = {}
    for rule in (rule for item in items for rule in item.rules):
        known = rules.get(rule.name)
        rules[rule.name] = (
            replace(
                known,
                decided=known.decided + rule.decided,
                failed=known.failed + rule.failed,
                unknown=known.unknown + rule.unknown,
            )
            if known
            else rule
        )
    return Tally(
        read=sum(item.read for item in items),
        good=sum(item.good for item in items),
        quarantined=sum(item.quarantined for item in items),
        skipped=_summed(item.skipped for item in items),
        rules=tuple(rules.values()),
        sets=tuple(verdict for item in items for verdict in item.sets),
        changed=_summed(item.changed for item in items),
        newest=max((item.newest for item in items if item.newest), default=None),
        malformed=sum(item.malformed for item in items),
    )


def summed_written(parts: Iterable[Written]) -> Written:
    """Several loads' writes as one."""
    items = list(parts)
    return Written(
        sum(item.inserted for item in items),
        sum(item.updated for item in items),
        sum(item.unchanged for item in items),
    )


def total(sources: Iterable[SourceReport]) -> Account:
    """The run's account: all sources that have one."""
    return summed_account(source.account for source in sources if source.account)
