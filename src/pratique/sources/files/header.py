"""Whether a header fits a schema; if it does not, the file is held with the difference and near names."""

from __future__ import annotations

from collections.abc import Sequence

from pratique.errors import SourceError
from pratique.schema import Dialect, Schema
from pratique.schema.binding import bind


def expected(schema: Schema) -> tuple[str, ...]:
    """The header that a file without one has by declaration: the fields that come from a column, in their order."""
    names = (item.headers[0] for item in schema.fields if item.capture is None and item.expression is None)
    return tuple(dict.fromkeys(names))


def check_header(schema: Schema, header: Sequence[str], columns_max: int, *, by_name: bool = True) -> None:
    """Raise SourceError unless every field finds its column, by one name, and no column is left over unasked.

    `by_name` is false where the columns have no names (a file without header): then only their number is compared.
    """
    check_width(header, columns_max)
    if not by_name:
        names = expected(schema)
        if len(header) != len(names):
            raise SourceError(
                f"the first record has {len(header)} fields, the schema {schema.name} has {len(names)}",
                hint="check dialect.delimiter; without a header the fields stand in the schema's order",
            )
        return
    check_names(header, columns_max)
    binding = bind(schema, header)
    extra = binding.extra if schema.extra_fields == "reject" else ()
    if not binding.missing and not extra:
        return
    if not binding.columns:
        wanted = _short(expected(schema))
        raise SourceError(
            f"its first line is no header of the schema {schema.name}: {_short(header)}",
            hint=wrong_delimiter(header) or f"expected {wanted}; declare `dialect: {{header: false}}` if it has none",
        )
    parts = [f"missing {_short(binding.missing)}"] if binding.missing else []
    parts += [f"unknown {_short(extra)}"] if extra else []
    near = [(name, names[0]) for name, names in (binding.near or {}).items() if names]
    hint = "; ".join(f"is {there!r} the field {name!r}? then add it to its `from`" for name, there in near[:3])
    if not hint:
        hint = "correct the file or the schema" if binding.missing else "add the fields, or set `extraFields: drop`"
    raise SourceError("its header does not fit: " + ", ".join(parts), hint=hint)


def check_width(header: Sequence[str], columns_max: int) -> None:
    """Refuse a file with more columns than allowed."""
    if len(header) > columns_max:
        raise SourceError(f"it has {len(header):,} columns, more than {columns_max:,}", hint="check dialect.delimiter")


def check_names(header: Sequence[str], columns_max: int) -> None:
    """Refuse names that are blank or stand twice, in whatever case."""
    check_width(header, columns_max)
    if any("\0" in name for name in header):
        raise SourceError("its header has NUL characters", hint="perhaps the file is UTF-16: declare dialect.encoding")
    blank = [str(place) for place, name in enumerate(header, 1) if not name.strip()]
    if blank:
        raise SourceError("its header has no name for column " + ", ".join(blank[:10]), hint="name every column")
    seen: dict[str, str] = {}
    for name in header:
        twin = seen.get(name.casefold())
        if twin is not None:
            how = "twice" if twin == name else f"beside {twin!r}, which differs in case only"
            raise SourceError(f"its header has {name!r} {how}", hint="every column needs a name of its own")
        seen[name.casefold()] = name


def wrong_delimiter(header: Sequence[str]) -> str:
    """A hint if the only column looks like several that another mark separates, else an empty text."""
    if len(header) == 1:
        for mark in (";", "\t", "|", ","):
            if mark in header[0]:
                return f"fields seem to be separated by {mark!r}: set dialect.delimiter"
    return ""


def _short(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:64]) for name in names[:8])
    return shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")  # noqa: PLR2004 - what fits one line


def one_character(dialect: Dialect) -> None:
    """Refuse delimiters and quotes that are not one character."""
    for word, mark in (
        ("delimiter", dialect.delimiter),
        ("quoteChar", dialect.quote_char),
        ("escapeChar", dialect.escape_char),
    ):
        if mark is not None and (len(mark) != 1 or mark in "\r\n\0"):
            raise SourceError(f"the dialect's {word} {mark!r} is not one character", hint=f"set dialect.{word}")
