"""The gate: what may be published, to the very row."""

from __future__ import annotations

from pratique.model import RuleTally, Tally
from pratique.schema import Check, Field, Schema
from pratique.schema.gate import gate, warnings
from pratique.specs.base import share


def _tally(read: int, failed: int, severity: str) -> Tally:
    rule = RuleTally("small", "a", severity, "validity", read, failed)
    held = 0 if severity == "warn" else failed
    return Tally(read, read - held, held, rules=(rule,))


def _schema(severity: str, at_most: float) -> Schema:
    return Schema("s", 1, (Field("a"),), checks=(Check("small", "a < 5", "row", severity, at_most),))


def test_a_tolerance_allows_exactly_its_share():
    """`at_most: 29 %` allows 29 of 100 rows and not 30, as `0.29 %` allows 29 of 10,000: no share is off by a row."""
    for digits, read in ((0, 100), (1, 1_000), (2, 10_000)):
        for failed in range(1, read, 1 if read < 10_000 else 7):
            at_most = share(f"{failed / 10**digits:.{digits}f} %")
            for severity in ("fail", "quarantine"):
                schema = _schema(severity, at_most)
                assert not gate(schema, _tally(read, failed, severity), 1.0), (failed, read)
                assert gate(schema, _tally(read, failed + 1, severity), 1.0), (failed + 1, read)
            schema = _schema("warn", at_most)
            assert not warnings(schema, _tally(read, failed, "warn")), (failed, read)
            assert warnings(schema, _tally(read, failed + 1, "warn")), (failed + 1, read)


def test_the_share_of_quarantine_is_exact():
    """`max_share: 7 %` lets 7 of 100 quarantined rows pass, and no more."""
    schema = Schema("s", 1, (Field("a"),))
    for failed in range(1, 100):
        assert not gate(schema, Tally(100, 100 - failed, failed), share(f"{failed} %"))
        if failed < 99:
            assert gate(schema, Tally(100, 99 - failed, failed + 1), share(f"{failed} %"))


def test_nothing_left_to_load_is_refused_but_rows_that_are_there_are_not_nothing():
    """A file that comes again with one bad row more is no failed load: the bad row goes to quarantine."""
    schema = Schema("s", 1, (Field("a"),))
    assert gate(schema, Tally(1, 0, 1), 1.0)
    assert gate(schema, Tally(3, 0, 1, {"filter": 2}), 1.0)
    assert not gate(schema, Tally(3, 0, 1, {"loaded before": 2}), 1.0)
    assert not gate(schema, Tally(2, 0, 0, {"filter": 2}), 1.0)
