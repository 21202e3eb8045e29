"""The form of the ledger's file, step by step. A released step is never changed; a new one is put behind it."""

from __future__ import annotations

from typing import Final

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """CREATE TABLE runs (
            run_id TEXT PRIMARY KEY,
            pipeline TEXT NOT NULL,
            started_at TEXT NOT NULL,
            outcome TEXT NOT NULL,
            report TEXT NOT NULL
        )""",
        "CREATE INDEX runs_by_start ON runs (started_at)",
        "CREATE INDEX runs_by_pipeline ON runs (pipeline, started_at)",
        "CREATE INDEX runs_by_outcome ON runs (pipeline, outcome)",
        """CREATE TABLE attempts (
            load_id TEXT NOT NULL,
            attempt INTEGER NOT NULL,
            run_id TEXT NOT NULL,
            source TEXT NOT NULL,
            PRIMARY KEY (load_id, attempt)
        )""",
        "CREATE INDEX attempts_by_run ON attempts (run_id)",
        """CREATE TABLE loads (
            load_id TEXT NOT NULL,
            run_id TEXT NOT NULL,
            pipeline TEXT NOT NULL,
            attempt INTEGER NOT NULL,
            committed_at TEXT NOT NULL,
            sequence INTEGER NOT NULL,
            marker TEXT NOT NULL,
            PRIMARY KEY (load_id, run_id)
        )""",
        "CREATE INDEX loads_by_pipeline ON loads (pipeline, committed_at, sequence)",
        "CREATE INDEX loads_by_run ON loads (run_id)",
    ),
    (
        "ALTER TABLE runs ADD COLUMN measured INTEGER NOT NULL DEFAULT 0",
        "CREATE INDEX runs_unmeasured ON runs (started_at) WHERE measured = 0",
        """CREATE TABLE metric_totals (
            name TEXT NOT NULL,
            attributes TEXT NOT NULL,
            part TEXT NOT NULL,
            value REAL NOT NULL,
            PRIMARY KEY (name, attributes, part)
        ) WITHOUT ROWID""",
        """CREATE TABLE metric_points (
            pipeline TEXT NOT NULL,
            source TEXT NOT NULL,
            at TEXT NOT NULL,
            span TEXT NOT NULL,
            run_id TEXT NOT NULL,
            runs INTEGER NOT NULL,
            failures INTEGER NOT NULL,
            read INTEGER NOT NULL,
            loaded INTEGER NOT NULL,
            quarantined INTEGER NOT NULL,
            skipped INTEGER NOT NULL,
            quality REAL,
            seconds_avg REAL NOT NULL,
            seconds_min REAL NOT NULL,
            seconds_max REAL NOT NULL,
            seconds_p50 REAL NOT NULL,
            seconds_p95 REAL NOT NULL,
            seconds_p99 REAL NOT NULL,
            PRIMARY KEY (pipeline, source, at, run_id)
        ) WITHOUT ROWID""",
        "CREATE INDEX metric_points_by_age ON metric_points (span, at)",
    ),
    (
        "ALTER TABLE runs ADD COLUMN alerted INTEGER NOT NULL DEFAULT 0",
        "UPDATE runs SET alerted = 1 WHERE outcome <> 'running'",  # what is over is old news
        "CREATE INDEX runs_unalerted ON runs (started_at) WHERE alerted = 0",
        """CREATE TABLE alerts (
            alert_id TEXT PRIMARY KEY,
            environment TEXT NOT NULL,
            began_at TEXT NOT NULL,
            resolved_at TEXT NOT NULL,
            alert TEXT NOT NULL
        ) WITHOUT ROWID""",
        "CREATE INDEX alerts_by_end ON alerts (environment, resolved_at)",
        """CREATE TABLE alert_messages (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            message_id TEXT NOT NULL,
            environment TEXT NOT NULL,
            channel TEXT NOT NULL,
            alert_id TEXT NOT NULL,
            event TEXT NOT NULL,
            created_at TEXT NOT NULL,
            due_at TEXT NOT NULL,
            claimed_until TEXT NOT NULL DEFAULT '',
            attempts INTEGER NOT NULL DEFAULT 0,
            error TEXT NOT NULL DEFAULT '',
            delivered_at TEXT NOT NULL DEFAULT '',
            UNIQUE (message_id, channel)
        )""",
        "CREATE INDEX alert_messages_waiting ON alert_messages (environment, channel, due_at) WHERE delivered_at = ''",
        """CREATE TABLE alert_silences (
            environment TEXT NOT NULL,
            target TEXT NOT NULL,
            until TEXT NOT NULL,
            PRIMARY KEY (environment, target)
        ) WITHOUT ROWID""",
        "CREATE TABLE alert_watches (subject TEXT PRIMARY KEY, since TEXT NOT NULL) WITHOUT ROWID",
    ),
)
