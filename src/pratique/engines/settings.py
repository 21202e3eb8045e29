"""Limits of an engine: what it may take of memory, processors and disk, and which files it may touch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Every limit has a default; sizes are texts as DuckDB reads them (`600MB`, `20GB`).

    `temp_directory` gets one folder of its own per load, removed when the load is closed. `paths` are the files and
    folders of the destination, which is reached through the engine's connection. `threads` None means all cores.
    """

    temp_directory: Path
    memory_limit: str = "600MB"
    threads: int | None = None
    max_temp_directory_size: str = "20GB"
    record_bytes_max: int = 16 * 1024 * 1024
    paths: tuple[Path, ...] = ()
