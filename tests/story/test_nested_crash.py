"""Killed wherever: orders and their lines are there together, once, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from nested_project import Nested, accounts, order

from pratique.failpoints import FAILPOINTS

KINDS = ("duckdb", "parquet")
DOCUMENTS = [order(number, *([1] * (number % 4)), 0 if number % 5 == 0 else 1) for number in range(1, 41)]


def whole(shop: Nested) -> None:
    """Every good order is there once with all of its lines, and all others are held with theirs."""
    good = [number for number in range(1, 41) if number % 5]
    assert shop.rows("order", "id") == [(number,) for number in good]
    assert [row[0] for row in shop.rows("line", "order_id")] == [
        number for number in good for _ in range(number % 4 + 1)
    ]
    held = [(item["table"], item["values"]["id" if item["table"] == "order" else "order_id"]) for item in shop.held()]
    bad = [number for number in range(1, 41) if number % 5 == 0]
    assert sorted(held) == sorted(
        [("order", str(number)) for number in bad] + [("line", str(n)) for n in bad for _ in range(n % 4 + 1)]
    )


@pytest.mark.parametrize("write", ["append", "merge", "replace"])
@pytest.mark.parametrize("failpoint", FAILPOINTS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_kill_leaves_documents_with_their_records_or_neither(
    tmp_path: Path, kind: str, failpoint: str, write: str
) -> None:
    """Whatever a reader sees after a kill has both tables or none; the next run makes it whole, a third changes nothing."""
    shop = Nested(tmp_path, kind=kind, write=write)
    shop.give("a.json", *DOCUMENTS)
    assert shop.run_killed(failpoint) == -9 or failpoint in {"destination.created", "alert.sent"}
    orders = {row[0] for row in shop.rows("order", "id")}
    lines = {row[0] for row in shop.rows("line", "order_id")}
    assert orders == lines
    assert len(orders) in {0, 32}
    assert shop.run().exit_code == 0
    whole(shop)
    assert [source.outcome for source in shop.run().sources] == ["unchanged", "unchanged"]
    whole(shop)


@pytest.mark.parametrize("kind", KINDS)
def test_the_markers_say_both_accounts_when_the_ledger_is_lost(tmp_path: Path, kind: str) -> None:
    """Without its ledger the next run knows both tables by the destination, and shows the quarantine of both again."""
    shop = Nested(tmp_path, kind=kind)
    shop.give("a.json", *DOCUMENTS)
    first = accounts(shop.run())
    assert first["orders"][:3] == (40, 32, 8)
    for path in (tmp_path / ".pratique").glob("ledger.sqlite*"):
        path.unlink()
    assert [source.outcome for source in shop.run().sources] == ["unchanged", "unchanged"]
    whole(shop)
