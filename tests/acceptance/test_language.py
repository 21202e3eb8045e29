"""The example of a file pipeline in the language reference, run as it is written (with a local folder for the bucket)."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from pratique.ingestion import run_pipeline
from pratique.ledger import open_ledger
from pratique.project import Project
from pratique.quarantine import Quarantine
from pratique.reports import SourceReport

PIPELINE = """\
description: Sales that partners send once a month
owner: {team: partners, tier: 2, runbook: wiki/sales}
schedule: {cron: "0 7 * * *", timezone: Europe/Berlin}
sources:
  sales:
    type: files
    connection: partner_s3
    path: "{partner}/sales_{period:%Y-%m}*.csv"
    schema: sales@2
    on_new_version: replace
    overrides: [{when: {partner: acme}, dialect: {encoding: windows-1252}}]
    expect: {each: [partner, period], by: "day 5 09:00"}
    quarantine: {max_share: 0.7}
destination: {connection: warehouse, table: partner.sales, write: append}
"""

SCHEMA = """\
schema: sales
version: 1
fields: {order_id: string}
---
schema: sales
version: 2
primaryKey: [partner, order_id]
extraFields: reject
dialect: {delimiter: ";", footer: "^Summe;"}
timezone: Europe/Berlin
defaults: {decimalChar: ",", groupChar: ".", missingValues: ["", n/a], trim: true}
fields:
  order_id: {from: [Bestellnr, Order No], required: true}
  sold_on:  {from: Datum, type: date, format: "%d.%m.%Y"}
  amount:   {from: Betrag, type: "decimal(12,2)", minimum: 0}
  email:    {from: E-Mail, format: email, sensitive: true, store: hash}
  partner:  {from: path.partner}
  period:   {from: path.period, type: date}
  net:      {from: "= amount / 1.19", type: "decimal(12,2)", round: half_even}
filter: "sold_on >= DATE '2020-01-01'"
checks:
  in_period: "date_trunc('month', sold_on) = period"
  no_gaps:   {rule: "count(*) > 0", scope: set, severity: fail}
  big_order: {rule: "amount < 100000", severity: warn, at_most: 0.1 %, where: "partner <> 'globex'"}
references: {partner: partners.id}
"""

PARTNERS = "schema: partners\nversion: 1\nprimaryKey: id\nfields: {id: {type: string, required: true}, name: string}\n"

GLOBEX = """\
Bestellnr;Datum;Betrag;E-Mail
G1;01.10.2026;1.234,50;ann@example.com
G2;02.10.2026; 17,00 ;n/a
G3;31.10.2026;1.234,50 €;bob@example.com
G4;01.11.2026;5,00;cy@example.com
G5;30.12.2019;5,00;
G6;05.10.2026;12.34,00;
G7;05.10.2026;-1,00;not-an-address
Summe;;1.273,84;
"""

ACME = "Order No;Datum;Betrag;E-Mail\nÄ1;03.10.2026;99.999,99;d@example.com\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The example project, its partners already loaded."""
    for folder in ("config", "pipelines", "schemas", "in/globex", "in/acme", "in/ref"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "config" / "default.yaml").write_text(
        "connections:\n  partner_s3: {url: in}\n  warehouse: {url: 'duckdb://warehouse.duckdb'}\n"
    )
    (tmp_path / "pipelines" / "partner_sales.yaml").write_text(PIPELINE)
    (tmp_path / "pipelines" / "partners.yaml").write_text(
        "sources:\n  partners: {type: files, path: in/ref/partners.csv, schema: partners}\n"
        "destination: {connection: warehouse}\n"
    )
    (tmp_path / "schemas" / "sales.yaml").write_text(SCHEMA)
    (tmp_path / "schemas" / "partners.yaml").write_text(PARTNERS)
    (tmp_path / "in" / "ref" / "partners.csv").write_text("id,name\nglobex,Globex\nacme,Acme\n")
    (tmp_path / "in" / "globex" / "sales_2026-10.csv").write_text(GLOBEX)
    (tmp_path / "in" / "acme" / "sales_2026-10.csv").write_bytes(ACME.encode("windows-1252"))
    assert run_pipeline(Project(tmp_path, "dev"), "partners").exit_code == 0
    return tmp_path


