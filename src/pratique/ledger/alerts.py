"""Alerts and the outbox in the ledger's file: what is found and what is to be told of it become durable together."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import Final, Protocol

from pratique.alerts import Alert, Judged, Known, Message, Waiting, later
from pratique.errors import ConfigurationError
from pratique.ledger.reports import decode

_DAYS_MAX: Final = 90  # Limit: so long alerts that are over are kept
_PAUSE_SECONDS: Final = 60  # Limit: after the first failure of a channel; each further one doubles it
_PAUSE_SECONDS_MAX: Final = 900  # Limit: however long it is down
_ERROR_CHARACTERS_MAX: Final = 500  # Limit: of why a channel did not take a message


class Opened(Protocol):
    """What the ledger gives: a transaction."""

    def transaction(self, *, keep: bool = True) -> AbstractContextManager[sqlite3.Connection]:
        """All of the block becomes durable at its end, or nothing."""
        ...


class SqliteAlerts:
    """Keeps `pratique.ledger.base.Alerts`."""

    def __init__(self, ledger: Opened) -> None:
        self._ledger = ledger

    def judge(
        self, environment: str, since: str, change: Callable[[Known], Judged], runs: Sequence[str] = ()
    ) -> Judged:
        """See `Alerts.judge`."""
        with self._ledger.transaction() as connection:
            if runs and not _unalerted(connection, runs):
                return Judged()
            known = Known(_alerts(connection, environment, since), _silences(connection, environment))
            judged = change(known)
            connection.executemany(
                "INSERT OR REPLACE INTO alerts VALUES (?, ?, ?, ?, ?)",
                [
                    (item.alert_id, environment, item.began_at, item.resolved_at, json.dumps(asdict(item)))
                    for item in judged.alerts
                ],
            )
            connection.executemany(
                "INSERT OR IGNORE INTO alert_messages"
                " (message_id, environment, channel, alert_id, event, created_at, due_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        item.message_id,
                        item.environment,
                        item.channel,
                        item.alert_id,
                        json.dumps(item.event),
                        item.event["time"],
                        item.event["time"],
                    )
                    for item in judged.messages
                ],
            )
            connection.executemany("UPDATE runs SET alerted = 1 WHERE run_id = ?", [(run_id,) for run_id in runs])
        return judged

    def latest(self, environment: str | None, since: str = "") -> tuple[Alert, ...]:
        """See `Alerts.latest`."""
        with self._ledger.transaction() as connection:
            return _alerts(connection, environment, since)

    def find(self, prefix: str) -> Alert:
        """See `Alerts.find`."""
        with self._ledger.transaction() as connection:
            rows = connection.execute(
                "SELECT alert FROM alerts WHERE substr(alert_id, 1, ?) = ? LIMIT 2", (len(prefix), prefix)
            ).fetchall()
        if len(rows) != 1:
            what = "more than one alert begins" if rows else "no alert begins"
            raise ConfigurationError(f"{what} with {prefix!r}", hint="pratique alerts list --all")
        return _alert(rows[0][0])

    def silence(self, environment: str, target: str, until: str) -> None:
        """See `Alerts.silence`."""
        with self._ledger.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO alert_silences VALUES (?, ?, ?)", (environment, target, until))

    def silences(self, environment: str) -> Mapping[str, str]:
        """See `Alerts.silences`."""
        with self._ledger.transaction() as connection:
            return _silences(connection, environment)

    def claim(self, environment: str, channel: str, now: str, seconds: float) -> Message | None:
        """See `Alerts.claim`."""
        with self._ledger.transaction() as connection:
            row = connection.execute(  # of one alert, what came first is told first
                "SELECT message_id, alert_id, event, due_at, claimed_until FROM alert_messages AS one"
                " WHERE environment = :environment AND channel = :channel AND delivered_at = ''"
                " AND NOT EXISTS (SELECT * FROM alert_messages AS other WHERE other.environment = one.environment"
                " AND other.channel = one.channel AND other.delivered_at = '' AND other.alert_id = one.alert_id"
                " AND other.number < one.number) ORDER BY claimed_until > :now DESC, due_at, number LIMIT 1",
                {"environment": environment, "channel": channel, "now": now},
            ).fetchone()
            if row is None or row[3] > now or row[4] > now:
                return None
            connection.execute(
                "UPDATE alert_messages SET claimed_until = ? WHERE message_id = ? AND channel = ?",
                (later(now, seconds), row[0], channel),
            )
        return Message(row[0], row[1], environment, channel, json.loads(row[2]))

    def delivered(self, message: Message, now: str) -> None:
        """See `Alerts.delivered`."""
        with self._ledger.transaction() as connection:
            connection.execute(
                "UPDATE alert_messages SET delivered_at = ?, claimed_until = '', attempts = attempts + 1, error = ''"
                " WHERE message_id = ? AND channel = ?",
                (now, message.message_id, message.channel),
            )
            connection.execute(  # it takes messages again
                "UPDATE alert_messages SET due_at = min(due_at, ?)"
                " WHERE environment = ? AND channel = ? AND delivered_at = ''",
                (now, message.environment, message.channel),
            )

    def refused(self, message: Message, now: str, error: str) -> None:
        """See `Alerts.refused`."""
        with self._ledger.transaction() as connection:
            connection.execute(
                "UPDATE alert_messages SET claimed_until = '', attempts = attempts + 1, error = ?"
                " WHERE message_id = ? AND channel = ?",
                (error[:_ERROR_CHARACTERS_MAX], message.message_id, message.channel),
            )
            (tries,) = connection.execute(
                "SELECT sum(attempts) FROM alert_messages WHERE environment = ? AND channel = ? AND delivered_at = ''",
                (message.environment, message.channel),
            ).fetchone()
            pause = min(_PAUSE_SECONDS * 2.0 ** min(tries - 1, 10), _PAUSE_SECONDS_MAX)
            connection.execute(  # the channel pauses; of what waits, the message that was refused comes last
                "UPDATE alert_messages SET due_at = CASE WHEN message_id = ? THEN ? ELSE max(due_at, ?) END"
                " WHERE environment = ? AND channel = ? AND delivered_at = ''",
                (
                    message.message_id,
                    later(now, pause + 0.001),
                    later(now, pause),
                    message.environment,
                    message.channel,
                ),
            )

    def waiting(self, environment: str | None) -> list[Waiting]:
        """See `Alerts.waiting`."""
        with self._ledger.transaction() as connection:
            rows = connection.execute(
                "SELECT channel, count(*), min(created_at), sum(attempts), max(error) FROM alert_messages"
                " WHERE delivered_at = '' AND (? IS NULL OR environment = ?) GROUP BY channel ORDER BY channel",
                (environment, environment),
            ).fetchall()
        return [Waiting(*row) for row in rows]

    def watched_since(self, subject: str, now: str) -> str:
        """See `Alerts.watched_since`."""
        with self._ledger.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO alert_watches VALUES (?, ?)", (subject, now))
            (since,) = connection.execute("SELECT since FROM alert_watches WHERE subject = ?", (subject,)).fetchone()
        return str(since)

    def thin(self, now: str) -> None:
        """See `Alerts.thin`."""
        before = later(now, -_DAYS_MAX * 86_400)
        with self._ledger.transaction() as connection:
            connection.execute("DELETE FROM alert_silences WHERE until < ?", (before,))
            connection.execute("DELETE FROM alert_messages WHERE delivered_at <> '' AND delivered_at < ?", (before,))
            connection.execute(
                "DELETE FROM alerts WHERE resolved_at <> '' AND resolved_at < ?"
                " AND alert_id NOT IN (SELECT alert_id FROM alert_messages WHERE delivered_at = '')",
                (before,),
            )


def _alert(text: str) -> Alert:
    return decode(Alert, json.loads(text))


def _alerts(connection: sqlite3.Connection, environment: str | None, since: str) -> tuple[Alert, ...]:
    """Those that are open, and those that ended since then; the oldest first."""
    found = connection.execute(
        "SELECT alert FROM alerts WHERE (:environment IS NULL OR environment = :environment)"
        " AND (resolved_at = '' OR (:since <> '' AND resolved_at >= :since)) ORDER BY began_at, alert_id",
        {"environment": environment, "since": since},
    )
    return tuple(_alert(text) for (text,) in found)


def _unalerted(connection: sqlite3.Connection, runs: Sequence[str]) -> bool:
    """Whether no other process has judged these runs meanwhile, and others after them."""
    marks = ", ".join("?" for _ in runs)
    row = connection.execute(f"SELECT 1 FROM runs WHERE alerted = 0 AND run_id IN ({marks}) LIMIT 1", runs).fetchone()
    return row is not None


def _silences(connection: sqlite3.Connection, environment: str) -> Mapping[str, str]:
    rows = connection.execute("SELECT target, until FROM alert_silences WHERE environment = ?", (environment,))
    return dict(rows.fetchall())
