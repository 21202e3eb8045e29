"""Record batches of a Python program are a source like any other."""

import pyarrow as pa
import pytest

from pratique.errors import SourceError
from pratique.model import Position
from pratique.schema import Field, Schema
from pratique.sources.arrow import ArrowSource

SCHEMA = Schema("s", 1, (Field("a"), Field("b")))
TABLE = pa.table({"a": pa.array([1, 2, 3], pa.int64()), "b": ["x", None, "z"]})


def batches(table: pa.Table = TABLE):
    """A factory of the batches of `table`."""
    return lambda: iter(table.to_batches(max_chunksize=2))


def test_batches_are_counted_typed_and_fingerprinted():
    """Types are DuckDB's; equal content has an equal version; records come back by number."""
    result = ArrowSource("s", SCHEMA, batches()).land(Position())
    assert dict(result.parts[0].form.columns) == {"a": "BIGINT", "b": "VARCHAR"}
    assert result.count == 3
    assert result.files == ArrowSource("s", SCHEMA, batches()).land(Position()).files
    given_back = list(result.reader.records(result.parts[0], result.files[0], [2, 3]))
    assert [(record.number, record.values) for record in given_back] == [
        (2, {"a": 2, "b": None}),
        (3, {"a": 3, "b": "z"}),
    ]
    result.verify()


def test_known_content_is_skipped():
    """The same batches are loaded once; other ones, or a replace after another load, again."""
    result = ArrowSource("s", SCHEMA, batches()).land(Position())
    version = result.files[0].version
    assert ArrowSource("s", SCHEMA, batches()).land(Position(known=(version,))).skipped == (version,)
    assert ArrowSource("s", SCHEMA, batches(TABLE.slice(1))).land(Position(known=(version,))).count == 2
    replaced = ArrowSource("s", SCHEMA, batches(), disposition="replace")
    assert replaced.land(Position(known=(version,), latest=())).count == 3
    assert replaced.land(Position(known=(version,), latest=(version,))).files == ()


def test_a_given_fingerprint_is_used():
    """The caller's fingerprint names the content."""
    assert ArrowSource("s", SCHEMA, batches(), fingerprint="v7").land(Position()).files[0].version.sha256 == "v7"


def test_batches_that_change_are_noticed():
    """Batches that are not the same when asked again stop the load before its commit."""
    given = [TABLE, TABLE.slice(1)]
    result = ArrowSource("s", SCHEMA, lambda: iter(given.pop(0).to_batches())).land(Position())
    with pytest.raises(SourceError, match="other batches"):
        result.verify()


def test_batches_that_do_not_fit():
    """Wrong columns, and no batch at all, are errors of the source."""
    with pytest.raises(SourceError, match="missing 'b'"):
        ArrowSource("s", SCHEMA, batches(TABLE.select(["a"]))).land(Position())
    with pytest.raises(SourceError, match="no record batch"):
        ArrowSource("s", SCHEMA, lambda: iter([])).land(Position())
