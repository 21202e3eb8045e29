"""Which types a column of texts could have: each candidate is a field of a schema, so that the judge itself decides."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final, Literal

from pratique.schema import Field, FieldType

Dates = Literal["day-first", "month-first"]
Decimals = Literal["point", "comma"]

# Words that people write where nothing is there. They are proposed for columns of which all else is of one type.
MISSING_WORDS: Final = (
    "NA", "N/A", "n/a", "na", "#N/A", "NaN", "nan", "NULL", "Null", "null", "None", "none", "NaT", "\\N", "(null)",
    "-", "--", "?", ".",
)  # fmt: skip
_TRUTHS: Final = (("true", "false"), ("yes", "no"), ("y", "n"), ("t", "f"))
_DAYS: Final[tuple[tuple[str, Dates | None], ...]] = (
    ("%d.%m.%Y", None), ("%d.%m.%y", None), ("%Y/%m/%d", None), ("%Y.%m.%d", None),
    ("%d/%m/%Y", "day-first"), ("%m/%d/%Y", "month-first"), ("%d/%m/%y", "day-first"), ("%m/%d/%y", "month-first"),
    ("%d-%m-%Y", "day-first"), ("%m-%d-%Y", "month-first"),
    ("%d %b %Y", None), ("%d-%b-%Y", None), ("%d-%b-%y", None), ("%b %d, %Y", None), ("%b %d %Y", None),
    ("%d %B %Y", None), ("%B %d, %Y", None),
)  # fmt: skip
_CLOCKS: Final = (" %H:%M:%S", " %H:%M", "T%H:%M:%S", " %I:%M:%S %p", " %I:%M %p", ", %H:%M:%S", ", %H:%M")
_DIRECTIVES: Final = {
    "d": "[0-9]{1,2}", "m": "[0-9]{1,2}", "Y": "[0-9]{4}", "y": "[0-9]{2}", "b": "[A-Za-z]{3}", "B": "[A-Za-z]{3,9}",
    "H": "[0-9]{1,2}", "I": "[0-9]{1,2}", "M": "[0-9]{2}", "S": "[0-9]{2}", "p": "[AaPp][Mm]",
}  # fmt: skip
_ISO_DATE: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ISO_STAMP: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:.*")
OFFSET: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}[T ].*(Z|[+-][0-9]{2}(:?[0-9]{2})?)")
_TIME: Final = re.compile("[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?")
_UUID: Final = re.compile("[0-9a-fA-F]{8}-.*")
_NUMERAL: Final = re.compile("[+-]?[0-9.,'\u00a0\u202f ]*[0-9][.,]?([eE][+-]?[0-9]+)?")
_GROUPS: Final = ("'", "\u00a0", "\u202f", " ")
FORMS: Final = {  # named forms of texts that nothing but such a text has
    "email": re.compile("[^@]+@[^@]+[.][^@]+"),
    "uri": re.compile("[A-Za-z][A-Za-z0-9+.-]*://.+"),
    "ipv4": re.compile("([0-9]{1,3}[.]){3}[0-9]{1,3}"),
    "ipv6": re.compile("[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*"),
}
_ENOUGH: Final = 0.7  # of the sample must look like it: one wrong value must not hide what the others are


@dataclass(frozen=True, slots=True)
class Candidate:
    """A type that a column may have. `dates` or `decimals`: what somebody would have to answer to mean it."""

    field: Field
    dates: Dates | None = None
    decimals: Decimals | None = None
    words: frozenset[str] = frozenset()  # of a boolean: all of them must occur
    fraction: str = ""  # the mark before decimals, if they are to be counted


def candidates(base: Field, sample: Sequence[str], *, text_numbers: bool) -> list[Candidate]:
    """Every candidate that the sample leaves, the narrowest first; `base` says header, missing values and trim.

    `text_numbers`: numbers may be written with a decimal comma or with marks between thousands, as in CSV.
    """
    made = [*_booleans(base, sample), *_numbers(base, sample, text_numbers=text_numbers), *_moments(base, sample)]
    if _like(_UUID, sample):
        made.append(Candidate(replace(base, type=FieldType("uuid"))))
    if _like(re.compile(r"\{.*|\[.*", re.DOTALL), sample):
        made += [Candidate(replace(base, type=FieldType(name))) for name in ("object", "array", "json")]
    return made


def _like(pattern: re.Pattern[str], sample: Sequence[str]) -> bool:
    return sum(pattern.fullmatch(value) is not None for value in sample) >= _ENOUGH * len(sample)


def _booleans(base: Field, sample: Sequence[str]) -> Iterator[Candidate]:
    values = set(sample)
    for true, false in _TRUTHS:
        for change in (str.lower, str.title, str.upper):
            pair = (change(true), change(false))
            if values <= set(pair):
                own = true == "true"
                field = replace(base, type=FieldType("boolean"))
                if not own:
                    field = replace(field, true_values=pair[:1], false_values=pair[1:])
                yield Candidate(field, words=frozenset() if own else frozenset(pair))
                return


def _numbers(base: Field, sample: Sequence[str], *, text_numbers: bool) -> Iterator[Candidate]:
    if not _like(_NUMERAL, sample):
        return
    yield from _number_types(base, ".", None, None if not text_numbers or not _has(".", sample) else "point")
    if not text_numbers:
        return
    yield from _number_types(base, ",", None, "comma") if _has(",", sample) else ()
    groups = [mark for mark in _GROUPS if _has(mark, sample)]
    for decimal, other in ((",", "."), (".", ",")):
        for group in ([other] if _has(other, sample) else []) + groups:
            named: Decimals = "comma" if decimal == "," else "point"
            ambiguous = named if group == other else None
            yield from _number_types(base, decimal, group, ambiguous)


def _has(mark: str, sample: Sequence[str]) -> bool:
    return any(mark in value for value in sample)


def _number_types(base: Field, decimal: str, group: str | None, named: Decimals | None) -> Iterator[Candidate]:
    whole = replace(base, group_char=group)
    broken = replace(whole, decimal_char=decimal)
    if decimal == "." or group:
        yield Candidate(replace(whole, type=FieldType("integer")), decimals=named)
    yield Candidate(replace(broken, type=FieldType("decimal", 38, 0)), decimals=named, fraction=decimal)
    yield Candidate(replace(broken, type=FieldType("decimal", 38, 19)), decimals=named, fraction=decimal)
    yield Candidate(replace(broken, type=FieldType("number")), decimals=named, fraction=decimal)


def _moments(base: Field, sample: Sequence[str]) -> Iterator[Candidate]:
    if _like(_ISO_DATE, sample):
        yield Candidate(replace(base, type=FieldType("date")))
    if _like(_ISO_STAMP, sample):
        yield Candidate(replace(base, type=FieldType("datetime")))
    if _like(_TIME, sample):
        yield Candidate(replace(base, type=FieldType("time")))
    for day, answer in _DAYS:
        if _like(_shape(day), sample):
            yield Candidate(replace(base, type=FieldType("date"), format=day), dates=answer)
        for clock in _CLOCKS:
            if _like(_shape(day + clock), sample):
                yield Candidate(replace(base, type=FieldType("datetime"), format=day + clock), dates=answer)


@cache
def _shape(pattern: str) -> re.Pattern[str]:
    """What a text must look like to be read by a date pattern."""
    parts = re.split("%(.)", pattern)
    return re.compile("".join(_DIRECTIVES[part] if at % 2 else re.escape(part) for at, part in enumerate(parts)))


def forms(sample: Sequence[str]) -> list[str]:
    """Named forms that every value of the sample looks like."""
    return [name for name, pattern in FORMS.items() if all(pattern.fullmatch(value) for value in sample)]
