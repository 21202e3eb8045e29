"""Every type of PostgreSQL: its exact text arrives, or it is refused by name before a row is read."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
import servers

from pratique.databases import DatabaseInput, Server
from pratique.model import Landed, Position
from pratique.schema import Field, Schema
from pratique.schema.fields import FieldType
from pratique.schema.sql import literal
from pratique.sources import ReadLimits, open_source

THOUSAND = "1" + "0" * 498 + "7." + "3" * 499 + "1"
# type, literal, the text that arrives (None: the literal itself)
EXACT = [
    ("smallint", "-32768", None),
    ("integer", "2147483647", None),
    ("bigint", "-9223372036854775808", None),
    ("numeric", "0.10000000000000000000000000000000000000001", None),
    ("numeric", THOUSAND, None),
    ("numeric(20,5)", "12.50000", None),
    ("numeric", "NaN", None),
    ("numeric", "-Infinity", None),
    ("real", "0.1", None),
    ("real", "1.1754944e-38", None),
    ("double precision", "0.1", None),
    ("double precision", "5e-324", None),
    ("double precision", "1.7976931348623157e+308", None),
    ("double precision", "NaN", None),
    ("double precision", "-0", None),
    ("boolean", "t", "true"),
    ("boolean", "f", "false"),
    ("text", "", None),
    ("text", "\u00e4\U0001f600\u200b\\N\t\r\n", None),
    ("varchar(5)", "ab ", None),
    ("char(4)", "ab", "ab  "),
    ("name", "n", None),
    ('"char"', "c", None),
    ("date", "2026-02-28", None),
    ("date", "infinity", None),
    ("date", "0044-03-15 BC", None),
    ("date", "5874897-12-31", None),
    ("time", "23:59:59.999999", None),
    ("time", "24:00:00", None),
    ("timetz", "12:00:00.5+05:30", None),
    ("timestamp", "2026-02-28 23:59:59.999999", None),
    ("timestamp", "-infinity", None),
    ("timestamp", "0001-01-01 00:00:00 BC", None),
    ("timestamptz", "2026-03-29 02:30:00+02", "2026-03-29 00:30:00+00"),
    ("interval", "1 year 2 mons 3 days 04:05:06.789", "P1Y2M3DT4H5M6.789S"),
    ("uuid", "123e4567-e89b-12d3-a456-426614174000", None),
    ("json", '{"b": 1.10,  "a":1e400}', None),
    ("jsonb", '{"b": 1.10, "a": 10000000000000000000000000001}', '{"a": 10000000000000000000000000001, "b": 1.10}'),
    ("xml", "<a>1</a>", None),
    ("inet", "192.168.0.1/24", None),
    ("cidr", "2001:db8::/32", None),
    ("macaddr", "08:00:2b:01:02:03", None),
    ("bit(3)", "101", None),
    ("varbit", "10101", None),
    ("tsvector", "'a':1 'cat':2", None),
    ("tsquery", "'a' & 'b'", None),
    ("point", "(0.1,2)", None),
    ("box", "(2,2),(0,0)", None),
    ("circle", "<(0,0),1.5>", None),
    ("int4range", "[1,5)", None),
    ("tstzrange", '["2026-01-01 00:00:00+00",)', None),
    ("datemultirange", "{[2026-01-01,2026-01-03)}", None),
    ("int[]", "{1,NULL,3}", None),
    ("int[]", "[0:1]={1,2}", None),
    ("text[]", '{"a,b",NULL,"NULL",""}', None),
    ("mood", "sad", None),
    ("positive", "7", None),
    ("positives", "{7}", None),
    ("pair", '(1,"a b")', None),
    ("citext", "AbC", None),
    ("hstore", '"a"=>"1", "b"=>NULL', None),
    ("oid", "4294967295", None),
]
REFUSED = [
    ("money", "money", "setting of the server"),
    ("bytea", "bytea", "bytes are no text"),
    ("bytea[]", "bytea[]", "bytes are no text"),
    ("blob_pair", "blob_pair", "bytes are no text"),
    ("dollars", "money", "setting of the server"),
    ("regclass", "regclass", "regclass is not known to be exact"),
    ("pg_lsn", "pg_lsn", "pg_lsn is not known to be exact"),
]
SETUP = """
CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN positives AS int[]; CREATE DOMAIN dollars AS money;
CREATE TYPE pair AS (a int, b text); CREATE TYPE blob_pair AS (a int, b bytea);
CREATE EXTENSION citext; CREATE EXTENSION hstore;
ALTER DATABASE types SET datestyle = 'German'; ALTER DATABASE types SET timezone = 'Asia/Kolkata';
ALTER DATABASE types SET extra_float_digits = -15; ALTER DATABASE types SET intervalstyle = 'sql_standard';
"""


@pytest.fixture(scope="module")
def database(postgres_server) -> Iterator[psycopg.Connection]:
    """A database with types of its own, whose settings would write texts in another way."""
    open_to = {"password": servers.PASSWORD, "autocommit": True}
    with psycopg.connect(postgres_server.url("postgres"), **open_to) as admin:
        admin.execute("CREATE DATABASE types")
        with psycopg.connect(postgres_server.url("types"), **open_to) as connection:
            connection.execute(SETUP)
            yield connection
        admin.execute("DROP DATABASE types WITH (FORCE)")


def _land(server: servers.Server, folder, schema: Schema, query: str) -> Landed:
    there = Server("postgres", "types", "127.0.0.1", server.port, server.user, servers.PASSWORD, "types")
    asked = DatabaseInput(there, query=query)
    source = open_source(
        "t", path="", base=folder, format="", schema=schema, limits=ReadLimits(), workspace=folder, database=asked
    )
    return source.land(Position())


def _texts(landed: Landed) -> list[dict[str, str | None]]:
    (part,) = landed.parts
    numbers = range(1, landed.count + 1)
    return [dict(record.values) for record in landed.reader.records(part, part.files[0], numbers)]


def _schema(count: int, kind: str = "string") -> Schema:
    return Schema("t", 1, tuple(Field(f"c{at}", FieldType(kind)) for at in range(count)))


def test_every_exact_type_arrives_as_its_text(database, postgres_server, tmp_path) -> None:
    """Whatever the server's own settings are, the text of each value is the one that reads back equal; NULL is NULL."""
    columns = ", ".join(f"{literal(text)}::{kind} AS c{at}" for at, (kind, text, _) in enumerate(EXACT))
    nulls = ", ".join(f"NULL::{kind} AS c{at}" for at, (kind, _, _) in enumerate(EXACT))
    landed = _land(postgres_server, tmp_path, _schema(len(EXACT)), f"SELECT {columns}")
    assert not landed.held
    (found,) = _texts(landed)
    expected = {f"c{at}": text if shown is None else shown for at, (_, text, shown) in enumerate(EXACT)}
    assert found == expected
    (empty,) = _texts(_land(postgres_server, tmp_path, _schema(len(EXACT)), f"SELECT {nulls}"))
    assert set(empty.values()) == {None}
    for at, (kind, text, _) in enumerate(EXACT):
        back = database.execute(f"SELECT %s::text::{kind}::text = %s::{kind}::text", (found[f"c{at}"], text)).fetchone()
        assert back == (True,), (kind, text)


