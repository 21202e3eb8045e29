"""Mistakes in the tables of nested records, each at its place with what to do."""

from __future__ import annotations

import pytest

from pratique.errors import ConfigurationError

ORDER = 'primaryKey: id\nfields: {id: integer, day: {from: path.day}, twice: {from: "= id * 2", type: integer}}\n'
LINE = "primaryKey: [order_id, line_no]\nfields: {order_id: integer, line_no: integer, sku: {}}\n"
TABLES = 'order: {}, line: {unnest: "lines[*]", add: {order_id: parent.id, line_no: position}}'


def _told(
    folder,
    tables: str,
    *,
    more: str = "",
    path: str = "{day}.json",
    order: str = ORDER,
    line: str = LINE,
    destination: str = "connection: w",
):
    folder.write({
        "config/default.yaml": "connections: {w: {url: duckdb://w.duckdb}}\n",
        "schemas/order.yaml": order,
        "schemas/line.yaml": line,
        "schemas/tax.yaml": "fields: {sku: {}}\n",
        "pipelines/orders.yaml": f'sources:\n  orders:\n    type: files\n    path: "{path}"\n{more}    tables: {{{tables}}}\ndestination: {{{destination}}}\n',
    })  # fmt: skip
    with pytest.raises(ConfigurationError) as caught:
        folder.project().pipeline("orders")
    error = caught.value
    return {error.message} | {item["message"] for item in error.facts.get("more", [])}, error


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ('line: {unnest: "lines[*]"}', "no table takes the documents themselves"),
        ("order: {}, line: {}", "line is a second table for the documents"),
        ("order: {add: {id: position}}", "order takes the documents themselves"),
        ('order: {}, line: {unnest: "lines"}', 'unnest: "lines" is not understood'),
        ('order: {}, line: {unnest: "a[*].b[*]"}', 'unnest: "a[*].b[*]" is not understood'),
        ('order: {}, line: {unnest: "l[*]", add: {order: parent.id}}', 'add names "order", which is no field of line'),
        ('order: {}, line: {unnest: "l[*]", add: {order_id: parent.no}}', 'add names "no", which is no field of order'),
        ('order: {}, line: {unnest: "l[*]", add: {order_id: id}}', 'add: "id" is not understood'),
        ('order: {}, line: {unnest: "l[*]", add: {order_id: parent.day}}', "add names day of order, which comes from the path"),
        ('order: {}, line: {unnest: "l[*]", add: {order_id: parent.twice}}', "add names twice of order, which comes from an expression"),
        ('order: {}, tax: {unnest: "l[*]"}', "records of tax could come twice: order has a key, tax has none"),
        ('order: {}, line: {schema: lines, unnest: "l[*]"}', 'there is no schema "lines"'),
        ("order: {schema: orders}", 'there is no schema "orders"'),
    ],
)  # fmt: skip
def test_a_mistake_in_the_tables_is_told(folder, tables: str, message: str) -> None:
    """Each wrong word of `tables` is named, with a hint."""
    told, error = _told(folder, tables)
    assert any(message in text for text in told)
    assert error.where.startswith("pipelines/orders.yaml:")
    assert error.hint


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"more": "    schema: order\n"}, "schema stands beside tables"),
        ({"more": "    table: order\n"}, "table stands beside tables"),
        ({"path": "{day}.csv"}, "csv files are not nested"),
        ({"destination": "connection: w, table: x"}, "destination.table names one table for 2 tables"),
        ({"order": ORDER.replace("{id: integer,", "{id: {type: integer, sensitive: true},")}, "order_id takes over id, which is sensitive"),
        ({"path": "x.json"}, "schema order takes day from path.day, which the path does not name"),
        ({"line": LINE + "references: {order_id: nothing.id}\n"}, 'there is no schema "nothing"'),
        ({"line": LINE.replace("sku: {}", "sku: {from: _document}")}, "line has a column _document"),
        ({"order": ORDER.replace("primaryKey: id\n", ""), "line": "fields: {order_id: {}, line_no: {}, x: {from: path.y}}\n"}, "schema line takes x from path.y"),
        ({"destination": "connection: w, write: merge", "line": LINE.replace("line_no: integer", "line_no: {type: integer, store: mask}")}, "primaryKey cannot be judged against the rows in the table of sources.orders.line: line_no"),
    ],
)  # fmt: skip
def test_a_word_that_contradicts_the_tables_is_told(folder, words: dict[str, str], message: str) -> None:
    """What stands beside `tables` and means nothing there is refused, not ignored."""
    told, _ = _told(folder, TABLES, **words)
    assert any(message in text for text in told), told


def test_a_unit_without_tables_is_told(folder) -> None:
    """`unit` says what falls together in documents: elsewhere it means nothing."""
    folder.write({
        "config/default.yaml": "connections: {w: {url: duckdb://w.duckdb}}\n",
        "schemas/order.yaml": "fields: {id: {}}\n",
        "pipelines/orders.yaml": "sources: {orders: {path: a.json, schema: order, unit: row}}\ndestination: {connection: w}\n",
    })  # fmt: skip
    with pytest.raises(ConfigurationError, match="unit stands without tables"):
        folder.project().pipeline("orders")


def test_tables_are_planned_each_under_its_name(folder) -> None:
    """The documents keep the source's name; parents of nested records are loaded before their documents."""
    folder.write({
        "config/default.yaml": "connections: {w: {url: duckdb://w.duckdb}}\n",
        "schemas/order.yaml": "primaryKey: id\nfields: {id: integer}\n",
        "schemas/line.yaml": LINE + "references: {order_id: order.id, sku: article.sku}\n",
        "schemas/article.yaml": "primaryKey: sku\nfields: {sku: {}}\n",
        "pipelines/orders.yaml": "sources:\n  orders: {path: a.json, tables: {" + TABLES + "}}\n  articles: {path: b.csv, schema: article}\ndestination: {connection: w, dataset: shop}\n",
    })  # fmt: skip
    articles, orders, lines = folder.project().pipeline("orders").sources
    assert (articles.name, orders.name, lines.name) == ("articles", "orders", "orders.line")
    assert (orders.table, lines.table) == ("shop.order", "shop.line")
    assert (orders.unit, orders.parents, lines.parents) == ("document", ("articles",), ("orders", "articles"))
    assert lines.reference_tables == {"order": "shop.order", "article": "shop.article"}
    assert lines.nest is not None
    assert (lines.nest.path, lines.nest.parents, lines.nest.positions) == ("lines[*]", {"order_id": "id"}, ("line_no",))
