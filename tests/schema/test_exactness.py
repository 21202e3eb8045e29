"""Laws of exactness: what is stored is what was written, judged by other arithmetic than DuckDB's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pratique.schema import Field, FieldType, Schema
from pratique.schema.compile import InputColumn, compile_schema

NUMBERS = st.from_regex(r"[+-]?[0-9]{0,20}([.][0-9]{0,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)


def stored(schema: Schema, texts: list[str], column: str) -> list[tuple]:
    """`column` and whether the row failed, for each text."""
    judge = compile_schema(schema, [InputColumn("v")])
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(
            "CREATE TABLE t AS SELECT unnest(?::VARCHAR[]) AS v, unnest(?::INTEGER[]) AS n",
            [texts, list(range(len(texts)))],
        )
        return con.execute(
            f"SELECT {column}, _failed IS NOT NULL FROM ({judge.select('t', ['n'])}) ORDER BY n"
        ).fetchall()


def number(text: str) -> Decimal | None:
    """The number that a text denotes, None if none."""
    body = text.lstrip("+-").lower().partition("e")[0]
    return Decimal(text) if body.strip(".") and text.lower()[-1] != "e" else None


@settings(max_examples=10, deadline=None)
@given(st.lists(NUMBERS.filter(bool), min_size=50, max_size=60))
def test_a_double_is_stored_if_it_says_the_same_number(texts: list[str]) -> None:
    """A text passes as `number` exactly if the shortest form of its double is the same number."""
    schema = Schema("s", 1, (Field("v", FieldType("number")),))
    for text, (value, failed) in zip(texts, stored(schema, texts, "v"), strict=True):
        exact = number(text)
        double = float(text) if exact is not None else None
        same = double is not None and abs(double) != float("inf") and Decimal(repr(double)) == exact
        assert (failed, value) == (not same, double if same else None), text


@settings(max_examples=10, deadline=None)
@given(st.lists(NUMBERS.filter(bool), min_size=50, max_size=60))
def test_a_decimal_is_stored_if_its_digits_fit(texts: list[str]) -> None:
    """A text passes as `decimal(12,3)` exactly if it is plain and no digit has to go."""
    schema = Schema("s", 1, (Field("v", FieldType("decimal", 12, 3)),))
    for text, (value, failed) in zip(texts, stored(schema, texts, "v"), strict=True):
        exact = number(text) if "e" not in text.lower() else None
        fits = exact is not None and abs(exact) < 10**9 and exact == exact.quantize(Decimal("0.001"))
        assert (failed, value) == (not fits, exact if fits else None), text


@pytest.mark.parametrize(
    "zone",
    [
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Europe/Dublin",
        "Africa/Casablanca",
        "America/Sao_Paulo",
    ],
)
def test_every_local_time_around_a_shift_is_read_once_or_fails(zone: str) -> None:
    """Local times of a year, close around each shift, agree with another implementation of the zone."""
    info, first = ZoneInfo(zone), datetime(2016, 1, 1, tzinfo=UTC)
    hours = [first + timedelta(hours=step) for step in range(366 * 24)]
    shifts = [
        hour
        for hour in hours
        if hour.astimezone(info).utcoffset() != (hour + timedelta(hours=1)).astimezone(info).utcoffset()
    ]
    locals_ = {
        (shift + timedelta(minutes=15 * step)).astimezone(info).replace(tzinfo=None) + timedelta(minutes=extra)
        for shift in shifts
        for step in range(-12, 13)
        for extra in (-60, 0, 60)
    }
    texts = [item.isoformat() for item in sorted(locals_)]
    schema = Schema("s", 1, (Field("v", FieldType("datetime")),), timezone=zone)
    found = stored(schema, texts, "epoch_us(v)")
    assert len(texts) > 50
    for local, (value, failed) in zip(sorted(locals_), found, strict=True):
        both = [local.replace(tzinfo=info, fold=fold).astimezone(UTC) for fold in (0, 1)]
        once = both[0] == both[1] and both[0].astimezone(info).replace(tzinfo=None) == local
        expected = (both[0] - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) if once else None
        assert (value, failed) == (expected, not once), (zone, local)
