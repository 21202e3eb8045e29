"""`owner` and `expect`: what is wrong in them is told at its place, and what they mean is judged by the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest

from pratique.errors import ConfigurationError
from pratique.expectations import Arrival, following, named, period_of
from pratique.mistakes import mistakes_of

PIPELINE = (
    '{more}sources:\n  sales: {{path: "{{partner}}/s_{{period:%Y-%m}}.csv", schema: c, expect: {expect}}}\n'
    "destination: {{connection: warehouse}}\n"
)
FILES = {
    "config/default.yaml": "connections: {warehouse: {url: duckdb://w.duckdb}}\n",
    "schemas/c.yaml": "fields: {a: }\n",
}


def planned(folder, expect: str, more: str = ""):
    """The promise of a pipeline, after its file was checked."""
    folder.write({**FILES, "pipelines/p.yaml": PIPELINE.format(expect=expect, more=more)})
    project = folder.project()
    project.pipeline("p")
    return project.promise("p")


@pytest.mark.parametrize(
    ("expect", "more", "told"),
    [
        ("{each: [perid], by: 09:00}", "", 'the path has no part {perid} · did you mean "period"?'),
        ("{each: [partner], by: 09:00}", "", "names no part of the path, or more than one"),
        ("{each: [period], by: day 0 09:00}", "", "expected a time such as 09:00 or day 5 09:00"),
        ("{each: [period], by: 25:00}", "", "expected a time such as 09:00"),
        ("{each: [period]}", "", '"by" is missing'),
        ("{each: [], by: 09:00}", "", "each is empty"),
        ("{each: [period], by: 09:00, timezone: Europe/Berlim}", "", 'did you mean "Europe/Berlin"?'),
        ("{each: [period], by: 09:00}", "expect: {success_within: 2 weeks}\n", "expected a time such as 10m, 1h or 2d"),
        ("{each: [period], by: 09:00}", "expect: {sucess_within: 2h}\n", 'did you mean "success_within"?'),
        ("{each: [period], by: 09:00}", "owner: {team: a, teir: 1}\n", 'did you mean "tier"?'),
        ("{each: [period], by: 09:00}", "owner: {tier: 0}\n", "at least 1"),
    ],
)
def test_what_is_wrong_is_told(folder, expect: str, more: str, told: str) -> None:
    """Each mistake at its place, with what was probably meant."""
    with pytest.raises(ConfigurationError) as caught:
        planned(folder, expect, more)
    (mistake,) = mistakes_of(caught.value)
    assert told in f"{mistake.message} · {mistake.hint}"
    assert mistake.where.startswith("pipelines/p.yaml:")


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("'{period:%Y-%m-%d_%H}.csv'", "names no part of the path"),
        ("'{period:%d}_{other:%Y}.csv'", ""),
        ("'/in/{period:%Y}.csv'", "is not relative"),
    ],
)
def test_the_path_says_the_period(folder, path: str, told: str) -> None:
    """A time of day is no period; a path is relative to its connection."""
    text = f"sources:\n  s: {{path: {path}, schema: c, expect: {{each: [period], by: 09:00}}}}\ndestination: {{connection: warehouse}}\n"
    folder.write({**FILES, "pipelines/p.yaml": text})
    if not told:
        assert folder.project().pipeline("p").sources
        return
    with pytest.raises(ConfigurationError, match=told):
        folder.project().pipeline("p")


def test_a_database_gives_no_files(folder) -> None:
    """A file for each period cannot be expected of it."""
    text = (
        "sources:\n  c: {type: sqlite, connection: db, table: c, expect: {each: [a], by: 09:00}}\n"
        "destination: {connection: warehouse}\n"
    )
    config = "connections: {warehouse: {url: duckdb://w.duckdb}, db: {url: sqlite://x.sqlite}}\n"
    folder.write({**FILES, "config/default.yaml": config, "pipelines/p.yaml": text})
    with pytest.raises(ConfigurationError, match="this source reads no files"):
        folder.project().pipeline("p")


def test_owner_and_time_zone(folder) -> None:
    """A text is the team; the zone is that of `expect`, else of the schedule, else UTC."""
    promise = planned(folder, "{each: [partner, period], by: day 5 09:30}", "owner: web\n")
    arrival = promise.arrivals["sales"]
    assert (promise.owner.team, promise.owner.tier, promise.success_within_seconds) == ("web", None, None)
    assert (arrival.period, arrival.others, arrival.unit) == ("period", ("partner",), "month")
    assert (arrival.days, arrival.at, arrival.timezone) == (5, time(9, 30), "UTC")
    schedule = "schedule: {cron: 0 7 * * *, timezone: Europe/Berlin}\n"
    assert planned(folder, "{each: [period], by: 09:00}", schedule).arrivals["sales"].timezone == "Europe/Berlin"
    schedule = "schedule: {timezone: Mars/Olympus}\n"
    assert planned(folder, "{each: [period], by: 09:00}", schedule).arrivals["sales"].timezone == "UTC"
    said = "{each: [period], by: 09:00, timezone: Asia/Tokyo}"
    assert planned(folder, said, schedule).arrivals["sales"].timezone == "Asia/Tokyo"
    assert planned(folder, "null", "expect: {success_within: 2h}\n").success_within_seconds == 7200
    assert not folder.project().promise("nosuch").timed


# --- the clock ------------------------------------------------------------------------------------------------------


def moment(*parts: int) -> datetime:
    """A time in UTC."""
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc]


MONTHLY = Arrival("", "period", ("partner",), "month", 5, time(9), "Europe/Berlin")
DAILY = Arrival("", "period", (), "day", 1, time(2, 30), "Europe/Berlin")


def test_the_deadline_counts_from_the_end_of_the_period() -> None:
    """By the clock of the zone, also on the days on which it is changed."""
    assert MONTHLY.deadline(date(2026, 10, 1)) == moment(2026, 11, 5, 8)
    assert MONTHLY.deadline(date(2026, 12, 1)) == moment(2027, 1, 5, 8)
    assert DAILY.deadline(date(2026, 3, 28)) == moment(2026, 3, 29, 1, 30), "02:30 is skipped: 03:30 in summer"
    assert DAILY.deadline(date(2026, 10, 24)) == moment(2026, 10, 25, 0, 30), "02:30 comes twice: the first counts"


def test_who_sent_before_is_waited_for() -> None:
    """Names of the three periods before; a new one is not, one that stopped is given up; without any name, any file."""
    loaded = [
        {"period": "2026-05-01", "partner": "old"},
        {"period": "2026-07-01", "partner": "acme"},
        {"period": "2026-09-01", "partner": "globex"},
        {"period": "2026-10-01", "partner": "new"},
    ]
    now, since = moment(2026, 11, 5, 8), moment(2026, 10, 20)
    assert MONTHLY.missing(loaded, now, since) == {date(2026, 10, 1): ("acme", "globex")}
    assert MONTHLY.missing(loaded, moment(2026, 11, 5, 7, 59), since) == {}
    assert MONTHLY.missing([], now, since) == {date(2026, 10, 1): ("",)}
    assert MONTHLY.missing(loaded[3:], now, since) == {}
    assert MONTHLY.missing(loaded, now, now) == {}, "what was due before anybody watched is past"


def test_only_twelve_periods_back_are_waited_for() -> None:
    """An old gap does not last for ever."""
    late = DAILY.missing([], moment(2026, 11, 20), moment(2026, 1, 1))
    assert len(late) in {11, 12}
    assert min(late) >= date(2026, 11, 7)


def test_danger_is_near_the_next_deadline() -> None:
    """Three quarters of the time between the end of a period and its deadline are gone."""
    in_time = MONTHLY.danger(moment(2026, 11, 2))
    began, due = moment(2026, 10, 31, 23), moment(2026, 11, 5, 8)
    assert in_time == began + 0.75 * (due - began)
    assert MONTHLY.danger(moment(2026, 11, 6)) > moment(2026, 12, 1), "that of the period that is not over"


@pytest.mark.parametrize(
    ("unit", "start", "after", "name"),
    [
        ("day", date(2026, 12, 31), date(2027, 1, 1), "2026-12-31"),
        ("month", date(2026, 12, 1), date(2027, 1, 1), "2026-12"),
        ("year", date(2024, 1, 1), date(2025, 1, 1), "2024"),
    ],
)
def test_periods(unit, start: date, after: date, name: str) -> None:
    """Each begins with its first day and ends before the first of the next."""
    assert (period_of(start, unit), following(start, unit), named(start, unit)) == (start, after, name)
