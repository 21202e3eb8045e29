"""Parquet files are described by their footer; damaged ones are held."""

import re
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.parquet import encryption

from pratique.engines import open_engine
from pratique.model import ParquetForm, Position, Stamp, Target
from pratique.schema import Field, FieldType, Schema
from pratique.sources import open_source

SCHEMA = Schema("s", 1, (Field("a"), Field("at"), Field("price")))


STAMP = Stamp("s", "a" * 32, "b" * 32, datetime(2026, 1, 2, tzinfo=UTC))


def landed(folder: Path, path: str = "*.parquet", schema: Schema = SCHEMA):
    """Land the Parquet files of a folder."""
    return open_source("s", path=path, base=folder, format="parquet", schema=schema).land(Position())


@pytest.fixture
def parquet(tmp_path) -> Path:
    """5,000 records in row groups of 2,048."""
    path = tmp_path / "a.parquet"
    duckdb.sql(
        "SELECT i::BIGINT AS a, TIMESTAMPTZ '2026-01-01 00:00:00+00' AS at, (i / 100)::DECIMAL(9,2) AS price FROM range(5000) r(i)"
    ).write_parquet(str(path), row_group_size=2048)
    return path


def test_columns_and_count_by_the_footer(parquet):
    """Types are DuckDB's, the count is the footer's, numbers start at 1."""
    result = landed(parquet.parent)
    assert result.parts[0].form == ParquetForm(
        {"a": "BIGINT", "at": "TIMESTAMP WITH TIME ZONE", "price": "DECIMAL(9,2)"}
    )
    assert (result.count, result.files[0].first_number) == (5000, 1)


def test_records_by_number(parquet):
    """Records are given back across row groups, with what the file holds."""
    result = landed(parquet.parent)
    numbers = [1, 2, 2048, 2049, 5000]
    given_back = list(result.reader.records(result.parts[0], result.files[0], numbers))
    assert [record.values["a"] for record in given_back] == [number - 1 for number in numbers]
    assert (given_back[0].line, given_back[0].raw) == (None, None)


def test_moments_beyond_python_are_given_back_as_text(tmp_path):
    """Nanoseconds, far years and the end of time come out as text, also inside of other values, and nothing breaks."""
    duckdb.sql(
        "SELECT 1 AS a, '2020-01-01 00:00:00.123456789'::TIMESTAMP_NS AS at, "
        "{'when': ['2020-01-01 00:00:00.5'::TIMESTAMP_NS], far: '20000-01-01'::DATE} AS price"
    ).write_parquet(str(tmp_path / "a.parquet"))
    nested = Schema("s", 1, (Field("a"), Field("at"), Field("price", FieldType("json"))))
    result = landed(tmp_path, schema=nested)
    (record,) = result.reader.records(result.parts[0], result.files[0], [1])
    assert record.values == {
        "a": 1,
        "at": "2020-01-01 00:00:00.123456789",
        "price": {"when": ["2020-01-01 00:00:00.5"], "far": "20000-01-01"},
    }


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_truncated_files_are_held(parquet, share):
    """A file cut anywhere is held, and the whole one beside it is landed."""
    content = parquet.read_bytes()
    (parquet.parent / "cut.parquet").write_bytes(content[: int(len(content) * share)])
    result = landed(parquet.parent)
    assert [held.version.name for held in result.held] == ["cut.parquet"]
    assert result.held[0].reason.startswith("it is no complete Parquet file")
    assert [file.version.name for file in result.files] == ["a.parquet"]


def test_other_columns_are_held(tmp_path):
    """A file whose columns do not fit the schema is held with the difference."""
    duckdb.sql("SELECT 1 AS a, 2 AS other").write_parquet(str(tmp_path / "a.parquet"))
    assert "missing 'at', 'price', unknown 'other'" in landed(tmp_path).held[0].reason


def test_a_name_that_is_a_pattern_is_held(parquet):
    """A name that DuckDB would take for a pattern never reads another file."""
    parquet.rename(parquet.parent / "a[1].parquet")
    duckdb.sql("SELECT 1 AS a").write_parquet(str(parquet.parent / "a1.txt"))
    assert "pattern" in landed(parquet.parent).held[0].reason


def reason(folder: Path, content: bytes, schema: Schema = SCHEMA) -> str:
    """Why a file of this content is held."""
    (folder / "b.parquet").write_bytes(content)
    (held,) = landed(folder, "b.parquet", schema).held
    assert held.hint
    return held.reason


def test_every_byte_at_which_a_file_can_be_cut(tmp_path):
    """A file is held wherever it is cut."""
    pq.write_table(pa.table({"a": [1], "at": [2], "price": ["x"]}), tmp_path / "a.parquet")
    content = (tmp_path / "a.parquet").read_bytes()
    for size in range(len(content)):
        assert "no complete Parquet file" in reason(tmp_path, content[:size])


