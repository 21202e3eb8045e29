"""Which files belong to which source, and their records landed as a run lands them."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pratique.errors import SourceError
from pratique.inference.names import distinct, file_name
from pratique.inference.profile import Read
from pratique.inputs import format_of, is_served_later
from pratique.model import Position
from pratique.schema import Field, Schema
from pratique.sources import ReadLimits, open_source
from pratique.sources.files.look import Look, look

_RUN: Final = re.compile(r"[0-9]+([-_.]?[0-9]+)*")
_HEAD_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Files:
    """The files of one source: a pattern below `base`, and what the first of them looks like.

    `told`: the pipeline has to say the format, because the suffix does not.
    """

    name: str
    base: Path
    pattern: str
    paths: tuple[Path, ...]
    look: Look
    told: bool


def files_of(target: Path, limits: ReadLimits, workspace: Path) -> tuple[list[Files], list[str]]:
    """The sources in a file or a folder, and a line about each file, or sheet, that is none.

    Raises SourceError, with the file, where there is nothing that can be read.
    """
    if not target.is_dir():
        return _each(target, limits, workspace)
    found: list[Files] = []
    left_out: list[str] = []
    for path in _listed(target):
        if path.name.startswith("."):
            continue
        if path.is_dir() or format_of(path.name) is None:
            left_out.append(f"{path.name}: {'a folder' if path.is_dir() else 'no format that is known'}")
            continue
        try:
            tables, others = _each(path, limits, workspace)
        except SourceError as error:
            left_out.append(f"{path.name}: {error.message}")
        else:
            found += tables
            left_out += [f"{path.name}: {other}" for other in others]
    if not found:
        reasons = "; ".join(left_out[:3]) or "the folder is empty"
        raise SourceError(
            f"no file in it can be read: {reasons}",
            where=str(target),
            hint="give a folder of CSV, JSON, Excel or Parquet files",
        )
    grouped = _grouped(found)
    names = distinct([item.name for item in grouped])
    return [replace(item, name=name) for item, name in zip(grouped, names, strict=True)], left_out


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise SourceError(
            f"it cannot be listed: {error.strerror}", where=str(folder), hint="make it readable"
        ) from error


def _each(path: Path, limits: ReadLimits, workspace: Path) -> tuple[list[Files], list[str]]:
    """The sources in a file: one, or one for each sheet of a workbook."""
    form = format_of(path.name)
    try:
        seen, left_out = _look(path, _format(path), limits, workspace)
    except SourceError as error:
        raise SourceError(error.message, hint=error.hint, where=str(path), facts=error.facts) from error
    if set("*?{}[]") & set(path.name):
        raise SourceError("its name has characters that stand for others in a path", where=str(path), hint="rename it")
    stem = path.name.split(".")[0] if form else path.stem
    names = [stem if len(seen) == 1 else f"{stem} {table.dialect.sheet}" for table in seen]
    made = [
        Files(file_name(name), path.parent, path.name, (path,), table, table.format != form)
        for name, table in zip(names, seen, strict=True)
    ]
    return made, left_out


def _format(path: Path) -> str:
    if is_served_later(path.name):
        raise SourceError(f"{path.suffix} files are not looked at yet", hint="export it as CSV, unpacked or as .gz")
    return format_of(path.name) or _kind(path)


def _look(path: Path, kind: str, limits: ReadLimits, workspace: Path) -> tuple[list[Look], list[str]]:
    try:
        return look(path, kind, limits, workspace)
    except SourceError:
        if kind != "json":
            raise
        try:  # JSON Lines are often called .json
            return look(path, "jsonl", limits, workspace)
        except SourceError:
            pass
        raise


def _kind(path: Path) -> str:
    """The format of a file whose name does not say it."""
    if path.exists() and not path.is_file():  # to open a pipe is to wait for whoever writes into it
        return "csv"
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise SourceError(
            f"it cannot be opened: {error.strerror}", hint="check that it is there and readable"
        ) from error
    if head.startswith(b"PAR1"):
        return "parquet"
    begin = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    return {b"{": "jsonl", b"[": "json"}.get(begin, "csv")


def _grouped(found: Sequence[Files]) -> list[Files]:
    """Files that differ in numbers of their names only, and have one header, become one source."""
    groups: dict[object, list[Files]] = {}
    for item in found:
        key = (_RUN.sub("*", item.pattern), item.look.format, item.look.columns, item.look.dialect)
        groups.setdefault(key, []).append(item)
    made: list[Files] = []
    names = {item.pattern for item in found}
    for group in groups.values():
        pattern = _RUN.sub("*", group[0].pattern)
        matched = [name for name in names if fnmatch.fnmatchcase(name, pattern)]
        if len(group) == 1 or len(matched) != len(group):
            made += group
            continue
        stem = pattern.split(".")[0].replace("*", " ").strip(" _-")
        paths = tuple(path for item in group for path in item.paths)
        made.append(replace(group[0], name=file_name(stem), pattern=pattern, paths=paths))
    return made


def read(files: Files, path: str, limits: ReadLimits, workspace: Path) -> Read:
    """Land the files of a source; `path` is how a pipeline names them. SourceError if one of them is held."""
    seen = files.look
    fields = tuple(Field(f"f{at}", aliases=(name,)) for at, name in enumerate(seen.columns))
    source = open_source(
        files.name,
        path=files.pattern,
        base=files.base,
        format=seen.format,
        schema=Schema(files.name, 1, fields, dialect=seen.dialect),
        limits=replace(limits, files_per_load_max=len(files.paths) + 1),
        workspace=workspace,
    )
    landed = source.land(Position())
    for held in landed.held:
        where = os.fspath(files.base / held.version.name)
        raise SourceError(held.reason, hint=held.hint, where=where)
    return Read(files.name, path, seen.format, seen.dialect, landed, seen.notices)
