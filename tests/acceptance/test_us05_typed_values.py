"""US-05: values are expected exactly as a table holds them, and what a table cannot hold is a mistake of the test."""

from __future__ import annotations

from pathlib import Path

import pytest
from project_tests import fails, one, passes, write

SCHEMA = """
    fields:
      text: string
      whole: integer
      exact: "decimal(12,2)"
      double: number
      yes: boolean
      day: date
      clock: time
      moment: datetime
      key: uuid
      more: json
      hidden: {store: hash}
    """
UUID = "12345678-1234-1234-1234-123456789abc"
GIVEN = (
    '{text: "007", whole: "-7", exact: "1.50", double: "0.1", yes: "true", day: "2026-02-28", clock: "23:59", '
    f'moment: "2026-02-28 10:00", key: "{UUID}", more: \'{{"a": [1]}}\', hidden: a}}'
)
HELD = {
    "text": '"007"',
    "whole": "-7",
    "exact": "1.50",
    "double": "0.1",
    "yes": "true",
    "day": '"2026-02-28"',
    "clock": '"23:59:00"',
    "moment": '"2026-02-28T10:00:00"',
    "key": f'"{UUID}"',
    "more": "{a: [1]}",
}
OTHER = {  # another value of the type, and what the difference shows
    "text": ('"7"', '"7" "007"'),
    "whole": ("7", "7 -7"),
    "exact": ("1.51", "1.51 1.50"),
    "double": ("0.2", "0.2 0.1"),
    "yes": ("false", "false true"),
    "day": ('"2026-02-27"', '"2026-02-27" "2026-02-28"'),
    "clock": ('"23:59:01"', '"23:59:01" "23:59:00"'),
    "moment": ('"2026-02-28T10:00:01"', '"2026-02-28T10:00:01" "2026-02-28T10:00:00"'),
    "key": (f'"{UUID[:-1]}d"', f'"{UUID}"'),
    "more": ("{a: [2]}", '{"a": [2]} {"a": [1]}'),
}
IMPOSSIBLE = {  # what the column cannot hold, and what is said
    "text": ("7", "put it in quotes"),
    "whole": ("1.5", "cannot hold 1.5"),
    "exact": ("1.505", "cannot hold 1.505"),
    "double": ('"0.1"', "without quotes"),
    "yes": ("1", "write true or false"),
    "day": ('"2026-02-30"', 'such as "2026-10-31"'),
    "clock": ('"25:00"', 'such as "23:59:00"'),
    "moment": ('"2026-02-28T10:00:00Z"', "without a time zone"),
    "key": ('"x"', "key is a uuid"),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with one field of each type."""
    write(tmp_path / "config" / "default.yaml", "connections: {warehouse: {url: 'duckdb://w.duckdb'}}\n")
    write(tmp_path / "schemas" / "types.yaml", SCHEMA)
    pipeline = "sources: {types: {path: 'in/*.csv', schema: types}}\ndestination: {connection: warehouse}\n"
    write(tmp_path / "pipelines" / "types.yaml", pipeline)
    return tmp_path


def row(values: dict[str, str]) -> str:
    """A record as YAML."""
    return "{" + ", ".join(f"{name}: {value}" for name, value in values.items()) + "}"


def test_each_type_is_expected_as_the_table_holds_it(root: Path) -> None:
    """A loaded record, a row that is there and a row at the end: the same words for the same values, null for none."""
    nothing = dict.fromkeys(HELD, "null")
    body = f"""
        there: {{types: [{row(HELD)}, {{hidden: x}}]}}
        given: {{types: [{GIVEN}, {{hidden: b}}]}}
        expect: {{types: {{loaded: [{row(HELD)}, {row(nothing)}]}}}}
        tables: {{types: [{row(HELD)}, {row(HELD)}, {row(nothing)}, {{hidden: x}}]}}
    """
    passes(one(root, body, pipeline="types"))


@pytest.mark.parametrize("name", OTHER)
def test_another_value_of_the_type_fails(root: Path, name: str) -> None:
    """Values are compared exactly, and both are shown as the test would write them."""
    value, told = OTHER[name]
    expected = row({**HELD, name: value})
    fails(
        one(root, f"given: {{types: [{GIVEN}]}}\nexpect: {{types: {{loaded: [{expected}]}}}}", pipeline="types"), told
    )


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_a_column_cannot_hold_is_a_mistake(root: Path, name: str) -> None:
    """It could never be loaded: the test is refused at the value, whether it is expected or there."""
    value, told = IMPOSSIBLE[name]
    for word in ("tables", "there"):
        body = f"given: {{types: []}}\nexpect: {{types: {{}}}}\n{word}: {{types: [{{{name}: {value}}}]}}"
        result = one(root, body, pipeline="types")
        assert result.exit_code == 2, result.output
        assert told in " ".join(result.output.split())


MISTAKES = {  # what is written instead of the body of a test -> the hint
    "given: {types: {records: [], path: {a: b}}}\nexpect: {types: {}}": "its parts: none",
    "given: {types: {path: in/x.csv}}\nexpect: {types: {}}": "write one of records, csv, file",
    "given: {types: {jsonl: ''}}\nexpect: {types: {}}": "write `csv:`",
    "given: {types: {file: x.csv}}\nexpect: {types: {}}": "the path counts from the project's folder",
    "given: {types: {files: [{csv: a}], csv: b}}\nexpect: {types: {}}": "put them into an entry of it",
    "given: {types: []}\nexpect: {tipes: {}}": 'did you mean "types"?',
    "given: {types: []}\nexpect: {types: {reasons: [a]}}": "add gate: failed",
    "given: {types: []}\nexpect: {types: {exact: true}}": "list the records under loaded:",
    "given: {types: []}\nexpect: {types: {skipped: {identcal: 1}}}": 'did you mean "identical"?',
    "given: {types: []}\nexpect: {types: {warnings: [a]}}": "rules that warn: none",
    "given: {types: []}\nexpect: {types: {held: [{fle: a}]}}": 'did you mean "file"?',
    "given: {types: []}\nexpect: {types: {quarantined: [{txt: a}]}}": 'did you mean "text"?',
    "given: {types: []}\nexpect: {types: {quarantined: [{rules: a}]}}": "such as [",
    "given: {types: []}\nexpect: {types: {quarantined: [{line: a}]}}": "write a number",
    "given: {types: []}\nexpect: {types: {loaded: [{txt: a}]}}": 'did you mean "text"?',
    "given: {types: {csv: a, path: ../x.csv}}\nexpect: {types: {}}": "give a path below it",
}


@pytest.mark.parametrize(("body", "hint"), MISTAKES.items(), ids=range(len(MISTAKES)))
def test_every_mistake_has_a_way_out(root: Path, body: str, hint: str) -> None:
    """Words that contradict each other, names that do not exist, files that are not there: each with what to do."""
    result = one(root, body, pipeline="types")
    assert result.exit_code == 2, result.output
    assert hint in " ".join(result.output.split())
