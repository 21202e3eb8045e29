"""Texts of a cursor in their order, at their own precision, and how far a look-back reaches behind one."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from pratique.databases import Lookback

_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOMENT: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2})?)(\.\d+)?(Z|[+-]\d{2}(?::?\d{2})?)?", re.ASCII
)


def key_of(kind: str) -> Callable[[str], Any]:
    """What puts texts of this type of field in order; ValueError for a text that is none of it."""
    return {"integer": _number, "decimal": _number, "date": _date, "datetime": _moment}[kind]


def _number(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return Decimal(text)


def _date(text: str) -> date:
    if not _DATE.fullmatch(text):
        raise ValueError(text)
    return date.fromisoformat(text)


def _moment(text: str) -> tuple[datetime, Decimal]:
    """Whole seconds in UTC, and the digits behind them, however many."""
    day, clock, fraction, zone = _parts(text)
    moment = datetime.fromisoformat(f"{day}T{clock}{zone}")
    return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)), Decimal(fraction or "0")


def _parts(text: str) -> tuple[str, str, str, str]:
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError(text)
    zone = match[4] or ""
    zone = "+00:00" if zone == "Z" else f"{zone}:00" if re.fullmatch(r"[+-]\d{2}", zone) else zone
    return match[1], match[2], match[3] or "", zone


def before(kind: str, text: str, lookback: Lookback | None) -> str:
    """The text that lies `lookback` before `text`, written as `text` is. OverflowError before all time."""
    if lookback is None or not lookback.amount:
        return text
    if kind in {"integer", "decimal"}:
        return str(_number(text) - lookback.amount)
    if kind == "date":
        return (date.fromisoformat(text) - timedelta(days=-(-lookback.amount // 86_400))).isoformat()
    day, clock, _, zone = _parts(text)
    moved = datetime.fromisoformat(f"{day}T{clock}{zone}") - timedelta(seconds=lookback.amount)
    match = _MOMENT.fullmatch(text)
    assert match is not None  # noqa: S101 - its parts were found
    seconds = "%H:%M:%S" if match[2].count(":") > 1 else "%H:%M"
    return f"{moved:%Y-%m-%d}{text[10]}{moved:{seconds}}{match[3] or ''}{match[4] or ''}"
