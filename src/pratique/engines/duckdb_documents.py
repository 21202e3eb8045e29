"""What falls together: documents and the records that stand in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pratique.engines.duckdb_late import FILTERED, SUPERSEDED, LateJudge
from pratique.engines.duckdb_session import Session
from pratique.nesting import DOCUMENT, Unit

# The number in `late` of what no rule of the schema says: n is the table and low the row whose fall it follows.
FOLLOWED: Final = 0


class Documents:
    """Lets records follow their document, and under the unit `document` the document and its others a record.

    A held document holds its records. One that is skipped because it was not wanted (by its filter, or because a later
    version is there) takes them along. One that is there already does not: its records are known by their own keys.
    """

    def __init__(self, session: Session, lates: Sequence[LateJudge], unit: Unit) -> None:
        self._session = session
        self._lates = lates
        self._unit = unit

    def settle(self) -> None:
        """Follow until nothing more falls, also of what refers to what has fallen."""
        while self.follow() and sum(late.fall_again() for late in self._lates):
            continue

    def follow(self) -> int:
        """Take away what falls with what has fallen by now; how many rows that were."""
        documents, *inside = self._lates
        if not inside:
            return 0
        left = sum(self._skipped(documents, late) for late in inside)
        fallen = [self._fallen(documents, 0, "s.rowid")]
        if self._unit == "document":
            fallen += [self._fallen(late, number, f"s.{DOCUMENT}") for number, late in enumerate(inside, 1)]
        self._session.run(
            "CREATE OR REPLACE TABLE memory.main.fallen AS SELECT document, min(n) AS n, arg_min(low, n) AS low "
            f"FROM ({' UNION ALL '.join(fallen)}) GROUP BY document"
        )
        left += self._follow(documents, "s.rowid") + sum(self._follow(late, f"s.{DOCUMENT}") for late in inside)
        self._session.run("DROP TABLE memory.main.fallen")
        return left

    @staticmethod
    def _fallen(late: LateJudge, number: int, document: str) -> str:
        """Query: each document of which rows of a table are held, and the first of them."""
        held = f"s._held OR s.rowid IN (SELECT rid FROM {late.place}gone WHERE reason = 0)"
        return (
            f"SELECT {document} AS document, {number} AS n, min(s.rowid) AS low FROM {late.place}staged s "
            f"WHERE {held} GROUP BY ALL"
        )

    @staticmethod
    def _skipped(documents: LateJudge, late: LateJudge) -> int:
        """Take away the records of documents that nobody wants."""
        place = documents.place
        unwanted = (
            f"SELECT rowid AS document, {FILTERED} AS reason FROM {place}staged WHERE _out UNION ALL "
            f"SELECT rid, reason FROM {place}gone WHERE reason IN ({SUPERSEDED}, {FILTERED})"
        )
        return late.leave(
            f"SELECT s.rid, u.reason FROM (SELECT s.rowid AS rid, s.{DOCUMENT} AS document FROM "
            f"{late.good(late.place)}) s JOIN ({unwanted}) u USING (document)"
        )

    def _follow(self, late: LateJudge, document: str) -> int:
        self._session.run(
            f"INSERT INTO {late.place}late SELECT s.rid, {FOLLOWED}, f.n, f.low, NULL FROM (SELECT s.rowid AS rid, "
            f"{document} AS document FROM {late.good(late.place)}) s JOIN memory.main.fallen f USING (document)"
        )
        return late.leave(
            f"SELECT l.rid, 0 FROM {late.place}late l ANTI JOIN {late.place}gone g ON l.rid = g.rid "
            f"WHERE l.rule = {FOLLOWED}"
        )
