"""One load in a process of its own, which a test may kill: loader.py TYPE PATH LOAD [split]."""

import sys

import duckdb

from pratique.destinations import open_destination
from pratique.destinations.duckdb_file import DuckDBFile, DuckDBLoad
from pratique.failpoints import hit
from pratique.model import Target
from pratique.testing.destination_suite import load


class SplitLoad(DuckDBLoad):
    """The defect that the marker prevents: rows and marker in two transactions."""

    def _write_marker(self, connection, marker):
        connection.execute("COMMIT")
        hit("marker.written")
        connection.execute("BEGIN")
        super()._write_marker(connection, marker)


class SplitFile(DuckDBFile):
    """A destination with that defect."""

    def begin(self, load_id, judged_against=None):
        """Open the defect transaction."""
        return SplitLoad(self._file, self._timeout, load_id, judged_against)


if __name__ == "__main__":
    kind, path, load_id = sys.argv[1:4]
    destination = SplitFile(path) if "split" in sys.argv else open_destination(kind, path, lock_timeout_seconds=20)
    try:
        load(destination, load_id, [(number, load_id, None) for number in range(20)], Target("sales"))
    except duckdb.Error as error:  # must never be seen: third-party errors do not cross a floor
        sys.exit(f"leaked: {error!r}")
