"""Alerts and the outbox on the ledger: kept together, claimed by one, in order, tried again, and forgotten in time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pratique.alerts import Alert, Finding, Judged, Known, Message, later, stamp
from pratique.errors import ConfigurationError
from pratique.ledger import Ledger, open_ledger
from pratique.reports import RunReport

NOW = stamp(datetime(2026, 11, 1, 8, tzinfo=UTC))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger."""
    with open_ledger(tmp_path / "ledger.sqlite") as opened:  # type: ignore[attr-defined]
        yield opened


def alert(name: str = "a" * 32, resolved_at: str = "", environment: str = "dev") -> Alert:
    """An alert of the pipeline `shop`."""
    return Alert(name, environment, Finding("late", "shop"), NOW, NOW, resolved_at=resolved_at)


def message(number: int, alert_id: str = "a" * 32, channel: str = "ops") -> Message:
    """A message for a channel."""
    return Message(f"{alert_id}-{number}", alert_id, "dev", channel, {"time": NOW, "number": number})


def keep(ledger: Ledger, *alerts: Alert, messages: tuple[Message, ...] = (), environment: str = "dev") -> None:
    """Put alerts and messages there."""
    ledger.alerts.judge(environment, NOW, lambda _: Judged(alerts, messages))


def test_what_is_kept_is_known_again(ledger: Ledger) -> None:
    """Open alerts and those that ended lately are handed to who judges; older ones and other environments are not."""
    keep(ledger, alert(), alert("b" * 32, NOW), alert("c" * 32, later(NOW, -10)))
    keep(ledger, alert("d" * 32, environment="prod"), environment="prod")
    ledger.alerts.silence("dev", "shop", later(NOW, 60))
    seen: list[Known] = []
    ledger.alerts.judge("dev", later(NOW, -5), lambda known: seen.append(known) or Judged())  # type: ignore[func-returns-value]
    assert [item.alert_id[0] for item in seen[0].alerts] == ["a", "b"]
    assert seen[0].silences == {"shop": later(NOW, 60)}
    assert [item.alert_id[0] for item in ledger.alerts.latest(None)] == ["a", "d"]
    assert [item.alert_id[0] for item in ledger.alerts.latest("dev", later(NOW, -60))] == ["a", "b", "c"]
    assert ledger.alerts.latest("dev")[0] == alert()


def test_an_error_while_judging_keeps_nothing(ledger: Ledger) -> None:
    """Alert, messages and the mark of the run become durable together, or nothing of them."""
    with ledger.begin("shop", "dev") as run:
        run.finish(RunReport(run.run_id, "shop", "dev", "failed", 3, NOW, NOW))

    def change(_: Known) -> Judged:
        return Judged((alert(),), (Message("x", "a", "dev", "ops", {}),))  # without a time: it cannot be kept

    with pytest.raises(KeyError):
        ledger.alerts.judge("dev", NOW, change, [run.run_id])
    assert ledger.alerts.latest("dev") == ()
    assert [report.run_id for report in ledger.unalerted("dev")] == [run.run_id]


def test_a_run_is_judged_once(ledger: Ledger) -> None:
    """Who comes second changes nothing: others may have judged later runs meanwhile."""
    with ledger.begin("shop", "dev") as run:
        assert ledger.unalerted("dev") == [], "it is at work"
        run.finish(RunReport(run.run_id, "shop", "dev", "failed", 3, NOW, NOW))
    assert ledger.unalerted("prod") == []
    assert ledger.alerts.judge("dev", NOW, lambda _: Judged((alert(),)), [run.run_id]).alerts
    assert ledger.alerts.judge("dev", NOW, lambda _: Judged((alert("b" * 32),)), [run.run_id]) == Judged()
    assert [item.alert_id[0] for item in ledger.alerts.latest("dev")] == ["a"]
    assert ledger.unalerted("dev") == []


def test_the_last_success_is_the_newest_run_that_was_done(ledger: Ledger) -> None:
    """Runs that failed, and those of other environments, do not count."""
    assert ledger.last_success("shop", "dev") == ""
    for outcome, environment, ended in (("done", "dev", NOW), ("failed", "dev", later(NOW, 9)), ("done", "prod", NOW)):
        with ledger.begin("shop", environment) as run:
            run.finish(RunReport(run.run_id, "shop", environment, outcome, 0, NOW, ended))  # type: ignore[arg-type]
    assert ledger.last_success("shop", "dev") == NOW


def test_messages_of_a_channel_go_one_after_the_other(ledger: Ledger) -> None:
    """While one is claimed no other of its channel is; after its end the next one is, and another channel is free."""
    keep(ledger, messages=(message(1), message(2), message(1, channel="mail")))
    first = ledger.alerts.claim("dev", "ops", NOW, 60)
    assert first == message(1)
    assert ledger.alerts.claim("dev", "ops", later(NOW, 59), 60) is None
    assert ledger.alerts.claim("dev", "mail", NOW, 60) == message(1, channel="mail")
    ledger.alerts.delivered(first, NOW)
    second = ledger.alerts.claim("dev", "ops", NOW, 60)
    assert second == message(2)
    assert ledger.alerts.claim("dev", "ops", later(NOW, 61), 60) == second, "whoever claimed it was killed"
    assert ledger.alerts.claim("dev", "nobody", NOW, 60) is None


def test_a_message_is_kept_once(ledger: Ledger) -> None:
    """The same id for the same channel, put there again, is the same message."""
    keep(ledger, messages=(message(1),))
    keep(ledger, messages=(message(1),))
    assert [item.messages for item in ledger.alerts.waiting("dev")] == [1]


