"""Every error of Pratique, in one tree grouped by who has to act.

    PratiqueError
    ├── ConfigurationError   the config author     exit 2
    ├── SourceError          the source owner      exit 3
    │   └── SourceUnreachableError  (retryable)
    ├── DestinationError     the destination owner exit 4
    │   └── DestinationLockedError  (retryable)
    ├── GateError            the data owner        exit 1
    ├── AlreadyRunningError  the operator          exit 6
    ├── InterruptedRunError  nobody: run again     exit 7
    ├── StateError           the operator          exit 5   state folder, ledger, quarantine, temporary disk
    ├── OutputError          the operator          exit 5   where a command prints to
    └── InternalError        us                    exit 5   a promise of ours did not hold

Bad *data* is a verdict, not an error. An error means that somebody must act, and its `hint` says how.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

Gravity = Literal["transient", "permanent", "critical"]


class PratiqueError(Exception):
    """Says what happened, where, and what to do next; survives pickling with all of it.

    `code` is stable and documented; `action` is the hint of an error that gives none of its own. `retryable` is read
    by the one retry policy; `critical` means that no run can be trusted to work before a person has acted; `facts`
    are the values that the message names, for machines.
    """

    exit_code: ClassVar[int] = 5
    code: ClassVar[str] = "error"
    action: ClassVar[str] = ""
    retryable: ClassVar[bool] = False
    critical: ClassVar[bool] = False

    def __init__(
        self, message: str, *, hint: str = "", where: str = "", facts: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.action
        self.where = where
        self.facts = dict(facts or {})

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.hint, self.where, self.facts)


def _rebuild(kind: type[PratiqueError], message: str, hint: str, where: str, facts: dict[str, Any]) -> PratiqueError:
    return kind(message, hint=hint, where=where, facts=facts)


class ConfigurationError(PratiqueError):
    """A file that a person wrote is wrong; `where` is `file:line:column`."""

    exit_code = 2
    code = "configuration"
    action = "correct the file at the place that the error names; `pratique lint` finds every mistake at once"


class SourceError(PratiqueError):
    """An input is missing, unreadable or not what was declared; nothing of it was loaded."""

    exit_code = 3
    code = "source"
    action = "look at the input with whoever sends it; the next run takes what is new"


class SourceUnreachableError(SourceError):
    """A server cannot be reached or broke off; it was tried again, and may be there later."""

    code = "source_unreachable"
    action = "see whether the server runs and lets this machine in; the next run tries again"
    retryable = True


class DestinationError(PratiqueError):
    """The destination refused; nothing of the load is visible there."""

    exit_code = 4
    code = "destination"
    action = "look at the destination with its owner, then run again"


class DestinationLockedError(DestinationError):
    """Another process holds the destination; it was waited for as long as configured."""

    code = "destination_locked"
    action = "end the process that the error names, or wait for it, then run again"
    retryable = True


class DestinationMovedError(DestinationError):
    """Another load committed into the table between judging and writing: judge again."""

    code = "destination_moved"
    action = "run again: what the other load wrote is then judged with it"
    retryable = True


class GateError(PratiqueError):
    """The input was judged and is not good enough to publish; nothing was loaded."""

    exit_code = 1
    code = "gate"
    action = "correct the data or the schema, then run again"


class AlreadyRunningError(PratiqueError):
    """Another process runs this pipeline; the message names it."""

    exit_code = 6
    code = "already_running"
    action = "wait until it is done"


class InterruptedRunError(PratiqueError):
    """The run was told to stop; what was committed stays, the next run goes on."""

    exit_code = 7
    code = "interrupted"
    action = "run the same command again; it goes on from there"


class StateError(PratiqueError):
    """Pratique's own disk (state, ledger, quarantine, temporary files) cannot be used."""

    code = "state"
    action = "make the folder that the error names usable, then run again"
    critical = True


class OutputError(PratiqueError):
    """What a command prints cannot be written, as on a full disk; what it did before stays done."""

    code = "output"
    action = "make room where it goes, or write it elsewhere; what runs did is kept"


class InternalError(PratiqueError):
    """A promise of Pratique itself did not hold; the run stopped before any effect."""

    code = "internal"
    action = "this is a fault of Pratique; please report it with this line"
    critical = True


def gravity(error: BaseException) -> Gravity:
    """Whether an error can pass by itself (`transient`), stays until somebody acts, or stops everything (`critical`).

    Of errors that are not ours, timeouts and lost connections pass; what the machine cannot give is critical.
    """
    if isinstance(error, PratiqueError):
        return "critical" if error.critical else "transient" if error.retryable else "permanent"
    if isinstance(error, TimeoutError | ConnectionError | InterruptedError | BlockingIOError):
        return "transient"
    return "critical" if isinstance(error, MemoryError | RecursionError | SystemError) else "permanent"


def text_of(value: object) -> str:
    """What an error, or another value of somebody's, says; `<exception str() failed>` where that raises."""
    return value if isinstance(value, str) else str(traceback.TracebackException(Exception, Exception(value), None))


def stack_trace(error: BaseException, *, foreign: bool = False) -> str:
    """Where an error came from: every frame of it and of its causes, the first cause first; never a local variable.

    The text of an error of a library may quote data: it is left out unless `foreign`.
    """
    return "\n".join(_stack(error, foreign=foreign, seen=set()))


def _stack(error: BaseException, *, foreign: bool, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        yield from _stack(before, foreign=foreign, seen=seen)
        yield "which led to:" if error.__cause__ else "and while that was handled:"
    if error.__traceback__:
        yield "Traceback (most recent call last):"
        yield "".join(traceback.format_tb(error.__traceback__)).rstrip("\n")
    text = text_of(error) if foreign or isinstance(error, PratiqueError) else ""
    yield f"{type(error).__name__}{': ' + text if text else ''}"
