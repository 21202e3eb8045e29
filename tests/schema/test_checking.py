"""What is found wrong of a schema before any data, and how headers are bound."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pratique.errors import ConfigurationError
from pratique.schema import Check, Field, FieldType, Reference, Schema
from pratique.schema.compile import bind, check

W = "s.yaml:5:3"
INTEGER, DATE, DATETIME = FieldType("integer"), FieldType("date"), FieldType("datetime")
GOOD = Schema(
    "s",
    1,
    (Field("a", INTEGER), Field("b"), Field("d", DATE)),
    path="s.yaml",
    primary_key=("a",),
    timezone="Europe/Berlin",
)


def with_field(**options) -> Schema:
    """A good schema with one more field `v`."""
    return replace(GOOD, fields=(*GOOD.fields, Field("v", where=W, **options)))


WRONG = {
    "bound on text": (with_field(minimum="1"), "minimum needs a number or a date"),
    "bound that is no value": (with_field(type=INTEGER, minimum="1.5"), "minimum `1.5` is no integer"),
    "bound that is no date": (with_field(type=DATE, maximum="2024-02-30"), "maximum `2024-02-30` is no date"),
    "bound beyond the digits": (with_field(type=FieldType("decimal", 4, 2), exclusive_maximum="100"), "is no decimal"),
    "enum that is no value": (with_field(type=INTEGER, enum=("1", "x")), "`x` of enum is no integer"),
    "empty enum": (with_field(enum=()), "an empty enum"),
    "multiple of text": (with_field(multiple_of="2"), "multipleOf"),
    "multiple of zero": (with_field(type=INTEGER, multiple_of="0"), "multipleOf"),
    "length of a number": (with_field(type=INTEGER, max_length=3), "need a string"),
    "pattern of a number": (with_field(type=INTEGER, pattern="1"), "need a string"),
    "broken pattern": (with_field(pattern="["), "cannot be read"),
    "pattern that looks ahead": (with_field(pattern="(?=a)b"), "RE2 cannot"),
    "pattern that looks back": (with_field(pattern=r"(a)\1"), "RE2 cannot"),
    "unknown format": (with_field(format="emial"), "the format `emial` is not known"),
    "date format of a text": (with_field(format="%Y"), "the format `%Y` is not known"),
    "named format of a date": (with_field(type=DATE, format="email"), "does not fit date"),
    "format of an integer": (with_field(type=INTEGER, format="%d"), "does not fit integer"),
    "clock in a date": (with_field(type=DATE, format="%Y-%m-%d %H"), "`%H` in a format of a date"),
    "date in a clock": (with_field(type=FieldType("time"), format="%Y %H"), "`%Y` in a format of a time"),
    "date without a year": (with_field(type=DATE, format="%d.%m."), "has no year"),
    "unknown directive": (with_field(type=DATE, format="%Q"), "`%Q`"),
    "offset without a zone": (
        replace(with_field(type=DATETIME, format="%Y %z"), timezone=None),
        "%z needs a `timezone`",
    ),
    "no digits": (with_field(type=FieldType("decimal", 0, 0)), "no such digits"),
    "too many digits": (with_field(type=FieldType("decimal", 39, 2)), "no such digits"),
    "scale above precision": (with_field(type=FieldType("decimal", 2, 3)), "no such digits"),
    "same marks": (with_field(type=FieldType("number"), group_char="."), "two different single characters"),
    "digit as mark": (with_field(type=INTEGER, group_char="0"), "two different single characters"),
    "true is false": (with_field(type=FieldType("boolean"), false_values=("1",)), "cannot mean true and false"),
    "expression and aliases": (with_field(expression="a", aliases=("x",)), "from an expression and from elsewhere"),
    "round without expression": (with_field(type=INTEGER, round="half_up"), "round needs an expression"),
    "round of a double": (
        with_field(type=FieldType("number"), expression="a", round="half_up"),
        "round needs an expression",
    ),
    "broken expression": (with_field(expression="a +"), "cannot be read"),
    "expression of itself": (with_field(type=INTEGER, expression="v + 1"), "computed from each other"),
    "reserved name": (replace(GOOD, fields=(*GOOD.fields, Field("_Load_Id", where=W))), "cannot be named"),
    "name of row numbers": (replace(GOOD, fields=(*GOOD.fields, Field("RowId", where=W))), "cannot be named"),
    "name that differs by case": (replace(GOOD, fields=(*GOOD.fields, Field("A", where=W))), "two fields `a` and `A`"),
    "no fields": (replace(GOOD, fields=(), primary_key=()), "has no fields"),
    "key of no field": (replace(GOOD, primary_key=("x",)), "primaryKey names `x`"),
    "unique key of no field": (replace(GOOD, unique_keys=(("a", "x"),)), "uniqueKeys names `x`"),
    "reference of no field": (replace(GOOD, references=(Reference("r", ("x",), "p", ("id",)),)), "names `x`"),
    "uneven reference": (
        replace(GOOD, references=(Reference("r", ("a",), "p", ("id", "b")),)),
        "pairs 1 fields with 2",
    ),
    "unknown zone": (replace(GOOD, timezone="Europe/Berlim"), "the time zone `Europe/Berlim`"),
    "check of no field": (replace(GOOD, checks=(Check("c", "x > 1", where=W),)), "there is no field `x`"),
    "check that is no condition": (
        replace(GOOD, checks=(Check("c", "a", where=W),)),
        "is of type integer, not a condition",
    ),
    "two checks of one name": (replace(GOOD, checks=(Check("c", "a > 1"), Check("c", "a > 2", where=W))), "is taken"),
    "check with a key's name": (replace(GOOD, checks=(Check("primaryKey", "a > 1", where=W),)), "is taken"),
    "where of a load": (
        replace(GOOD, checks=(Check("c", "count(*) > 1", scope="set", condition="a > 1", where=W),)),
        "looks at the whole load",
    ),
    "broken filter": (replace(GOOD, filter="a >"), "cannot be read"),
    "filter that is no condition": (replace(GOOD, filter="b"), "not a condition"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_right_is_found_without_data(name: str) -> None:
    """Every mistake that needs no data to be seen is refused, and says in which file."""
    schema, message = WRONG[name]
    with pytest.raises(ConfigurationError) as caught:
        check(schema)
    assert message in caught.value.message
    assert caught.value.where.startswith("s.yaml")


def test_a_good_schema_passes() -> None:
    """The schema from which the wrong ones are made has no mistake of its own."""
    check(GOOD)
    check(with_field(type=DATE, format="%d.%m.%Y", minimum="2020-01-01", enum=("2024-01-01",)))
    check(with_field(pattern=r"\p{L}+[[:alpha:]]\\1", format="email", min_length=1))
    check(with_field(expression="upper(b)"))


def test_fields_that_need_each_other_are_refused() -> None:
    """A circle of expressions has no first one."""
    fields = (Field("a", INTEGER, expression="b + 1", where=W), Field("b", INTEGER, expression="a + 1", where=W))
    with pytest.raises(ConfigurationError, match="the fields a, b are computed from each other"):
        check(Schema("s", 1, fields, path="s.yaml"))


HEADERS = Schema(
    "s", 1,
    (Field("order_id", aliases=("Bestellnr", "Order No")), Field("amount"), Field("p", capture="p"), Field("n", expression="amount")),
)  # fmt: skip


def test_a_header_is_bound_by_the_first_alias_that_it_has() -> None:
    """Aliases in order; captures and expressions need no column; order of columns does not matter."""
    binding = bind(HEADERS, ["amount", "Order No"])
    assert (dict(binding.columns), binding.exact) == ({"order_id": "Order No", "amount": "amount"}, True)
    assert bind(HEADERS, ["amount", "Order No", "Bestellnr"]).columns["order_id"] == "Bestellnr"


def test_a_header_that_drifted_says_how() -> None:
    """Missing fields with near names, names that are new, names that stand twice."""
    binding = bind(HEADERS, ["Amount ", "Bestellnr", "extra", "extra"])
    assert (binding.missing, binding.extra, binding.duplicates) == (
        ("amount",),
        ("Amount ", "extra"),
        ("extra", "extra")[:1],
    )
    assert binding.near == {"amount": ("Amount ",)}
    assert (
        binding.difference()
        == "missing: amount (perhaps Amount ); not in the schema: Amount , extra; more than once: extra"
    )
    assert not binding.exact


def test_names_that_differ_by_case_are_double() -> None:
    """The engine could not tell them apart."""
    assert bind(HEADERS, ["amount", "Bestellnr", "AMOUNT"]).duplicates == ("amount", "AMOUNT")
