"""What each type accepts: SQL that reads a text exactly or gives NULL, and the same judgement of a schema's literals.

DuckDB's own casts change values in silence ('1.7' to BIGINT gives 2), so a cast is believed only where its text form
is the text that was read, or where a pattern says that the cast cannot have changed it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from pratique.schema.fields import Field, FieldType
from pratique.schema.sql import literal

STORAGE: Final[dict[str, str]] = {  # type -> DuckDB type; decimal and datetime depend on more
    "string": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "time": "TIME",
    "uuid": "UUID",
    "json": "JSON",
    "array": "JSON",
    "object": "JSON",
}
NUMERIC = frozenset({"integer", "number", "decimal"})
TEMPORAL = frozenset({"date", "time", "datetime"})
NESTED = frozenset({"json", "array", "object"})
DIRECTIVES = {"date": "dmYybBaAj", "time": "HIpMSf", "datetime": "dmYybBaAjHIpMSfz"}

# White space at the ends of a text, as Unicode sees it: DuckDB's trim() alone leaves tabs and line ends.
BLANKS = "".join(
    chr(code)
    for code in (*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000)
)

_PLAIN = "[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)"
_FLOAT = _PLAIN + "([eE][+-]?[0-9]+)?"
_CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,6}0*)?)?"
_STAMP = "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]" + _CLOCK
_OFFSET = "(Z|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?)"
_UUID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
# Below 16 characters a number in plain notation has at most 15 digits, and a double holds every such number.
_SAFE_LENGTH = 15


def storage(kind: FieldType, timezone: str | None) -> str:
    """The DuckDB type that holds values of `kind`."""
    if kind.name == "decimal":
        return f"DECIMAL({kind.precision},{kind.scale})"
    if kind.name == "datetime":
        return "TIMESTAMP WITH TIME ZONE" if timezone else "TIMESTAMP"
    return STORAGE[kind.name]


def matches(text: str, pattern: str) -> str:
    """SQL: `pattern` (RE2) matches the whole of `text`."""
    return f"regexp_full_match({text}, {literal(pattern)})"


def plain(text: str) -> str:
    """SQL: a number's text without an exponent (`1e+20` as DuckDB prints doubles); other texts as they are."""
    whole, fraction = f"regexp_extract({text}, '^-?([0-9]+)', 1)", f"regexp_extract({text}, '[.]([0-9]+)', 1)"
    digits, sign = f"({whole} || {fraction})", f"CASE WHEN starts_with({text}, '-') THEN '-' ELSE '' END"
    point = f"(length({whole}) + CAST(regexp_extract({text}, 'e([+-]?[0-9]+)$', 1) AS INTEGER))"
    return (
        f"CASE WHEN NOT {matches(text, '-?[0-9]+([.][0-9]+)?e[+-]?[0-9]+')} THEN {text} "
        f"WHEN {point} <= 0 THEN {sign} || '0.' || repeat('0', -{point}) || {digits} "
        f"WHEN {point} >= length({digits}) THEN {sign} || {digits} || repeat('0', {point} - length({digits})) "
        f"ELSE {sign} || left({digits}, {point}) || '.' || substring({digits}, {point} + 1) END"
    )


def parsed(text: str, field: Field, timezone: str | None) -> str | None:
    """SQL of the step between text and value, NULL where the declared form does not fit; None where none is needed."""
    kind = field.type.name
    if kind in NUMERIC and (field.decimal_char != "." or field.group_char):
        return _localised(text, field)
    if kind in TEMPORAL and field.format:
        stamp = f"try_strptime({text}, {literal(field.format)})"
        whole = f"NOT regexp_matches({text}, '^\\s|\\s$')"
        if re.search("%-?[aAj]", field.format):  # a weekday that is not the date's, a day 366: only the way back tells
            whole += f" AND lower(strftime({stamp}, {literal(field.format)})) = lower({text})"
        return f"CASE WHEN {whole} THEN {stamp} END"
    if kind == "datetime" and timezone:
        return f"CASE WHEN {matches(text, _STAMP)} THEN TRY_CAST({text} AS TIMESTAMP) END"
    return None


def _localised(text: str, field: Field) -> str:
    point, group = re.escape(field.decimal_char), re.escape(field.group_char or "")
    whole = f"([0-9]{{1,3}}({group}[0-9]{{3}})+|[0-9]+)" if group else "[0-9]+"
    fraction = "" if field.type.name == "integer" else f"({point}[0-9]*)?"
    exponent = "([eE][+-]?[0-9]+)?" if field.type.name == "number" else ""
    bare = "" if field.type.name == "integer" else f"|{point}[0-9]+"
    value = f"replace({text}, {literal(field.group_char)}, '')" if field.group_char else text
    value = value if field.decimal_char == "." else f"replace({value}, {literal(field.decimal_char)}, '.')"
    return f"CASE WHEN {matches(text, f'[+-]?({whole}{fraction}{bare}){exponent}')} THEN {value} END"


