"""Engines: records are judged and split here."""

from __future__ import annotations

from pathlib import Path

from pratique.engines.base import Engine, Staged
from pratique.engines.settings import EngineSettings

__all__ = ["Engine", "EngineSettings", "Staged", "open_engine"]


def open_engine(
    temp_directory: Path,
    *,
    memory_limit: str = "600MB",
    threads: int | None = None,
    max_temp_directory_size: str = "20GB",
    record_bytes_max: int = 16 * 1024 * 1024,
    paths: tuple[Path, ...] = (),
) -> Engine:
    """Give the engine with these limits. Nothing is opened, and no folder made, before `stage`."""
    from pratique.engines.duckdb_engine import DuckEngine  # noqa: PLC0415 - loading DuckDB costs 0.1 s

    return DuckEngine(
        EngineSettings(
            temp_directory=temp_directory,
            memory_limit=memory_limit,
            threads=threads,
            max_temp_directory_size=max_temp_directory_size,
            record_bytes_max=record_bytes_max,
            paths=paths,
        )
    )
