"""A shop: a quarantine with a ledger, and small inputs of which some records are held."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pratique.ledger import open_ledger
from pratique.model import (
    Account,
    Cause,
    CsvForm,
    Failure,
    FileVersion,
    HeldRecord,
    Landed,
    LandedFile,
    Marker,
    Part,
    RawRecord,
    Stamp,
    Written,
)
from pratique.quarantine import Quarantine, held_records
from pratique.schema import Check, Field, Reference, Schema


class LinesReader:
    """Reads records of text files with one record a line, as a source's reader does."""

    def records(self, part: Part, file: LandedFile, numbers: Sequence[int]) -> Iterator[RawRecord]:
        """See RecordReader."""
        lines = file.path.read_bytes().decode("utf-8", "surrogateescape").split("\n")
        for number in numbers:
            if number < len(lines):
                raw = lines[number - 1]
                yield RawRecord(number, number, raw, dict(zip(part.form.columns, raw.split(","), strict=False)))


class Shop:
    """Everything that a test of the quarantine needs, on a real disk."""

    schema = Schema(
        "orders",
        3,
        (Field("id"), Field("email", aliases=("E-Mail",), sensitive=True), Field("amount")),
        primary_key=("id",),
        unique_keys=(("id", "email"),),
        checks=(Check("no_mail", "email <> ''"), Check("big", "amount < 5", condition="id > 1")),
        references=(Reference("parent", ("amount",), "amounts", ("amount",)),),
    )
    stamp = Stamp("sales", "f" * 32, "abcdef0123456789" * 2, datetime(2026, 1, 1, tzinfo=UTC))

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = open_ledger(folder / "state" / "ledger.sqlite")
        self.quarantine = Quarantine(folder / "state" / "quarantine", self.ledger)

    def landed(self, **files: bytes) -> Landed:
        """These files, with a header row each, as a landed input."""
        parts = []
        for name, content in files.items():
            path = self.folder / f"{name}.csv"
            path.write_bytes(content)
            file = LandedFile(path, FileVersion(path.name, "00", len(content)), content.count(b"\n") - 1, 2)
            parts.append(Part(CsvForm(("id", "E-Mail", "amount")), (file,)))
        return Landed("sales", tuple(parts), LinesReader())

    def held(self, file: int, number: int, *failures: Failure, **values: Any) -> HeldRecord:
        """A held record; by default its amount is wrong."""
        wrong = Failure("amount.type", "amount", "x", 'not a number: "x"', "quarantine")
        return HeldRecord(file, number, failures or (wrong,), values or None)

    def joined(self, source: Landed, *records: HeldRecord, **changes: Any) -> list[dict[str, Any]]:
        """What `held_records` makes of them."""
        context = {"pipeline": "shop", "table": "orders", "schema": self.schema, "stamp": self.stamp, "attempt": 1}
        return list(held_records(source, iter(records), **{**context, **changes}))

    def records(self, *lines: str, failures: tuple[Failure, ...] = (), **changes: Any) -> list[dict[str, Any]]:
        """Quarantined records of a file with these lines."""
        content = "".join(f"{line}\n" for line in ("id,E-Mail,amount", *lines)).encode("utf-8", "surrogateescape")
        held = [self.held(0, number, *failures) for number in range(2, len(lines) + 2)]
        return self.joined(self.landed(a=content), *held, **changes)

    def commit(self, records: Iterable[dict[str, Any]], **changes: Any) -> Marker:
        """Write a segment and record the marker that makes it visible."""
        load = changes.get("load_id", self.stamp.load_id)
        segment = self.quarantine.write(changes.get("pipeline", "shop"), load, 1, iter(records))
        held = segment.records if segment else 0
        marker = Marker(
            load_id=load,
            attempt=1,
            run_id=self.stamp.run_id,
            pipeline="shop",
            source="sales",
            table="orders",
            disposition="append",
            schema="orders",
            schema_version=3,
            files=(),
            account=Account(held, 0, held),
            written=Written(0),
            segment=segment,
            causes=(Cause("amount.type", "amount", "not a number", held, (("a.csv", 2),)),),
            tally={},
            started_at="2026-01-01T00:00:00+00:00",
            committed_at="2026-01-01T00:00:01+00:00",
        )
        marker = replace(marker, **changes)
        with self.ledger.begin(marker.pipeline, "dev") as run:
            run.record(marker)
        return marker


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A new shop."""
    made = Shop(tmp_path)
    yield made
    made.ledger.close()
