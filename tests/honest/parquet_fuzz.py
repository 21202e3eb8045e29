"""Damaged Parquet files of known truth, read by the product in a process of its own: what came of each.

Run as a program it takes (folder, seed, first, last) and prints a JSON line per file; a crash ends the lines early.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pratique import accounting
from pratique.engines import open_engine
from pratique.errors import PratiqueError, SourceError
from pratique.model import Position, Stamp, Target
from pratique.schema import Field, FieldType, Schema
from pratique.sources import open_source

ROWS = 300
MOMENT = datetime(2026, 1, 1)  # noqa: DTZ001 - the column has no zone
TIMEOUT_SECONDS = 60
FIELDS = {
    "id": FieldType("integer"),
    "price": FieldType("decimal", 12, 2),
    "share": FieldType("number"),
    "city": FieldType("string"),
    "note": FieldType("string"),
    "at": FieldType("datetime"),
    "day": FieldType("date"),
    "flag": FieldType("boolean"),
}
SCHEMA = Schema("s", 1, tuple(Field(name, kind) for name, kind in FIELDS.items()))
SAME, REFUSED, QUARANTINED, WRONG, OTHER = (
    "as it is",
    "refused",
    "quarantined in part",
    "silently wrong",
    "another error",
)


@dataclass(frozen=True)
class Sound:
    """A sound file."""

    name: str
    checksums: bool
    content: bytes


def table() -> pa.Table:
    """The truth."""
    rng = Random(7)  # noqa: S311 - reproducible, not secret
    rows = []
    for number in range(ROWS):
        at = MOMENT + timedelta(seconds=rng.randrange(10**7), microseconds=rng.randrange(10**6))
        note = rng.choice([None, "é", "x" * rng.randrange(1, 30), f"note {number}"])
        price, day = Decimal(rng.randrange(-(10**6), 10**8)).scaleb(-2), date(2026, 1, 1) + timedelta(number % 50)
        rows.append([number, price, rng.random(), f"city {number % 9}", note, at, day, rng.choice([True, False, None])])
    kinds = [pa.int64(), pa.decimal128(12, 2), pa.float64(), pa.string(), pa.string(), pa.timestamp("us"), pa.date32()]
    columns = [
        pa.array(values, kind) for values, kind in zip(zip(*rows, strict=True), [*kinds, pa.bool_()], strict=True)
    ]
    return pa.table(columns, names=list(FIELDS))


def sound_files(folder: Path) -> Iterator[Sound]:
    """Several ways to write the truth."""
    ways: dict[str, dict[str, Any]] = {
        "snappy": {"compression": "snappy"},
        "zstd v2": {"compression": "zstd", "data_page_version": "2.0"},
        "gzip": {"compression": "gzip", "use_dictionary": False},
        "plain": {"compression": "none"},
        "plain v2": {"compression": "none", "use_dictionary": False, "data_page_version": "2.0"},
    }
    for name, options in ways.items():
        for checksums in (True, False):
            path = folder / "sound.parquet"
            pq.write_table(table(), path, row_group_size=200, write_page_checksum=checksums, **options)
            yield Sound(f"{name}{', checksums' if checksums else ''}", checksums, path.read_bytes())


def damaged(content: bytes, rng: Random) -> tuple[str, bytes]:
    """What was done, and the content after it."""
    data = bytearray(content)
    kind = rng.choice(["bit", "bit", "bit", "byte", "byte", "range", "cut", "swap", "footer bit", "footer bit"])
    at = rng.randrange(len(data))
    if kind == "bit":
        data[at] ^= 1 << rng.randrange(8)
    elif kind == "footer bit":
        at = len(data) - 1 - rng.randrange(min(len(data), 8 + int.from_bytes(data[-8:-4], "little")))
        data[at] ^= 1 << rng.randrange(8)
    elif kind == "byte":
        data[at] = rng.randrange(256)
    elif kind == "range":
        end = at + rng.randrange(1, 64)
        data[at:end] = rng.randbytes(len(data[at:end]))
    elif kind == "cut":
        del data[at:]
    else:
        other = rng.randrange(len(data))
        data[at : at + 16], data[other : other + 16] = data[other : other + 16], data[at : at + 16]
    return f"{kind} at {at}", bytes(data)


def outcome(folder: Path, content: bytes) -> tuple[str, str]:
    """What the product makes of the file, and why."""
    (folder / "a.parquet").write_bytes(content)
    source = open_source("s", path="a.parquet", base=folder, format="parquet", schema=SCHEMA, workspace=folder)
    try:
        landed = source.land(Position())
        if landed.held:
            return REFUSED, landed.held[0].reason
        stamp = Stamp("s", "a" * 32, "b" * 32, datetime.now(UTC))
        staged = open_engine(folder / "tmp").stage(landed, SCHEMA, Target("s", lineage=("_row_number",)), stamp, None)
        try:
            accounting.balance(landed, staged.tally)
            rows = {row.pop("_row_number"): row for batch in staged.good().batches() for row in batch.to_pylist()}
            held = sum(1 for _ in staged.quarantined())
        finally:
            staged.close()
    except SourceError as error:
        return REFUSED, str(error)
    except PratiqueError as error:
        return OTHER, f"{type(error).__name__}: {error}"
    truth = dict(enumerate(table().to_pylist(), 1))
    if any(truth.get(number) != row for number, row in rows.items()) or len(rows) + held != len(truth):
        wrong = [name for number, row in rows.items() for name in row if row[name] != truth.get(number, {}).get(name)]
        return WRONG, f"{len(rows)} rows, {held} held, {Counter(wrong).most_common(3)}"
    return (QUARANTINED, "") if held else (SAME, "")


def cases(folder: Path, seed: int, first: int, last: int) -> Iterator[tuple[int, Sound, str, bytes]]:
    """The damages with these numbers, reproducible by the seed."""
    sound = list(sound_files(folder))
    for number in range(first, last):
        rng = Random(seed * 1_000_003 + number)  # noqa: S311 - reproducible, not secret
        one = sound[number % len(sound)]
        yield number, one, *damaged(one.content, rng)


def fuzz(folder: Path, seed: int, count: int) -> list[dict[str, Any]]:
    """Every damage's outcome; what ends the process or does not end is told by a line of its own."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        command = [sys.executable, __file__, str(folder), str(seed), str(len(found)), str(count)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
            try:
                lines, errors = child.communicate(timeout=TIMEOUT_SECONDS + count)
                ended = f"ended by {child.returncode}: {errors[-2000:]}"
            except subprocess.TimeoutExpired:
                child.kill()
                lines, ended = child.communicate()[0], "hangs"
        found += [json.loads(line) for line in lines.splitlines() if line.endswith("}")]
        if len(found) < count and (child.returncode or ended == "hangs"):
            found.append({"number": len(found), "outcome": "crash", "why": ended})
    return found


def main(folder: str, seed: str, first: str, last: str) -> None:
    """Print a line for each."""
    for number, sound, what, content in cases(Path(folder), int(seed), int(first), int(last)):
        came, why = outcome(Path(folder), content)
        line = {"number": number, "file": sound.name, "checksums": sound.checksums, "damage": what}
        sys.stdout.write(json.dumps({**line, "outcome": came, "why": why}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
