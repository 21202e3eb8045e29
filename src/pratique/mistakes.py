"""What is wrong in files that people wrote: each mistake at its place, all of them gathered before anybody is told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

from pratique.errors import ConfigurationError

Level = Literal["error", "warning"]

Code = Literal[
    "unreadable", "syntax", "duplicate", "file", "unknown-key", "missing-key", "type", "value",
    "unknown-name", "rule", "pattern", "conflict", "reference", "not-served", "secret", "unused",
]  # fmt: skip

CODES: Final[dict[Code, str]] = {  # stable: people write them into their tools
    "unreadable": "a file that cannot be read, or is not UTF-8 text",
    "syntax": "not valid YAML or JSON, or a part of YAML that is not read",
    "duplicate": "a key, a name, a version or a table that stands twice",
    "file": "a file of the wrong kind, or with a name that means nothing here",
    "unknown-key": "a key that does not exist at this place",
    "missing-key": "a key without which the file means nothing",
    "type": "a value of another type than is expected",
    "value": "a value that is not allowed here",
    "unknown-name": "a schema, field, connection, environment or part of a path that does not exist",
    "rule": "an expression that the rule language does not have",
    "pattern": "a regular expression, a form or a date pattern that means nothing",
    "conflict": "words that contradict each other, or make no sense together",
    "reference": "a reference that can never hold",
    "not-served": "a word of the language whose feature does not exist yet",
    "secret": "a reference to a secret that is not there",
    "unused": "a file that nothing uses",
}
_PLACE: Final = re.compile(r"(?P<file>.+?):(?P<line>[0-9]+)(?::(?P<column>[0-9]+))?")
_MEANT: Final = re.compile(r"did you mean [\"`](.+?)[\"`]\?")


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong: where (`file:line:column`), what, what to do, and one of `CODES`.

    `length` counts the characters that are wrong, from `where` on; 0 means the whole key or value that begins there.
    """

    where: str
    message: str
    hint: str = ""
    code: Code = "value"
    level: Level = "error"
    length: int = 0

    @property
    def file(self) -> str:
        """The file in which it stands; the whole of `where` if that names no line."""
        return self._place[0]

    @property
    def line(self) -> int:
        """Counted from 1; 0 if the whole file is meant."""
        return self._place[1]

    @property
    def column(self) -> int:
        """Counted from 1 in characters; 0 if the whole line is meant."""
        return self._place[2]

    @property
    def meant(self) -> str:
        """The word that was probably meant instead of the wrong one; empty if none is near."""
        found = _MEANT.match(self.hint)
        return found[1] if found else ""

    @property
    def _place(self) -> tuple[str, int, int]:
        found = _PLACE.fullmatch(self.where)
        return (found["file"], int(found["line"]), int(found["column"] or 0)) if found else (self.where, 0, 0)


class Mistakes:
    """Gathers mistakes while a file is read on. What follows from a mistake is not told beside it.

    Whatever is found at a place at which something was found before is left out: it is mended by mending the first.
    """

    def __init__(self) -> None:
        self._found: dict[Mistake, None] = {}
        self._told: set[str] = set()

    def add(self, mistakes: Iterable[Mistake]) -> None:
        """Take mistakes that were found together: two of them may stand at one place."""
        new = [mistake for mistake in mistakes if not mistake.column or mistake.where not in self._told]
        self._found |= dict.fromkeys(new)
        # A secret that is not known here hides what only its value could tell; another warning hides no error.
        self._told |= {mistake.where for mistake in new if mistake.level == "error" or mistake.code == "secret"}

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Take the mistakes of a ConfigurationError that is raised inside, and go on after the block."""
        try:
            yield
        except ConfigurationError as error:
            self.add(mistakes_of(error))

    def __iter__(self) -> Iterator[Mistake]:
        """In the order in which they stand in the files."""
        return iter(sorted(self._found, key=lambda mistake: mistake._place))  # noqa: SLF001 - its own neighbour

    @property
    def errors(self) -> list[Mistake]:
        """Those that stop a run."""
        return [mistake for mistake in self if mistake.level == "error"]

    def refuse(self) -> None:
        """Raise one ConfigurationError with all errors: the first is its message, the rest stand in `facts["more"]`."""
        if self.errors:
            raise error_of(self.errors)


def refuse(mistakes: Iterable[Mistake]) -> None:
    """Raise one ConfigurationError with all of these mistakes, if there are any."""
    found = Mistakes()
    found.add(mistakes)
    found.refuse()


def error_of(mistakes: list[Mistake]) -> ConfigurationError:
    """One error that says all of these mistakes."""
    first, *rest = mistakes
    facts: dict[str, Any] = {"code": first.code, "length": first.length}
    if rest:
        facts["more"] = [
            {
                "where": item.where,
                "message": item.message,
                "hint": item.hint,
                "code": item.code,
                "length": item.length,
            }
            for item in rest
        ]
    return ConfigurationError(first.message, where=first.where, hint=first.hint, facts=facts)


def mistakes_of(error: ConfigurationError) -> list[Mistake]:
    """Every mistake that an error says."""
    first = {"where": error.where, "message": error.message, "hint": error.hint, **error.facts}
    return [
        Mistake(said["where"], said["message"], said["hint"], said.get("code", "value"), length=said.get("length", 0))
        for said in (first, *error.facts.get("more", ()))
    ]
