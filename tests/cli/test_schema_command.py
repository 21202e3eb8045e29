"""`pratique schema`: list, show, diff, and JSON Schemas for editors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pratique.cli.main import program
from pratique.specs.json_schemas import KINDS

ORDERS = """\
version: 1
primaryKey: id
fields:
  id: integer
  amount: {type: "decimal(9,2)", minimum: 0}
  country: {enum: [DE, FR]}
  note:
checks:
  small: amount < 1000
---
version: 2
description: Orders of the shop
primaryKey: id
extraFields: drop
filter: id > 0
fields:
  id: integer
  amount: {type: "decimal(12,2)", minimum: 1}
  country: {enum: [DE, FR, PL], required: true, sensitive: true}
  net: {type: "decimal(9,2)", from: "= amount / 1.19", round: half_even}
  email: {from: [E-Mail, Mail], format: email, store: hash}
checks:
  small: {rule: amount < 1000, severity: warn, at_most: 1 %}
  some: {rule: count(*) > 0, scope: set}
references: {country: countries.code}
"""


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two versions of a schema, which is the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PRATIQUE_ENV", raising=False)
    files = {
        "config/default.yaml": "connections: {warehouse: {url: 'duckdb://w.duckdb'}}\n",
        "schemas/orders.yaml": ORDERS,
        "schemas/countries.yaml": "fields: {code: }\n",
        "pipelines/shop.yaml": (
            "sources: {orders: {path: o.csv, schema: orders@1}}\ndestination: {connection: warehouse}\n"
        ),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def schema(*args: str, width: int = 80) -> Result:
    """Run `pratique schema`."""
    return CliRunner().invoke(program, ["schema", *args], env={"COLUMNS": str(width)})


def test_schemas_are_listed_with_their_users() -> None:
    """Each version with its fields, its rules, its file, and the pipelines that use it."""
    assert schema("list").stdout == (
        "  schema       fields  rules  file                    pipelines\n"
        "  countries@1       1      0  schemas/countries.yaml  none\n"
        "  orders@1          4      7  schemas/orders.yaml     shop\n"
        "  orders@2          5     13  schemas/orders.yaml     none\n"
    )
    lines = [json.loads(line) for line in schema("list", "--json").stdout.splitlines()]
    assert [(line["schema"], line["version"], line["pipelines"]) for line in lines] == [
        ("countries", 1, []),
        ("orders", 1, ["shop"]),
        ("orders", 2, []),
    ]


def test_a_schema_is_shown_as_records_are_judged() -> None:
    """Fields with their origin, and every rule with its severity and what is told; within 80 columns."""
    printed = schema("show", "orders").stdout
    assert printed == (
        "orders@2  schemas/orders.yaml, primaryKey id\n"
        "  Orders of the shop\n"
        "  field    type           from\n"
        "  id       integer        id               required\n"
        "  amount   decimal(12,2)  amount\n"
        "  country  string         country          required, sensitive\n"
        "  net      decimal(9,2)   = amount / 1.19\n"
        "  email    string         E-Mail | Mail    hash\n"
        "\n"
        "  rule               severity    judges     told if it fails\n"
        "  id.type            quarantine  row        not integer\n"
        "  id.required        quarantine  row        required, but missing\n"
        "  amount.type        quarantine  row        not decimal(12,2)\n"
        "  amount.minimum     quarantine  row        below minimum 1\n"
        "  country.required   quarantine  row        required, but missing\n"
        "  country.enum       quarantine  row        not one of DE, FR, PL\n"
        "  net.type           quarantine  row        not decimal(9,2)\n"
        "  email.format       quarantine  row        not an email\n"
        "  small              warn        row        does not hold: amount < 1000 (at\n"
        "                                            most 1.00%)\n"
        "  filter             quarantine  row        filter: id > 0\n"
        "  primaryKey         quarantine  key        id occurs more than once\n"
        "  reference.country  quarantine  reference  country not in countries.code\n"
        "  some               fail        set        count(*) > 0\n"
        "\n"
        "  filter  id > 0\n"
    )
    told = json.loads(schema("show", "orders@1", "--json").stdout)
    assert (told["schema"], told["version"], len(told["fields"])) == ("orders", 1, 4)
    assert {rule["name"] for rule in told["rules"]} >= {"amount.minimum", "primaryKey", "small"}


def test_a_difference_says_what_each_change_does() -> None:
    """Added, removed and changed fields, rules and keys; tighter, looser, both or none."""
    told = [json.loads(line) for line in schema("diff", "orders@1", "orders@2", "--json").stdout.splitlines()]
    assert [(line["effect"], line["what"], line["before"], line["after"]) for line in told] == [
        ("looser", "extraFields", "reject", "drop"),
        ("both", "filter", None, "id > 0"),
        ("looser", "field note", "string", None),
        ("looser", "field amount: type", "decimal(9,2)", "decimal(12,2)"),
        ("tighter", "field amount: minimum", "0", "1"),
        ("tighter", "field country: required", "false", "true"),
        ("looser", "field country: enum", "DE, FR", "DE, FR, PL"),
        ("none", "field country: sensitive", "false", "true"),
        ("tighter", "field net", None, "decimal(9,2)"),
        ("both", "field email", None, "string"),
        ("looser", "check small: severity", "quarantine", "warn"),
        ("both", "check small: at_most", None, "0.01"),
        ("tighter", "check some", None, "count(*) > 0"),
        ("tighter", "reference country", None, "countries.code"),
    ]
    printed = schema("diff", "orders@1", "orders@2").stdout
    assert "  tighter  may hold records that passed before\n" in printed
    assert [line for line in printed.splitlines() if len(line) > 80] == []
    assert schema("diff", "orders@1", "orders@1").stdout == "orders@1 and orders@1 say the same\n"


def test_a_schema_that_is_not_there_names_the_nearest() -> None:
    """An unknown schema or version: exit 2, with what there is."""
    wrong = schema("show", "order")
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert 'did you mean "orders"?' in wrong.stderr
    assert "known versions: 1, 2" in schema("diff", "orders@1", "orders@3").stderr


def test_json_schemas_are_written_for_editors(root: Path) -> None:
    """--write puts one file for each kind into the state folder, and says the first line by which editors find it."""
    printed = schema("json-schema", "--write").stdout
    for kind, folder in KINDS.items():
        path = root / ".pratique" / "json-schemas" / f"{kind}.json"
        assert json.loads(path.read_text()) == json.loads(schema("json-schema", kind).stdout)
        up = "../" * len(folder.split("/"))
        line = f"# yaml-language-server: $schema={up}.pratique/json-schemas/{kind}.json"
        assert f"  {folder + '/*.yaml':22}   {line}\n" in printed
        (root / folder).mkdir(exist_ok=True)
        assert (root / folder / line.partition("$schema=")[2]).is_file()
    nothing = schema("json-schema")
    assert nothing.exit_code == 2
    assert "pratique schema json-schema --write" in " ".join(nothing.stderr.split())