def exact(text: str, step: str, field: Field, timezone: str | None, *, numeric: bool = False) -> str:
    """SQL of the value of `text` in the storage type, or NULL where it cannot be held exactly.

    `step` is the column of `parsed` (or `text` where there is none). With `numeric` the text came from a number, and
    `12.00` is an integer.
    """
    kind = field.type.name
    if kind in {"integer", "decimal"}:
        return _fixed(step, field.type, numeric=numeric)
    if kind == "number":
        return _double(step)
    if kind in TEMPORAL:
        return _temporal(text, step, field, timezone)
    if kind == "boolean":
        true, false = (", ".join(map(literal, words)) for words in (field.true_values, field.false_values))
        branches = (f" WHEN {text} IN ({true}) THEN TRUE" if true else "") + (
            f" WHEN {text} IN ({false}) THEN FALSE" if false else ""
        )
        return f"CASE{branches} END" if branches else "CAST(NULL AS BOOLEAN)"
    if kind == "uuid":
        return f"CASE WHEN {matches(text, _UUID)} THEN TRY_CAST({text} AS UUID) END"
    return _json(text, kind) if kind in NESTED else text


def _fixed(text: str, kind: FieldType, *, numeric: bool) -> str:
    target = "BIGINT" if kind.name == "integer" else f"DECIMAL({kind.precision},{kind.scale})"
    value = f"TRY_CAST({text} AS {target})"
    if kind.name == "integer":
        same, pattern = f"CAST({value} AS VARCHAR) = {text}", "[+-]?[0-9]+" + ("([.]0*)?" if numeric else "")
    else:
        same, tail = f"CAST({value} AS VARCHAR) = {text}", f"[0-9]{{0,{kind.scale}}}0*"
        if kind.scale:
            same += f" OR CAST({value} AS VARCHAR) = {text} || {literal('.' + '0' * kind.scale)}"
        bare = f"|[.][0-9]{{1,{kind.scale}}}0*" if kind.scale else ""
        pattern = f"[+-]?([0-9]+([.]{tail})?{bare})"
    return f"CASE WHEN {same} THEN {value} WHEN {matches(text, pattern)} THEN {value} END"


def _double(text: str) -> str:
    value = f"TRY_CAST({text} AS DOUBLE)"
    shown = f"CAST({value} AS VARCHAR)"
    return (
        f"CASE WHEN NOT isfinite({value}) THEN NULL WHEN {shown} = {text} THEN {value} "
        f"WHEN length({text}) <= {_SAFE_LENGTH} AND {matches(text, _PLAIN)} THEN {value} "
        f"WHEN {matches(text, _FLOAT)} AND {_digits(text)} = {_digits(shown)} THEN {value} END"
    )


def _digits(text: str) -> str:
    """SQL: significant digits and their place: equal for two texts of the same number but for its sign."""
    whole, fraction = f"regexp_extract({text}, '^[+-]?([0-9]*)', 1)", f"regexp_extract({text}, '[.]([0-9]*)', 1)"
    power = f"coalesce(TRY_CAST(regexp_extract({text}, '[eE]([+-]?[0-9]+)$', 1) AS BIGINT), 0)"
    significant = f"ltrim({whole} || {fraction}, '0')"
    place = f"({power} + length({significant}) - length({fraction}))"
    return f"CASE WHEN {significant} = '' THEN '0' ELSE rtrim({significant}, '0') || 'e' || {place} END"


def _temporal(text: str, step: str, field: Field, timezone: str | None) -> str:
    if field.type.name == "datetime":
        return _moment(text, step, field, timezone)
    if field.type.name == "time":
        return (
            f"CAST({step} AS TIME)"
            if field.format
            else f"CASE WHEN {matches(text, _CLOCK)} THEN TRY_CAST({text} AS TIME) END"
        )
    if field.format:
        return within(f"CASE WHEN {step} = date_trunc('day', {step}) THEN CAST({step} AS DATE) END", "DATE")
    value = f"TRY_CAST({text} AS DATE)"
    return f"CASE WHEN length({text}) = 10 AND CAST({value} AS VARCHAR) = {text} THEN {value} END"


def _moment(text: str, step: str, field: Field, timezone: str | None) -> str:
    if timezone is None:
        value = step if field.format else f"CASE WHEN {matches(text, _STAMP)} THEN TRY_CAST({text} AS TIMESTAMP) END"
        return within(value, "TIMESTAMP")
    if field.format and "%z" in field.format:
        return within(step, "TIMESTAMPTZ")
    value = f"CASE WHEN {step} < CAST('0001-01-01' AS TIMESTAMP) THEN NULL"
    value += f" WHEN {step} IS NOT NULL THEN {zoned(step, timezone)}"
    if not field.format:
        written = f"{matches(text, _STAMP + _OFFSET)} AND NOT starts_with({text}, '0000')"
        value += f" WHEN {written} THEN TRY_CAST({text} AS TIMESTAMPTZ)"
    return value + " END"


