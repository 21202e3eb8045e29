"""What rules make of rows: the golden table, computed fields, the filter, and the columns beside the values."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from pratique.documents import load_document
from pratique.schema import Check, Field, FieldType, Reference, Schema
from pratique.schema.compile import InputColumn, Judge, compile_schema
from pratique.schema.rules import sensitive

TABLE = load_document(Path(__file__).parents[1] / "golden" / "rules.yaml").value


def kind(text: str) -> FieldType:
    """`decimal(9,2)` and the like as a type."""
    name, _, digits = text.partition("(")
    precision, scale = (int(item) for item in digits.rstrip(")").split(",")) if digits else (0, 0)
    return FieldType(name, precision, scale)


def schema_of(group: dict) -> Schema:
    """The schema that a group of the golden table describes."""
    fields = []
    for name, options in group["fields"].items():
        rest = {key: tuple(item) if isinstance(item, list) else item for key, item in options.items() if key != "type"}
        fields.append(Field(name, kind(options.get("type", "string")), **rest))
    checks = tuple(Check(name, **options) for name, options in group.get("checks", {}).items())
    return Schema(
        "s", 1, tuple(fields), primary_key=tuple(group.get("primaryKey", ())), checks=checks,
        filter=group.get("filter"), timezone=group.get("timezone"),
    )  # fmt: skip


def rows_of(judge: Judge, rows: list[list[str]], columns: str, carry: tuple[str, ...] = ("n",), **more) -> list[tuple]:
    """`columns` of the judged `rows`, in their order."""
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(
            "CREATE TABLE t (n INTEGER, " + ", ".join(f'"{item.name}" {item.type}' for item in judge.inputs) + ")"
        )
        marks = ", ".join("?" for _ in range(len(judge.inputs) + 1))
        con.executemany(f"INSERT INTO t VALUES ({marks})", [(at, *row) for at, row in enumerate(rows)])
        return con.execute(f"SELECT {columns} FROM ({judge.select('t', carry, **more)}) ORDER BY n").fetchall()


def named(judge: Judge, failed: list[int] | None) -> list[str]:
    """Numbers of failed rules as their names, `?` before those that could not be decided."""
    return [("?" if number < 0 else "") + judge.rules[abs(number) - 1].name for number in failed or []]


@pytest.mark.parametrize("group", TABLE, ids=lambda group: group["group"])
def test_every_row_gets_its_verdicts(group: dict) -> None:
    """Every row of the golden table fails exactly the rules that stand beside it, in order."""
    schema = schema_of(group)
    judge = compile_schema(schema, [InputColumn(item.name) for item in schema.fields if not item.expression])
    found = rows_of(judge, [row for row, _ in group["rows"]], "_failed, _held, _raw IS NOT NULL")
    assert [(row, named(judge, failed)) for (row, _), (failed, _, _) in zip(group["rows"], found, strict=True)] == [
        (row, names) for row, names in group["rows"]
    ]
    for failed, held, kept in found:
        assert held == (bool(failed) and group.get("held", True))
        assert kept == bool(failed)


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("half_even", ["0.12", "0.14", "2.68", "-0.12", "1037.39", None]),
        ("half_up", ["0.13", "0.14", "2.68", "-0.13", "1037.39", None]),
    ],
)
def test_rounding_is_that_of_decimals(way: str, expected: list[str | None]) -> None:
    """Halves are halves of the decimal digits that people see, not of the double below them."""
    schema = Schema(
        "s",
        1,
        (Field("a", FieldType("number")), Field("b", FieldType("decimal", 12, 2), expression="a * 1.0", round=way)),
    )
    judge = compile_schema(schema, [InputColumn("a")])
    rows = [["0.125"], ["0.135"], ["2.675"], ["-0.125"], ["1037.3949579831933"], ["1e20"]]
    found = rows_of(judge, rows, "CAST(b AS VARCHAR), _failed")
    assert [value for value, _ in found] == expected
    assert named(judge, found[-1][1]) == ["b.type"]


def test_computed_fields_may_name_computed_fields() -> None:
    """Expressions are computed in the order of their needs, whatever the order of the table."""
    schema = Schema(
        "s", 1,
        (
            Field("c", FieldType("integer"), expression="b + 1"),
            Field("b", FieldType("integer"), expression="a * 2"),
            Field("a", FieldType("integer")),
            Field("month", FieldType("date"), expression="date_trunc('month', day)"),
            Field("day", FieldType("date")),
            Field("yes", FieldType("boolean"), expression="a > 1"),
        ),
    )  # fmt: skip
    judge = compile_schema(schema, [InputColumn("a"), InputColumn("day")])
    columns = "c, b, a, CAST(month AS VARCHAR), yes, _failed"
    assert rows_of(judge, [["3", "2024-05-17"], ["", ""]], columns) == [
        (7, 6, 3, "2024-05-01", True, None),
        (None, None, None, None, None, None),
    ]


def test_a_row_that_is_left_out_is_not_judged() -> None:
    """Where the filter is false nothing else counts; a row with a missing value is not left out."""
    schema = Schema("s", 1, (Field("a", FieldType("integer")), Field("b", required=True)), filter="a >= 10")
    judge = compile_schema(schema, [InputColumn("a"), InputColumn("b")])
    rows = [["10", "x"], ["9", "x"], ["9", ""], ["10", ""], ["", "x"], ["y", "x"]]
    assert rows_of(judge, rows, "_held, _out") == [
        (False, False),
        (False, True),
        (False, True),
        (True, False),
        (False, False),
        (True, False),
    ]


def test_columns_come_in_the_promised_order() -> None:
    """Fields in the schema's order, carried columns, then what was found out."""
    schema = Schema("s", 1, (Field("b", aliases=("B", "Bee")), Field("a", FieldType("integer"))))
    judge = compile_schema(schema, [InputColumn("a"), InputColumn("Bee"), InputColumn("more")])
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        rows = con.execute(judge.select("(SELECT 'x' AS a, 'y' AS Bee, 'z' AS more, 'f.csv' AS _file)", ["_file"]))
        names = [item[0] for item in rows.description]
        assert names == ["b", "a", "_file", "_failed", "_held", "_out", "_changed", "_raw", "_malformed"]
        assert rows.fetchall() == [
            ("y", None, "f.csv", [1], True, False, None, {"a": "x", "Bee": "y", "more": "z"}, None)
        ]
    assert dict(judge.bindings) == {"b": "Bee", "a": "a"}


