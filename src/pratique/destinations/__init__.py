"""Where good rows go: rows and their marker become visible together, once, or not at all."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from pratique.destinations.base import Destination, Load
from pratique.errors import ConfigurationError

__all__ = ["TYPES", "Destination", "Load", "open_destination"]

TYPES: tuple[str, ...] = ("duckdb", "parquet")


def open_destination(
    type: str,  # noqa: A002 - the word of the configuration
    path: str | Path,
    *,
    lock_timeout_seconds: float = 30,
    name: str = "",
) -> Destination:
    """The destination of this type at `path`; nothing is opened, created or waited for yet.

    `lock_timeout_seconds` bounds every later wait for another process that holds it. ConfigurationError if there is no
    such type.
    """
    if type == "duckdb":
        from pratique.destinations.duckdb_file import DuckDBFile  # noqa: PLC0415 - loads a driver

        return DuckDBFile(path, lock_timeout_seconds=lock_timeout_seconds, name=name)
    if type == "parquet":
        from pratique.destinations.parquet_folder import ParquetFolder  # noqa: PLC0415 - loads a driver

        return ParquetFolder(path, lock_timeout_seconds=lock_timeout_seconds, name=name)
    near = get_close_matches(type, TYPES, n=1)
    raise ConfigurationError(
        f"there is no destination of type {type!r}",
        hint=f"did you mean {near[0]!r}?" if near else f"types: {', '.join(TYPES)}",
    )
