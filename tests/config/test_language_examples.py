"""The examples of the language page: what is served is planned in full, what is not says so at its place."""

from __future__ import annotations

import re

import pytest

from pratique.databases import Cursor, Lookback
from pratique.errors import ConfigurationError
from pratique.schema import Check, Dialect, FieldType, Reference

PARTNER_SALES = """\
description: Sales that partners send once a month
owner: {team: partners, tier: 2, runbook: wiki/sales}     # routes alerts
schedule: {cron: "0 7 * * *", timezone: Europe/Berlin}
sources:
  sales:
    type: files
    connection: partner_s3                                # config: {url: s3://bucket/in, …secrets by reference}
    path: "{partner}/sales_{period:%Y-%m}*.csv"           # captures are usable as path.partner, path.period
    schema: sales@2                                       # without @: the latest
    on_new_version: replace                               # a corrected file replaces its own rows: replace | merge | append | refuse
    overrides: [{when: {partner: acme}, dialect: {encoding: windows-1252}}]
    expect: {each: [partner, period], by: "day 5 09:00"}  # judged by the clock, also when nothing runs
    quarantine: {max_share: 0.02}                         # above it the gate fails
destination: {connection: warehouse, table: partner.sales, write: append}   # append | replace | merge
"""

SALES = """\
schema: sales
version: 2
primaryKey: [partner, order_id]
extraFields: reject                                       # reject | drop | keep | evolve
dialect: {delimiter: ";", footer: "^Summe;"}              # words of Table Dialect; encoding, quoteChar, escapeChar, headerRows, commentChar …
timezone: Europe/Berlin                                   # of datetimes without one
defaults: {decimalChar: ",", groupChar: ".", missingValues: ["", n/a], trim: true}
fields:                                                   # order is the order of the table
  order_id: {from: [Bestellnr, Order No], required: true} # header aliases; without `from` the field's own name
  sold_on:  {from: Datum, type: date, format: "%d.%m.%Y"}
  amount:   {from: Betrag, type: "decimal(12,2)", minimum: 0}
  email:    {from: E-Mail, format: email, sensitive: true, store: hash}     # keep | hash | mask | drop in the destination
  partner:  {from: path.partner}
  period:   {from: path.period, type: date}
  net:      {from: "= amount / 1.19", type: "decimal(12,2)", round: half_even}  # an expression of the rule language
filter: "sold_on >= DATE '2020-01-01'"                    # rows left out are skipped under this name, on the account
checks:
  in_period: "date_trunc('month', sold_on) = period"      # short form: severity quarantine
  no_gaps:   {rule: "count(*) > 0", scope: set, severity: fail}
  big_order: {rule: "amount < 100000", severity: warn, at_most: 0.1 %, where: "partner <> 'globex'"}
references: {partner: partners.id}
"""

CRM_CONTACTS = """\
expect: {success_within: 2h}
sources:
  contacts:
    type: api
    connection: crm
    get: /v2/contacts
    params: {updated_since: "{cursor}"}
    paginate: {next: paging.next}                         # next | link_header | page | offset | cursor
    records: "data[*]"
    cursor: {field: updated_at, start: "2024-01-01", lookback: 10m}
    schema: contact
destination: {connection: pg, table: crm.contact, write: merge, keep: latest(updated_at), delete: {when: archived, mode: soft}}
"""

SHOP = """\
defaults: {type: postgres, connection: shop_ro, cursor: {field: updated_at, lookback: 1h}}   # merged into each source
sources:
  customers: {table: customers}
  orders:    {table: orders, filter: "status <> 'draft'"}
  items:     {table: order_items, cursor: null, write: replace}
together: {snapshot: one, commit: one}                    # one view of the source, one commit, parents first
destination: {connection: lake, dataset: "shop_{env}", write: merge}
"""

WEBSHOP = """\
sources:
  orders:
    type: api
    connection: webshop
    get: /orders
    paginate: {page: page}
    records: "orders[*]"
    unit: document                                        # one bad line holds the whole order; `row`: only the line
    tables:
      order: {schema: order}
      line:  {schema: line, unnest: "lines[*]", add: {order_id: parent.id, line_no: position}}
destination: {connection: dwh, write: merge, children: replace}
"""


