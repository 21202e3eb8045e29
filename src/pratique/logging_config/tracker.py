"""Errors of a program of one's own: logged, counted by type and source; its bad records go into the quarantine."""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections import Counter, deque
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pratique.config_manager import ConfigManager
from pratique.errors import ConfigurationError, PratiqueError, StateError, gravity, stack_trace, text_of
from pratique.events import Emit, ErrorRaised
from pratique.ledger import open_ledger
from pratique.logging_config.formats import EVENT_FIELDS, USER_FIELDS, Masking
from pratique.logging_config.setup import LOGGER
from pratique.model import Account, Cause, Failure, Marker, RawRecord, Segment, Written
from pratique.project import sensitive_fields
from pratique.quarantine import Quarantine, quarantine_record
from pratique.quarantine.records import to_line
from pratique.reports import Problem

BY_HAND: Final = "_manual"  # a pipeline of people cannot be named so
_RECENT_MAX: Final = 100  # Limit: errors that the summary tells one by one
_NAMES_MAX: Final = 1000  # Limit: types and sources that are told apart; further ones are counted as "(other)"
_OTHER: Final = "(other)"


class ErrorTracker:
    """Counts and logs errors; safe with threads, in memory that does not grow with them.

    Logs go to the logger of `setup_pipeline_logger`. `emit` hears of each error too, such as
    `MetricsCollector().observe`. Without a `config` that of the working directory says where the quarantine is.
    """

    def __init__(self, config: ConfigManager | None = None, *, emit: Emit | None = None) -> None:
        self._config = config
        self._emit = emit
        self._masking = Masking(self._sensitive)
        self._logger = logging.getLogger(LOGGER)
        self._turn = threading.Lock()
        self.clear()

    def _sensitive(self) -> frozenset[str] | None:
        try:
            return sensitive_fields((self._config or ConfigManager()).root)
        except ConfigurationError:
            return None

    def clear(self) -> None:
        """Forget all errors and warnings; what is quarantined stays."""
        with self._turn:
            self._types: Counter[str] = Counter()
            self._sources: Counter[str] = Counter()
            self._gravities: Counter[str] = Counter()
            self._warnings = self._quarantined = 0
            self._recent: deque[dict[str, Any]] = deque(maxlen=_RECENT_MAX)

    def log_error(self, exception: BaseException, source: str = "", context: Mapping[str, Any] | None = None) -> None:
        """Log an error with its stack trace, and count it.

        One that no run can be trusted to get over is logged as CRITICAL, any other as ERROR; `gravity` says whether it
        is transient, permanent or critical.
        """
        if not isinstance(exception, BaseException):
            raise TypeError(f"an exception is expected, not {type(exception).__name__}; log_warning takes a text")
        kind = type(exception).__name__
        told, clean = self._masking.of(context or {})
        hint = clean(exception.hint) if isinstance(exception, PratiqueError) else ""
        event = ErrorRaised(
            pipeline=BY_HAND,
            run_id="",
            source=source,
            problem=Problem(kind, clean(text_of(exception)), hint, gravity=gravity(exception)),
            trace=clean(stack_trace(exception, foreign=True)),
            context=told,
        )
        with self._turn:
            _count(self._types, kind)
            _count(self._sources, source)
            self._gravities[event.problem.gravity] += 1
            error = {"type": kind, "source": source, "message": event.problem.message}
            self._recent.append({"at": _now(), **error, "gravity": event.problem.gravity})
        facts = {name: value for name, value in event.fields().items() if name not in told and name != "pipeline"}
        self._log(event.loudness, event.message(), told, facts)
        if self._emit:
            self._emit(event)

    def log_warning(self, message: str, source: str = "", context: Mapping[str, Any] | None = None) -> None:
        """Log a warning, and count it apart from the errors."""
        with self._turn:
            self._warnings += 1
        self._log("warning", message, dict(context or {}), {"source": source} if source else {})

    def _log(self, level: str, message: str, context: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        number = logging.getLevelNamesMapping()[level.upper()]
        self._logger.log(number, message, extra={USER_FIELDS: dict(context), EVENT_FIELDS: dict(facts)})

    def quarantine_record(self, record: Mapping[str, Any], reason: str, source: str = "manual") -> str:
        """Hold a record, whole, for this reason; give the id by which `pratique quarantine show` knows it.

        It is durable when this returns, in the pipeline `_manual`, beside those that pipelines hold, and on no
        account. Raises StateError if it cannot be kept: a record is never lost in silence. TypeError for what is none.
        """
        if not isinstance(record, Mapping):
            raise TypeError(f"a record is a mapping of names to values, not {type(record).__name__}")
        config = self._config or ConfigManager()
        state = config.root / config.settings.state.path
        load_id = uuid.uuid4().hex
        try:
            held = _held(record, reason, source, load_id, sensitive_fields(config.root))
            to_line(held)  # nothing is begun for what cannot be written
        except RecursionError as error:
            raise StateError(
                "the record holds itself, or is nested too deep", hint="hold a plain copy of it"
            ) from error
        ledger = open_ledger(state / "ledger.sqlite")
        try:
            segment = Quarantine(state / "quarantine", ledger).write(BY_HAND, load_id, 1, iter([held]))
            ledger.keep(_marker(reason, source, load_id, segment))
        finally:
            ledger.close()
        with self._turn:
            self._quarantined += 1
        identity = str(held["id"])
        self._log("warning", f"quarantined a record: {reason}", {}, {"source": source, "record": identity})
        return identity

    def get_error_summary(self) -> dict[str, Any]:
        """Give `total_errors`, `error_types` and `by_source` (name: number), `critical_errors`, `transient_errors`.

        Also `permanent_errors`, `total_warnings`, `quarantined_records`, and `recent`: the newest errors, oldest first.
        """
        with self._turn:
            return {
                "total_errors": self._types.total(),
                "error_types": dict(self._types),
                "by_source": dict(self._sources),
                **{f"{kind}_errors": self._gravities[kind] for kind in ("critical", "permanent", "transient")},
                "total_warnings": self._warnings,
                "quarantined_records": self._quarantined,
                "recent": list(self._recent),
            }

    def export(self, path: str | Path) -> Path:
        """Write the summary as JSON; missing folders are made. Raises StateError if it cannot be written."""
        target = Path(path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            document = json.dumps({"exported_at": _now(), **self.get_error_summary()}, indent=2, ensure_ascii=False)
            target.write_text(document + "\n", encoding="utf-8")
        except OSError as error:
            raise StateError(f"cannot write {target}: {error.strerror}", hint="choose another path") from error
        return target


def _held(
    record: Mapping[str, Any], reason: str, source: str, load_id: str, hidden: frozenset[str] | None
) -> dict[str, Any]:
    """The record in the quarantine's form; where the schemas cannot be asked, all of its values are masked."""
    values = {str(key): value for key, value in record.items()}
    shared = {
        "sensitive": sorted(values if hidden is None else hidden),
        "pipeline": BY_HAND,
        "source": source,
        "table": "",
        "run_id": "",
        "load_id": load_id,
        "attempt": 1,
        "schema": "",
        "schema_version": 0,
        "quarantined_at": _now(),
    }
    failure = Failure(reason, None, None, reason, "quarantine")
    return quarantine_record(RawRecord(1, None, None, values), [failure], number=1, file="", shared=shared)


def _marker(reason: str, source: str, load_id: str, segment: Segment | None) -> Marker:
    """What makes the record visible: of no run, and so on no account."""
    now = _now()
    return Marker(
        load_id=load_id,
        attempt=1,
        run_id="",
        pipeline=BY_HAND,
        source=source,
        table="",
        disposition="append",
        schema="",
        schema_version=0,
        files=(),
        account=Account(1, 0, 1),
        written=Written(0),
        segment=segment,
        causes=(Cause(reason, None, reason, 1),),
        tally={},
        started_at=now,
        committed_at=now,
    )


def _count(counter: Counter[str], name: str) -> None:
    counter[name if name in counter or len(counter) < _NAMES_MAX else _OTHER] += 1


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
