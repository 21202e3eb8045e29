"""What is given to a source, as files that its path names."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final

from pratique.cases import Cell, GivenFile
from pratique.errors import ConfigurationError
from pratique.planning import SourcePlan
from pratique.schema import Dialect, Schema
from pratique.schema.binding import bind

_BINARY: Final = frozenset({"parquet", "excel"})  # records of such sources are given as JSON Lines
_PART: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?::[^{}]*)?\}|\*\*/|\*|\?")


def landed_plan(plan: SourcePlan, files: tuple[GivenFile, ...], folder: Path, stem: str) -> SourcePlan:
    """Write the files below `folder`, and give the source that reads them there.

    Raises ConfigurationError, at the place of the test, for what no file of this source can hold.
    """
    path = _relative(plan)
    as_json = plan.format in _BINARY and any(file.records is not None for file in files)
    if as_json and any(file.file is not None for file in files):
        raise ConfigurationError(
            f"records of {plan.name} stand beside a file",
            where=files[0].where,
            hint=f"give all of them as {plan.format} files, or all as records",
            facts={"code": "conflict"},
        )
    written: dict[Path, GivenFile] = {}
    for number, file in enumerate(files, 1):
        target = folder / _name(path, file, f"{stem}-{number}")
        if target in written:
            raise ConfigurationError(
                f"two files of {plan.name} have the name {target.relative_to(folder).as_posix()}",
                where=file.where,
                hint="give each a path of its own, such as path: b.csv",
                facts={"code": "duplicate"},
            )
        written[target] = file
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.file is not None:
            shutil.copyfile(file.file, target)
        else:
            target.write_bytes(_content(plan, file))
    return replace(
        plan,
        path=path,
        base=folder,
        format="jsonl" if as_json else plan.format,
        database=None,
        api=None,
        python=None,
        cloud=None,
    )


def _relative(plan: SourcePlan) -> str:
    """The path of the source below its folder: an absolute one would lead out of the test."""
    base = plan.base.absolute().as_posix().rstrip("/") + "/"
    return plan.path.removeprefix(base) if plan.path.startswith("/") else plan.path


def _name(path: str, file: GivenFile, wild: str) -> str:
    """The name of a file: as it is given, or the path with its captures and something for each `*`."""
    if isinstance(file.path, str):
        name = file.path
    else:
        captures = file.path or {}
        name = _PART.sub(lambda part: _part(part, captures, wild), path)
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise ConfigurationError(
            f"the path {name} leads out of the folder of the source",
            where=file.where,
            hint="give a path below it",
            facts={"code": "value"},
        )
    return name


def _part(part: re.Match[str], captures: Mapping[str, str], wild: str) -> str:
    if part[1]:
        return captures[part[1]]
    return {"*": wild, "?": wild[-1]}.get(part[0], "")


def _content(plan: SourcePlan, file: GivenFile) -> bytes:
    captures = file.path if isinstance(file.path, dict) else {}
    dialect = next((item for when, item in plan.overrides if _fits(when, captures)), plan.schema.dialect)
    text = file.text
    if text is None:
        rows = file.records or ()
        csv = plan.format == "csv"
        text = "".join(_csv(plan.schema, dialect, rows, file.where)) if csv else _json(plan, rows)
    try:
        return text.encode(dialect.encoding if plan.format == "csv" else "utf-8")
    except UnicodeEncodeError as error:
        raise ConfigurationError(
            f"{dialect.encoding} has no character {text[error.start]!r}",
            where=file.where,
            hint="leave it out, or give a file of the project with `file:`",
            facts={"code": "value"},
        ) from error


def _fits(when: Mapping[str, str], captures: Mapping[str, str]) -> bool:
    return all(captures.get(name) == value for name, value in when.items())


def _json(plan: SourcePlan, rows: tuple[Mapping[str, Cell], ...]) -> str:
    """One object a line; a source of JSON files gets them in an array."""
    header = _header(plan.schema, rows)
    lines = [one_line(header, row) for row in rows]
    return "[" + ",".join(lines) + "]\n" if plan.format == "json" else "".join(lines)


def one_line(names: Sequence[str], row: Mapping[str, Cell]) -> str:
    """A record as one line of JSON with all of these names; what is not given is null."""
    pairs = (f"{json.dumps(name, ensure_ascii=False)}: {row[name].json if name in row else 'null'}" for name in names)
    return "{" + ", ".join(pairs) + "}\n"


def _header(schema: Schema, rows: tuple[Mapping[str, Cell], ...]) -> list[str]:
    """The columns of the records in the order in which they are given, then those of fields that none of them has."""
    header = list(dict.fromkeys(name for row in rows for name in row))
    return header + [schema.field(name).headers[0] for name in bind(schema, header).missing]


def _csv(schema: Schema, dialect: Dialect, rows: tuple[Mapping[str, Cell], ...], where: str) -> Iterator[str]:
    from pratique.sources.files.header import expected  # noqa: PLC0415 - beside its use

    header = _header(schema, rows) if dialect.header else list(expected(schema))
    missing = {header: item.missing_values for item in schema.fields for header in item.headers}
    delimiter = dialect.delimiter or ","
    if dialect.header:
        yield delimiter.join(_text(name, dialect, where) for name in header) + "\n"
    for row in rows:
        cells = []
        for name in header:
            cell = row.get(name)
            if cell is None or cell.text is None:
                cells.append(_missing(missing.get(name, ("",)), dialect, where))
            else:
                cells.append(_text(cell.text, dialect, where))
        yield delimiter.join(cells) + "\n"


def _missing(texts: tuple[str, ...], dialect: Dialect, where: str) -> str:
    """A missing value is written by the first text that means it, best by nothing."""
    if "" in texts or not texts:
        return ""
    return _text(texts[0], dialect, where)


def _text(text: str, dialect: Dialect, where: str) -> str:
    """A text as a field of the file, in quotes where it needs them; an empty one is no missing one."""
    special = {dialect.delimiter or ",", dialect.quote_char, dialect.comment_char, "\n", "\r"}
    if text and special.isdisjoint(text) and text == text.strip():
        return text
    quote = dialect.quote_char
    if quote is None:
        if special.isdisjoint(text):
            return text
        raise ConfigurationError(
            f"{text!r} cannot stand in a file without quotes",
            where=where,
            hint="the dialect says quoteChar: null; give the text with `csv:`",
            facts={"code": "value"},
        )
    escape = dialect.escape_char or quote
    body = text.replace(escape, escape * 2) if dialect.escape_char else text
    return f"{quote}{body.replace(quote, escape + quote)}{quote}"