def test_other_things_called_parquet(parquet, tmp_path):
    """What is no Parquet file, or an encrypted one, is held and named."""
    assert "it begins with b'a,at'" in reason(tmp_path, b"a,at,price\n1,2,3\n" * 10)
    assert "a packed file" in reason(tmp_path, b"PK\x03\x04" + bytes(100))
    assert "end is missing" in reason(tmp_path, b"PAR1" + bytes(100))
    assert "end is missing" in reason(tmp_path, b"PAR1\xff\xff\xff\xffPAR1")
    assert "not readable" in reason(tmp_path, b"PAR1" + bytes(100) + b"\x60\0\0\0PAR1")
    content = parquet.read_bytes()
    assert "end is missing" in reason(tmp_path, content + b"\n")


class Plain(encryption.KmsClient):
    """Keeps keys as they are: nothing is secret here."""

    def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> str:
        """The key as a text."""
        del master_key_identifier
        return key_bytes.hex()

    def unwrap_key(self, wrapped_key: str, master_key_identifier: str) -> bytes:
        """The key."""
        del master_key_identifier
        return bytes.fromhex(wrapped_key)


@pytest.mark.parametrize("plaintext_footer", [True, False])
def test_encrypted_files(tmp_path, plaintext_footer):
    """An encrypted file is held and named, also if its footer can be read."""
    table = pa.table({"a": [1], "at": [2], "price": ["x"]})
    keys = encryption.EncryptionConfiguration("key", column_keys={"key": ["a"]}, plaintext_footer=plaintext_footer)
    factory = encryption.CryptoFactory(lambda _: Plain())
    properties = factory.file_encryption_properties(encryption.KmsConnectionConfig(), keys)
    with pq.ParquetWriter(tmp_path / "a.parquet", table.schema, encryption_properties=properties) as writer:
        writer.write_table(table)
    assert landed(tmp_path).held[0].reason == "it is encrypted"


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (0, "its footer says 201 rows, and 200 in its row groups"),
        (1, "column 'a', row group 1: its footer says 201 values in 200 rows"),
        (None, "column 'a', row group 1: the footer says 201 values, and its pages hold 200"),
    ],
)
def test_a_footer_that_lies(tmp_path, place, told):
    """Rows are counted in the footer, in its row groups, in its columns and in the pages; two that differ are told."""
    columns = {"a": list(range(200)), "at": [1] * 200, "price": ["x"] * 200}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet", compression="none", use_dictionary=False)
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    begin = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    said = [match.start() for match in re.finditer(re.escape(b"\x16\x90\x03"), content) if match.start() > begin]
    for at in said if place is None else [said[place]]:  # numbers of 64 bits: 200 becomes 201
        content[at : at + 3] = b"\x16\x92\x03"
    assert told in reason(tmp_path, bytes(content))


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_checksums_are_verified(tmp_path, version):
    """A flipped bit in any page that has a checksum is told, with the column and the place."""
    table = pa.table({"a": list(range(1000)), "at": [float(n) for n in range(1000)], "price": ["x"] * 1000})
    path = tmp_path / "a.parquet"
    pq.write_table(table, path, compression="none", write_page_checksum=True, data_page_version=version)
    content = bytearray(path.read_bytes())
    content[3000] ^= 1
    assert re.search(
        r"column 'a', row group 1: the page at byte [0-9,]+ has a wrong checksum", reason(tmp_path, content)
    )
    assert landed(tmp_path, "a.parquet").notices == ()


def test_no_checksums_are_told(parquet):
    """Where pages have no checksum, the run says so."""
    (notice,) = landed(parquet.parent).notices
    assert notice == "s: a.parquet: its pages have no checksum: damage that still decodes cannot be told from good data"


def test_a_path_never_feeds_a_column(tmp_path):
    """A folder that is called `a=7` does not take the place of the column `a`."""
    (tmp_path / "a=7").mkdir()
    duckdb.sql("SELECT 1 AS a, 2 AS at, 3 AS price").write_parquet(str(tmp_path / "a=7" / "a.parquet"))
    schema = Schema("s", 1, tuple(Field(name, FieldType("integer")) for name in ("a", "at", "price")))
    result = landed(tmp_path, "*/*.parquet", schema)
    staged = open_engine(tmp_path / "tmp").stage(result, schema, Target("s", lineage=()), STAMP, None)
    assert [batch.to_pylist() for batch in staged.good().batches()] == [[{"a": 1, "at": 2, "price": 3}]]
    staged.close()


