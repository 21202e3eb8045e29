"""The rule language: what it says, and everything else refused with its place."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from pratique.errors import ConfigurationError
from pratique.schema.expression import parse
from pratique.schema.functions import FUNCTIONS

ESCAPES = (Path(__file__).parents[1] / "golden" / "escapes.txt").read_text(encoding="utf-8").splitlines()
FIELDS = ("a", "d", "amount", "x y", "date", "comment", "end", "order", "day")


@pytest.mark.parametrize("text", ESCAPES)
def test_what_is_not_in_the_language_is_refused(text: str) -> None:
    """No text of the corpus becomes SQL, and each refusal says where it stands."""
    with pytest.raises(ConfigurationError) as caught:
        parse(text, ("a", "d"), {}, where="schemas/s.yaml:7:12")
    assert caught.value.where.startswith("schemas/s.yaml:7:")


def test_the_corpus_is_large() -> None:
    """At least 100 texts are tried."""
    assert len(set(ESCAPES)) >= 100


@pytest.mark.parametrize(
    "text",
    [
        "(" * 1000 + "a" + ")" * 1000,
        "not " * 500 + "a",
        "-" * 300 + "a > 0",
        "+".join(["a"] * 380) + " > 0",
        "case when a then " * 100 + "1" + " end" * 100 + " = 1",
        "lower(" * 200 + "a" + ")" * 200 + " = 'x'",
        "a = '" + "x" * 5000 + "'",
        "a in (" + ",".join(["1"] * 2000) + ")",
        "a > 1\0",
    ],
)
def test_huge_expressions_are_refused_quickly(text: str) -> None:
    """Length, number of words and depth have limits, and none of them ends in a crash."""
    with pytest.raises(ConfigurationError):
        parse(text, ("a",), {}, where="s.yaml:1:1")


@pytest.mark.parametrize(
    ("text", "sql", "inputs"),
    [
        ("amount >= 0", '"amount" >= 0', ("amount",)),
        ("= amount * 2 = 4", '"amount" * 2 = 4', ("amount",)),
        ("\"x y\" = 'it''s'", "\"x y\" = 'it''s'", ("x y",)),
        ("date >= DATE '2020-01-01'", "\"date\" >= CAST('2020-01-01' AS DATE)", ("date",)),
        ("comment like 'x%'", "\"comment\" LIKE 'x%'", ("comment",)),
        ("day(date) = day", 'DAY("date") = "day"', ("date", "day")),
        ('"end" > "order"', '"end" > "order"', ("end", "order")),
        ("a = '-- no comment; /* */ $$'", "\"a\" = '-- no comment; /* */ $$'", ("a",)),
        ("path.p = 'x'", "\"a\" = 'x'", ("a",)),
        ("a is not distinct from d", '"a" IS NOT DISTINCT FROM "d"', ("a", "d")),
        ("a / d < 1", '"a" / NULLIF("d", 0) < 1', ("a", "d")),
        ("cast(a as decimal(12,2)) > 0", 'CAST("a" AS DECIMAL(12, 2)) > 0', ("a",)),
        ("cast(a as integer) > 0", 'CAST("a" AS BIGINT) > 0', ("a",)),
        ("a in (1, -2)", '"a" IN (1, -2)', ("a",)),
        ("mod(a + 1, 2) = 0", '("a" + 1) % 2 = 0', ("a",)),
    ],
)
def test_the_language_becomes_quoted_sql(text: str, sql: str, inputs: tuple[str, ...]) -> None:
    """Names are quoted, texts stay texts, and the fields that are named are known."""
    found = parse(text, FIELDS, {"p": "a"}, where="s.yaml:1:1")
    assert (found.sql, found.inputs) == (sql, inputs)


@pytest.mark.parametrize(
    ("text", "where", "message", "hint"),
    [
        ("amount > lenght(a)", "s.yaml:3:19", "the function `lenght` is not known", "did you mean `length`?"),
        ("amout > 1", "s.yaml:3:10", "there is no field `amout`", "did you mean `amount`?"),
        ("a > 1 and amout > 1", "s.yaml:3:20", "there is no field `amout`", "did you mean `amount`?"),
        ("count(*) > 1", "s.yaml:3:10", "`count` looks at many rows", "give the check `scope: set`"),
        (
            "a > 1; d > 1",
            "s.yaml:3:15",
            "`;` is not part of the rule language",
            "a rule is one condition over fields, such as `amount >= 0`",
        ),
        ("path.q = 1", "s.yaml:3:10", "no field holds `path.q`", "declare one: q: {from: path.q}"),
        ("left(a) = 'x'", "s.yaml:3:10", "`left` with 1 arguments", "such as: left(code, 2)"),
        (
            "a + 1",
            "s.yaml:3:10",
            "a value where a condition is needed",
            "compare it with something, such as `amount >= 0`",
        ),
    ],
)
def test_a_refusal_names_place_and_way_out(text: str, where: str, message: str, hint: str) -> None:
    """File, line and the column of the word; what is wrong; what was probably meant."""
    with pytest.raises(ConfigurationError) as caught:
        parse(text, FIELDS, {}, where="s.yaml:3:10")
    assert (caught.value.where, caught.value.hint) == (where, hint)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("count(*) > 0", True),
        ("count(distinct a) = count(a)", True),
        ("sum(amount) / count(*) between 1 and 5", True),
        ("quantile(amount, 0.9) < max(a)", True),
        ("bool_and(amount > 0)", True),
        ("amount > 0", False),
        ("max(sum(amount)) > 0", False),
        ("count(*) > amount", False),
    ],
)
def test_checks_of_the_whole_load_use_aggregates(text: str, *, accepted: bool) -> None:
    """In the scope `set` every field stands inside exactly one aggregate."""
    if accepted:
        assert parse(text, FIELDS, {}, scope="set").sql
    else:
        with pytest.raises(ConfigurationError):
            parse(text, FIELDS, {}, where="s.yaml:1:1", scope="set")


TYPES = {
    "sold_on": "DATE", "ordered": "DATE", "shipped": "DATE", "at": "TIMESTAMP", "amount": "DOUBLE", "qty": "BIGINT",
    "price": "DOUBLE", "x": "DOUBLE", "a": "DOUBLE", "b": "DOUBLE", "discount": "DOUBLE", "balance": "DOUBLE",
}  # fmt: skip
TEXTS = ("country", "name", "code", "first", "last", "email", "note", "file", "c")


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=lambda item: item.name)
def test_every_listed_function_is_served(function) -> None:
    """The example of each function parses and runs; the list promises nothing that the engine lacks."""
    fields = (*TYPES, *TEXTS)
    expression = parse(function.example, fields, {}, scope="set" if function.aggregate else "value")
    columns = ", ".join(f'CAST(NULL AS {TYPES.get(name, "VARCHAR")}) AS "{name}"' for name in fields)
    with duckdb.connect() as con:
        assert len(con.execute(f"SELECT {expression.sql} FROM (SELECT {columns})").fetchall()) == 1
