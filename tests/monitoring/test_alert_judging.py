"""Who is told of what, and when: laws of judging that hold whatever is found in whatever order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pratique.alerts import Alert, Finding, Judged, Known, Owner, later, stamp
from pratique.monitoring.alerts import Policy, Route, acknowledge, judge

NOW = stamp(datetime(2026, 11, 1, 8, tzinfo=UTC))
FAILED = Finding("run_failed", "shop", "orders", "source", "critical", "gone", "look", run_id="r1")
POLICY = Policy("dev", (Route("ops"),), cooldown_seconds=600, repeat_seconds=3600)


class Book:
    """What a ledger does: keeps alerts and messages."""

    def __init__(self, policy: Policy = POLICY) -> None:
        self.policy = policy
        self.alerts: dict[str, Alert] = {}
        self.silences: dict[str, str] = {}
        self.told: list[tuple[str, str, str]] = []  # channel, status, severity
        self.ids: list[str] = []

    def look(self, *findings: Finding, at: float = 0, settles: bool = True) -> list[tuple[str, str, str]]:
        """Judge, and give what is told."""
        known = Known(tuple(self.alerts.values()), self.silences)
        return self.keep(judge(known, findings, lambda _: settles, self.policy, later(NOW, at)))

    def keep(self, judged: Judged) -> list[tuple[str, str, str]]:
        """Take over what was judged."""
        self.alerts |= {alert.alert_id: alert for alert in judged.alerts}
        new = [(item.channel, item.event["data"]["status"], item.event["severity"]) for item in judged.messages]
        self.ids += [f"{item.message_id} {item.channel}" for item in judged.messages]
        self.told += new
        return new


def test_one_message_for_a_cause_and_one_for_its_end() -> None:
    """Found again and again it is counted; its end is told once, and nothing of it afterwards."""
    book = Book()
    assert book.look(FAILED) == [("ops", "raised", "critical")]
    for number in range(2, 1001):
        assert book.look(replace(FAILED, run_id=f"r{number}", summary=f"gone {number}"), at=number) == []
    (alert,) = book.alerts.values()
    assert (alert.occurrences, alert.finding.summary) == (1000, "gone 1000")
    assert book.look(at=1001) == [("ops", "resolved", "critical")]
    assert book.look(at=1002) == []


def test_what_no_look_can_settle_stays() -> None:
    """An alert of a source that a run did not come to is still open after it."""
    book = Book()
    book.look(FAILED)
    assert book.look(settles=False, at=9) == []
    assert not next(iter(book.alerts.values())).resolved_at


def test_an_end_that_nobody_was_told_the_beginning_of_is_not_told() -> None:
    """What was held back and passed by itself never made a sound."""
    book = Book()
    assert book.look(replace(FAILED, tell_after=later(NOW, 100))) == []
    assert book.look(at=99, settles=False) == []
    assert book.look(at=99.5) == []
    assert next(iter(book.alerts.values())).resolved_at
    assert book.look(at=200) == []


def test_what_was_held_back_is_told_in_time() -> None:
    """Any later look tells it, also one that finds nothing new."""
    book = Book()
    book.look(replace(FAILED, tell_after=later(NOW, 100)))
    assert book.look(at=100, settles=False) == [("ops", "raised", "critical")]


def test_a_graver_finding_is_told_at_once() -> None:
    """A warning that becomes critical is told again, also to whoever acknowledged it; the way back is not."""
    book = Book()
    mild = replace(FAILED, severity="warning")
    assert book.look(mild) == [("ops", "raised", "warning")]
    (alert,) = book.alerts.values()
    book.keep(acknowledge(Known((alert,), {}), alert.alert_id, "anna", NOW))
    assert book.look(FAILED, at=1) == [("ops", "again", "critical")]
    assert book.look(mild, at=2) == []
    assert book.look(FAILED, at=3) == []


def test_acknowledging_takes_an_open_alert_only() -> None:
    """What is over, or another alert, is left as it is."""
    book = Book()
    book.look(FAILED)
    (alert,) = book.alerts.values()
    assert acknowledge(Known((alert,), {}), "other", "anna", NOW) == Judged()
    assert acknowledge(Known((replace(alert, resolved_at=NOW),), {}), alert.alert_id, "anna", NOW) == Judged()


def test_cooldown_repeat_and_silence() -> None:
    """Back too soon it waits; lasting it is repeated; under a silence of its pipeline or itself it is quiet."""
    book = Book()
    book.look(FAILED)
    book.look(at=10)
    assert book.look(FAILED, at=20) == []
    assert book.look(FAILED, at=609) == []
    assert book.look(FAILED, at=610) == [("ops", "raised", "critical")]
    assert book.look(settles=False, at=610 + 3600) == [], "it was not found again"
    assert book.look(FAILED, at=611 + 3600) == [("ops", "again", "critical")]
    for target in ("shop", next(item.alert_id for item in book.alerts.values() if not item.resolved_at)):
        book.silences = {target: later(NOW, 90_000)}
        assert book.look(FAILED, at=89_999) == []
    assert book.look(FAILED, at=90_000) == [("ops", "again", "critical")]


@pytest.mark.parametrize(
    ("word", "told"),
    [("none", []), ("warning", [("ops", "raised", "warning")]), ("auto", [("ops", "raised", "critical")])],
)
def test_the_settings_say_how_grave_a_rule_is(word: Any, told: list[tuple[str, str, str]]) -> None:
    """A rule can be as grave as people want, or nobody is told and nothing is kept."""
    book = Book(replace(POLICY, severities={"run_failed": word}))
    assert book.look(FAILED) == told
    assert bool(book.alerts) == bool(told)


def test_routes_choose_by_severity_team_and_tier() -> None:
    """Who is not concerned hears nothing; who heard of an alert hears of its end, whatever it became in between."""
    routes = (Route("pager", "critical"), Route("web", teams=("web",)), Route("first", tiers=(1,)), Route("all"))
    book = Book(replace(POLICY, routes=routes))
    owned = replace(FAILED, owner=Owner("web", 2))
    assert [channel for channel, *_ in book.look(owned)] == ["pager", "web", "all"]
    book.look(replace(owned, severity="warning"), at=1)
    assert [channel for channel, *_ in book.look(at=2)] == ["pager", "web", "all"]


def test_without_a_channel_it_waits_for_one() -> None:
    """What nobody could be told is told when there is somebody."""
    book = Book(replace(POLICY, routes=()))
    assert book.look(FAILED) == []
    book.policy = POLICY
    assert book.look(settles=False, at=1) == [("ops", "raised", "critical")]


@given(
    st.lists(
        st.tuples(
            st.sets(st.sampled_from(["a", "b", "c"])), st.integers(0, 2000), st.sampled_from(["warning", "critical"])
        ),
        max_size=30,
    )
)
def test_laws_of_telling(looks: list[tuple[set[str], int, Any]]) -> None:
    """Of each alert: raised first and once, resolved last and at most once, and no message id twice."""
    book, at, statuses = Book(), 0, dict[str, list[str]]()
    for number, (causes, pause, severity) in enumerate(looks):
        at += pause
        found = [replace(FAILED, source=name, severity=severity, run_id=f"r{number}") for name in sorted(causes)]
        before = len(book.ids)
        new = book.look(*found, at=at)
        for told, (_, status, _) in zip(book.ids[before:], new, strict=True):
            statuses.setdefault(told.split("-")[0], []).append(status)
    assert len(set(book.ids)) == len(book.ids)
    for told in statuses.values():
        assert told[0] == "raised"
        assert told.count("raised") == 1
        assert "resolved" not in told[:-1]
    still = {alert.finding.source for alert in book.alerts.values() if not alert.resolved_at}
    assert still == (looks[-1][0] if looks else set())
