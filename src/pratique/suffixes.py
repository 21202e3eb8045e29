"""What the suffix of a path says: the format of a file, perhaps under that of a packing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

FileFormat = Literal["csv", "jsonl", "json", "excel", "parquet"]

FORMATS: Final[Mapping[str, FileFormat]] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".parquet": "parquet",
}
_LATER: Final = frozenset({".xz", ".xls", ".xlsb", ".ods"})
_PACKINGS: Final = frozenset({".gz", ".zst", ".bz2", ".zip"})


def format_of(path: str) -> FileFormat | None:
    """The format that the suffix of a path says, perhaps under that of a packing; None if it says none."""
    return FORMATS.get(suffix_of(path))


def is_served_later(path: str) -> bool:
    """Whether the suffix of a path says a format or a packing that is not read yet."""
    return suffix_of(path) in _LATER


def suffix_of(path: str) -> str:
    """The suffix under that of a packing: `orders.csv.gz` is CSV."""
    suffix = Path(path).suffix.lower()
    return Path(path).with_suffix("").suffix.lower() if suffix in _PACKINGS else suffix
