"""A program of the project's owner: found, called, and its faults told with its own file and line."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import inspect
import io
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from types import TracebackType
from typing import Any, Final

from pratique.errors import ConfigurationError, PratiqueError, SourceError, SourceUnreachableError, gravity
from pratique.inputs import PythonInput
from pratique.secrets import hide_secrets, reveal

ENTRY_POINTS: Final = "pratique.sources"
_MESSAGE_CHARACTERS_MAX: Final = 500  # Limit: an error of a library may quote a whole answer


class Program:
    """The object that a source uses: a function, or an instance of a class with a method `records`."""

    def __init__(self, asked: PythonInput) -> None:
        """Load it. ConfigurationError where it cannot be, with the place in its file."""
        self._asked = asked
        with self.blamed(ConfigurationError):
            found = _loaded(asked)
        routine = inspect.isclass(found) or inspect.isroutine(found)
        self.file = inspect.getsourcefile(inspect.unwrap(found)) if routine else None
        if inspect.isclass(found):
            with self.blamed():
                found = found(**self._taken(found))
        self._probe = getattr(found, "probe", None)
        self._records: Any = getattr(found, "records", found)
        if not callable(self._records):
            raise ConfigurationError(
                f"{asked.name} is neither a function nor a class with a method `records`",
                hint="write def records(connection, since): yield {…}",
                where=self._place(),
            )

    def records(self, since: str | None) -> Iterator[tuple[Any, str]]:
        """What it yields, each with the place (`file:line`) where it did; its errors are raised as SourceError."""
        with self.blamed():
            pieces = iter(self._records(**self._taken(self._records, since=since)))
        frame = getattr(pieces, "gi_frame", None)
        while True:
            try:
                piece = next(pieces)
            except StopIteration:
                return
            except (Exception, SystemExit):
                with self.blamed():
                    raise
            yield piece, f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else self._place()

    def probe(self) -> str | None:
        """What it says of itself, if it has a method `probe`."""
        if self._probe is None:
            return None
        with self.blamed():
            return str(self._probe())

    def _taken(self, function: Callable[..., Any], **more: Any) -> Mapping[str, Any]:
        """The arguments that a function asks for by name."""
        known = {"connection": reveal(dict(self._asked.connection)), **more}
        parameters = inspect.signature(function).parameters.values()
        if any(item.kind is item.VAR_KEYWORD for item in parameters):
            return known
        for item in parameters:
            if item.name not in known and item.default is item.empty and item.kind is not item.VAR_POSITIONAL:
                raise ConfigurationError(
                    f"{self._asked.name} asks for {item.name!r}, which nobody gives",
                    hint=f"it may ask for {' and '.join(known)}; give others a default",
                    where=self._place(),
                )
        return {name: value for name, value in known.items() if name in {item.name for item in parameters}}

    def _place(self) -> str:
        return str(self._asked.file or self._asked.name)

    @contextmanager
    def blamed(self, kind: type[PratiqueError] = SourceError) -> Iterator[None]:
        """Run the owner's code: what it raises becomes an error of ours that names the owner's file and line."""
        try:
            yield
        except PratiqueError as error:
            if not error.where:
                error.where = self._line(error.__traceback__)
            raise
        except (Exception, SystemExit) as error:
            text = (str(error).splitlines() or [""])[0][:_MESSAGE_CHARACTERS_MAX]
            told = f"{type(error).__name__}{': ' + text if text else ''}"
            passing = kind is SourceError and gravity(error) == "transient"
            raise (SourceUnreachableError if passing else kind)(
                f"{self._asked.name} raised {told}",
                hint="mend it at this line; `pratique --debug probe` shows how it got there",
                where=self._line(error.__traceback__, error),
            ) from error

    def _line(self, trace: TracebackType | None, error: BaseException | None = None) -> str:
        """The last line of the owner's file that was at work; of a mistake in its syntax, that line."""
        if isinstance(error, SyntaxError) and error.filename:
            return f"{error.filename}:{error.lineno}"
        own = getattr(self, "file", None) or str(self._asked.file or "")
        frames = [frame for frame in traceback.extract_tb(trace) if not own or frame.filename == own]
        return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else self._place()


def printing_apart() -> redirect_stdout[_Stderr]:
    """While the block runs, what a program prints goes to stderr: stdout is the command's own."""
    return redirect_stdout(_Stderr())


class _Stderr(io.TextIOBase):
    """Where a program's prints go: no secret is among them."""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        sys.stderr.write(hide_secrets(text))
        return len(text)


def _loaded(asked: PythonInput) -> Any:
    if asked.file is None:
        (entry,) = importlib.metadata.entry_points(group=ENTRY_POINTS, name=asked.entry)
        return entry.load()
    name = f"pratique_source_{asked.file.stem}"
    spec = importlib.util.spec_from_file_location(name, asked.file)
    assert spec is not None  # noqa: S101 - the plan has looked: it is a file that ends with .py
    assert spec.loader is not None  # noqa: S101 - the same
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses of the module look themselves up there
    spec.loader.exec_module(module)
    return getattr(module, asked.entry)
