"""The text of a cell: numbers, dates and booleans in the one spelling that the column's field reads as that value.

A workbook holds values, a text file holds their spelling. So a number gets the field's decimal character, a date the
field's format: otherwise `1.234` would be a thousand and more where a schema has `groupChar: "."`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Final

from pratique.errors import SourceError
from pratique.schema import Field

_NUMBER: Final = re.compile(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_PLAIN: Final = re.compile(r"-?[0-9]+\.[0-9]*[1-9]")
_INTEGER: Final = re.compile(r"-?[0-9]+")
# Limit: places before and behind the point up to which a number with an exponent is written out; decimals have 38.
_PLACES_MAX: Final = 40
_EXACT_DIGITS: Final = 15  # of a decimal number that a double holds in any case
_DAY_MS: Final = 86_400_000
_NO_DAY: Final = 60  # 29 February 1900: Lotus 1-2-3 had it, and Excel kept it
_ESCAPED: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")


class CellError(ValueError):
    """Why the value of a cell cannot be told."""


class Shown(Enum):
    """What a number format makes of a number."""

    NUMBER = "number"
    DATE = "date"
    TIME = "time"
    DATETIME = "datetime"
    DURATION = "duration"
    EITHER = "date or time"  # by the language of the program


@dataclass(frozen=True, slots=True)
class Spelling:
    """How the field that reads a column wants values to be written."""

    type: str = "string"
    decimal: str = "."
    format: str | None = None
    true: str = "true"
    false: str = "false"


def spelling(fields: Sequence[Field], column: str) -> Spelling:
    """The spelling that all fields of a column read; SourceError if they want different ones."""
    wanted = {_spelling(item) for item in fields}
    if len(wanted) > 1:
        names = " and ".join(item.name for item in fields)
        raise SourceError(
            f"the column {column!r} is read by the fields {names}, which want its values in different spellings",
            hint="give them the same type, decimalChar, groupChar and format, or derive one from the other",
        )
    return wanted.pop() if wanted else Spelling()


def _spelling(item: Field) -> Spelling:
    kind = item.type.name
    decimal = "."
    if kind in {"number", "decimal"}:
        decimal = item.decimal_char
    elif kind == "integer" and item.group_char == ".":
        decimal = ","  # 1.5 must not be read as 15
    true = item.true_values[0] if item.true_values and "true" not in item.true_values else "true"
    false = item.false_values[0] if item.false_values and "false" not in item.false_values else "false"
    if kind != "boolean":
        true, false = "true", "false"
    return Spelling(kind, decimal, item.format if kind in {"date", "time", "datetime"} else None, true, false)


# --- numbers ----------------------------------------------------------------------------------------------------


def number_text(written: str) -> str:
    """A number in the fewest digits that stand for it, without exponent if it is not too long.

    Excel's numbers are doubles, and programs write them with 16 or 17 digits: such a text becomes the shortest one that
    is the same double (0.1 for 0.10000000000000001). Any other text keeps all of its digits.
    """
    if written.isdecimal() and written.isascii():
        return written
    if _NUMBER.fullmatch(written) is None:
        raise CellError(f"{written[:40]!r} is not a number")
    if _PLAIN.fullmatch(written) and (len(written) <= _EXACT_DIGITS or written == repr(float(written))):
        return written
    exact = Decimal(written)
    if _INTEGER.fullmatch(written) is None:
        double = float(written)
        if exact in {Decimal(f"{double:.17g}"), Decimal(f"{double:.16g}")}:
            exact = Decimal(repr(double))
    if exact and abs(exact.adjusted()) > _PLACES_MAX:
        return str(exact)
    text = format(exact, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


# --- dates ------------------------------------------------------------------------------------------------------


@lru_cache(1 << 16)
def moment_text(serial: str, shown: Shown, wanted: Spelling, *, since_1904: bool) -> str:
    """A date, time or duration out of a number of days, to the millisecond, the finest that Excel shows."""
    if _NUMBER.fullmatch(serial) is None:
        raise CellError(f"{serial[:40]!r} is not a number")
    try:
        return _moment(serial, round(float(serial) * _DAY_MS), shown, wanted, since_1904=since_1904)
    except OverflowError:
        raise CellError(f"{serial} is no date: the last day is 9999-12-31") from None


def _moment(serial: str, total: int, shown: Shown, wanted: Spelling, *, since_1904: bool) -> str:
    if shown is Shown.DURATION:
        return _duration(total)
    if total < 0:
        raise CellError(f"{serial} is no date or time: it is negative")
    days, rest = divmod(total, _DAY_MS)
    if days == 0 and (shown is Shown.TIME or (shown is Shown.EITHER and rest)):
        return _clock((datetime(1900, 1, 1) + timedelta(milliseconds=rest)).time(), wanted)  # noqa: DTZ001 - no zone
    return _date_text(_day(days, since_1904=since_1904), rest, shown is Shown.DATE or shown is Shown.EITHER, wanted)


def _day(days: int, *, since_1904: bool) -> date:
    if since_1904:
        first = date(1904, 1, 1)
    elif days == _NO_DAY:
        raise CellError("29 February 1900 is no day, though Excel has it")
    elif days == 0:
        raise CellError("0 January 1900 is no day, though Excel shows it")
    else:
        first = date(1899, 12, 31) if days < _NO_DAY else date(1899, 12, 30)
    return first + timedelta(days=days)


def _date_text(day: date, rest: int, date_only: bool, wanted: Spelling) -> str:  # noqa: FBT001
    moment = datetime.combine(day, time()) + timedelta(milliseconds=rest)
    if wanted.format and (text := _formatted(moment, wanted.format)):
        return text
    if rest == 0 and wanted.type != "datetime" and (date_only or wanted.type == "date"):
        return day.isoformat()
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")


def _clock(clock: time, wanted: Spelling) -> str:
    if wanted.format:
        moment = datetime.combine(date(1900, 1, 1), clock)
        if text := _formatted(moment, wanted.format):
            return text
    return clock.isoformat(timespec="milliseconds" if clock.microsecond else "seconds")


def _formatted(moment: datetime, form: str) -> str | None:
    """The moment in the field's own format, unless that would not give all of it back."""
    try:
        text = moment.strftime(form)
        return text if datetime.strptime(text, form) == moment else None  # noqa: DTZ007 - neither has a zone
    except ValueError:
        return None


