"""The only place that quotes names and values into SQL."""

from __future__ import annotations


def identifier(name: str) -> str:
    """`name` as a quoted SQL identifier, whatever characters it holds but NUL."""
    if "\0" in name:
        raise ValueError("a name with a NUL character cannot be used in SQL")
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """`text` as a SQL string literal, whatever characters it holds but NUL."""
    if "\0" in text:
        raise ValueError("a text with a NUL character cannot be used in SQL")
    return "'" + text.replace("'", "''") + "'"


def backticked(name: str) -> str:
    """`name` as a quoted identifier of MySQL, whose double quotes may mean a text."""
    if "\0" in name:
        raise ValueError("a name with a NUL character cannot be used in SQL")
    return "`" + name.replace("`", "``") + "`"
