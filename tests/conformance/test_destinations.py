"""Both destinations keep every promise of a destination."""

import pytest

from pratique.destinations import open_destination
from pratique.testing.destination_suite import DestinationSuite


class TestDuckDBFile(DestinationSuite):
    """A DuckDB file."""

    @pytest.fixture
    def destination(self, tmp_path):
        """Make destinations over one file, in a folder whose name is no plain word."""
        return lambda: open_destination("duckdb", tmp_path / "it's [1]" / "w.duckdb", lock_timeout_seconds=2)


class TestParquetFolder(DestinationSuite):
    """A folder of Parquet files."""

    @pytest.fixture
    def destination(self, tmp_path):
        """Make destinations over one folder whose name is no plain word."""
        return lambda: open_destination("parquet", tmp_path / "it's [1]", lock_timeout_seconds=2)
