"""Values of a table as people write them in YAML, as the typed values that a destination holds."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from pratique.schema.fields import Field

_NUMBERS = frozenset({"integer", "decimal", "number"})
_NESTED = frozenset({"json", "array", "object"})
_EXAMPLES = {
    "date": "2026-10-31",
    "time": "23:59:00",
    "datetime": "2026-10-31T23:59:00",
    "uuid": "12345678-1234-1234-1234-123456789abc",
}


def stored_value(field: Field, timezone: str | None, value: Any, text: str | None) -> Any:
    """The value that a table holds for what is written as `value` (a number as `text`), in the field's type.

    Raises ValueError(message, hint) where the column cannot hold it.
    """
    kind = field.type.name if field.store == "keep" else "string"
    if value is None:
        return None
    if kind in _NESTED:
        return value
    if kind in _NUMBERS:
        return _number(field, value, text)
    if kind == "boolean":
        if not isinstance(value, bool):
            raise ValueError(f"{field.name} is a boolean", "write true or false, without quotes")
        return value
    if not isinstance(value, str):
        told = f"{field.name} is {'a text' if kind == 'string' else f'a {kind}'}"
        raise ValueError(told, "put it in quotes")  # noqa: TRY004 - as for every value that does not fit
    return value if kind == "string" else _read(field, kind, timezone, value)


def _number(field: Field, value: Any, text: str | None) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or text is None:
        raise ValueError(f"{field.name} is a number ({field.type})", "write it as a number, without quotes")
    if field.type.name == "number":
        return float(text)
    number = Decimal(text)
    if number != round(number, field.type.scale):
        raise ValueError(f"{field.name} is {field.type}, which cannot hold {text}", "write what the table can hold")
    return int(number) if field.type.name == "integer" else number


def _read(field: Field, kind: str, timezone: str | None, text: str) -> Any:
    zoned = kind == "datetime" and timezone is not None
    example = _EXAMPLES[kind] + ("Z" if zoned else "")
    hint = f'write it as the table holds it, such as "{example}"'
    try:
        if kind == "date":
            return date.fromisoformat(text)
        if kind == "time":
            return time.fromisoformat(text)
        if kind == "uuid":
            return uuid.UUID(text)
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{field.name} is a {kind}, but this is none", hint) from error
    if (moment.tzinfo is not None) != zoned:
        said = "an instant: it needs its offset from UTC" if zoned else "without a time zone"
        raise ValueError(f"{field.name} is a datetime, {said}", hint)
    return moment.astimezone(UTC) if zoned else moment


def held_value(field: Field, value: Any) -> Any:
    """A value as a destination gives it back, in the form of `stored_value`."""
    kind = field.type.name if field.store == "keep" else "string"
    if value is None:
        return None
    if kind in _NESTED and isinstance(value, str):
        return json.loads(value)
    if kind == "uuid":
        return (
            value
            if isinstance(value, uuid.UUID)
            else uuid.UUID(bytes=value)
            if isinstance(value, bytes)
            else uuid.UUID(value)
        )
    return value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value


def told_value(value: Any) -> str:
    """A value as people would write it in YAML."""
    if isinstance(value, datetime):
        text = value.isoformat()
        return f'"{text[:-6]}Z"' if text.endswith("+00:00") else f'"{text}"'
    if isinstance(value, date | time):
        return f'"{value.isoformat()}"'
    if isinstance(value, Decimal):
        return format(value, "f")
    return json.dumps(value, ensure_ascii=False, default=str)
