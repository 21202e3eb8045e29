"""A project with several pipelines whose secrets are not there, and `pratique test` on it as people call it."""

from __future__ import annotations

import textwrap
from pathlib import Path

from click.testing import CliRunner, Result

from pratique.cli.main import program

FILES = {
    "config/default.yaml": """
        connections:
          warehouse: {url: "duckdb://${WAREHOUSE_OF_PROD}/w.duckdb"}
          inbox: {url: "${file:/run/secrets/inbox}"}
        """,
    "schemas/customers.yaml": """
        primaryKey: id
        fields:
          id: integer
          email: {format: email, sensitive: true}
          seen_at: datetime
          balance: "decimal(9,2)"
        """,
    "schemas/orders.yaml": """
        primaryKey: order_id
        filter: "status <> 'draft'"
        fields:
          order_id: {from: [Order No, Bestellnr]}
          customer: {type: integer, from: Customer}
          ordered_on: {type: date, from: Date}
          amount: {type: "decimal(9,2)", minimum: 0, from: Amount}
          paid: {type: boolean, from: Paid}
          status: {from: Status}
        checks:
          big: {rule: "amount < 1000", severity: warn}
          some: {rule: "count(*) > 1", scope: set, severity: fail}
        references: {customer: customers.id}
        """,
    "schemas/sales.yaml": """
        dialect: {delimiter: ";", footer: "^Summe;"}
        defaults: {decimalChar: ",", missingValues: ["n/a"]}
        fields:
          sku: {required: true}
          price: "decimal(9,2)"
          partner: {from: path.partner}
          month: {from: path.month, type: date}
        """,
    "schemas/events.yaml": """
        timezone: UTC
        fields: {id: {type: "decimal(20,2)"}, at: datetime, tags: array}
        """,
    "pipelines/shop.yaml": """
        sources:
          orders: {connection: inbox, path: "orders/*.csv", schema: orders, quarantine: {max_share: 0.4}}
          customers: {connection: inbox, path: customers.csv, schema: customers, write: merge, keep: latest(seen_at)}
        destination: {connection: warehouse, dataset: "shop_{env}"}
        """,
    "pipelines/partner.yaml": """
        sources:
          sales: {path: "{partner}/sales_{month:%Y-%m}*.csv", schema: sales,
                  overrides: [{when: {partner: acme}, dialect: {delimiter: "|", encoding: windows-1252}}]}
        destination: {connection: warehouse}
        """,
    "pipelines/web.yaml": """
        sources:
          events: {path: "events.jsonl", schema: events}
        destination: {connection: warehouse}
        """,
}
ANN = '{id: 1, email: "ann@example.org", seen_at: "2026-01-01T10:00:00", balance: 1.50}'
ORDER = '{Order No: "A1", Customer: "1", Date: "2026-11-02", Amount: 12.50, Paid: "true", Status: sent}'


def write(path: Path, text: str) -> None:
    """A file of the project, indented as it stands in a test."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")


def pratique(root: Path, *words: str) -> Result:
    """A command on the project."""
    return CliRunner().invoke(program, [*words, "--project", str(root)], env={"COLUMNS": "120"})


def run_tests(root: Path, text: str, *words: str, pipeline: str = "shop") -> Result:
    """Run tests that are written so in the file of a pipeline."""
    write(root / "pipelines" / "tests" / f"{pipeline}.yaml", f"pipeline: {pipeline}\n{textwrap.dedent(text)}")
    return pratique(root, "test", *words)


def one(root: Path, body: str, *words: str, pipeline: str = "shop") -> Result:
    """Run one test."""
    inner = textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")
    return run_tests(root, f"tests:\n  - name: it\n{inner}\n", *words, pipeline=pipeline)


def passes(result: Result) -> None:
    """The test passed, and that is what is told."""
    assert result.exit_code == 0, result.output
    assert "1 passed in " in result.output


def fails(result: Result, *told: str) -> None:
    """The test failed, and the output says each of these, blanks aside."""
    assert result.exit_code == 1, result.output
    assert "1 failed in " in result.output
    flat = " ".join(result.output.split())
    for text in told:
        assert " ".join(text.split()) in flat, result.output
