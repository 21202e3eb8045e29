"""Sound tables of several shapes, out of which damaged files are made. Nothing here knows the product."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from random import Random

WORDS_8_BIT = ("Straße", "naïve", "Ærø", "señor", "plain", "two words", "x")
WORDS_ALL = (*WORDS_8_BIT, "Ωmega", "東京", "smile 😀", "e\u0301")
INTEGER = re.compile(r"[+-]?[0-9]+")
DECIMAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
INVALID = object()


@dataclass(frozen=True)
class Table:
    """The header with its types, and the delimiter; `declared` is false where the schema leaves it to the default."""

    name: str
    delimiter: str
    types: Mapping[str, str]

    @property
    def header(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self.types)

    @property
    def width(self) -> int:
        """How many columns there are."""
        return len(self.types)

    def columns(self, kind: str) -> list[int]:
        """The places of the columns of one type."""
        return [place for place, name in enumerate(self.types.values()) if name == kind]


_WIDE = ("integer", "string", "decimal(9,2)", "date", "string")
TABLES = {
    table.name: table
    for table in (
        Table("texts", ",", {"id": "integer", "title": "string", "body": "string", "amount": "decimal(9,2)"}),
        Table(
            "numbers",
            ",",
            {"id": "integer", "day": "date", "amount": "decimal(9,2)", "pieces": "integer", "rate": "decimal(9,2)"},
        ),
        Table("partners", ";", {"id": "integer", "name": "string", "day": "date", "city": "string"}),
        Table("notes", "\t", {"topic": "string", "note": "string", "remark": "string"}),
        Table("wide", ",", {f"w{place:02}": _WIDE[place % 5] for place in range(30)}),
        Table("words", ",", {"word": "string"}),
        Table("bulky", "|", {"id": "integer", "story": "string", "amount": "decimal(9,2)"}),
    )
}


def cells(table: Table, number: int, rng: Random, line_end: str, words: tuple[str, ...]) -> list[str]:
    """One record as it is written: quotes stand where they must, and in some other places."""
    made = []
    for place, (name, kind) in enumerate(table.types.items()):
        if kind == "integer":
            made.append(str(number if place == 0 else rng.randrange(-500, 100_000)))
        elif kind == "date":
            made.append((date(2020, 1, 1) + timedelta(days=rng.randrange(2000))).isoformat())
        elif kind == "string":
            made.append(written(_text(table, name, number, rng, line_end, words), table.delimiter, rng))
        else:
            made.append(f"{rng.randrange(-900_000, 900_000) / 100:.2f}" if rng.random() > 0.05 else "")
    return made


def _text(table: Table, column: str, number: int, rng: Random, line_end: str, words: tuple[str, ...]) -> str:
    word = rng.choice(words)
    if column == "story":
        return f"{word} {number} " + "lorem ipsum dolor " * 115
    if table.name == "words":
        return f"{word} {number}" + rng.choice(["", "", f"{table.delimiter} and more", ' "so" called'])
    if column == "topic":
        word = f"{word} {number}"
    forms = [word, word, word, word, f"{word}{table.delimiter} and {word}", f'the "{word}" of it']
    if column != "topic":
        forms.append("")
    if column in ("body", "note"):
        forms.append(f"{word}{line_end}below it{line_end}and below that")
    return rng.choice(forms)


def written(value: str, delimiter: str, rng: Random) -> str:
    """A text as a cell: quoted where it must be, and now and then where it need not."""
    if any(mark in value for mark in (delimiter, '"', "\r", "\n")) or (value and rng.random() < 0.15):
        return '"' + value.replace('"', '""') + '"'
    return value


def typed(text: str, kind: str) -> object:
    """The value that a text means under a declared type, or INVALID. Judged apart from the product."""
    if text == "":
        return None
    return text if kind == "string" else {"integer": _integer, "date": _date, "decimal(9,2)": _decimal}[kind](text)


def _integer(text: str) -> object:
    return int(text) if INTEGER.fullmatch(text) and -(2**63) <= int(text) < 2**63 else INVALID


def _date(text: str) -> object:
    try:
        return date.fromisoformat(text) if DATE.fullmatch(text) else INVALID
    except ValueError:
        return INVALID


def _decimal(text: str) -> object:
    number = Decimal(text) if DECIMAL.fullmatch(text) else None
    return INVALID if number is None or abs(number) >= 10**7 or number != round(number, 2) else number
