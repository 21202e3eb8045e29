"""Quarantined records for other programs and for people with a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

from pratique.errors import StateError
from pratique.ledger.disk import private_file

ExportFormat = Literal["jsonl", "json", "csv"]
Lines = Iterable[tuple[bytes, dict[str, Any]]]

_PLACE: Final = ("id", "pipeline", "source", "file", "record_number", "line")
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
# A spreadsheet takes a text that begins so for a formula (security.md T16 and OWASP's list).
_FORMULA: Final = tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001  the full-width forms are meant


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: records, and cells of a CSV that got a `'` in front so that no spreadsheet runs them."""

    records: int
    neutralised: int = 0


def export(target: Path | BinaryIO, form: ExportFormat, lines: Callable[[], Lines]) -> Exported:
    """Write what each call of `lines` yields anew. A file is complete or not there, and readable by its owner only."""
    if not isinstance(target, Path):
        return _write(target, form, lines)
    temporary = target.with_name(target.name + ".tmp")
    try:
        with os.fdopen(private_file(temporary, os.O_TRUNC), "wb") as out:
            exported = _write(out, form, lines)
        temporary.replace(target)
    except OSError as error:
        raise StateError(f"cannot write {target}: {error.strerror}", hint="choose another --output") from error
    finally:
        with suppress(OSError):  # there only if something went wrong
            temporary.unlink()
    return exported


def _write(out: BinaryIO, form: ExportFormat, lines: Callable[[], Lines]) -> Exported:
    if form == "csv":
        return _csv(out, lines)
    if form == "jsonl":
        return Exported(_joined(out, (line for line, _ in lines())))
    out.write(b"[\n")
    before = chain([b""], iter(lambda: b",", None))
    count = _joined(out, (comma + line for comma, (line, _) in zip(before, lines(), strict=False)))
    out.write(b"]\n")
    return Exported(count)


def _joined(out: BinaryIO, lines: Iterator[bytes]) -> int:
    count = 0
    for line in lines:
        out.write(line)
        count += 1
    return count


def _csv(out: BinaryIO, lines: Callable[[], Lines]) -> Exported:
    """Read twice: first for the columns, which differ from source to source, then for the rows."""
    headers = list(dict.fromkeys(header for _, record in lines() for header in record["values"]))
    text = io.TextIOWrapper(out, encoding="utf-8", errors="backslashreplace", newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    count = neutralised = 0
    for row in chain([_names(headers)], _rows(lines(), headers)):
        cells = [_cell(value) for value in row]
        neutralised += sum(changed for _, changed in cells)
        writer.writerow([cell for cell, _ in cells])
        count += 1
    text.flush()
    text.detach()
    return Exported(count - 1, neutralised)


def _names(headers: list[str]) -> list[str]:
    """The name of every column, each once: ours give way to those of the data, which may have an `_id`, too."""
    taken = {header.casefold() for header in headers}
    ours = [f"_{name}" for name in (*_PLACE, "rules", "messages")]
    while not taken.isdisjoint(ours):
        ours = [f"_{name}" if name in taken else name for name in ours]
    return [*ours, *headers]


def _rows(lines: Lines, headers: list[str]) -> Iterator[list[Any]]:
    for _, record in lines:
        yield [
            *(record[name] for name in _PLACE),
            "; ".join(error["rule"] for error in record["errors"]),
            "; ".join(error["message"] for error in record["errors"]),
            *(record["values"].get(header) for header in headers),
        ]


def _cell(value: Any) -> tuple[Any, bool]:
    """The value for a cell, and whether it had to be made harmless (T16); numbers stay numbers."""
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and value.startswith(_FORMULA) and not _NUMBER.fullmatch(value):
        return "'" + value, True
    return value, False
