"""What is asked of files, of a cloud, or of a program of the project's owner. Plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pratique.databases import Cursor

CloudKind = Literal["s3", "gs", "az"]


@dataclass(frozen=True, slots=True)
class CloudInput:
    """Objects of a bucket below a prefix (empty, or with a slash at its end), and how they are reached.

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