@pytest.fixture
def partners(folder):
    """The project of the first example, with its files on this machine."""
    folder.write({
        "config/default.yaml": "connections:\n  warehouse: {url: duckdb://w.duckdb}\n  partner_s3: {url: file://in}\n",
        "pipelines/partner_sales.yaml": PARTNER_SALES,
        "schemas/sales.yaml": SALES,
        "schemas/partners.yaml": "primaryKey: id\nfields: {id: {}}\n",
    })  # fmt: skip
    return folder


def test_the_example_of_files_is_planned_in_full(partners) -> None:
    """Every word of the pipeline example reaches the plan; words that change no row are noticed."""
    pipeline = partners.project().pipeline("partner_sales")
    (plan,) = pipeline.sources
    assert (plan.name, plan.type, plan.format, plan.table) == ("sales", "files", "csv", "partner.sales")
    assert (plan.write, plan.on_new_version, plan.keep, plan.max_share) == ("append", "replace", None, 0.02)
    assert plan.path == "{partner}/sales_{period:%Y-%m}*.csv"
    assert plan.base == partners.root / "in"
    assert plan.overrides == (({"partner": "acme"}, Dialect(delimiter=";", footer="^Summe;", encoding="windows-1252")),)
    assert plan.reference_tables == {"partners": "partners"}
    assert plan.parents == ()
    assert pipeline.description == "Sales that partners send once a month"
    assert pipeline.notices == ("schedule is not served yet",)
    assert pipeline.lineage == ("_load_id",)
    assert (pipeline.destination.type, pipeline.destination.name) == ("duckdb", "warehouse")
    assert pipeline.destination.path == partners.root / "w.duckdb"


def test_the_example_of_a_schema_means_what_the_page_says(partners) -> None:
    """Every word of the schema example stands in the schema; defaults reach the fields for whose type they make sense."""
    schema = partners.project().schema("sales@2")
    assert (schema.name, schema.version, schema.extra_fields, schema.timezone) == (
        "sales",
        2,
        "reject",
        "Europe/Berlin",
    )
    assert schema.primary_key == ("partner", "order_id")
    assert schema.dialect == Dialect(delimiter=";", footer="^Summe;")
    assert [field.name for field in schema.fields] == [
        "order_id",
        "sold_on",
        "amount",
        "email",
        "partner",
        "period",
        "net",
    ]
    order_id, amount, email = schema.field("order_id"), schema.field("amount"), schema.field("email")
    assert order_id.aliases == ("Bestellnr", "Order No")
    assert order_id.required
    assert order_id.decimal_char == "."
    assert schema.field("partner").required, "fields of the primary key are required"
    assert (amount.type, amount.minimum, amount.decimal_char, amount.group_char) == (
        FieldType("decimal", 12, 2),
        "0",
        ",",
        ".",
    )
    assert amount.missing_values == ("", "n/a")
    assert amount.trim
    assert (email.format, email.sensitive, email.store) == ("email", True, "hash")
    assert (schema.field("period").capture, schema.field("period").aliases) == ("period", ())
    net = schema.field("net")
    assert (net.expression, net.round, net.aliases) == ("amount / 1.19", "half_even", ())
    assert schema.filter == "sold_on >= DATE '2020-01-01'"
    where = "schemas/sales.yaml"
    assert schema.checks == (
        Check("in_period", "date_trunc('month', sold_on) = period", where=f"{where}:18:14"),
        Check("no_gaps", "count(*) > 0", "set", "fail", where=f"{where}:19:14"),
        Check("big_order", "amount < 100000", "row", "warn", 0.001, "partner <> 'globex'", f"{where}:20:14"),
    )
    assert schema.references == (
        Reference("reference.partner", ("partner",), "partners", ("id",), where=f"{where}:21:23"),
    )


