"""Record numbers are where the records stand, also in files of several scan buffers under rules with long lists."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pratique.engines import open_engine
from pratique.engines.duckdb_engine import check_order
from pratique.engines.duckdb_session import Session
from pratique.engines.settings import EngineSettings
from pratique.errors import InternalError
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


@pytest.mark.parametrize(
    ("query", "mover"),
    [
        ("SELECT a FROM input WHERE a IN (SELECT b FROM other)", "HASH_JOIN"),
        ("SELECT a FROM input ORDER BY a DESC", "ORDER_BY"),
        ("SELECT DISTINCT a FROM input", "HASH_GROUP_BY"),
    ],
)
def test_a_plan_that_could_move_rows_is_refused_before_anything_is_read(tmp_path: Path, query: str, mover: str) -> None:
    """Whatever a later DuckDB makes of our one reading: it keeps the order of its file, or it does not begin."""
    session = Session(EngineSettings(tmp_path))
    try:
        session.run("CREATE TABLE input AS SELECT range AS a FROM range(10)")
        session.run("CREATE TABLE other AS SELECT range AS b FROM range(5)")
        with pytest.raises(InternalError, match=mover):
            check_order(session, f"CREATE TABLE staged AS {query}")
        assert session.count("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'staged'") == 0
    finally:
        session.close()