@pytest.mark.parametrize(("kind", "shown", "reason"), REFUSED)
@pytest.mark.usefixtures("database")
def test_other_types_are_refused_by_name_before_a_row_is_read(postgres_server, tmp_path, kind, shown, reason) -> None:
    """What has no exact text holds the input: the column, its type and why; the query's rows are not even computed."""
    landed = _land(
        postgres_server,
        tmp_path,
        _schema(1),
        f"SELECT NULL::{kind} AS c0 FROM generate_series(1, 3) n WHERE 1 / (n - n) = 1",
    )
    (held,) = landed.held
    assert landed.parts == ()
    assert f"the column c0 is {shown}: " in held.reason
    assert reason in held.reason
    assert "leave it out of `columns`" in held.hint


@pytest.mark.usefixtures("database")
def test_arrays_and_rows_are_json_where_that_is_asked_for(postgres_server, tmp_path) -> None:
    """As JSON every digit stays; an array whose bounds JSON cannot say keeps its own text, and is judged as that."""
    query = (
        "SELECT ARRAY[1.10, NULL, 12345678901234567890.5] AS c0, '[0:1]={1,2}'::int[] AS c1, "
        "'(1,\"a b\")'::pair AS c2, '{{1,2},{3,4}}'::int[] AS c3, '{}'::text[] AS c4, NULL::int[] AS c5"
    )
    (found,) = _texts(_land(postgres_server, tmp_path, _schema(6, "json"), query))
    assert list(found.values()) == [
        "[1.10,null,12345678901234567890.5]",
        "[0:1]={1,2}",
        '{"a":1,"b":"a b"}',
        "[[1,2],[3,4]]",
        "[]",
        None,
    ]


@pytest.mark.usefixtures("database")
def test_moments_with_a_zone_need_a_schema_with_one(postgres_server, tmp_path) -> None:
    """Held before a row is read, where every row would be held one by one."""
    landed = _land(postgres_server, tmp_path, _schema(1, "datetime"), "SELECT now() AS c0")
    assert "moments with a time zone" in landed.held[0].reason
