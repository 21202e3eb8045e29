"""Nested records in the pages of an API: a table for each array, as exact as in files."""

from __future__ import annotations

from decimal import Decimal

from http_server import Request, answer

ORDER = 'primaryKey: id\nfields: {id: integer, customer: {required: true}, total: "decimal(30,20)"}\n'
LINE = "primaryKey: [order_id, line_no]\nfields: {order_id: integer, line_no: integer, sku: {}, pieces: {type: integer, minimum: 1}}\n"
TABLES = 'tables: {order: {schema: order}, line: {schema: line, unnest: "lines[*]", add: {order_id: parent.id, line_no: position}}}'
PIPELINE = """
sources:
  orders:
    type: api
    connection: crm
    get: /orders
    paginate: {page: page}
    records: "orders[*]"
    unit: document
    TABLES
quarantine: {max_share: 1}
destination: {connection: lake, write: merge}
"""


def project(crm, url: str, pipeline: str = PIPELINE, line: str = LINE) -> None:
    """The project over this server."""
    crm.write(url, "get: /orders", name="order", schema=ORDER)
    crm.file("schemas/line.yaml", line)
    crm.file("pipelines/crm.yaml", pipeline.replace("TABLES", TABLES))


def test_pages_go_into_a_table_for_each_array(crm) -> None:
    """Orders and lines of all pages, every digit as it stands; an order with a bad line is held with its lines."""

    def script(request: Request) -> bytes:
        page = int(request.query["page"])
        orders = [
            f'{{"id": {page * 10 + at}, "customer": "é", "total": 0.10000000000000000001, "lines": '
            f'[{{"sku": "a", "pieces": 1}}, {{"sku": "b", "pieces": {at}}}]}}'
            for at in range(3)
        ]
        found = f'{{"orders": [{", ".join(orders)}]}}' if page <= 3 else '{"orders": []}'
        return answer(found.encode())

    project(crm, crm.serve(script).url)
    report = crm.run()
    accounts = [
        (source["source"], *(source["account"][word] for word in ("read", "loaded", "quarantined")))
        for source in report["sources"]
    ]
    assert accounts == [("orders", 9, 6, 3), ("orders.line", 18, 12, 6)]
    assert crm.rows('SELECT id, total FROM "order" ORDER BY id') == [
        (page * 10 + at, Decimal("0.10000000000000000001")) for page in (1, 2, 3) for at in (1, 2)
    ]
    assert crm.rows("SELECT order_id, line_no, pieces FROM line ORDER BY ALL") == [
        (page * 10 + at, *line) for page in (1, 2, 3) for at in (1, 2) for line in ((1, 1), (2, at))
    ]
    assert [source["outcome"] for source in crm.run()["sources"]] == ["unchanged", "unchanged"]


def test_what_stands_in_the_path_stands_in_that_of_nested_records(crm) -> None:
    """A child endpoint, asked for each shop: the shop that was asked for is known of its orders and of their lines."""

    def script(request: Request) -> bytes:
        if request.path == "/shops":
            return answer([{"id": 1}, {"id": 2}])
        shop = request.path.split("/")[2]
        return answer([{"id": int(shop) * 10, "customer": "x", "lines": [{"sku": "a", "pieces": 1}]}])

    pipeline = """
sources:
  shops: {type: api, connection: crm, get: /shops, schema: shop, table: shop}
  orders:
    type: api
    connection: crm
    get: "/shops/{id}/orders"
    parent: shops
    TABLES
destination: {connection: lake, write: merge}
"""
    line = LINE.replace("sku: {},", "shop: {from: path.id, type: integer}, sku: {},")
    project(crm, crm.serve(script).url, pipeline, line)
    crm.file("schemas/shop.yaml", "primaryKey: id\nfields: {id: integer}\n")
    crm.run()
    assert crm.rows("SELECT shop, order_id, sku FROM line ORDER BY ALL") == [(1, 10, "a"), (2, 20, "a")]


def test_a_parent_that_fails_stops_what_is_asked_for_it_and_what_is_nested_in_that(crm) -> None:
    """Shops cannot be read: neither orders nor lines are run, and nothing is quarantined."""

    def script(_: Request) -> bytes:
        return answer({"error": "no"}, "404 Not Found")

    pipeline = """
sources:
  shops: {type: api, connection: crm, get: /shops, schema: shop, table: shop}
  orders:
    type: api
    connection: crm
    get: "/shops/{id}/orders"
    parent: shops
    TABLES
destination: {connection: lake, write: merge}
"""
    project(crm, crm.serve(script).url, pipeline)
    crm.file("schemas/shop.yaml", "primaryKey: id\nfields: {id: integer}\n")
    report = crm.run(3)
    assert [(source["source"], source["outcome"]) for source in report["sources"]] == [
        ("shops", "failed"),
        ("orders", "not run"),
        ("orders.line", "not run"),
    ]
