"""Everything that is counted about a staged load, in one reading of it and a few small ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pratique.engines.duckdb_late import SKIPS, LateJudge
from pratique.engines.duckdb_rules import set_verdict
from pratique.engines.duckdb_session import Session
from pratique.errors import InternalError
from pratique.model import Landed, RuleTally, Tally
from pratique.schema import Schema
from pratique.schema.compile import Rule
from pratique.schema.rules import sensitive
from pratique.schema.sql import identifier


@dataclass(frozen=True, slots=True)
class Extent:
    """Where the rows of one landed file stand in `staged`: its first rowid and how many there are."""

    first: int
    records: int


def extents(session: Session, landed: Landed) -> tuple[Extent, ...]:
    """The place of every landed file, in order. Record numbers hang on it, so a gap is an InternalError."""
    found = session.all("SELECT _pratique_file, min(rowid), max(rowid), count(*) FROM staged GROUP BY ALL ORDER BY ALL")
    by_file: dict[int, Extent] = {}
    expected = 0
    for file, low, high, records in found:
        if low != expected or high - low + 1 != records:
            raise InternalError(f"rows of file {file} do not stand together: {low}..{high} for {records} records")
        by_file[file] = Extent(low, records)
        expected = high + 1
    return tuple(by_file.get(index, Extent(0, 0)) for index in range(len(landed.files)))


def count(
    session: Session, schema: Schema, rules: tuple[Rule, ...], late: LateJudge, places: tuple[Extent, ...]
) -> Tally:
    """Count records, verdicts and skips. Rules judge all records but malformed ones and those the filter leaves out."""
    failed = {
        number: (total, unknown)
        for number, total, unknown in session.all(
            "SELECT abs(n), count(*), count(*) FILTER (n < 0) FROM (SELECT unnest(_failed) AS n FROM staged "
            "WHERE _failed IS NOT NULL AND _malformed IS NULL) GROUP BY 1 "
            "UNION ALL SELECT rule, count(*), 0 FROM late GROUP BY rule"
        )
    }
    read, held, out, malformed, changed, decided = _scan(session, schema, rules)
    decided |= late.decided
    gone = dict(session.all("SELECT reason, count(*) FROM gone GROUP BY reason"))
    skipped = {name: gone[reason] for reason, name in SKIPS.items() if reason in gone}
    if out:
        skipped["filter"] = out + skipped.get("filter", 0)
    tallies = []
    for rule in rules:
        if rule.scope == "set":
            continue
        total, unknown = failed.get(rule.number, (0, 0))
        asked = decided[rule.number] + (total if rule.name.endswith(".type") and rule.field else 0)
        tallies.append(RuleTally(rule.name, rule.field, rule.severity, rule.dimension, asked, total, unknown))
    quarantined = held + gone.get(0, 0)
    good = late.good()
    return Tally(
        read=read,
        good=read - quarantined - sum(skipped.values()),
        quarantined=quarantined,
        skipped=skipped,
        rules=tuple(tallies),
        sets=tuple(set_verdict(session, schema, rule, late.sound()) for rule in rules if rule.scope == "set"),
        changed=changed,
        per_file=tuple(place.records for place in places),
        newest=_newest(session, schema, good),
        malformed=malformed,
    )


def _scan(
    session: Session, schema: Schema, rules: tuple[Rule, ...]
) -> tuple[int, int, int, int, dict[str, int], dict[int, int]]:
    """Records, held, left out, malformed, changed values per field, rows decided per row rule.

    Statements of one simple count each: DuckDB answers them out of the statistics of columns that hold no such value,
    where one statement for all would read the table, which may be on disk by now.
    """
    read = session.count("SELECT count(*) FROM staged")
    held, out, malformed, unjudged = (
        session.count(f"SELECT count(*) FROM staged WHERE {condition}")
        for condition in ("_held", "_out", "_malformed IS NOT NULL", "_out OR _malformed IS NOT NULL")
    )
    changed = {
        schema.fields[number - 1].name: total
        for number, total in session.all(
            "SELECT n, count(*) FROM (SELECT unnest(_changed) AS n FROM staged WHERE _changed IS NOT NULL) "
            "GROUP BY n ORDER BY n"
        )
    }
    asked = {rule.number: rule.decided for rule in rules if rule.scope == "row"}
    totals = _decided(session, schema, dict.fromkeys(asked.values()), unjudged=unjudged)
    return read, held, out, malformed, changed, {number: totals[text] for number, text in asked.items()}


def _decided(session: Session, schema: Schema, asked: Iterable[str], *, unjudged: int) -> dict[str, int]:
    """How many judged rows each expression is true for."""
    values = {
        f"{column} IS NOT NULL": f"count({column})" for column in (identifier(item.name) for item in schema.fields)
    }
    values["TRUE"] = "count(*)"
    simple = [expression for expression in asked if expression in values]
    others = [expression for expression in asked if expression not in values]
    totals: dict[str, int] = {}
    for expressions, counts in (
        (simple, [values[expression] for expression in simple]),
        (others, [f"count(*) FILTER ({expression})" for expression in others]),
    ):
        if not expressions:
            continue
        judged = " WHERE NOT _out AND _malformed IS NULL" if unjudged else ""
        found = session.one(f"SELECT {', '.join(counts)} FROM staged{judged}")
        totals |= dict(zip(expressions, found, strict=True))
    return totals


def _newest(session: Session, schema: Schema, good: str) -> str | None:
    """The greatest value of the first date or datetime field that people may see, as ISO text."""
    hidden = sensitive(schema)
    for item in schema.fields:
        if item.type.name in {"date", "datetime"} and item.store == "keep" and item.name not in hidden:
            found = session.one(f"SELECT max(s.{identifier(item.name)})::VARCHAR FROM {good}")[0]
            return None if found is None else str(found).replace(" ", "T")
    return None
