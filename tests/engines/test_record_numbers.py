"""Record numbers are where the records stand, also in files of several scan buffers under rules with long lists."""

from datetime import UTC, datetime
from pathlib import Path

from pratique.engines import open_engine
from pratique.model import Position, Stamp, Target
from pratique.schema import Check, Field, Schema
from pratique.sources import ReadLimits, open_source

RECORDS = 400_000
EACH = 997  # every so many records one is wrong


def test_a_long_enum_keeps_the_order_of_a_large_file(tmp_path: Path) -> None:
    """A list of values must not let the last rows of a scan buffer arrive behind those of the next one."""
    words = tuple(f"word{number}" for number in range(12))
    filler = "x" * 90
    with (tmp_path / "large.csv").open("w", encoding="utf-8") as file:
        file.write("word,filler\n")
        file.writelines(
            f"{'wrong' if number % EACH == 0 else words[number % 12]},{filler}\n" for number in range(1, RECORDS + 1)
        )
    several = ", ".join(f"'{word}'" for word in words)
    schema = Schema(
        "large", 1, (Field("word", enum=words), Field("filler")), checks=(Check("known", f"word IN ({several})"),)
    )
    source = open_source(
        "large", path="large.csv", base=tmp_path, format="csv", schema=schema, disposition="append", limits=ReadLimits()
    )
    staged = open_engine(tmp_path / "state").stage(
        source.land(Position()), schema, Target("large"), Stamp("large", "run", "load", datetime.now(UTC)), None
    )
    try:
        numbers = [record.number for record in staged.quarantined()]
    finally:
        staged.close()
    assert numbers == [number + 1 for number in range(EACH, RECORDS + 1, EACH)]
