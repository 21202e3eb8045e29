"""What a person finds out about a table with nothing but Python: an independent judgement of what was inferred."""

import csv
import json
import re
import time
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

Row = Mapping[str, str | None]


def rows_of(path: Path) -> list[dict[str, str | None]]:
    """The records of a file, values as text."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file, strict=True))
    items = json.loads(path.read_text(encoding="utf-8-sig"), parse_float=str, parse_int=str)
    names = list(dict.fromkeys(name for item in items for name in item))
    return [{name: item.get(name) for name in names} for item in items]


def holds(text: str, kind: str, form: str | None) -> bool:
    """Whether a text is of a type."""
    try:
        return _READERS[kind.partition("(")[0]](text, kind, form)
    except (ValueError, ArithmeticError):
        return False


def _decimal(text: str, kind: str, _: str | None) -> bool:
    precision, scale = map(int, re.findall("[0-9]+", kind))
    _, digits, exponent = Decimal(text).as_tuple()
    assert isinstance(exponent, int)
    return -exponent <= scale and len(digits) + exponent <= precision - scale and "e" not in text.lower()


def _date(text: str, _: str, form: str | None) -> bool:
    return bool(time.strptime(text, form) if form else date.fromisoformat(text) and len(text) == 10)


_READERS = {
    "string": lambda *_: True,
    "integer": lambda text, *_: re.fullmatch("-?(0|[1-9][0-9]*)", text) is not None and abs(int(text)) < 2**63,
    "number": lambda text, *_: Decimal(repr(float(text))) == Decimal(text),
    "decimal": _decimal,
    "boolean": lambda text, *_: text in {"true", "false"},
    "date": _date,
    "datetime": lambda text, _, form: bool(time.strptime(text, form) if form else datetime.fromisoformat(text)),
}
NARROW = ("integer", "decimal(38,19)", "number", "date", "datetime")


def disagreements(rows: Sequence[Row], table: Mapping) -> list[str]:
    """What plain Python finds otherwise: types, missing values, bounds, numbers of values, keys, and types left out."""
    wrong = []
    for column in table["columns"]:
        name, kind = column["header"], column["type"]
        words = {"", *column["missing_words"]}
        values = [value for row in rows if (value := row[name]) is not None and value not in words]
        missing = len(rows) - len(values)
        wrong += [
            f"{name}: {text!r} is no {kind}"
            for text in values
            if not holds(text, kind, None if kind == "string" else column["format"])
        ][:1]
        if (column["values"], column["missing"]) != (len(values), missing):
            wrong.append(
                f"{name}: {len(values)} values, {missing} missing, not {column['values']}, {column['missing']}"
            )
        if column["required"] != (missing == 0):
            wrong.append(f"{name}: required is {column['required']}, {missing} are missing")
        if column["distinct"] != len(set(values)):
            wrong.append(f"{name}: {len(set(values))} different values, not {column['distinct']}")
        if kind == "integer" or kind.startswith("decimal"):
            bounds = (min(map(Decimal, values)), max(map(Decimal, values)))
            if bounds != (Decimal(column["least"]), Decimal(column["greatest"])):
                wrong.append(f"{name}: from {bounds}, not {column['least']}, {column['greatest']}")
        narrower = [
            other
            for other in NARROW
            if kind == "string" and values and all(holds(text, other, None) for text in values)
        ]
        wrong += [f"{name}: every value is {narrower[0]}"] if narrower and not column["question"] else []
    for key in table["keys"]:
        found = {tuple(row[header] for header in key["fields"]) for row in rows}
        wrong += [f"{key['fields']} is no key"] if len(found) < len(rows) else []
    return wrong