def test_statistics_are_not_believed(tmp_path):
    """A footer that says that no value is missing does not spare the engine a look at the values."""
    path = tmp_path / "a.parquet"
    columns = {"a": pa.array([1, None, 3], pa.int64()), "at": [1, 2, 3], "price": ["x", "y", "z"]}
    pq.write_table(pa.table(columns), path, compression="none", use_dictionary=False)
    content = path.read_bytes()
    least = (1).to_bytes(8, "little")  # behind it stands how many values are missing
    path.write_bytes(content.replace(least + b"\x16\x02", least + b"\x16\x00"))
    assert pq.read_metadata(path).row_group(0).column(0).statistics.null_count == 0
    schema = Schema("s", 1, (Field("a", FieldType("integer"), required=True), Field("at"), Field("price")))
    staged = open_engine(tmp_path / "tmp").stage(
        landed(tmp_path, schema=schema), schema, Target("s", lineage=()), STAMP, None
    )
    assert [record.number for record in staged.quarantined()] == [2]
    staged.close()


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["a", "at", "a"], "'a' twice"),
        (["a", "at", "A"], "'A' beside 'a'"),
        (["a", "at", " "], "no name for column 3"),
        (["a", "at", "price", "price.x"], "unknown 'price.x'"),
        (["a", "at"], "missing 'price'"),
    ],
)
def test_names(tmp_path, names, told):
    """Names that are not one column's own, and names that the schema does not have, hold the file as for CSV."""
    pq.write_table(pa.table([pa.array([1])] * len(names), names=names), tmp_path / "c.parquet")
    assert told in landed(tmp_path).held[0].reason


def test_columns_that_nobody_asks_for_are_not_read(tmp_path):
    """With `extraFields: drop` a type that nothing could read is no obstacle in a column that is left out."""
    pq.write_table(pa.table({"a": [1], "x.y": pa.array([3], pa.duration("s"))}), tmp_path / "a.parquet")
    result = landed(tmp_path, schema=Schema("s", 1, (Field("a"),), extra_fields="drop"))
    assert result.parts[0].form == ParquetForm({"a": "BIGINT"})


def test_limits(tmp_path):
    """Too many columns, too many row groups and a tiny file of huge rows are held before memory is spent on them."""
    open_schema = Schema("s", 1, (Field("a"),), extra_fields="drop")
    pq.write_table(pa.table({f"c{number}": [1] for number in range(2001)}), tmp_path / "columns.parquet")
    assert "2,001 columns, more than 2,000" in landed(tmp_path, "columns.parquet", open_schema).held[0].reason
    rows = pa.table({"a": [1]})
    with pq.ParquetWriter(tmp_path / "groups.parquet", rows.schema, write_page_index=False) as writer:
        for _ in range(10_001):
            writer.write_table(rows)
    assert "10,001 row groups" in landed(tmp_path, "groups.parquet", open_schema).held[0].reason
    for name, length, told in (
        ("long", 8 << 20, "unpacks to more than"),
        ("longer", 17 << 20, "longer than 16,777,216"),
    ):
        values = pa.DictionaryArray.from_arrays(pa.array([0] * 10_000, pa.int32()), pa.array(["x" * length]))
        pq.write_table(
            pa.table({"a": values}), tmp_path / f"{name}.parquet", compression="zstd", write_statistics=False
        )
        assert (tmp_path / f"{name}.parquet").stat().st_size < 10_000
        assert told in landed(tmp_path, f"{name}.parquet", open_schema).held[0].reason
    pq.write_table(
        pa.table({"a": pa.array([0] * 20_000_000)}),
        tmp_path / "page.parquet",
        compression="zstd",
        use_dictionary=False,
        data_page_size=1 << 30,
        max_rows_per_page=1 << 30,
        row_group_size=1 << 30,
    )
    assert "more than 200 times" in landed(tmp_path, "page.parquet", open_schema).held[0].reason


def test_records_are_given_back_in_one_pass(parquet):
    """Calls with rising numbers go on where the last one ended; an earlier number begins again."""
    result = landed(parquet.parent)

    def values(*numbers: int) -> list[int]:
        records = result.reader.records(result.parts[0], result.files[0], numbers)
        return [record.values["a"] for record in records]

    assert [values(1), values(1, 2), values(2047, 2049), values(2050, 5000)] == [
        [0],
        [0, 1],
        [2046, 2048],
        [2049, 4999],
    ]
    assert [values(5000), values(3), values(5001)] == [[4999], [2], []]


@pytest.mark.parametrize(
    ("value", "kind", "given"),
    [
        (253_402_225_200_000_000, pa.timestamp("us"), datetime(9999, 12, 31, 3)),  # noqa: DTZ001 - it has no zone
        (1_767_323_045_123_456_789, pa.timestamp("ns"), "2026-01-02 03:04:05.123456789"),
    ],
)
def test_old_timestamps_are_given_back_as_they_stand(tmp_path, value, kind, given):
    """Timestamps of 96 bits keep their far years and their last digits, also as evidence in the quarantine."""
    table = pa.table({"a": [1], "at": pa.array([value], kind), "price": ["x"]})
    pq.write_table(table, tmp_path / "a.parquet", use_deprecated_int96_timestamps=True)
    schema = Schema("s", 1, (Field("a"), Field("at", FieldType("datetime")), Field("price")))
    result = landed(tmp_path, schema=schema)
    (record,) = result.reader.records(result.parts[0], result.files[0], [1])
    assert record.values["at"] == given