def test_a_malformed_record_is_held_and_not_judged() -> None:
    """No rule fails on a record that could not be read; its raw values are kept."""
    schema = Schema("s", 1, (Field("a", FieldType("integer"), required=True),))
    judge = compile_schema(schema, [InputColumn("a"), InputColumn("bad")])
    rows = [["1", None], ["x", "too many fields"], [None, "bad byte"]]
    assert rows_of(judge, rows, "_failed, _held, _raw, _malformed", malformed="bad") == [
        (None, False, None, None),
        (None, True, {"a": "x", "bad": "too many fields"}, "too many fields"),
        (None, True, {"a": None, "bad": "bad byte"}, "bad byte"),
    ]


def test_captures_of_the_path_are_judged_like_columns() -> None:
    """A part of the path has the type and the rules of its field, and a check can name it."""
    schema = Schema(
        "s", 1,
        (Field("period", FieldType("date"), capture="period", format="%Y-%m"), Field("d", FieldType("date"))),
        checks=(Check("in_period", "date_trunc('month', d) = path.period"),),
    )  # fmt: skip
    judge = compile_schema(schema, [InputColumn("d")])
    found = rows_of(
        judge, [["2024-05-03"], ["2024-06-03"]], "CAST(period AS VARCHAR), _failed", captures={"period": "'2024-05'"}
    )
    assert [(period, named(judge, failed)) for period, failed in found] == [
        ("2024-05-01", []),
        ("2024-05-01", ["in_period"]),
    ]
    [(_, failed)] = rows_of(judge, [["2024-05-03"]], "period, _failed", captures={"period": "'May'"})
    assert named(judge, failed) == ["period.type"]


def test_what_trim_and_parsing_changed_is_said() -> None:
    """`_changed` gives the places of fields whose value is not the text that stood there."""
    schema = Schema(
        "s", 1,
        (
            Field("a", trim=True),
            Field("b", FieldType("decimal", 9, 2), decimal_char=",", group_char="."),
            Field("c", FieldType("date"), format="%d.%m.%Y"),
            Field("d", FieldType("integer")),
        ),
    )  # fmt: skip
    judge = compile_schema(schema, [InputColumn(item.name) for item in schema.fields])
    rows = [[" x", "1,5", "01.02.2024", "007"], ["x", "15", "", "7"], ["", "x", "x", "x"]]
    assert rows_of(judge, rows, "_changed") == [([1, 2, 3],), (None,), (None,)]


def test_a_field_without_a_column_is_null() -> None:
    """Fields that the input does not have are NULL in every record, and `required` says so."""
    schema = Schema("s", 1, (Field("a", FieldType("date")), Field("b", required=True), Field("c")))
    judge = compile_schema(schema, [InputColumn("c")])
    [(a, b, c, failed)] = rows_of(judge, [["x"]], "a, b, c, _failed")
    assert (a, b, c, named(judge, failed)) == (None, None, "x", ["b.required"])


def test_hostile_names_are_names() -> None:
    """Quotes, blanks, keywords and our own inner names in headers and fields are only names."""
    names = ['a"; DROP TABLE t; --', "select", "x y", "it's", ":raw0", "{", "ä", "count(*)"]
    fields = tuple(Field(name, FieldType("integer")) for name in names)
    schema = Schema("s", 1, fields, checks=(Check("c", '"x y" > 0 and "count(*)" > 0 and "select" > 0'),))
    judge = compile_schema(schema, [InputColumn(name) for name in names])
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        quoted = ", ".join("'1' AS \"" + name.replace('"', '""') + '"' for name in names)
        [row] = con.execute(judge.select(f"(SELECT {quoted})")).fetchall()
    assert row == (*[1] * len(names), None, False, False, None, None, None)


