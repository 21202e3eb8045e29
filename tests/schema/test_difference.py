"""What a difference says of a change is so: the engine judges the same values by both versions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pratique.schema import Check, Field, FieldType, Reference, Schema
from pratique.schema.difference import difference
from pratique.validation import SchemaValidator

INTEGER, NUMBER, DATE = FieldType("integer"), FieldType("number"), FieldType("date")
VALUES = [
    *("", "-1", "0", "1", "2", "3", "3.5", "10", "1e3", "9999999.99", "123.456", "12.34", "a", "ab", "abc", "DE", "FR"),
    *("2026-01-01", "2026-12-31", "01.02.2026", "a@b.example", "12345678901", "true", "n/a", None),
]


def _decimal(precision: int, scale: int) -> FieldType:
    return FieldType("decimal", precision, scale)


CHANGES = [
    (Field("v", INTEGER), Field("v", INTEGER, minimum="1"), "tighter"),
    (Field("v", INTEGER, minimum="1"), Field("v", INTEGER, minimum="0"), "looser"),
    (Field("v", NUMBER, maximum="10"), Field("v", NUMBER, maximum="3"), "tighter"),
    (Field("v", NUMBER, exclusive_maximum="3"), Field("v", NUMBER, exclusive_maximum="10"), "looser"),
    (Field("v", NUMBER, minimum="1"), Field("v", NUMBER, minimum="1.0"), "none"),
    (Field("v", DATE, minimum="2026-01-01"), Field("v", DATE, minimum="2026-06-01"), "tighter"),
    (Field("v", INTEGER), Field("v", INTEGER, multiple_of="2"), "tighter"),
    (Field("v", INTEGER, multiple_of="2"), Field("v", INTEGER, multiple_of="3"), "both"),
    (Field("v"), Field("v", required=True), "tighter"),
    (Field("v", required=True), Field("v"), "looser"),
    (Field("v", max_length=3), Field("v", max_length=2), "tighter"),
    (Field("v", min_length=2), Field("v", min_length=1), "looser"),
    (Field("v"), Field("v", pattern="[a-c]+"), "tighter"),
    (Field("v", pattern="[a-c]+"), Field("v", pattern="[A-Z]+"), "both"),
    (Field("v"), Field("v", format="email"), "tighter"),
    (Field("v", format="email"), Field("v"), "looser"),
    (Field("v", DATE), Field("v", DATE, format="%d.%m.%Y"), "both"),
    (Field("v", enum=("DE",)), Field("v", enum=("DE", "FR")), "looser"),
    (Field("v", enum=("DE", "FR")), Field("v", enum=("FR",)), "tighter"),
    (Field("v", enum=("DE",)), Field("v", enum=("FR",)), "both"),
    (Field("v", enum=("DE",)), Field("v"), "looser"),
    (Field("v"), Field("v", INTEGER), "tighter"),
    (Field("v", DATE), Field("v"), "looser"),
    (Field("v", INTEGER), Field("v", NUMBER), "both"),
    (Field("v", _decimal(5, 2)), Field("v", _decimal(9, 3)), "looser"),
    (Field("v", _decimal(9, 2)), Field("v", _decimal(5, 2)), "tighter"),
    (Field("v", _decimal(9, 2)), Field("v", _decimal(9, 3)), "both"),
    (Field("v", INTEGER, missing_values=("",)), Field("v", INTEGER, missing_values=("", "n/a")), "both"),
    (Field("v", required=True, severity="warn"), Field("v", required=True), "tighter"),
    (Field("v", required=True), Field("v", required=True, severity="warn"), "looser"),
    (Field("v", enum=("DE",), severity="warn"), Field("v", enum=("FR",), severity="warn"), "none"),
    (Field("v"), Field("v", sensitive=True), "none"),
    (Field("v"), Field("v", description="x"), "none"),
]


def passes(schema: Schema) -> set[str | None]:
    """The values with which a record passes."""
    judged = SchemaValidator(schema).validate([{"v": value} for value in VALUES])
    held = {error["index"] for error in judged["errors"]}
    return {value for at, value in enumerate(VALUES) if at not in held}


def one(value: Field) -> Schema:
    """A schema of one field."""
    return Schema("s", 1, (value,), path="s.yaml")


@pytest.mark.parametrize(("old", "new", "effect"), CHANGES, ids=lambda item: item if isinstance(item, str) else "")
def test_a_change_of_a_field_does_what_is_said(old: Field, new: Field, effect: str) -> None:
    """Tighter never lets a held value pass, looser never holds one that passed, none does neither."""
    (change,) = difference(one(old), one(new))
    assert change.effect == effect
    before, after = passes(one(old)), passes(one(new))
    if effect in {"tighter", "none"}:
        assert after <= before
    if effect in {"looser", "none"}:
        assert before <= after
    if effect in {"tighter", "looser"}:
        assert before != after, "a case that shows nothing"


A, B = Field("a"), Field("b", INTEGER)
BASE = Schema("s", 1, (A, B), path="s.yaml")
CHECK = Check("c", "b > 0")
REFERENCE = Reference("reference.a", ("a",), "p", ("id",))
WHOLE = [
    (BASE, BASE, []),
    (BASE, replace(BASE, primary_key=("a",)), [("primaryKey", "tighter")]),
    (replace(BASE, primary_key=("a", "b")), replace(BASE, primary_key=("a",)), [("primaryKey", "both")]),
    (replace(BASE, unique_keys=(("a", "b"),)), BASE, [("uniqueKeys a+b", "looser")]),
    (BASE, replace(BASE, extra_fields="drop"), [("extraFields", "looser")]),
    (BASE, replace(BASE, filter="b > 0"), [("filter", "both")]),
    (BASE, replace(BASE, dialect=replace(BASE.dialect, quote_char=None)), [("dialect quoteChar", "both")]),
    (BASE, replace(BASE, fields=(B, A)), [("order of fields", "none")]),
    (BASE, replace(BASE, fields=(A,)), [("field b", "both")]),
    (replace(BASE, fields=(A,)), BASE, [("field b", "both")]),
    (replace(BASE, fields=(A,), extra_fields="drop"), replace(BASE, extra_fields="drop"), [("field b", "tighter")]),
    (BASE, replace(BASE, fields=(A, replace(B, aliases=("b", "c")))), [("field b: from", "looser")]),
    (BASE, replace(BASE, fields=(A, replace(B, aliases=("c", "b")))), [("field b: from", "both")]),
    (BASE, replace(BASE, checks=(CHECK,)), [("check c", "tighter")]),
    (BASE, replace(BASE, checks=(replace(CHECK, severity="warn"),)), [("check c", "none")]),
    (
        replace(BASE, checks=(CHECK,)),
        replace(BASE, checks=(replace(CHECK, severity="fail"),)),
        [("check c: severity", "tighter")],
    ),
    (
        replace(BASE, checks=(CHECK,)),
        replace(BASE, checks=(replace(CHECK, at_most=0.1),)),
        [("check c: at_most", "tighter")],
    ),
    (
        replace(BASE, checks=(CHECK,)),
        replace(BASE, checks=(replace(CHECK, rule="b > 1"),)),
        [("check c: rule", "both")],
    ),
    (replace(BASE, references=(REFERENCE,)), BASE, [("reference a", "looser")]),
]


@pytest.mark.parametrize(("old", "new", "expected"), WHOLE)
def test_changes_beyond_single_values(old: Schema, new: Schema, expected: list[tuple[str, str]]) -> None:
    """Keys, columns, checks, references and how text is read: each change is named once, with its effect."""
    assert [(change.what, change.effect) for change in difference(old, new)] == expected