def test_a_channel_that_refuses_pauses_longer_each_time(ledger: Ledger) -> None:
    """All of its messages wait: a minute, two, four, eight, fifteen at most; one that it takes sets the others free."""
    keep(ledger, messages=(message(1), message(1, "b" * 32)))
    at, pauses = NOW, []
    for _ in range(6):
        found = ledger.alerts.claim("dev", "ops", at, 60)
        assert found is not None
        ledger.alerts.refused(found, at, "it answered 503" + "x" * 1000)
        pause = next(
            seconds for seconds in range(1000) if ledger.alerts.claim("dev", "ops", later(at, seconds + 0.5), 0)
        )
        pauses.append(pause)
        at = later(at, pause + 0.5)
    assert pauses == [60, 120, 240, 480, 900, 900]
    (waits,) = ledger.alerts.waiting("dev")
    assert (waits.messages, waits.attempts, waits.error[:15], len(waits.error)) == (2, 6, "it answered 503", 500)
    found = ledger.alerts.claim("dev", "ops", at, 60)
    assert found is not None
    ledger.alerts.delivered(found, at)
    assert ledger.alerts.claim("dev", "ops", at, 60) is not None


def test_one_message_that_is_never_taken_stops_no_other(ledger: Ledger) -> None:
    """The message that was refused comes last; but the end of an alert never comes before its beginning."""
    keep(ledger, messages=(message(1), message(1, "b" * 32), message(2)))
    first = ledger.alerts.claim("dev", "ops", NOW, 60)
    assert first == message(1)
    ledger.alerts.refused(first, NOW, "it answered 400")
    at, taken = later(NOW, 61), []
    for _ in range(3):
        found = ledger.alerts.claim("dev", "ops", at, 60)
        assert found is not None
        if found == message(1):
            ledger.alerts.refused(found, at, "it answered 400")
            assert ledger.alerts.claim("dev", "ops", at, 60) is None
            break
        ledger.alerts.delivered(found, at)
        taken.append(found)
    assert taken == [message(1, "b" * 32)]


def test_two_who_deliver_share_the_messages(tmp_path: Path) -> None:
    """Whoever asks at the same time, with a ledger of its own: each message is claimed by one."""
    path, got = tmp_path / "ledger.sqlite", list[str]()
    with open_ledger(path) as ledger:  # type: ignore[attr-defined]
        keep(ledger, messages=tuple(message(1, f"{number:032}", f"c{number}") for number in range(20)))

    def take() -> None:
        with open_ledger(path) as own:  # type: ignore[attr-defined]
            found = (own.alerts.claim("dev", f"c{number}", NOW, 60) for number in range(20))
            got.extend(item.alert_id for item in found if item)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == len(set(got)) == 20


def test_an_alert_is_found_by_its_first_digits(ledger: Ledger) -> None:
    """None, or more than one, is a mistake that says how to look."""
    keep(ledger, alert("ab" + "0" * 30), alert("ac" + "0" * 30))
    assert ledger.alerts.find("ab").alert_id == "ab" + "0" * 30
    for prefix, told in (("a", "more than one alert begins with 'a'"), ("f", "no alert begins with 'f'")):
        with pytest.raises(ConfigurationError, match=told) as caught:
            ledger.alerts.find(prefix)
        assert caught.value.hint == "pratique alerts list --all"


def test_a_promise_is_watched_from_its_first_question_on(ledger: Ledger) -> None:
    """The first time counts, whenever it is asked again."""
    assert ledger.alerts.watched_since("dev/shop", NOW) == NOW
    assert ledger.alerts.watched_since("dev/shop", later(NOW, 60)) == NOW
    assert ledger.alerts.watched_since("dev/other", later(NOW, 60)) == later(NOW, 60)


def test_after_ninety_days_only_what_is_open_or_untold_is_left(ledger: Ledger) -> None:
    """An alert that ended goes with its messages; one of which somebody was not told yet stays."""
    keep(ledger, alert(), alert("b" * 32, NOW), alert("c" * 32, NOW), messages=(message(1, "b" * 32), message(1)))
    found = ledger.alerts.claim("dev", "ops", NOW, 60)
    assert found is not None
    keep(ledger, messages=(message(1, "c" * 32),))
    ledger.alerts.delivered(found, NOW)
    ledger.alerts.silence("dev", "shop", NOW)
    ledger.alerts.thin(later(NOW, 91 * 86_400))
    kept = [item.alert_id[0] for item in ledger.alerts.latest("dev", NOW)]
    assert (kept, dict(ledger.alerts.silences("dev"))) == (["a", "c"], {})
    assert [item.messages for item in ledger.alerts.waiting("dev")] == [2]


def test_environments_that_share_a_ledger_keep_apart(ledger: Ledger) -> None:
    """A channel of the same name in another environment gets nothing of this one, and a silence is quiet in its own."""
    keep(ledger, messages=(message(1), replace(message(2), environment="prod")))
    found = ledger.alerts.claim("prod", "ops", NOW, 60)
    assert found == replace(message(2), environment="prod")
    ledger.alerts.refused(found, NOW, "it answered 500")
    assert ledger.alerts.claim("dev", "ops", NOW, 60) == message(1)
    assert [item.messages for item in ledger.alerts.waiting("prod")] == [1]
    assert [item.messages for item in ledger.alerts.waiting(None)] == [2]
    ledger.alerts.silence("prod", "shop", NOW)
    assert dict(ledger.alerts.silences("dev")) == {}
