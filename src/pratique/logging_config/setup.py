"""The log of a project: where it goes, in which form, and how loud, by the settings of its environment."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import MutableMapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from pratique.config_manager import ConfigManager
from pratique.events import Event
from pratique.logging_config.formats import (
    EVENT_FIELDS,
    USER_FIELDS,
    ConsoleFormatter,
    Entries,
    JsonFormatter,
    PlainFormatter,
)
from pratique.logging_config.rotation import LogFile, Stderr, TellingHandler
from pratique.project import sensitive_fields

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger

LOGGER: Final = "pipeline"
_PASSED: Final = ("exc_info", "stack_info", "stacklevel")  # what a standard logger takes itself


class LoggerSetup:
    """Sends what is logged to stderr and to the file of `logging.file`, from the level of the environment on.

    `logging.format` is the form of stderr: `text` for people, `json` for machines. The file is plain text, rotated at
    `logging.file_bytes_max` bytes and daily. A file that cannot be written costs one warning on stderr and nothing
    else. Setting up anew replaces what was set up; `close` (or leaving the context) takes it all away again.
    """

    def __init__(
        self, config: ConfigManager | None = None, name: str = LOGGER, *, console: bool = True, file: bool = True
    ) -> None:
        self.config = config or ConfigManager()
        self.name = name
        spec = self.config.settings.logging
        entries = Entries(lambda: sensitive_fields(self.config.root))
        self.handlers: list[logging.Handler] = [logging.NullHandler()]
        if console:
            handler = TellingHandler(Stderr(), "stderr")
            handler.setFormatter(
                JsonFormatter(entries) if spec.format == "json" else ConsoleFormatter(entries, colors=_colours())
            )
            self.handlers.append(handler)
        if file and spec.file:
            path = self.config.root / spec.file
            stream = LogFile(path, spec.file_bytes_max, spec.backups_max, spec.days_max)
            handler = TellingHandler(stream, str(path))
            handler.setFormatter(PlainFormatter(entries))
            self.handlers.append(handler)
        self._apply(spec.level)

    def _apply(self, level: str) -> None:
        logger = logging.getLogger(self.name)
        before = [item for item in logger.handlers if isinstance(item, TellingHandler | logging.NullHandler)]
        for old in before:
            logger.removeHandler(old)
            old.close()
        for handler in self.handlers:
            logger.addHandler(handler)
        logger.setLevel(level)
        logger.propagate = False  # or who also logs by other means would read each line twice

    @property
    def failures(self) -> int:
        """How many lines could not be written somewhere."""
        return sum(handler.failures for handler in self.handlers if isinstance(handler, TellingHandler))

    @property
    def logger(self) -> BoundLogger:
        """The logger: `logger.info("Pipeline started", rows=3)`, `logger.bind(source="sales")`."""
        import structlog  # noqa: PLC0415 - 0.2 s that a run does not pay

        bound: BoundLogger = structlog.wrap_logger(
            logging.getLogger(self.name),
            processors=[
                structlog.stdlib.filter_by_level,
                structlog.contextvars.merge_contextvars,
                _to_record,
            ],
            wrapper_class=structlog.stdlib.BoundLogger,
            cache_logger_on_first_use=False,
        )
        return bound

    def close(self) -> None:
        """Take the handlers away. Harmless when repeated."""
        logger = logging.getLogger(self.name)
        logger.propagate = True
        for handler in self.handlers:
            logger.removeHandler(handler)
            handler.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def setup_pipeline_logger(config: ConfigManager | None = None) -> BoundLogger:
    """The logger of the project, set up: on the console and in `logs/pipeline.log`."""
    return LoggerSetup(config).logger


class EventLog:
    """Writes the log line of each event; who set nothing up gets Python's own rule: warnings on stderr."""

    def __init__(self, name: str = LOGGER) -> None:
        self._logger = logging.getLogger(name)

    def __call__(self, event: Event) -> None:
        """Log what the event says, if it says something."""
        level = logging.getLevelNamesMapping()[event.loudness.upper()]
        if self._logger.isEnabledFor(level) and (message := event.message()):
            self._logger.log(level, message, extra={EVENT_FIELDS: event.fields()})


def _to_record(_: Any, __: str, event: MutableMapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What structlog gathered, as the arguments of a standard logger."""
    passed: dict[str, Any] = {name: event.pop(name) for name in _PASSED if name in event}
    message = (str(event.pop("event", "")), *event.pop("positional_args", ()))
    return message, {**passed, "extra": {USER_FIELDS: dict(event)}}


def _colours() -> bool:
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return not plain and sys.stderr is not None and sys.stderr.isatty()
