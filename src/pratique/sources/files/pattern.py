"""Which files a path pattern names, and what its captures say about each. Nothing outside of the base is reached."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from pratique.errors import ConfigurationError, SourceError

_DIRECTIVES: Final = {
    "Y": r"\d{4}",
    "m": r"\d{2}",
    "d": r"\d{2}",
    "y": r"\d{2}",
    "H": r"\d{2}",
    "M": r"\d{2}",
    "S": r"\d{2}",
    "j": r"\d{3}",
    "b": r"[^\W\d_]+",
    "B": r"[^\W\d_]+",
    "%": "%",
}
_DEEP: Final = r"\*\*"
_TOKEN: Final = re.compile(r"\{([a-z][a-z0-9_]*)(?::([^{}]+))?\}|(\*)|(\?)|([{}])|([^*?{}]+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that the pattern names. `problem` says why it cannot be one after all."""

    name: str
    path: Path
    captures: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    tag: str = ""  # names its version where it comes from a cloud
    size: int = -1  # in bytes, where that is known before it is here


@dataclass(slots=True)
class PathPattern:
    """`*` and `?` within a name, `**` over folders, `{capture}` and `{capture:%Y-%m}`; relative to `base`.

    Hidden files and folders (a leading dot) are named only by a pattern that has the dot. A `{date}` capture becomes
    ISO text: `2026-10` is `2026-10-01`. Raises ConfigurationError if the pattern is wrong or leaves the base.
    """

    text: str
    base: Path
    dates: dict[str, str] = field(default_factory=dict)
    _segments: tuple[str | re.Pattern[str], ...] = ()
    _whole: re.Pattern[str] = field(default=re.compile(""))

    def __post_init__(self) -> None:
        relative = self._relative()
        parts = [part for part in relative.split("/") if part not in ("", ".")]
        if not parts or ".." in parts:
            raise ConfigurationError(
                f"the path {self.text!r} does not stay inside {self.base}",
                hint="paths are relative to their connection; `..` is not allowed",
            )
        seen: set[str] = set()
        whole: list[str] = []
        segments: list[str | re.Pattern[str]] = []
        for part in parts:
            if part == "**":
                whole.append(r"(?:(?!\.)[^/]*/)*")
                segments.append(re.compile(_DEEP))
                continue
            plain = re.fullmatch(r"[^*?{}]+", part) is not None
            expression = self._expression(part, seen)
            whole.append(expression + "/")
            segments.append(part if plain else re.compile(self._expression(part, set()), re.DOTALL))
        self._segments = tuple(segments)
        text = "".join(whole)
        self._whole = re.compile(text.removesuffix("/") if parts[-1] != "**" else text + r"(?!\.)[^/]+", re.DOTALL)

    def _relative(self) -> str:
        text = self.text.replace(os.sep, "/")
        if not text.startswith("/"):
            return text
        base = self.base.absolute().as_posix().rstrip("/") + "/"
        if not text.startswith(base):
            raise ConfigurationError(
                f"the path {self.text!r} is not inside {self.base}", hint="name a connection whose url is that folder"
            )
        return text.removeprefix(base)

    def _expression(self, part: str, seen: set[str]) -> str:
        pieces = []
        for capture, date, star, mark, brace, literal in _TOKEN.findall(part):
            if brace:
                raise ConfigurationError(
                    f"the path {self.text!r} has a lonely {brace!r}", hint="a capture is written {name} or {name:%Y-%m}"
                )
            if capture in seen:
                pieces.append(f"(?P={capture})")
            elif capture:
                seen.add(capture)
                pieces.append(f"(?P<{capture}>{self._date(capture, date) if date else '[^/]+?'})")
            else:
                pieces.append("[^/]*" if star else "[^/]" if mark else re.escape(literal))
        hidden = "" if part.startswith(".") else r"(?!\.)"
        return hidden + "".join(pieces)

    def _date(self, capture: str, date: str) -> str:
        self.dates[capture] = date
        pieces = []
        for directive, literal in re.findall(r"%(.)|([^%]+)", date):
            if directive and directive not in _DIRECTIVES:
                raise ConfigurationError(
                    f"the path {self.text!r} has the date part %{directive}",
                    hint="served are " + " ".join("%" + name for name in _DIRECTIVES),
                )
            pieces.append(_DIRECTIVES[directive] if directive else re.escape(literal))
        return "".join(pieces)

    @property
    def wild(self) -> bool:
        """Whether the pattern can name more than one file."""
        return any(not isinstance(segment, str) for segment in self._segments)

    @property
    def beginning(self) -> str:
        """What every name that it names begins with."""
        return re.split(r"[*?{]", self._relative(), maxsplit=1)[0].removeprefix("./")

    def matched(self, name: str) -> Candidate | None:
        """A candidate without a path if it names this; hidden files and folders as in a folder."""
        return self._candidate(Path(), name) if self._whole.fullmatch(name) else None

    def leads(self, folder: str, link: bool) -> bool:  # noqa: FBT001 - a folder and what it is
        """Whether what it names can stand in a folder or below. `**` leads through no link: it could be a circle."""
        places = {0}
        parts = folder.split("/")
        for part in parts:
            places = {
                after for place in places for after in self._behind(place, part, deep=not link or part is not parts[-1])
            }
        return any(place < len(self._segments) for place in places)

    def _behind(self, place: int, part: str, *, deep: bool) -> Iterator[int]:
        """The segments that may come next where the one at `place` stands for this part of a name, or for none."""
        segment = self._segments[place] if place < len(self._segments) else None
        if isinstance(segment, str):
            yield from [place + 1] if segment == part else []
        elif segment is not None and segment.pattern == _DEEP:
            yield from [place] if deep and not part.startswith(".") else []
            yield from self._behind(place + 1, part, deep=deep)
        elif segment is not None and segment.fullmatch(part):
            yield place + 1

    def files(self) -> list[Candidate]:
        """Every file that is there now, by name ascending.

        Raises SourceError if a single file, or the folder that the pattern searches, is not there.
        """
        found = sorted(self._walk(self.base, "", self._segments), key=lambda item: item.name)
        if not found and not self.wild:
            raise SourceError(f"there is no file {self.text!r} in {self.base}", hint=self._near())
        return found

    def captures(self, name: str) -> dict[str, str]:
        """What the captures are of a file of this name; nothing if the pattern does not name it."""
        candidate = self._candidate(Path(name), name)
        return {} if candidate.problem else candidate.captures

    def _near(self) -> str:
        folder = self.base.joinpath(*(str(segment) for segment in self._segments[:-1]))
        try:
            names = [printable(entry.name) for entry in folder.iterdir()]
        except OSError:
            return f"the folder {folder} cannot be read"
        near = difflib.get_close_matches(str(self._segments[-1]), names, 3, 0.5)
        return "did you mean " + " or ".join(near) + "?" if near else f"{folder} holds {len(names)} other entries"

    def _walk(self, folder: Path, name: str, rest: tuple[str | re.Pattern[str], ...]) -> Iterator[Candidate]:
        head, tail = rest[0], rest[1:]
        if isinstance(head, str):
            path = folder / head
            if tail:
                yield from self._walk(path, f"{name}{head}/", tail)
            elif os.path.lexists(path):
                yield self._candidate(path, name + head)
            return
        deep = head.pattern == _DEEP
        if deep and tail:
            yield from self._walk(folder, name, tail)
        for entry in _entries(folder):
            hidden = deep and entry.name.startswith(".")
            if hidden or not (deep or head.fullmatch(entry.name)):
                continue
            # a link to a folder is followed where the pattern names it, not by `**`: it could lead round in a circle
            directory = _is_folder(entry, follow_links=not deep)
            path, longer = folder / entry.name, name + entry.name
            if directory and (deep or tail):
                yield from self._walk(path, longer + "/", rest if deep else tail)
            elif not directory and not tail:
                yield self._candidate(path, longer)

    def _candidate(self, path: Path, relative: str) -> Candidate:
        match = self._whole.fullmatch(relative)
        captures: dict[str, str] = {}
        problem = ""
        for capture, text in (match.groupdict() if match else {}).items():
            captures[capture] = printable(text)
            if capture in self.dates:
                try:
                    captures[capture] = _iso(text, self.dates[capture])
                except ValueError:
                    problem = f"{text!r} in its name is not a date like {self.dates[capture]}"
        return Candidate(printable(relative), path, captures, problem)


def _is_folder(entry: os.DirEntry[str], *, follow_links: bool) -> bool:
    try:
        return entry.is_dir(follow_symlinks=follow_links)
    except OSError:  # a link to itself: a candidate, which opening it will refuse
        return False


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise SourceError(
            f"the folder {folder} cannot be read: {error.strerror}", hint="check its permissions"
        ) from error


def _iso(text: str, date: str) -> str:
    moment = datetime.strptime(text, date)  # noqa: DTZ007 - a name tells no zone
    timed = any(part in date for part in ("%H", "%M", "%S"))
    return moment.isoformat() if timed else moment.date().isoformat()


def printable(name: str) -> str:
    r"""A file name as text without loss: bytes that are not UTF-8 become `\xNN`, and every backslash is doubled."""
    return os.fsencode(name.replace("\\", "\\\\")).decode("utf-8", "backslashreplace")
