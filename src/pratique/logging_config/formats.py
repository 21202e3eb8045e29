"""A log line: for people with colours, for machines as JSON with ECS names, plain for files; no secret in it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from pratique.errors import stack_trace, text_of
from pratique.printable import shown
from pratique.secrets import hide_secrets

ECS_VERSION: Final = "9.0.0"
MASK: Final = "***"
EVENT_FIELDS: Final = "pratique_event"  # attribute of a record: fields of an event, whose names are ours
USER_FIELDS: Final = "pratique_fields"  # the same, of somebody who logs
_OWN: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_DEPTH_MAX: Final = 50  # Limit: of mappings and lists in each other; what is deeper is not told
_HIDDEN_MIN: Final = 4  # Limit: a shorter value cannot be told from other text

SensitiveNames = Callable[[], frozenset[str] | None]


@dataclass(frozen=True, slots=True)
class Entry:
    """What a line says, already masked; a field whose name has a dot is one of ECS, for machines alone."""

    at: datetime
    level: str
    logger: str
    message: str
    fields: Mapping[str, Any]
    trace: str


class Masking:
    """Masks what the project's schemas mark sensitive, by name and by value, and every secret."""

    def __init__(self, sensitive: SensitiveNames) -> None:
        self._sensitive = sensitive
        self._names: frozenset[str] | None = frozenset()
        self._asked = False

    def of(self, fields: Mapping[str, Any]) -> tuple[dict[str, Any], Callable[[str], str]]:
        """The fields as they may be told, and what makes any text clean that may hold their values.

        Where a schema cannot be read no value of a field is told.
        """
        if fields and not self._asked:
            self._names, self._asked = self._sensitive(), True
        hidden: set[str] = set()
        told = self._masked(fields, hidden)

        def clean(text: str) -> str:
            for value in sorted(hidden, key=len, reverse=True):
                text = text.replace(value, MASK)
            return str(hide_secrets(text))

        return {name: _cleaned(value, clean) for name, value in told.items()}, clean

    def _masked(self, value: Any, hidden: set[str], depth: int = 0) -> Any:
        if depth > _DEPTH_MAX:
            return MASK
        if isinstance(value, Mapping):
            told = {}
            for key, item in value.items():
                ours = str(key) in _NEVER_SENSITIVE or "." in str(key)
                if not ours and (self._names is None or str(key) in self._names):
                    hidden.update(text for text in _texts(item) if len(text) >= _HIDDEN_MIN)
                    told[str(key)] = MASK
                else:
                    told[str(key)] = self._masked(item, hidden, depth + 1)
            return told
        return (
            [self._masked(item, hidden, depth + 1) for item in value]
            if isinstance(value, list | tuple | set)
            else value
        )


class Entries:
    """Makes entries of log records, masked."""

    def __init__(self, sensitive: SensitiveNames) -> None:
        self._masking = Masking(sensitive)

    def of(self, record: logging.LogRecord) -> Entry:
        """The entry of a record, with its own fields, those of `extra`, and the stack trace of its error."""
        extra = {name: value for name, value in record.__dict__.items() if name not in _OWN}
        event = dict(extra.pop(EVENT_FIELDS, {}))
        told, clean = self._masking.of({**extra.pop(USER_FIELDS, {}), **extra})
        trace = event.pop("error.stack_trace", "")
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if error is not None:
            trace = stack_trace(error, foreign=True)
            event |= {"error.type": type(error).__name__, "error.message": text_of(error)}
        return Entry(
            datetime.fromtimestamp(record.created, UTC),
            record.levelname.lower(),
            record.name,
            clean(_message(record)),
            {**told, **{name: _cleaned(value, clean) for name, value in event.items()}},
            clean(str(trace)),
        )


_NEVER_SENSITIVE: Final = frozenset({"source", "gravity", "hint"})  # of the error tracker


def _texts(value: Any, depth: int = 0) -> Iterable[str]:
    """Every text in a value."""
    if depth > _DEPTH_MAX:
        return []
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple | set):
        return [text for item in value for text in _texts(item, depth + 1)]
    return [] if value is None else [text_of(value)]


def _cleaned(value: Any, clean: Callable[[str], str]) -> Any:
    """The value as JSON knows it, its texts clean."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {clean(str(key)): _cleaned(item, clean) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_cleaned(item, clean) for item in value]
    return clean(text_of(value))


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):  # the arguments do not fit: better an odd line than none
        return f"{record.msg} {record.args}"


class PlainFormatter(logging.Formatter):
    """`2026-02-10 15:30:45 - pipeline - INFO - Pipeline started`, fields behind it, a stack trace indented below."""

    def __init__(self, entries: Entries) -> None:
        super().__init__()
        self._entries = entries

    def format(self, record: logging.LogRecord) -> str:
        """One entry; times are those of the place. Only a stack trace has several lines."""
        entry = self._entries.of(record)
        fields = "".join(f" {shown(name)}={_value(value)}" for name, value in _for_people(entry))
        at = entry.at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        line = f"{at} - {shown(entry.logger)} - {entry.level.upper()} - {shown(entry.message)}{fields}"
        return "\n    ".join([line, *map(shown, entry.trace.splitlines())])


class ConsoleFormatter(logging.Formatter):
    """A line for people, in colours where the terminal has them."""

    def __init__(self, entries: Entries, *, colors: bool) -> None:
        from structlog.dev import ConsoleRenderer, plain_traceback  # noqa: PLC0415 - 0.2 s that only a console pays

        super().__init__()
        self._entries = entries
        self._render = ConsoleRenderer(
            colors=colors, exception_formatter=plain_traceback, sort_keys=False, pad_event_to=1
        )

    def format(self, record: logging.LogRecord) -> str:
        """One entry; nothing of it steers the terminal."""
        entry = self._entries.of(record)
        event: dict[str, Any] = {
            "timestamp": entry.at.astimezone().strftime("%Y-%m-%d %H:%M:%S"),
            "level": entry.level,
            "event": shown(entry.message),
            "logger": shown(entry.logger),
            **{shown(name): shown(value) for name, value in _for_people(entry)},
        }
        if entry.trace:
            event["exception"] = "\n".join(map(shown, entry.trace.splitlines()))
        return str(self._render(None, entry.level, event))


class JsonFormatter(logging.Formatter):
    """One JSON object a line with the names of the Elastic Common Schema; our own fields begin with `pratique.`."""

    def __init__(self, entries: Entries) -> None:
        super().__init__()
        self._entries = entries
        try:
            self._version = version("pratique")
        except PackageNotFoundError:
            self._version = "source tree"

    def format(self, record: logging.LogRecord) -> str:
        """One entry, in ASCII."""
        entry = self._entries.of(record)
        line = {
            "@timestamp": entry.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "log.level": entry.level,
            "message": entry.message,
            "ecs.version": ECS_VERSION,
            "log.logger": entry.logger,
            "service.name": "pratique",
            "service.version": self._version,
        }
        for name, value in entry.fields.items():
            line[name if "." in name else f"pratique.{name}"] = value
        if entry.trace:
            line["error.stack_trace"] = entry.trace
        return json.dumps(line, default=str)


def _for_people(entry: Entry) -> Iterable[tuple[str, Any]]:
    return ((name, value) for name, value in entry.fields.items() if "." not in name)


def _value(value: Any) -> str:
    """A value as a person reads it; in quotes where it would not be seen where it ends."""
    text = shown(json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict | list) else value)
    return json.dumps(text, ensure_ascii=False) if isinstance(value, str) and (" " in text or not text) else text