def test_the_example_reads_its_cloud(partners) -> None:
    """A connection to S3 is where the path of its source counts from."""
    partners.write({
        "config/default.yaml": "connections:\n  warehouse: {url: duckdb://w.duckdb}\n  partner_s3: {url: s3://bucket/in}\n"
    })  # fmt: skip
    (plan,) = partners.project().pipeline("partner_sales").sources
    assert plan.cloud is not None
    assert (plan.cloud.kind, plan.cloud.bucket, plan.cloud.prefix) == ("s3", "bucket", "in/")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            CRM_CONTACTS,
            {
                "12:91": "destination.delete is not served yet",
            },
        ),
        (
            SHOP,
            {
                "6:1": "together is not served yet",
            },
        ),
        (
            WEBSHOP,
            {
                "8:5": "sources.orders.unit is not served yet",
                "9:5": "sources.orders.tables is not served yet",
                "12:46": "destination.children is not served yet",
            },
        ),
    ],
)
def test_examples_of_later_features_parse_and_say_what_is_not_served(
    folder, text: str, expected: dict[str, str]
) -> None:
    """Words without which the result would be wrong are refused, each at its place."""
    folder.write({"pipelines/later.yaml": text})
    with pytest.raises(ConfigurationError) as caught:
        folder.project().pipeline("later")
    error = caught.value
    told = {error.where: error.message} | {item["where"]: item["message"] for item in error.facts.get("more", [])}
    for place, message in expected.items():
        assert message in told[f"pipelines/later.yaml:{place}"]
    for message in told.values():
        assert message.endswith("is not served yet") or re.match("there is no |.*schema is missing", message)


def test_the_example_of_an_api_is_planned_in_full(folder, monkeypatch) -> None:
    """Every word of the source reaches the plan; what is secret does not show itself."""
    monkeypatch.setenv("CRM_ID", "pratique-of-ours")
    folder.write({
        "config/default.yaml": (
            'connections:\n  crm: {url: "https://api.crm.example", auth: {type: oauth2, client_id: "${CRM_ID}", '
            'client_secret: "${file:crm.txt}"}}\n  pg: {url: duckdb://lake.duckdb}\n'
        ),
        "crm.txt": "the-secret-of-the-crm\n",
        "pipelines/crm_contacts.yaml": CRM_CONTACTS.replace(", delete: {when: archived, mode: soft}", ""),
        "schemas/contact.yaml": "primaryKey: id\nfields: {id: integer, updated_at: {type: datetime}, archived: boolean}\n",
    })  # fmt: skip
    (plan,) = folder.project().pipeline("crm_contacts").sources
    assert (plan.type, plan.table, plan.write, plan.keep) == ("api", "crm.contact", "merge", "updated_at")
    api = plan.api
    assert (api.method, api.path, api.params) == ("GET", "/v2/contacts", (("updated_since", "{cursor}"),))
    assert (api.paging.style, api.paging.where, api.records.text) == ("next", "paging.next", "data[*]")
    assert api.cursor == Cursor("updated_at", "2024-01-01", Lookback(600, seconds=True))
    auth = api.server.auth
    assert (auth.type, auth.user, auth.token_url) == (
        "oauth2",
        "pratique-of-ours",
        "https://api.crm.example:443/oauth/token",
    )
    assert auth.secret.reveal() == "the-secret-of-the-crm"
    assert "the-secret" not in repr(plan)


def test_the_example_of_a_database_is_planned_in_full(folder, monkeypatch) -> None:
    """Defaults reach each source, `cursor: null` takes one away; schema and table go by the source's name."""
    monkeypatch.setenv("SHOP_PASSWORD", "x")
    folder.write({
        "config/default.yaml": (
            'connections:\n  shop_ro: {url: "postgres://reader@db.example:6432/shop", password: "${SHOP_PASSWORD}"}\n'
            "  lake: {url: duckdb://lake.duckdb}\n"
        ),
        "pipelines/shop.yaml": SHOP.replace("together: {snapshot: one, commit: one}", ""),
        **{f"schemas/{name}.yaml": "primaryKey: id\nfilter: id > 0\nfields: {id: integer, status: {}}\n" for name in ("customers", "orders", "items")},
    })  # fmt: skip
    customers, orders, items = folder.project().pipeline("shop").sources
    assert (customers.type, customers.table, customers.write) == ("postgres", "shop_dev.customers", "merge")
    assert customers.database is not None
    assert customers.database.cursor == Cursor("updated_at", None, Lookback(3600, seconds=True))
    server = customers.database.server
    assert (server.host, server.port, server.user, server.database, server.tls) == (
        "db.example",
        6432,
        "reader",
        "shop",
        "verify-full",
    )
    assert orders.schema.filter == "(id > 0) AND (status <> 'draft')"
    assert items.database is not None
    assert (items.database.table, items.database.cursor, items.write) == ("order_items", None, "replace")
