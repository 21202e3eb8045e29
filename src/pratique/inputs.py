"""What is asked of files, of a cloud, or of a program of the project's owner. Plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from pratique.databases import Cursor

FileFormat = Literal["csv", "jsonl", "json", "excel", "parquet"]
CloudKind = Literal["s3", "gs", "az", "sftp"]

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
_LATER_SUFFIXES: Final = frozenset({".xz", ".xls", ".xlsb", ".ods"})
_PACKINGS: Final = frozenset({".gz", ".zst", ".bz2", ".zip"})


def format_of(path: str) -> FileFormat | None:
    """The format that the suffix of a path says, perhaps under that of a packing; None if it says none."""
    return FORMATS.get(suffix_of(path))


def is_served_later(path: str) -> bool:
    """Whether the suffix of a path says a format or a packing that is not read yet."""
    return suffix_of(path) in _LATER_SUFFIXES


def suffix_of(path: str) -> str:
    """The suffix that says the format: of `orders.csv.gz` it is `.csv`."""
    suffix = Path(path).suffix.lower()
    return Path(path).with_suffix("").suffix.lower() if suffix in _PACKINGS else suffix


@dataclass(frozen=True, slots=True)
class CloudInput:
    """Objects of a bucket below a prefix (empty, or with a slash at its end), and how they are reached.

    Of `sftp` the bucket is a server, `user@host:port` as people write it; the prefix counts from its root, or from the
    home of the user (`account`) where it begins with `~/`.
    `credentials` are Secrets by the names of the connection's keys; without any, the environment is asked.
    """

    kind: CloudKind
    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    profile: str | None = None
    account: str | None = None
    credentials: Mapping[str, Any] = field(default_factory=dict)
    anonymous: bool = False
    host: str = ""
    port: int = 22
    known_hosts: Path | None = None
    connect_timeout_seconds: int = 10
    read_timeout_seconds: int = 60

    @property
    def shown(self) -> str:
        """Where it is, as people may read it."""
        return f"{self.kind}://{self.bucket}/{self.prefix}".rstrip("/")


@dataclass(frozen=True, slots=True)
class PythonInput:
    """The records that a program gives: an object `entry` of a `file`, or (`file` None) an entry point of that name.

    `connection` is what the settings say under the name that the source gives, with its secrets as Secrets.
    """

    name: str  # as it is written
    entry: str
    file: Path | None = None
    connection: Mapping[str, Any] = field(default_factory=dict)
    cursor: Cursor | None = None