def run(root: Path) -> SourceReport:
    """Run the example; the report of its only source."""
    report = run_pipeline(Project(root, "dev"), "partner_sales")
    assert report.exit_code == 0, report
    return report.sources[0]


def rows(root: Path, sql: str) -> list[tuple[object, ...]]:
    """What a plain reader finds in the warehouse."""
    with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def held(root: Path) -> dict[str, set[str]]:
    """Raw order number -> rules that the record failed."""
    quarantine = Quarantine(root / ".pratique" / "quarantine", open_ledger(root / ".pratique" / "ledger.sqlite"))
    return {
        record["raw"].split(";")[0]: {error["rule"] for error in record["errors"] if error["severity"] != "warn"}
        for record in quarantine.records(reveal=True)
    }


def test_the_example_loads_what_is_right_and_holds_the_rest_with_reasons(root: Path) -> None:
    """Aliases, trim, decimal commas, footer, captures, an override, an expression, a filter, checks and references."""
    source = run(root)
    assert source.account is not None
    assert (source.account.read, source.account.loaded, source.account.quarantined) == (8, 3, 4)
    assert source.account.skipped == {"filter": 1}
    assert rows(root, "SELECT order_id, amount::VARCHAR, net::VARCHAR, partner, period::VARCHAR FROM partner.sales "
                      "ORDER BY 1") == [
        ("G1", "1234.50", "1037.39", "globex", "2026-10-01"),
        ("G2", "17.00", "14.29", "globex", "2026-10-01"),
        ("Ä1", "99999.99", "84033.61", "acme", "2026-10-01"),
    ]  # fmt: skip
    assert held(root) == {
        "G3": {"amount.type"},
        "G4": {"in_period"},
        "G6": {"amount.type"},
        "G7": {"amount.minimum", "email.format"},
    }


def test_a_sensitive_field_is_hashed_in_the_table_and_masked_where_people_look(root: Path) -> None:
    """`store: hash` leaves no address in the table; quarantine shows no address unless asked to reveal it."""
    run(root)
    assert rows(root, "SELECT email = sha256('ann@example.com') FROM partner.sales WHERE order_id = 'G1'") == [(True,)]
    quarantine = Quarantine(root / ".pratique" / "quarantine", open_ledger(root / ".pratique" / "ledger.sqlite"))
    shown = json.dumps(list(quarantine.records()))
    assert "example.com" not in shown
    assert "not-an-address" not in shown
    assert "bob@example.com" in json.dumps(list(quarantine.records(reveal=True)))


def test_a_corrected_file_replaces_its_own_rows_and_no_others(root: Path) -> None:
    """on_new_version: replace: the new content of one file takes the place of its old rows."""
    run(root)
    (root / "in" / "globex" / "sales_2026-10.csv").write_text(
        "Bestellnr;Datum;Betrag;E-Mail\nG1;01.10.2026;2.000,00;ann@example.com\nG9;09.10.2026;9,00;\n"
    )
    source = run(root)
    assert source.files_loaded == 1
    assert rows(root, "SELECT order_id, amount::VARCHAR FROM partner.sales ORDER BY 1") == [
        ("G1", "2000.00"),
        ("G9", "9.00"),
        ("Ä1", "99999.99"),
    ]
    assert run(root).outcome == "unchanged"


def test_an_unknown_partner_is_held_by_its_reference(root: Path) -> None:
    """A value without a parent row is quarantined under the reference's name."""
    (root / "in" / "initech").mkdir()
    (root / "in" / "initech" / "sales_2026-10.csv").write_text(
        "Bestellnr;Datum;Betrag;E-Mail\n" + "".join(f"I{n};01.10.2026;1,00;\n" for n in range(2))
    )
    report = run_pipeline(Project(root, "dev"), "partner_sales")
    assert report.sources[0].outcome == "gated"  # its own load: both of its records are orphans
    causes = {cause.rule for cause in report.sources[0].causes}
    assert "reference.partner" in causes


def test_keys_of_later_features_are_noticed_not_swallowed(root: Path) -> None:
    """`schedule` parses; the run says that it is not served yet."""
    report = run_pipeline(Project(root, "dev"), "partner_sales")
    assert any("schedule" in notice for notice in report.notices)
