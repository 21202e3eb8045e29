"""Keys and references, proposed by their values and names; one becomes a rule only where every record agrees."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

from pratique.engines.duckdb_session import Session
from pratique.inference.columns import Column
from pratique.inference.profile import Table

_NAMED: Final = re.compile(
    r"(.*_)?(id|key|code|uuid|guid|nr|no|number|sku|isbn|ean)|.*[a-z](Id|ID|Key|Code)", re.DOTALL
)
_VAGUE: Final = frozenset({"id", "key", "code", "uuid", "guid", "nr", "no", "number", "name", "type", "date", "index"})
_KEY_TYPES: Final = frozenset({"string", "integer", "uuid"})
_PART_TYPES: Final = _KEY_TYPES | {"date", "datetime", "time"}
_FIRST_COLUMN_ROWS: Final = 100  # so many different values in the first column are hardly so by chance
_PAIR_ROWS: Final = 20
_PAIR_COLUMNS: Final = 12  # Limit: the pairs of so many columns are looked at
_PROPOSALS: Final = 3
_TOP_ROWS: Final = 20_000  # a pair that is double here need not be asked of all rows
_SHARE: Final = 0.5  # of the values must be found for a reference to be told at all
_CHANCE: Final = 10  # so many different texts are not all found elsewhere by chance


@dataclass(frozen=True, slots=True)
class Key:
    """Fields that are there and together different in every record. `good`: their names speak for it, too."""

    fields: tuple[str, ...]
    good: bool
    why: str


@dataclass(frozen=True, slots=True)
class Link:
    """Values of a field that occur in a field of another table. `rule`: all of them do, and their names agree."""

    child: str
    field: str
    parent: str
    parent_field: str
    found: int
    values: int
    rule: bool


def named_like_a_key(name: str) -> bool:
    """Whether a field is called as keys are called."""
    return _NAMED.fullmatch(name) is not None or _NAMED.fullmatch(name.lower()) is not None


def keys(session: Session, table: Table, declared: Sequence[str] = ()) -> list[Key]:
    """The keys of a table, the best first: single fields, else pairs. Only a good first one is a primary key.

    One that a database `declared`, by its columns, comes before all others.
    """
    names = {column.header: column.field.name for column in table.columns}
    if declared and all(name in names for name in declared):
        return [Key(tuple(names[name] for name in declared), True, "the primary key there")]
    found = list(_single(session, table))
    if not found and table.rows > 1:
        found = list(_pairs(session, table))
    return sorted(found, key=lambda key: not key.good)[:_PROPOSALS]


def _single(session: Session, table: Table) -> Iterator[Key]:
    for place, column in enumerate(table.columns):
        if not _unique(session, table, place, column):
            continue
        name = column.field.name
        if named_like_a_key(name):
            yield Key((name,), True, "different in all records, and called like a key")
        elif place == 0 and table.rows >= _FIRST_COLUMN_ROWS:
            yield Key((name,), True, "the first column, and different in all records")
        else:
            yield Key((name,), False, "different in all records")


def _unique(session: Session, table: Table, place: int, column: Column) -> bool:
    """Whether every record has a value of its own: as values, for 1.0 and 1.00 are one."""
    if column.field.type.name not in _KEY_TYPES or not column.complete or column.distinct != table.rows:
        return False
    return session.count(f"SELECT count(DISTINCT c{place}) FROM {table.typed}") == table.rows


def _pairs(session: Session, table: Table) -> Iterator[Key]:
    places = [
        place
        for place, column in enumerate(table.columns)
        if column.complete and column.distinct > 1 and column.field.type.name in _PART_TYPES
    ]
    columns = table.columns
    places.sort(key=lambda place: (not named_like_a_key(columns[place].field.name), -columns[place].distinct))
    for one, two in combinations(sorted(places[:_PAIR_COLUMNS]), 2):
        if columns[one].distinct * columns[two].distinct < table.rows:
            continue
        top = f"(SELECT c{one}, c{two} FROM {table.typed} LIMIT {_TOP_ROWS})"
        if not all(
            session.one(f"SELECT count(*) = count(DISTINCT (c{one}, c{two})) FROM {rows}")[0]
            for rows in (top, table.typed)
        ):
            continue
        names = (columns[one].field.name, columns[two].field.name)
        good = table.rows >= _PAIR_ROWS and all(map(named_like_a_key, names))
        yield Key(names, good, "together different in all records" + (", and called like keys" if good else ""))


def links(
    session: Session,
    tables: Sequence[Table],
    found: Mapping[str, Sequence[Key]],
    declared: Container[tuple[str, str, str, str]] = (),
) -> list[Link]:
    """References between tables; those that are rules lead from no table back to itself.

    `declared` by a database are child, its column, parent, and the column there.
    """
    made: list[Link] = []
    parents: dict[str, set[str]] = {table.name: set() for table in tables}
    for child in tables:
        for parent in tables:
            single = [key.fields[0] for key in found[parent.name] if len(key.fields) == 1]
            for name in single if child is not parent else ():
                for column in child.columns:
                    theirs = parent.column(name)
                    said = (child.name, column.header, parent.name, theirs.header) in declared
                    link = _link(session, child, column, parent, theirs, said=said)
                    if link is None:
                        continue
                    if link.rule and child.name in _ancestors(parents, parent.name):
                        link = replace(link, rule=False)
                    if link.rule:
                        parents[child.name].add(parent.name)
                    made.append(link)
    return _best(made)


def _ancestors(parents: Mapping[str, set[str]], name: str) -> set[str]:
    reached, more = {name}, set(parents[name])
    while more:
        reached |= more
        more = {other for at in more for other in parents[at]} - reached
    return reached


def _link(session: Session, child: Table, column: Column, parent: Table, theirs: Column, *, said: bool) -> Link | None:
    own = column.field
    if own.type != theirs.field.type or (not said and (not column.present or theirs.distinct < 2)):  # noqa: PLR2004 - one value is no table
        return None
    named = said or _agree(own.name, parent.name, theirs.field.name)
    texts = own.type.name == "string" and not (column.complete and column.distinct == child.rows)
    if not named and not texts:
        return None
    ours, other = f"c{child.place(own.name)}", f"c{parent.place(theirs.field.name)}"
    values, hits = session.one(
        f"SELECT count(*), count(p.x) FROM (SELECT DISTINCT {ours} AS x FROM {child.typed} WHERE {ours} IS NOT NULL) c "
        f"LEFT JOIN (SELECT DISTINCT {other} AS x FROM {parent.typed}) p USING (x)"
    )
    if said and not values:
        return Link(child.name, own.name, parent.name, theirs.field.name, 0, 0, rule=True)
    if hits < _SHARE * values or not values or (not named and (hits < values or values < 2)):  # noqa: PLR2004
        return None
    certain = hits == values and (named or values >= _CHANCE)
    return Link(child.name, own.name, parent.name, theirs.field.name, hits, values, certain)


def _agree(name: str, table: str, field: str) -> bool:
    """Whether a field is called after another table's field: `customer_id` after `customers.id`."""
    name, table, field = name.lower(), table.lower(), field.lower()
    if name == field:
        return field not in _VAGUE
    one = re.sub("ies$", "y", table) if table.endswith("ies") else re.sub("s$", "", table)
    heads = {table, one, re.sub("es$", "", table)}
    called = {f"{head}{joint}{field}" for head in heads for joint in ("_", "")} | (heads if field in _VAGUE else set())
    return name in called or any(name.endswith(f"_{word}") for word in called)


def _best(made: Sequence[Link]) -> list[Link]:
    """One link for each field: a rule before a hint, more values found before fewer."""
    chosen: dict[tuple[str, str], Link] = {}
    for link in made:
        key = (link.child, link.field)
        if key not in chosen or (link.rule, link.found / link.values) > (
            chosen[key].rule,
            chosen[key].found / chosen[key].values,
        ):
            chosen[key] = link
    return list(chosen.values())
