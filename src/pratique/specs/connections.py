"""Connections that lead to this machine's own files: their kind and path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pratique.mistakes import Mistake, refuse
from pratique.secrets import reveal
from pratique.specs.base import Where, nearest, not_served

_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
_DATABASE_SUFFIXES: Final = frozenset({".duckdb", ".ddb", ".db"})
_KEYS: Final = ("url", "type", "path")


def local_path(connection: Mapping[str, Any], served: tuple[str, ...], root: Path, where: Where) -> tuple[str, Path]:
    """The kind (one of `served`, or "" if nothing says it) and the path, relative ones under `root`.

    A connection is `{url: kind://path}`, `{url: path}` or `{type: kind, path: path}`. Clouds and servers are refused as
    not served yet; a path that is secret is never shown.
    """
    secret = any(connection.get(key) != reveal(connection.get(key)) for key in _KEYS)
    key = "url" if "url" in connection else "path"
    match = _URL.fullmatch(_text(connection, key, where))
    kind = str(reveal(connection.get("type", match[1].lower() if match else "")))
    text = match[2] if match else _text(connection, key, where)
    if kind and kind not in served:
        not_served(
            "this kind of connection" if secret else f"a connection of kind {kind}",
            where((key if "type" not in connection else "type",)),
            f"served here: {', '.join(served)}",
        )
    refuse(
        Mistake(where((word,), True), f'unknown key "{word}"', nearest(word, _KEYS), "unknown-key")
        for word in connection
        if word not in _KEYS
    )
    if "\0" in text or not text:
        refuse([Mistake(where((key,)), f"{key} names no path", "such as duckdb://data/warehouse.duckdb")])
    path = root / Path(text).expanduser()
    if not kind and "duckdb" in served:
        kind = "duckdb" if path.suffix in _DATABASE_SUFFIXES else ""
    return kind, path


def _text(connection: Mapping[str, Any], key: str, where: Where) -> str:
    value = reveal(connection.get(key))
    if not isinstance(value, str):
        refuse(
            [
                Mistake(
                    where((key,)),
                    "the connection needs a url",
                    "such as {url: duckdb://data/warehouse.duckdb}",
                    "missing-key",
                )
            ]
        )
    return str(value)