def within(value: str, kind: str) -> str:
    """SQL: `value` if its year is 1 to 9999 (UTC for instants), else NULL."""
    first, after = (
        ("0001-01-01", "9999-12-31") if kind == "DATE" else ("0001-01-01 00:00:00", "9999-12-31 23:59:59.999999")
    )
    return f"CASE WHEN {value} BETWEEN CAST('{first}' AS {kind}) AND CAST('{after}' AS {kind}) THEN {value} END"


def zoned(local: str, timezone: str) -> str:
    """SQL: the one instant at which clocks in `timezone` show `local`; NULL if they show it twice or never.

    A local time can only belong to the offset that held a day before or a day after it, since no zone ever shifted by
    more than a day. Both give the same instant, or the clocks changed in between and each is tried.
    """
    zone = literal(timezone)
    guess = f"timezone({zone}, {local})"

    def instant(moved: str) -> str:
        around = f"({guess} {moved} INTERVAL 24 HOUR)"
        return f"timezone('UTC', {local} - (timezone({zone}, {around}) - timezone('UTC', {around})))"

    # Far from any shift, which is nearly always, three conversions tell; the rest is for the days around one.
    calm = " AND ".join(
        f"timezone({zone}, {guess} {moved} INTERVAL 24 HOUR) = {local} {moved} INTERVAL 24 HOUR" for moved in "-+"
    )
    before, after = instant("-"), instant("+")
    early, late = (f"timezone({zone}, {candidate}) = {local}" for candidate in (before, after))
    return (
        f"CASE WHEN {calm} THEN {guess} WHEN {early} AND {late} THEN NULL "
        f"WHEN {early} THEN {before} WHEN {late} THEN {after} END"
    )


def _json(text: str, kind: str) -> str:
    """DuckDB takes NaN, Infinity and trailing commas for JSON; outside of strings they are told by a pattern."""
    bare = f"""regexp_replace({text}, '"(\\\\.|[^"\\\\])*"', '""', 'g')"""
    lenient = f"regexp_matches({bare}, {literal('[NI]|nan|inf|,[[:space:]]*[]}]')})"
    valid = f"json_valid({text}) AND NOT {lenient}"
    if kind != "json":
        valid += f" AND json_type({text}) = {literal(kind.upper())}"
    return f"CASE WHEN {valid} THEN CAST({text} AS JSON) END"


# --- literals of a schema -----------------------------------------------------------------------------------------


def _decimal(text: str, kind: FieldType) -> bool:
    value = Decimal(text)
    scaled = value.scaleb(kind.scale)
    return (
        re.fullmatch(_PLAIN, text) is not None
        and scaled == scaled.to_integral_value()
        and len(str(abs(int(scaled)))) <= kind.precision
    )


def _date(text: str, _kind: FieldType) -> bool:
    return re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text) is not None and bool(date.fromisoformat(text))


def _time(text: str, _kind: FieldType) -> bool:
    return re.fullmatch(_CLOCK, text) is not None and time.fromisoformat(text) is not None


def _datetime(text: str, _kind: FieldType) -> bool:
    return re.fullmatch(_STAMP + _OFFSET + "?", text) is not None and bool(datetime.fromisoformat(text))


_LITERALS: dict[str, Callable[[str, FieldType], bool]] = {
    "string": lambda _text, _kind: True,
    "integer": lambda text, _kind: re.fullmatch("[+-]?[0-9]+", text) is not None and -(2**63) <= int(text) < 2**63,
    "number": lambda text, _kind: re.fullmatch(_FLOAT, text) is not None and math.isfinite(float(text)),
    "decimal": _decimal,
    "boolean": lambda text, _kind: text in {"true", "false"},
    "date": _date,
    "time": _time,
    "datetime": _datetime,
    "uuid": lambda text, _kind: re.fullmatch(_UUID, text) is not None,
    "json": lambda text, _kind: json.loads(text) is not ...,
}


def valid_literal(text: str, kind: FieldType) -> bool:
    """True if `text`, as it stands in a schema, is a value of `kind`: ISO dates, a decimal point, `true` or `false`."""
    try:
        return _LITERALS.get(kind.name, _LITERALS["json"])(text, kind)
    except (ValueError, InvalidOperation, OverflowError):
        return False


def literal_value(text: str, kind: FieldType) -> Any:
    """What a literal means that `valid_literal` accepts, so that it compares with others of its type."""
    if kind.name in NUMERIC:
        return Decimal(text)
    if kind.name == "datetime":
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    readers: dict[str, Callable[[str], Any]] = {"date": date.fromisoformat, "time": time.fromisoformat}
    return readers.get(kind.name, str)(text)


def typed_literal(text: str, kind: FieldType, timezone: str | None) -> str:
    """SQL of a literal that `valid_literal` accepts, in the storage type."""
    if kind.name == "datetime" and timezone:
        field = Field("literal", kind)
        step = parsed(literal(text), field, timezone)
        return f"({exact(literal(text), step or '', field, timezone)})"
    return literal(text) if kind.name == "string" else f"CAST({literal(text)} AS {storage(kind, timezone)})"
