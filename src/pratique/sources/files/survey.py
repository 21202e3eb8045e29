"""What a format finds out about one file: a hash, a count, a form, and a way to give records back."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Final

from pratique.errors import SourceError
from pratique.model import ArrowForm, CsvForm, Form, ParquetForm, RawRecord
from pratique.sources.files.text import read_chunks

BATCH_RECORDS: Final = 8192
# Limit: a batch of long records is cut before it has this many characters.
BATCH_CHARACTERS: Final = 8 << 20
_MAGIC: Final = {
    b"\x1f\x8b": "a packed file inside of a packed file",
    b"\x28\xb5\x2f\xfd": "a packed file inside of a packed file",
    b"BZh": "a packed file inside of a packed file",
    b"PK\x03\x04": "a packed file inside of a packed file",
    b"SQLite format 3\0": "a SQLite database",
}


@dataclass(frozen=True, slots=True)
class Survey:
    """One file as its format sees it. `records_of` gives records back by their numbers, ascending.

    `path`: what is to be read in its place; `scratch`: files that were made on the way, to be removed when it is done.
    """

    sha256: str
    size: int
    records: int
    form: Form
    records_of: Callable[[Sequence[int]], Iterator[RawRecord]]
    first_number: int = 1
    blank_lines: int = 0
    path: Path | None = None
    scratch: tuple[Path, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What tells an unchanged file from a changed one without reading it."""

    size: int
    modified_ns: int
    changed_ns: int  # of the inode: whoever puts the time of modification back, as copying programs do, sets this one
    inode: int
    device: int

    @classmethod
    def of(cls, status: os.stat_result) -> Descriptor:
        """The descriptor in a status."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)


def open_inside(path: Path, base: Path) -> tuple[int, Path]:
    """Open a file inside `base` for reading; never waits, never follows a link out. SourceError says why not.

    The second value is the path without links, which later reads use.
    """
    try:
        real = path.resolve(strict=True)
        if not real.is_relative_to(base.resolve()):
            raise SourceError(f"it is a link out of {base}", hint="only files inside of the connection are read")
        handle = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (OSError, RuntimeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise SourceError(f"it cannot be opened: {reason}", hint="check that it is there and readable") from error
    return handle, real


def check_regular(handle: int) -> None:
    """Refuse folders, pipes, devices and sockets."""
    mode = os.fstat(handle).st_mode
    if stat.S_ISDIR(mode):
        raise SourceError("it is a folder", hint="name the files in it, such as FOLDER/*.csv")
    if not stat.S_ISREG(mode):
        raise SourceError("it is not a regular file", hint="pipes, devices and sockets are not read")


def check_kind(handle: int) -> None:
    """Refuse what is no file of records: databases, and what is packed twice."""
    head = os.pread(handle, 16, 0)
    if head[8:12] == b"DUCK":
        raise SourceError("it is a DuckDB database", hint="a database is not a file of records")
    for magic, name in _MAGIC.items():
        if head.startswith(magic):
            raise SourceError(f"it is {name}", hint="a file of records is read, packed once or not at all")


def fingerprint(handle: int) -> tuple[str, int]:
    """Sha256 and size of the whole file, in flat memory."""
    digest, size = hashlib.sha256(), 0
    for chunk in read_chunks(handle):
        digest.update(chunk)
        size += len(chunk)
    return digest.hexdigest(), size


def join_forms(forms: Sequence[Form]) -> Form:
    """One form for files of the same kind, in order."""
    first = forms[0]
    if isinstance(first, CsvForm):
        return replace(first, multiline=any(isinstance(form, CsvForm) and form.multiline for form in forms))
    if isinstance(first, ArrowForm):
        calls = [form.batches for form in forms if isinstance(form, ArrowForm)]
        return replace(first, batches=lambda: chain.from_iterable(call() for call in calls))
    return first


def kind(form: Form) -> tuple[Any, ...]:
    """What files must share to be one part."""
    if isinstance(form, CsvForm):
        return ("csv", replace(form, multiline=False))
    if isinstance(form, ParquetForm):
        return ("parquet", tuple(form.columns.items()), form.nanoseconds)
    return ("arrow", tuple(form.columns.items()))


def text_batches(columns: Sequence[str], rows: Iterable[tuple[Sequence[str | None], str | None]]) -> Iterator[Any]:
    """Arrow batches of bounded size out of (values in the order of `columns`, why malformed or None)."""
    import pyarrow as pa  # noqa: PLC0415 - costs 0.3 s where DuckDB reads the files

    fields = [pa.field(name, pa.string()) for name in (*columns, "_malformed")]
    width = len(columns)

    def batch(held: list[list[str | None]]) -> Any:
        arrays = [pa.array(values, pa.string()) for values in zip(*held, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))

    held: list[list[str | None]] = []
    characters = 0
    for values, problem in rows:
        row = [*values[:width], *[None] * (width - len(values)), problem]
        characters += sum(len(value) for value in row if value)
        held.append(row)
        if len(held) == BATCH_RECORDS or characters > BATCH_CHARACTERS:
            yield batch(held)
            held, characters = [], 0
    if held:
        yield batch(held)


def python_rows(rows: Any) -> list[dict[str, Any]]:
    """The rows of an Arrow table as dicts; a moment that is finer or farther than Python's stands as its text."""
    columns = {name: _values(rows.column(name)) for name in rows.schema.names}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _values(column: Any) -> list[Any]:
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError):
        import duckdb  # noqa: PLC0415 - knows how to write such values, also inside of others
        import pyarrow as pa  # noqa: PLC0415 - whoever has rows has loaded it

        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            texts = connection.from_arrow(pa.table({"x": column})).project("to_json(x)::VARCHAR").fetchall()
            return [None if text is None else json.loads(text) for (text,) in texts]
