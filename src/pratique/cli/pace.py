"""A stage on its way, in a few words: how much of how much, how fast, how long still. Pure."""

from __future__ import annotations

from typing import Final

from pratique.cli.account import count
from pratique.cli.report import duration
from pratique.cli.text import columns
from pratique.events.event import size
from pratique.gauge import Amount

_SECONDS_MIN: Final = 1.0  # Limit: a rate over less time jumps


def _short(rate: float) -> str:
    return f"{rate / 1000:,.0f}k" if rate >= 10_000 else count(int(rate))  # noqa: PLR2004 - Limit: three digits are enough


def pace(stage: str, amount: Amount | None, seconds: float, width: int) -> str:
    """Give `judging 1,200,000 of 8,000,000 rows · 600k/s · 12 s left`, with as many parts as fit into `width`.

    Rate and time left are told after a second, and only of what is known.
    """
    if amount is None:
        return stage
    whole = bool(amount.total)
    if amount.unit == "bytes":
        parts = [f"{stage} {size(amount.done)}" + (f" of {size(amount.total)}" if whole else "")]
    else:
        parts = [f"{stage} {count(amount.done)}" + (f" of {count(amount.total)}" if whole else "") + " rows"]
    short = f"{stage} {amount.done / amount.total:.0%}" if whole else stage
    if amount.done and seconds >= _SECONDS_MIN:
        rate = amount.done / seconds
        parts.append(f"{size(int(rate)) if amount.unit == 'bytes' else _short(rate)}/s")
        if whole and amount.done <= amount.total:
            parts.append(f"{duration((amount.total - amount.done) / rate)} left")
    for most in range(len(parts), 0, -1):
        if columns(text := " · ".join(parts[:most])) <= width:
            return text
    return short
