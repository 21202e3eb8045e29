"""Connections that lead to this machine's own files: their kind and path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pratique.mistakes import Mistake, refuse
from pratique.secrets import reveal
from pratique.specs.base import Where, nearest, not_served
from pratique.specs.databases import SCHEMES

_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
_DATABASE_SUFFIXES: Final = frozenset({".duckdb", ".ddb", ".db"})
_KEYS: Final = ("url", "type", "path")
_FOLDERS: Final = "name one whose url is a folder, s3://…, gs://…, az://… or sftp://…"
_OTHERS: Final = {  # kind that is no place of files -> what to do where files are read
    **{scheme: f"add type: {kind}" for scheme, kind in SCHEMES.items()},
    **dict.fromkeys(("http", "https"), "add type: api"),
    **dict.fromkeys(("duckdb", "parquet"), _FOLDERS),
}


def local_path(
    connection: Mapping[str, Any], served: tuple[str, ...], root: Path, where: Where, named: str
) -> tuple[str, Path]:
    """The kind (one of `served`, or "" if nothing says it) and the path, relative ones under `root`.

    A connection is `{url: kind://path}`, `{url: path}` or `{type: kind, path: path}`. Clouds and servers are refused as
    not served yet; a path that is secret is never shown. The connection is `named` at a place of the pipeline.
    """
    secret = any(connection.get(key) != reveal(connection.get(key)) for key in _KEYS)
    key = "url" if "url" in connection else "path"
    match = _URL.fullmatch(_text(connection, key, where))
    kind = str(reveal(connection.get("type", match[1].lower() if match else "")))
    text = match[2] if match else _text(connection, key, where)
    if kind in _OTHERS and "files" in served:
        message = f"a source of type files reads no connection of kind {kind}"
        refuse([Mistake(named, message, _OTHERS[kind], "conflict")])
    if kind and kind not in served:
        not_served(
            "this kind of connection" if secret else f"a connection of kind {kind}",
            where((key if "type" not in connection else "type",)),
            f"served here: {', '.join(served)}",
        )
    _known(connection, where)
    if "\0" in text or not text:
        refuse([Mistake(where((key,)), f"{key} names no path", "such as duckdb://data/warehouse.duckdb")])
    path = root / Path(text).expanduser()
    if not kind and "duckdb" in served:
        kind = "duckdb" if path.suffix in _DATABASE_SUFFIXES else ""
    return kind, path


def _text(connection: Mapping[str, Any], key: str, where: Where) -> str:
    value = reveal(connection.get(key))
    if not isinstance(value, str):
        _known(connection, where)
        hint = "such as {url: duckdb://data/warehouse.duckdb}"
        if value is None:
            refuse([Mistake(where((key,)), "the connection needs a url", hint, "missing-key")])
        refuse([Mistake(where((key,)), f"{key}: expected text", hint, "type")])
    return str(value)


def _known(connection: Mapping[str, Any], where: Where) -> None:
    refuse(
        Mistake(where((word,), True), f'unknown key "{word}"', nearest(word, _KEYS), "unknown-key")
        for word in connection
        if word not in _KEYS
    )
