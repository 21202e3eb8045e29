"""The gate: whether a judged load is good enough to publish. Pure: numbers in, reasons out."""

from __future__ import annotations

from collections.abc import Mapping

from pratique.model import RuleTally, Tally
from pratique.schema.fields import Schema


def tolerances(schema: Schema) -> Mapping[str, float | None]:
    """The share of rows (0..1) that may fail, by rule name; only rules that declare one or that `fail`."""
    return {
        **{check.name: check.at_most for check in schema.checks},
        **{reference.name: reference.at_most for reference in schema.references},
    }


def gate(schema: Schema, tally: Tally, max_share: float) -> tuple[str, ...]:
    """Every reason why this load must not be published, in words with numbers; empty if it may be.

    Asked before anything has an effect (Invariant 2): the share of quarantined records, `fail` rules and tolerances,
    checks over the whole load, and a load of which nothing is left (rows that are there already are something).
    """
    reasons: list[str] = []
    if tally.read and tally.quarantined / tally.read > max_share:
        reasons.append(
            f"{tally.quarantined:,} of {tally.read:,} records quarantined ({tally.quarantined / tally.read:.2%}), "
            f"at most {max_share:.2%} allowed (quarantine.max_share)"
        )
    elif tally.quarantined and not tally.good and not tally.skipped.get("loaded before"):
        reasons.append(f"nothing left to load of {tally.read:,} records read")
    allowed = tolerances(schema)
    for rule in tally.rules:
        share = allowed.get(rule.name)
        if rule.severity == "warn" or not rule.failed or (rule.severity == "quarantine" and share is None):
            continue
        if rule.failed / tally.read > (share or 0.0):  # a quotient is rounded as the share was, a product is not
            reasons.append(
                f"{rule.name} failed for {rule.failed:,} of {tally.read:,} records, at most {share or 0.0:.2%} allowed"
            )
    reasons += [
        f"{verdict.name} {'failed' if verdict.passed is False else 'could not be decided'}"
        + (f": {verdict.message}" if verdict.message else "")
        for verdict in tally.sets
        if verdict.severity != "warn" and verdict.passed is not True
    ]
    return tuple(reasons)


def warnings(schema: Schema, tally: Tally) -> tuple[RuleTally, ...]:
    """The `warn` rules that have something to say: failed at all, or above their tolerance."""
    allowed = tolerances(schema)
    return tuple(
        rule
        for rule in tally.rules
        if rule.severity == "warn" and rule.failed and rule.failed / tally.read > (allowed.get(rule.name) or 0.0)
    )