def test_rules_are_one_list_with_row_rules_first() -> None:
    """Numbers, scopes, severities and dimensions of all promises of a schema."""
    schema = Schema(
        "s", 1,
        (Field("id", FieldType("integer")), Field("mail", unique=True, severity="warn", sensitive=True), Field("p")),
        primary_key=("id",), unique_keys=(("mail", "p"),), filter="id > 0",
        checks=(Check("some", "count(*) > 0", scope="set", severity="fail", at_most=0.1), Check("c", "id > 1", at_most=0.5)),
        references=(Reference("partner", ("p",), "partners", ("id",)),),
    )  # fmt: skip
    rules = compile_schema(schema, []).rules
    assert [(rule.number, rule.name, rule.scope, rule.severity, rule.dimension) for rule in rules] == [
        (1, "id.type", "row", "quarantine", "validity"),
        (2, "id.required", "row", "quarantine", "completeness"),
        (3, "c", "row", "quarantine", "consistency"),
        (4, "filter", "row", "quarantine", "consistency"),
        (5, "primaryKey", "key", "quarantine", "uniqueness"),
        (6, "uniqueKeys.mail+p", "key", "quarantine", "uniqueness"),
        (7, "mail.unique", "key", "warn", "uniqueness"),
        (8, "reference.p", "reference", "quarantine", "consistency"),
        (9, "some", "set", "fail", "consistency"),
    ]
    assert (rules[2].at_most, rules[8].at_most, rules[8].sql) == (0.5, 0.1, "COUNT(*) > 0")


def test_messages_name_value_and_rule() -> None:
    """What people read of a failed rule; a sensitive value is never in it."""
    schema = Schema(
        "s", 1,
        (Field("a", FieldType("decimal", 12, 2), minimum="0"), Field("b", format="email", sensitive=True), Field("c", required=True)),
        checks=(Check("k", "a / 2 < 5"),),
    )  # fmt: skip
    rules = {rule.name: rule for rule in compile_schema(schema, []).rules}
    assert rules["a.type"].message("1.234,50 €") == 'not decimal(12,2): "1.234,50 €"'
    assert rules["a.minimum"].message("-5") == 'below minimum 0: "-5"'
    assert rules["b.format"].message("bad") == "not an email"
    assert rules["c.required"].message() == "required, but missing"
    assert rules["k"].message({"a": "12"}, unknown=True) == 'could not be decided: does not hold: a / 2 < 5: a "12"'
    assert len(rules["a.type"].message("x" * 1000)) < 120


def test_decided_counts_fit_failures() -> None:
    """A rule never fails more rows than it decided, so that a score stays between 0 and 100."""
    for group in TABLE:
        schema = schema_of(group)
        judge = compile_schema(schema, [InputColumn(item.name) for item in schema.fields if not item.expression])
        rules = [rule for rule in judge.rules if rule.scope == "row" and not rule.name.endswith(".type")]
        if not rules:
            continue
        columns = "_failed, " + ", ".join(rule.decided for rule in rules)
        for failed, *decided in rows_of(judge, [row for row, _ in group["rows"]], columns):
            for rule, said in zip(rules, decided, strict=True):
                assert said or rule.number not in [abs(number) for number in failed or []], (group["group"], rule.name)


def test_a_long_enum_is_named_by_its_first_values() -> None:
    """A message stays one line: of a long enum it names two values and how many there are, of a short one all."""
    places = tuple(f"America/Place_{number}" for number in range(10))
    for values, text in (
        (places, "not one of America/Place_0, America/Place_1, … (10 values)"),
        (("a", "b"), "not one of a, b"),
    ):
        judge = compile_schema(Schema("s", 1, (Field("z", kind("string"), enum=values),)), [InputColumn("z")])
        assert next(rule.text for rule in judge.rules if rule.name == "z.enum") == text


def test_what_is_computed_from_a_sensitive_field_is_sensitive() -> None:
    """A computed field shows no more of a sensitive one than the field itself does, over any number of steps."""
    fields = (
        Field("email", kind("string"), sensitive=True),
        Field("domain", kind("string"), expression="split_part(email, '@', 2)"),
        Field("tail", kind("string"), expression="right(domain, 3)", pattern="[a-z]+"),
        Field("n", kind("integer")),
    )
    schema = Schema("s", 1, fields)
    assert sensitive(schema) == {"email", "domain", "tail"}
    judge = compile_schema(schema, [InputColumn("email"), InputColumn("n")])
    assert {rule.name for rule in judge.rules if rule.sensitive} >= {"tail.pattern"}
    assert not next(rule for rule in judge.rules if rule.name == "n.type").sensitive
