"""The ledger in one SQLite file: what it acknowledges survives a power cut, and no two writers disturb each other."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from types import TracebackType
from typing import Self

from pratique import failpoints
from pratique.alerts import stamp
from pratique.errors import ConfigurationError, InternalError, StateError
from pratique.ledger import history
from pratique.ledger.alerts import SqliteAlerts
from pratique.ledger.base import MetricPoint, Reconciled
from pratique.ledger.disk import private_file, private_folder, sync_folder
from pratique.ledger.lock import PipelineLock, holder, lock_path
from pratique.ledger.migrations import MIGRATIONS
from pratique.ledger.reports import rebuilt, report_from_json, report_to_json, settled
from pratique.measures import Sample
from pratique.model import Marker
from pratique.reports import RunReport, SourceReport

# Limit: a writer waits this long for others; their transactions take milliseconds.
_BUSY_SECONDS = 10.0
# Limit: runs that are measured at a time; more than one is there only after a crash, or of an older Pratique.
_UNMEASURED_MAX = 1000
_SHOWN = 6  # digits of a run id that people see


class SqliteLedger:
    """Keeps `pratique.ledger.base.Ledger` on a local disk. One connection, used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.locks = path.parent / "locks"
        self._turn = threading.RLock()
        self.alerts = SqliteAlerts(self)
        with self._explained():
            self._connection = _connect(path)

    def begin(
        self, pipeline: str, environment: str, *, dry_run: bool = False, sources: Sequence[str] = ()
    ) -> SqliteRun:
        """See `Ledger.begin`. The pipeline is held from here on, until the run's context is left."""
        run_id, started_at = uuid.uuid4().hex, datetime.now(UTC)
        report = RunReport(
            run_id=run_id,
            pipeline=pipeline,
            environment=environment,
            outcome="running",
            exit_code=0,
            started_at=started_at.isoformat(),
            ended_at="",
            sources=tuple(SourceReport(name, "", "not run") for name in sources),
            dry_run=dry_run,
        )
        with ExitStack() as undo:
            lock = PipelineLock(self.locks, pipeline, run_id, started_at.isoformat(timespec="seconds"))
            undo.callback(lock.release)
            unfinished = self._enter(report)
            undo.pop_all()
        failpoints.hit("run.begun")
        return SqliteRun(
            self,
            lock,
            run_id=run_id,
            pipeline=pipeline,
            started_at=started_at,
            unfinished=unfinished,
            keep=not dry_run,
        )

    def _enter(self, report: RunReport) -> tuple[str, ...]:
        with self.transaction(keep=not report.dry_run) as connection:
            rows = connection.execute(
                "SELECT run_id FROM runs WHERE pipeline = ? AND outcome = 'running' ORDER BY started_at DESC",
                (report.pipeline,),
            ).fetchall()
            put_run(connection, report)
        return tuple(run_id for (run_id,) in rows)

    def runs(self, pipeline: str | None = None, limit: int = 20) -> list[RunReport]:
        """See `Ledger.runs`."""
        rows = self._read(
            "SELECT report FROM runs WHERE ? IS NULL OR pipeline = ? ORDER BY started_at DESC, rowid DESC LIMIT ?",
            (pipeline, pipeline, limit),
        )
        return [self._as_known(report_from_json(text)) for (text,) in rows]

    def run(self, prefix: str) -> RunReport:
        """See `Ledger.run`."""
        rows = self._read(
            "SELECT run_id, report FROM runs WHERE substr(run_id, 1, ?) = ? ORDER BY started_at DESC LIMIT 4",
            (len(prefix), prefix),
        )
        if len(rows) == 1:
            return self._as_known(report_from_json(rows[0][1]))
        if rows:
            near = [run_id[: len(prefix) + 2] for run_id, _ in rows]
            raise ConfigurationError(
                f"more than one run begins with {prefix!r}: {', '.join(near)}", hint="give more digits of its id"
            )
        newest = [
            run_id[:_SHOWN]
            for (run_id,) in self._read("SELECT run_id FROM runs ORDER BY started_at DESC LIMIT 100", ())
        ]
        near = get_close_matches(prefix[:_SHOWN], newest, n=3) or newest[:3]
        known = f"; there are {', '.join(near)}" if near else "; there are no runs yet"
        raise ConfigurationError(f"no run begins with {prefix!r}{known}", hint="pratique runs")

    def loads(self, pipeline: str | None = None, run_id: str | None = None, since: str = "") -> list[Marker]:
        """See `Ledger.loads`."""
        rows = self._read(
            "SELECT marker FROM loads WHERE (:pipeline IS NULL OR pipeline = :pipeline)"
            " AND (:run IS NULL OR run_id = :run) AND committed_at >= :since ORDER BY committed_at, sequence, rowid",
            {"pipeline": pipeline, "run": run_id, "since": since},
        )
        return [Marker.from_json(text) for (text,) in rows]

    def keep(self, marker: Marker) -> None:
        """See `Ledger.keep`."""
        with self.transaction() as connection:
            put_load(connection, marker)

    def active(self) -> list[RunReport]:
        """See `Ledger.active`."""
        rows = self._read("SELECT report FROM runs WHERE outcome = 'running' ORDER BY started_at", ())
        known = (self._as_known(report_from_json(text)) for (text,) in rows)
        return [report for report in known if report.outcome == "running"]

    def unmeasured(self, pipeline: str) -> list[RunReport]:
        """See `Ledger.unmeasured`."""
        rows = self._read(
            "SELECT report FROM runs WHERE measured = 0 AND outcome <> 'running' AND pipeline = ?"
            " ORDER BY started_at LIMIT ?",
            (pipeline, _UNMEASURED_MAX),
        )
        return [report_from_json(text) for (text,) in rows]

    def unalerted(self, environment: str) -> list[RunReport]:
        """See `Ledger.unalerted`."""
        rows = self._read(
            "SELECT report FROM runs WHERE alerted = 0 AND json_extract(report, '$.environment') IN (?, '')"
            " ORDER BY started_at LIMIT ?",
            (environment, _UNMEASURED_MAX),
        )
        known = (self._as_known(report_from_json(text)) for (text,) in rows)
        return [report for report in known if report.outcome != "running"]

    def last_success(self, pipeline: str, environment: str) -> str:
        """See `Ledger.last_success`."""
        rows = self._read(
            "SELECT report FROM runs WHERE pipeline = ? AND outcome = 'done'"
            " AND json_extract(report, '$.environment') IN (?, '') ORDER BY started_at DESC LIMIT 1",
            (pipeline, environment),
        )
        return stamp(datetime.fromisoformat(report_from_json(rows[0][0]).ended_at)) if rows else ""

    def first(self) -> RunReport | None:
        """See `Ledger.first`."""
        rows = self._read("SELECT report FROM runs ORDER BY started_at, run_id LIMIT 1", ())
        return report_from_json(rows[0][0]) if rows else None

    def measure(self, report: RunReport, samples: Iterable[Sample]) -> None:
        """See `Ledger.measure`."""
        with self.transaction() as connection:
            history.measure(connection, report, samples)

    def thin(self) -> None:
        """See `Ledger.thin`."""
        with self.transaction() as connection:
            history.thin(connection, datetime.now(UTC))

    def totals(self) -> list[Sample]:
        """See `Ledger.totals`."""
        with self._turn, self._explained():
            return history.totals(self._connection)

    def history(self, pipeline: str | None = None, since: str = "") -> list[MetricPoint]:
        """See `Ledger.history`."""
        with self._turn, self._explained():
            return history.points(self._connection, pipeline, since)

    def close(self) -> None:
        """See `Ledger.close`."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def transaction(self, *, keep: bool = True) -> Iterator[sqlite3.Connection]:
        """All of it becomes durable at the end of the block, or nothing; with `keep=False` nothing in any case."""
        with self._turn, self._explained():
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT" if keep else "ROLLBACK")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def _read(self, sql: str, values: tuple[str | int | None, ...] | dict[str, str | None]) -> list[tuple[str, ...]]:
        with self._turn, self._explained():
            return self._connection.execute(sql, values).fetchall()

    def _as_known(self, report: RunReport) -> RunReport:
        """A run that says it is running, but whose process is gone, was interrupted: people need not wait for it."""
        if report.outcome != "running":
            return report
        found = holder(lock_path(self.locks, report.pipeline))
        if found and found.get("run_id") == report.run_id:
            return report
        return replace(report, outcome="interrupted", exit_code=7)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise _explain(self.path, error) from error


class SqliteRun:
    """Keeps `pratique.ledger.base.RunHandle`. What a dry run would write is rolled back at once."""

    def __init__(
        self,
        ledger: SqliteLedger,
        lock: PipelineLock,
        *,
        run_id: str,
        pipeline: str,
        started_at: datetime,
        unfinished: tuple[str, ...],
        keep: bool,
    ) -> None:
        self.run_id = run_id
        self.pipeline = pipeline
        self.started_at = started_at
        self.unfinished = unfinished
        self._ledger = ledger
        self._lock = lock
        self._keep = keep

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def attempt(self, load_id: str, source: str) -> int:
        """See `RunHandle.attempt`. Counts on from the markers too, so that a rebuilt ledger repeats no number."""
        with self._ledger.transaction(keep=self._keep) as connection:
            (number,) = connection.execute(
                "SELECT 1 + coalesce(max(attempt), 0) FROM (SELECT attempt FROM attempts WHERE load_id = ?"
                " UNION ALL SELECT attempt FROM loads WHERE load_id = ?)",
                (load_id, load_id),
            ).fetchone()
            connection.execute("INSERT INTO attempts VALUES (?, ?, ?, ?)", (load_id, number, self.run_id, source))
        return int(number)

    def record(self, marker: Marker) -> None:
        """See `RunHandle.record`."""
        with self._ledger.transaction(keep=self._keep) as connection:
            put_load(connection, marker)
        failpoints.hit("ledger.recorded")

    def reconcile(self, markers: Iterable[Marker]) -> Reconciled:
        """See `RunHandle.reconcile`. All of it is one transaction."""
        markers = list(markers)  # read to the end before the ledger is held
        with self._ledger.transaction(keep=self._keep) as connection:
            known = set(
                connection.execute("SELECT load_id, run_id FROM loads WHERE pipeline = ?", (self.pipeline,)).fetchall()
            )
            by_run: dict[str, list[Marker]] = {}
            recovered = []
            for marker in markers:
                by_run.setdefault(marker.run_id, []).append(marker)
                if (marker.load_id, marker.run_id) not in known:
                    put_load(connection, marker)
                    recovered.append(marker.load_id)
            there = {run_id for (run_id,) in connection.execute("SELECT run_id FROM runs").fetchall()}
            for run_id in by_run.keys() - there:
                put_run(connection, rebuilt(run_id, by_run[run_id]))
            abandoned = [run_id for run_id in self.unfinished if not self._settle(connection, run_id)]
        return Reconciled(tuple(recovered), tuple(abandoned))

    def _settle(self, connection: sqlite3.Connection, run_id: str) -> bool:
        """Give a killed run its final state; False if it left nothing committed."""
        markers = [
            Marker.from_json(text)
            for (text,) in connection.execute(
                "SELECT marker FROM loads WHERE run_id = ? ORDER BY committed_at, sequence, rowid", (run_id,)
            )
        ]
        uncommitted = connection.execute(
            "SELECT source FROM attempts WHERE run_id = ? AND load_id NOT IN (SELECT load_id FROM loads)", (run_id,)
        ).fetchall()
        (text,) = connection.execute("SELECT report FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        put_run(connection, settled(report_from_json(text), markers, (source for (source,) in uncommitted)))
        return bool(markers)

    def finish(self, report: RunReport) -> None:
        """See `RunHandle.finish`."""
        if report.run_id != self.run_id:
            raise InternalError(f"run {self.run_id} was finished with the report of {report.run_id}")
        with self._ledger.transaction(keep=self._keep) as connection:
            put_run(connection, report)
        failpoints.hit("run.finished")


def put_run(connection: sqlite3.Connection, report: RunReport) -> None:
    """Write the row of a run, new or again. Its start stays what it was."""
    connection.execute(
        "INSERT INTO runs (run_id, pipeline, started_at, outcome, report) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (run_id) DO UPDATE SET outcome = excluded.outcome, report = excluded.report",
        (report.run_id, report.pipeline, report.started_at, report.outcome, report_to_json(report)),
    )


def put_load(connection: sqlite3.Connection, marker: Marker) -> None:
    """Write the row of a committed load; the marker is right, whatever the ledger said before (Invariant 4)."""
    connection.execute(
        "INSERT INTO loads VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (load_id, run_id) DO UPDATE SET attempt = excluded.attempt,"
        " committed_at = excluded.committed_at, sequence = excluded.sequence, marker = excluded.marker",
        (
            marker.load_id,
            marker.run_id,
            marker.pipeline,
            marker.attempt,
            marker.committed_at,
            marker.sequence,
            json.dumps(asdict(marker)),  # ASCII: a file name that is not UTF-8 holds what SQLite cannot take
        ),
    )


def _connect(path: Path) -> sqlite3.Connection:
    """A connection to the ledger in its newest form. Processes that open it at once take turns by the folder's lock."""
    private_folder(path.parent)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # switching to WAL does not wait for others as later writes do
        os.close(private_file(path))  # SQLite gives its side files the same mode
        sync_folder(path.parent)
        with ExitStack() as undo:
            connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            undo.callback(connection.close)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")  # NORMAL loses acknowledged commits at a power cut
            _migrate(path, connection)
            undo.pop_all()
    finally:
        os.close(folder)
    return connection


def _migrate(path: Path, connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise StateError(
            f"the ledger {path} has form {version}, this Pratique knows up to {len(MIGRATIONS)}",
            hint="a newer Pratique wrote it: use that one, or a state folder of your own (state.path)",
        )
    if version == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    for statement in (statement for step in MIGRATIONS[version:] for statement in step):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    connection.execute("COMMIT")


def _explain(path: Path, error: sqlite3.Error | OSError) -> StateError:
    code = getattr(error, "sqlite_errorcode", None)
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return StateError(
            f"{path} is damaged or not a ledger ({error})",
            hint=f"move it away: mv {path} {path}.broken ; the next run rebuilds it from the markers",
        )
    if code == sqlite3.SQLITE_FULL:
        return StateError(f"no space left for the ledger {path}", hint=f"free some space: df -h {path.parent}")
    if code == sqlite3.SQLITE_BUSY:
        return StateError(
            f"the ledger {path} was held by another process for {_BUSY_SECONDS:.0f} s", hint=f"see who: fuser {path}"
        )
    return StateError(f"cannot use the ledger {path}: {error}", hint=f"check that {path.parent} is a writable folder")
