"""Which types of PostgreSQL have an exact text, which are read in another form, and which are refused by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from pratique.schema.sql import identifier
from pratique.sources.database.base import SourceColumn

# The text of these is exact under the settings of our session: ISO dates, UTC, shortest floats that read back equal.
_EXACT: Final = frozenset(
    {"int2", "int4", "int8", "oid", "float4", "float8", "numeric", "bool", "text", "varchar", "bpchar", "name", "char"}
    | {"citext", "date", "time", "timetz", "timestamp", "timestamptz", "interval", "uuid", "json", "jsonb", "jsonpath"}
    | {"xml", "inet", "cidr", "macaddr", "macaddr8", "bit", "varbit", "tsvector", "tsquery", "hstore", "ltree"}
    | {"point", "line", "lseg", "box", "path", "polygon", "circle"}
)
_REFUSED: Final = {
    "money": "its text, and its value, depend on a setting of the server (cast it to numeric)",
    "bytea": "bytes are no text (encode(…, 'base64') makes them one)",
}
_MOMENTS: Final = frozenset({"date", "timestamp", "timestamptz"})
_NUMBERS: Final = frozenset({"int2", "int4", "int8", "numeric"})

# Types by their number: with the base of a domain and the element of an array. `kind` is that of pg_type: b(ase),
# c(omposite), d(omain), e(num), m(ultirange), p(seudo), r(ange).
TYPES_QUERY: Final = """
WITH RECURSIVE used(oid) AS (
  SELECT unnest(%s::oid[]) UNION
  SELECT CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.typelem END
  FROM pg_catalog.pg_type t JOIN used u ON t.oid = u.oid WHERE t.typtype = 'd' OR t.typcategory = 'A'
)
SELECT t.oid, t.typname, t.typtype, t.typbasetype, CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE 0 END, t.typrelid
FROM pg_catalog.pg_type t JOIN used u ON t.oid = u.oid
"""
PARTS_QUERY: Final = """
SELECT a.atttypid FROM pg_catalog.pg_attribute a WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
"""

# Tables that this user may read, partitioned ones as a whole, and whether a name without a schema reaches them.
TABLES_QUERY: Final = """
SELECT c.oid, n.nspname, c.relname, pg_catalog.pg_table_is_visible(c.oid)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT IN ('pg_catalog', 'information_schema')
AND n.nspname NOT LIKE 'pg!_%' ESCAPE '!' AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
ORDER BY 2, 3
"""
# Primary and foreign keys, with the names of their columns in order.
CONSTRAINTS_QUERY: Final = """
SELECT k.contype, k.conrelid, k.confrelid,
  ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u(n, at)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.at),
  ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u(n, at)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY u.at)
FROM pg_catalog.pg_constraint k WHERE k.contype IN ('p', 'f') ORDER BY k.conname
"""


@dataclass(frozen=True, slots=True)
class PgType:
    """A row of pg_type."""

    oid: int
    name: str
    kind: str
    base: int
    element: int
    relation: int


def described(name: str, oid: int, shown: str, types: dict[int, PgType], parts: dict[int, list[int]]) -> SourceColumn:
    """The column with what can be done with its type."""
    kind = types[oid]
    while kind.kind == "d":
        kind = types[kind.base]
    order: Literal["moment", "number"] | None = None
    if kind.name in _MOMENTS | _NUMBERS:
        order = "moment" if kind.name in _MOMENTS else "number"
    form = "bool" if kind.name == "bool" else "array" if kind.element else "row" if kind.kind == "c" else ""
    refusal = _refusal(oid, types, parts)
    return SourceColumn(name, shown, order, refusal, form, kind.name == "timestamptz")


def _refusal(oid: int, types: dict[int, PgType], parts: dict[int, list[int]]) -> str:
    """Why a type has no exact text, or nothing; a type is no better than what it is made of."""
    kind = types[oid]
    if kind.kind == "d":
        return _refusal(kind.base, types, parts)
    if kind.element:
        return _refusal(kind.element, types, parts)
    if kind.kind == "c":
        return next((found for part in parts[kind.relation] if (found := _refusal(part, types, parts))), "")
    if kind.kind in "erm" or kind.name in _EXACT:
        return ""
    return _REFUSED.get(kind.name, f"the text of {kind.name} is not known to be exact")


def selected(column: SourceColumn, nested: frozenset[str]) -> str:
    """SQL that gives the text of a column: `true` for booleans, JSON where that is wanted and loses nothing."""
    name = identifier(column.name)
    if column.form == "bool":
        return f"{name}::text"
    if column.form == "row" and column.name in nested:
        return f"row_to_json({name})::text"
    if column.form == "array" and column.name in nested:
        # The bounds of an array have no place in JSON: one whose first is not 1 keeps its own text.
        usual = f"coalesce(array_dims({name}) ~ '^(\\[1:[0-9]+\\])+$', true)"
        return f"CASE WHEN {usual} THEN array_to_json({name})::text ELSE {name}::text END"
    return name


def bounded(column: SourceColumn) -> str:
    """SQL: the cursor has a place in an order: it is neither NULL nor infinite nor no number."""
    name = identifier(column.name)
    if column.order == "moment":
        return f"isfinite({name})"
    return f"{name} < 'Infinity'" if column.type.startswith("numeric") else f"{name} IS NOT NULL"
