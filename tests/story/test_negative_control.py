"""The rig sees what it claims to see: with the protection taken away it reports doubled rows."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from rig import Rig

from pratique.destinations.duckdb_file import DuckDBFile, DuckDBLoad
from pratique.model import Lookup, Marker


class CarelessLoad(DuckDBLoad):
    """Commits the rows first and the marker after: what Invariant 4 forbids."""

    def _write_marker(self, connection: Any, marker: Marker) -> None:
        connection.execute("COMMIT")
        if os.environ.get("PRATIQUE_FAILPOINT") == "between":
            os.kill(os.getpid(), signal.SIGKILL)
        connection.execute("BEGIN")
        super()._write_marker(connection, marker)


class CarelessFile(DuckDBFile):
    """A DuckDB file whose loads are careless."""

    def begin(self, load_id: str, judged_against: Lookup | None = None) -> DuckDBLoad:
        """Open a careless transaction."""
        return CarelessLoad(self._file, self._timeout, load_id, judged_against)


def test_a_marker_outside_the_transaction_is_seen_to_double_rows(tmp_path: Path) -> None:
    """Rows and marker in two transactions, killed between them: the rig must report doubles, or it proves nothing."""
    rig = Rig(tmp_path, key=False)
    rig.add_file("a.csv")

    def careless() -> CarelessFile:
        os.environ["PRATIQUE_FAILPOINT"] = "between"
        return CarelessFile(tmp_path / "out.duckdb")

    assert rig.run(careless) == -9
    assert rig.run() == 0
    assert f"{len(rig.good)} rows doubled" in rig.check()


def test_the_same_kill_with_the_marker_inside_doubles_nothing(tmp_path: Path) -> None:
    """The same files, without a key to fall back on, killed right before the commit: once."""
    rig = Rig(tmp_path, key=False)
    rig.add_file("a.csv")
    assert rig.run(lambda: os.environ.__setitem__("PRATIQUE_FAILPOINT", "marker.written")) == -9
    assert rig.run() == 0
    assert rig.check() == []
