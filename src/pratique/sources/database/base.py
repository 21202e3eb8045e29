"""What each kind of database must give: one unchanging view of it, its columns, and its rows as lines."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from pratique.databases import DatabaseInput, Lookback
from pratique.errors import SourceError, SourceUnreachableError

APPLICATION: Final = "pratique"
# Limit: so much longer than a statement may take is an answer waited for; the server's own limit comes first.
GRACE_SECONDS: Final = 2


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """A column as the database describes it. `order`: how its values are compared where it is a cursor, if they can be.

    `refusal` says why no reading gives its values back exactly as text.
    """

    name: str
    type: str
    order: Literal["moment", "number"] | None = None
    refusal: str = ""
    form: str = ""  # what the kind of database needs to know to select it
    zoned: bool = False


@dataclass(frozen=True, slots=True)
class Bounds:
    """The greatest value of a cursor and how many rows have none that can be compared.

    `behind`: it is less than the last position; `ahead`: it lies in the future.
    """

    newest: str | None
    without: int
    behind: bool = False
    ahead: bool = False


@dataclass(frozen=True, slots=True)
class Window:
    """Rows whose cursor lies after `low` (with `inclusive`: or at it), less the look-back, up to and with `high`.

    `low` None: from the beginning; `high` None: no row.
    """

    column: SourceColumn
    low: str | None
    inclusive: bool
    lookback: Lookback | None
    high: str | None


@dataclass(frozen=True, slots=True)
class KnownTable:
    """A table that the user may read: its name as a source writes it, its primary key, and where its columns refer to.

    `references`: a column, the table that it refers to, and the column there; those of several columns are left out.
    """

    name: str
    key: tuple[str, ...] = ()
    references: tuple[tuple[str, str, str], ...] = ()


class Snapshot(Protocol):
    """One view of a database that does not change while it is read, and through which nothing can be written."""

    def beside(self, asked: DatabaseInput) -> Snapshot:
        """What another source asks of the same database, in the same view."""
        ...

    def tables(self) -> tuple[KnownTable, ...]:
        """The tables of the database, by name; no views, none of the system."""
        ...

    def columns(self) -> tuple[SourceColumn, ...]:
        """The columns of the table or query in their order; SourceError if it does not exist or is no single query."""
        ...

    def check(self, column: SourceColumn, value: str) -> None:
        """Raise SourceError unless `value` is a value of this column."""
        ...

    def bounds(self, column: SourceColumn, last: str | None) -> Bounds:
        """The reach of a cursor, seen from its last position."""
        ...

    def copy(
        self,
        columns: Sequence[SourceColumn],
        nested: frozenset[str],
        window: Window | None,
        write: Callable[[bytes], None],
    ) -> int:
        """Write every row as a line; how many there were, by the database's own count where it has one.

        Columns named in `nested` are wanted as JSON where the database has a form of its own.
        """
        ...


class Database(Protocol):
    """A kind of database."""

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Open a connection and one view. SourceUnreachableError if that may go better later, else SourceError."""
        ...


def unreachable(where: str, text: str) -> SourceUnreachableError:
    """The error for a server that may be there later."""
    return SourceUnreachableError(
        f"the database {where} cannot be reached, or broke off: {text}",
        hint="nothing was loaded; see that the server is up, then run again",
    )


def refused(where: str, text: str, hint: str, facts: Mapping[str, Any]) -> SourceError:
    """The error for what a server does not allow or understand, and will not the next time either."""
    hint = hint or "see the connection in config/, and the source's table or query"
    return SourceError(f"the database {where} refuses: {text}", hint=hint, facts=facts)


def no_table(name: str, known: Iterable[str], where: str) -> SourceError:
    """The error for a table that is not there, with the nearest names that are."""
    known = sorted(known)
    last = name.rpartition(".")[2]
    near = [item for item in known if item.rpartition(".")[2] == last] or difflib.get_close_matches(name, known, 3)
    if near:
        hint = f"did you mean {', '.join(near)}?"
    else:
        hint = f"there are {', '.join(known[:10])}" if known else "this user sees no table at all: check its rights"
    return SourceError(f"there is no table {name} in {where}", hint=hint)
