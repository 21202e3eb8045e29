"""The negative control: readers as people use them. A rig that finds nothing wrong with them could find nothing."""

import csv
import io
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import duckdb
from drafts import ENCODINGS
from selection import Case

Reader = Callable[[Case], list[tuple[str, ...]]]
ERRORS = (csv.Error, UnicodeError, StopIteration, duckdb.Error)


def python_csv(case: Case) -> list[tuple[str, ...]]:
    """Python's csv module, with the encoding and the delimiter that are declared."""
    text = case.unpacked.decode(ENCODINGS[case.axes[1]][0])
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=case.delimiter)
    next(rows)
    return [tuple(row) for row in rows if row]


def sniffing_duckdb(case: Case) -> list[tuple[str, ...]]:
    """DuckDB with everything found out by itself, and nothing but texts."""
    with tempfile.NamedTemporaryFile(suffix=".csv") as file, duckdb.connect() as connection:
        Path(file.name).write_bytes(case.unpacked)
        rows = connection.execute("SELECT * FROM read_csv(?, all_varchar = true)", [file.name]).fetchall()
    return [tuple(value or "" for value in row) for row in rows]


def silently_wrong(reader: Reader, cases: Iterable[Case]) -> list[Case]:
    """The files that the reader reads without an error, though not as they are. What is bad by its type only is none."""
    found = []
    for case in cases:
        true = Counter(item.fields for item in case.items if item.fields is not None)
        try:
            rows = Counter(reader(case))
        except ERRORS:
            continue
        if rows != true if case.kind != "held" else rows:
            found.append(case)
    return found
