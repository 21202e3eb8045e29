"""What people may rely on, by the clock: a success within a time, a file for each period by a time. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

from pratique.alerts import Owner

Period = Literal["day", "month", "year"]

PERIODS_MAX: Final = 12  # Limit: of so many past periods a file is waited for; older ones are given up
_REMEMBERED: Final = 3  # Limit: who sent nothing for so many periods is not waited for any more
DANGER: Final = 0.75  # so much of the time may pass before a failure that can pass by itself is told


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file for each period, and for each value of other captures that is known, by a time after the period's end.

    `days` counts from the period's end: 1 is the day after it. A time that the clock skips is taken as later.
    """

    path: str
    period: str  # the capture that says it
    others: tuple[str, ...]
    unit: Period
    days: int
    at: time
    timezone: str

    def deadline(self, start: date) -> datetime:
        """By when the files of the period that begins then are to be loaded."""
        day = following(start, self.unit) + timedelta(days=self.days - 1)
        return datetime.combine(day, self.at, ZoneInfo(self.timezone)).astimezone(UTC)

    def danger(self, now: datetime) -> datetime:
        """When the next deadline after `now` is near: three quarters of the time since the period's end are gone."""
        start = period_of(now.astimezone(ZoneInfo(self.timezone)).date(), self.unit)
        starts = [start, *self._before(start)]
        coming = min(self.deadline(item) for item in starts if self.deadline(item) > now)
        ended = max(following(item, self.unit) for item in starts if self.deadline(item) == coming)
        began = datetime.combine(ended, time(), ZoneInfo(self.timezone)).astimezone(UTC)
        return began + DANGER * (coming - began)

    def missing(
        self, loaded: Iterable[Mapping[str, str]], now: datetime, since: datetime
    ) -> dict[date, tuple[str, ...]]:
        """Periods whose deadline passed after `since` without every file, with whose files are not there.

        `loaded` are the captures of files that are loaded. A period without any file and without names known before
        has the one name "".
        """
        there: dict[date, set[str]] = {}
        for captures in loaded:
            start = period_of(datetime.fromisoformat(captures[self.period]).date(), self.unit)
            there.setdefault(start, set()).add("/".join(captures[name] for name in self.others))
        current = period_of(now.astimezone(ZoneInfo(self.timezone)).date(), self.unit)
        found: dict[date, tuple[str, ...]] = {}
        for start in self._before(current):
            if not since < self.deadline(start) <= now:
                continue
            before = list(self._before(start))[:_REMEMBERED]
            expected = {name for item in before for name in there.get(item, ())}
            if not expected and start not in there:
                expected = {""}
            if gone := sorted(expected - there.get(start, set())):
                found[start] = tuple(gone)
        return found

    def _before(self, start: date) -> Iterator[date]:
        """The periods before one, newest first."""
        for _ in range(PERIODS_MAX):
            start = period_of(start - timedelta(days=1), self.unit)
            yield start


@dataclass(frozen=True, slots=True)
class Promise:
    """What is promised of one pipeline, and whose it is."""

    pipeline: str
    owner: Owner = field(default_factory=Owner)
    success_within_seconds: int | None = None
    arrivals: Mapping[str, Arrival] = field(default_factory=dict)  # by source

    @property
    def timed(self) -> bool:
        """Whether the clock can find something late."""
        return self.success_within_seconds is not None or bool(self.arrivals)


def period_of(day: date, unit: Period) -> date:
    """The first day of the period in which a day lies."""
    if unit == "day":
        return day
    return day.replace(day=1) if unit == "month" else day.replace(month=1, day=1)


def following(start: date, unit: Period) -> date:
    """The first day of the period after one."""
    if unit == "day":
        return start + timedelta(days=1)
    return period_of(start + timedelta(days=31 if unit == "month" else 366), unit)


def named(start: date, unit: Period) -> str:
    """A period as people write it."""
    return start.isoformat()[: {"day": 10, "month": 7, "year": 4}[unit]]
