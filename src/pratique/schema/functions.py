"""The functions that a rule may call: what means the same on every engine, and nothing that reads the world."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the rule language; `most` None takes any number of arguments. `example` shows a call."""

    name: str
    least: int
    most: int | None
    doc: str
    example: str
    aggregate: bool = False


_TABLE: tuple[tuple[str, int, int | None, str, str], ...] = (
    ("lower", 1, 1, "the text in lower case", "lower(country)"),
    ("upper", 1, 1, "the text in upper case", "upper(country)"),
    ("trim", 1, 1, "the text without blanks at both ends", "trim(name)"),
    ("ltrim", 1, 1, "the text without blanks at its start", "ltrim(name)"),
    ("rtrim", 1, 1, "the text without blanks at its end", "rtrim(name)"),
    ("length", 1, 1, "number of characters", "length(name) <= 40"),
    ("substring", 2, 3, "part of a text: from a position (first is 1), so many characters", "substring(code, 1, 2)"),
    ("left", 2, 2, "the first characters", "left(code, 2)"),
    ("right", 2, 2, "the last characters", "right(code, 2)"),
    ("replace", 3, 3, "the text with every occurrence replaced", "replace(code, '-', '')"),
    ("concat", 1, None, "texts put together, NULL counting as empty", "concat(first, ' ', last)"),
    ("lpad", 3, 3, "the text filled at its start up to a length", "lpad(code, 5, '0')"),
    ("rpad", 3, 3, "the text filled at its end up to a length", "rpad(code, 5, ' ')"),
    ("reverse", 1, 1, "the characters in reverse order", "reverse(code)"),
    ("split_part", 3, 3, "the n-th part (first is 1) of a text cut at a separator", "split_part(email, '@', 2)"),
    ("strpos", 2, 2, "position of the first occurrence, 0 if there is none", "strpos(email, '@') > 1"),
    ("contains", 2, 2, "true if the text holds the other one", "contains(note, 'refund')"),
    ("starts_with", 2, 2, "true if the text starts with the other one", "starts_with(code, 'A')"),
    ("ends_with", 2, 2, "true if the text ends with the other one", "ends_with(file, '.csv')"),
    ("regexp_matches", 2, 2, "true if the pattern (RE2) matches anywhere in the text", "regexp_matches(code, '[0-9]')"),
    ("regexp_full_match", 2, 2, "true if the pattern (RE2) matches the whole text", "regexp_full_match(c, '[A-Z]+')"),
    ("coalesce", 1, None, "the first argument that is not NULL", "coalesce(discount, 0)"),
    ("nullif", 2, 2, "NULL if both are equal, else the first", "nullif(amount, 0)"),
    ("if", 3, 3, "the second argument if the first is true, else the third", "if(qty > 0, price, 0)"),
    ("greatest", 1, None, "the greatest argument that is not NULL", "greatest(a, b)"),
    ("least", 1, None, "the least argument that is not NULL", "least(a, b)"),
    ("abs", 1, 1, "the number without its sign", "abs(balance)"),
    ("sign", 1, 1, "-1, 0 or 1", "sign(balance)"),
    ("round", 1, 2, "rounded to so many digits, halves away from zero", "round(amount, 2)"),
    ("floor", 1, 1, "the greatest whole number not above", "floor(amount)"),
    ("ceil", 1, 1, "the least whole number not below", "ceil(amount)"),
    ("mod", 2, 2, "remainder of a division, with the sign of the first", "mod(qty, 12) = 0"),
    ("power", 2, 2, "first to the power of second", "power(x, 2)"),
    ("sqrt", 1, 1, "square root", "sqrt(x)"),
    ("exp", 1, 1, "e to the power of x", "exp(x)"),
    ("ln", 1, 1, "natural logarithm", "ln(x)"),
    ("date_trunc", 2, 2, "start of the unit (year, quarter, month, week, day, hour …)", "date_trunc('month', sold_on)"),
    ("date_diff", 3, 3, "number of unit boundaries between two dates", "date_diff('day', ordered, shipped) < 30"),
    ("extract", 1, 1, "part of a date or time", "extract(year from sold_on)"),
    ("year", 1, 1, "year of a date", "year(sold_on) >= 2020"),
    ("quarter", 1, 1, "quarter of a date, 1 to 4", "quarter(sold_on)"),
    ("month", 1, 1, "month of a date, 1 to 12", "month(sold_on)"),
    ("day", 1, 1, "day of the month", "day(sold_on)"),
    ("hour", 1, 1, "hour of a time", "hour(at)"),
    ("minute", 1, 1, "minute of a time", "minute(at)"),
    ("second", 1, 1, "second of a time", "second(at)"),
    ("last_day", 1, 1, "last day of the month of a date", "last_day(sold_on)"),
    ("isodow", 1, 1, "day of the week, Monday is 1 and Sunday is 7", "isodow(sold_on) < 6"),
    ("cast", 1, 1, "the value as another type; raises where it cannot be", "cast(code as integer)"),
    ("try_cast", 1, 1, "the value as another type, NULL where it cannot be", "try_cast(code as integer)"),
)
_AGGREGATES: tuple[tuple[str, int, int | None, str, str], ...] = (
    ("count", 1, 1, "number of rows, of values, or of distinct values", "count(*) > 0"),
    ("sum", 1, 1, "sum of the values", "sum(amount) > 0"),
    ("avg", 1, 1, "mean of the values", "avg(amount) < 100"),
    ("min", 1, 1, "least value", "min(sold_on) >= DATE '2020-01-01'"),
    ("max", 1, 1, "greatest value", "max(amount) < 1000"),
    ("median", 1, 1, "median of the values", "median(amount) < 100"),
    ("quantile", 2, 2, "the value below which a share of the values lies", "quantile(amount, 0.95) < 500"),
    ("stddev", 1, 1, "standard deviation of the sample", "stddev(amount) < 50"),
    ("count_if", 1, 1, "number of rows for which the condition is true", "count_if(amount < 0) <= 3"),
    ("bool_and", 1, 1, "true if the condition is true for all rows", "bool_and(amount > 0)"),
    ("bool_or", 1, 1, "true if the condition is true for a row", "bool_or(amount > 0)"),
)

FUNCTIONS: dict[str, Function] = {row[0]: Function(*row) for row in _TABLE} | {
    row[0]: Function(*row, aggregate=True) for row in _AGGREGATES
}

UNITS: tuple[str, ...] = ("year", "quarter", "month", "week", "day", "hour", "minute", "second")