def _duration(total: int) -> str:
    """An ISO 8601 duration in hours, minutes and seconds."""
    rest, ms = divmod(abs(total), 1000)
    minutes, seconds = divmod(rest, 60)
    hours, minutes = divmod(minutes, 60)
    second = f"{seconds}.{ms:03}" if ms else str(seconds)
    parts = [f"{hours}H" if hours else "", f"{minutes}M" if minutes else "", f"{second}S" if seconds or ms else ""]
    return ("-" if total < 0 else "") + "PT" + ("".join(parts) or "0S")


def iso_text(written: str, wanted: Spelling) -> str:
    """A date that stands in the file as ISO 8601 text, not as a number."""
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        raise CellError(f"{written[:40]!r} is no date in ISO 8601") from None
    if moment.tzinfo or moment.microsecond % 1000:
        return written
    rest = round((moment - datetime.combine(moment.date(), time())) / timedelta(milliseconds=1))
    return _date_text(moment.date(), rest, "T" not in written, wanted)


# --- number formats ---------------------------------------------------------------------------------------------

# Formats without a text of their own (ECMA-376 part 1, 18.8.30); some differ between languages.
_BUILT_IN: Final = {
    **dict.fromkeys((14, 15, 16, 17, 27, 28, 29, 30, 31, 36, 50, 51, 52, 53, 54, 57, 58), Shown.DATE),
    **dict.fromkeys((18, 19, 20, 21, 32, 33, 45, 47), Shown.TIME),
    **dict.fromkeys((34, 35, 55, 56), Shown.EITHER),
    22: Shown.DATETIME,
    46: Shown.DURATION,
}
_LITERAL: Final = re.compile(r'"[^"]*"?|\\.|_.|\*.')
_ELAPSED: Final = re.compile(r"\[(?:h+|m+|s+)\]", re.IGNORECASE)
_BRACKET: Final = re.compile(r"\[[^\]]*\]")
_HALF_DAY: Final = re.compile(r"am/pm|a/p|上午/下午|오전/오후", re.IGNORECASE)


def shown_by(number: int, code: str | None) -> Shown:
    """What the number format of this number, with this code if it has one, makes of a number."""
    if code is None:
        return _BUILT_IN.get(number, Shown.NUMBER)
    plain = _LITERAL.sub("", code)
    elapsed = bool(_ELAPSED.search(plain))
    plain = _BRACKET.sub("", _ELAPSED.sub("", plain))
    half_day = bool(_HALF_DAY.search(plain))
    plain = re.sub(r"general|[eE][+-]|@", "", _HALF_DAY.sub("", plain), flags=re.IGNORECASE).lower()
    clock = half_day or "h" in plain or "s" in plain
    day = any(mark in plain for mark in "ydeb") or "mmm" in plain or ("m" in plain and not clock and not elapsed)
    if day:
        return Shown.DATETIME if clock or elapsed else Shown.DATE
    if elapsed:
        return Shown.DURATION
    return Shown.TIME if clock else Shown.NUMBER


def unescaped(text: str) -> str:
    """A text with `_x000D_` and the like as the characters that they stand for (ECMA-376 part 1, 22.9.2.19)."""
    if "_x" not in text:
        return text
    made = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    return made.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
