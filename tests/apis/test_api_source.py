"""REST APIs as a source: every style of pages, exact values, positions, parents."""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
import threading
import time
from itertools import pairwise
from typing import Any

import pytest
from api_project import NEAR, SECRET, Crm
from http_server import Request, answer

from pratique.config_manager import ConfigManager
from pratique.databases import Lookback
from pratique.errors import SourceError
from pratique.ingestion import APIDataSource, DataIngestionPipeline
from pratique.ledger import open_ledger
from pratique.project import Project
from pratique.quarantine import Quarantine
from pratique.sources import open_source
from pratique.sources.api import cursor
from pratique.sources.api.client import linked


def contacts(first: int, behind: int) -> list[dict[str, object]]:
    """Records with these ids."""
    return [{"id": number, "note": f"contact {number}"} for number in range(first, behind)]


def paged(request: Request, size: int = 10, whole: int = 75, **more: Any) -> list[dict[str, object]]:
    """A page of 75 records by number or offset."""
    del more
    offset = int(request.query.get("offset", (int(request.query.get("page", 1)) - 1) * size))
    return contacts(offset, min(offset + size, whole))


def chained(request: Request, name: str = "after") -> tuple[list[dict[str, object]], str | None]:
    """A page of 75 records, and the cursor of the next one."""
    first = int(request.query.get(name) or 0)
    return contacts(first, min(first + 10, 75)), str(first + 10) if first + 10 < 75 else None


def by_link(request: Request) -> bytes:
    """The next page's URL stands in the page, without its host."""
    data, after = chained(request)
    return answer({"data": data, "paging": {"next": f"/contacts?after={after}" if after else None}})


def by_header(request: Request) -> bytes:
    """The next page's URL stands in the Link header, beside others."""
    data, after = chained(request)
    links = f'<?after=0>; rel="first", <?after={after}&x=a,b>; rel="next"' if after else '<?after=0>; rel="first"'
    return answer({"data": data}, headers={"Link": links})


def by_number_header(request: Request) -> bytes:
    """The next page's number stands in a header, as GitLab does it."""
    page = int(request.query.get("page", 1))
    return answer({"data": paged(request)}, headers={"X-Next-Page": str(page + 1) if page < 8 else ""})


def by_url_header(request: Request) -> bytes:
    """The next page's URL stands in a header, as Kinto does it."""
    data, after = chained(request, "_token")
    return answer({"data": data}, headers={"Next-Page": f"/contacts?_token={after}"} if after else {})


def by_cursor(request: Request) -> bytes:
    """The next page's cursor stands in the page, as a number beyond 64 bits."""
    first = int(request.query.get("cursor") or 10**30) - 10**30
    after = 10**30 + first + 10 if first + 10 < 75 else None
    return answer({"data": contacts(first, min(first + 10, 75)), "meta": {"next": after}})


STYLES = {
    "next": (by_link, "next: paging.next", 8),
    "link_header": (by_header, "link_header: next", 8),
    "short link_header": (by_header, None, 8),
    "next_page_header": (by_number_header, "next_page_header: X-Next-Page", 8),
    "next_page_header, a URL": (by_url_header, "next_page_header: Next-Page", 8),
    "cursor": (by_cursor, "cursor: meta.next", 8),
    "page": (lambda request: answer({"data": paged(request)}), "page: page", 9),
    "page, told": (lambda request: answer({"pages": 8, "data": paged(request)}), "page: page, pages: pages", 8),
    "page, total": (lambda request: answer({"n": 75, "data": paged(request)}), "page: page, total: n", 9),
    "offset": (lambda request: answer({"data": paged(request)}), "offset: offset", 9),
    "offset, size": (lambda request: answer({"data": paged(request)}), "offset: offset, size: 10", 9),
    "offset, total": (lambda request: answer({"n": 75, "data": paged(request)}), "offset: offset, size: 10, total: n", 8),
}  # fmt: skip


@pytest.mark.parametrize("style", STYLES)
def test_each_style_of_pages_is_read_to_its_end(crm: Crm, style: str) -> None:
    """Every record of every page, once, and no page twice; beyond the end at most what was asked for ahead."""
    script, paginate, pages = STYLES[style]
    server = crm.serve(script)
    words = f"{{{paginate}}}" if paginate else "link_header"
    crm.write(server.url, f'get: /contacts, paginate: {words}, records: "data[*]"')
    report = crm.run()
    assert report["sources"][0]["account"]["read"] == 75
    assert [number for number, _ in crm.rows()] == list(range(75))
    assert report["notices"] == []
    targets = [request.target for request in server.requests]
    assert len(targets) == len(set(targets))
    assert 8 <= len(targets) <= pages + (8 if pages == 9 else 0)
    again = crm.run()["sources"][0]
    assert again["outcome"] == "unchanged"


def test_pages_with_numbers_are_asked_for_side_by_side(crm: Crm) -> None:
    """With `concurrency` requests under way at once, and no more."""
    under_way, most, lock = 0, 0, threading.Lock()

    def script(request: Request) -> bytes:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.05)
        with lock:
            under_way -= 1
        return answer({"pages": 20, "data": paged(request, whole=200)})

    server = crm.serve(script)
    crm.write(
        server.url,
        'get: /contacts, paginate: {page: page, pages: pages}, records: "data[*]"',
        connection=f"{NEAR}, concurrency: 5",
    )
    assert crm.run()["sources"][0]["account"]["loaded"] == 200
    assert most == 5


def test_a_rate_of_our_own_is_kept(crm: Crm) -> None:
    """No more requests in a second than `rate` says."""
    times: list[float] = []

    def script(request: Request) -> bytes:
        times.append(time.monotonic())
        return answer({"data": paged(request, whole=60)})

    server = crm.serve(script)
    crm.write(
        server.url, 'get: /contacts, paginate: {page: page}, records: "data[*]"', connection=f"{NEAR}, rate: 20/s"
    )
    crm.run()
    assert all(later - earlier > 0.03 for earlier, later in pairwise(times))


def test_values_arrive_exactly(crm: Crm) -> None:
    """No digit takes a detour through a double; null is not an empty text; nested values keep their text."""
    page = (
        '{"data": [\n {"id": 1, "n": 12345678901234567890.123456789, "note": "\\u00e9\\n\\t\\\\N"},'
        '{"id": 2, "n": 1.10, "note": ""}, {"id": 3, "n": 0.30000000000000004, "note": null},'
        '{"id": 4, "n": -0.0, "note": {"a": [1.50, "x"]}}, {"id": 5, "n": true, "note": "\U0001f600"} ] }'
    )
    server = crm.serve(lambda _: answer(page.encode()))
    schema = "primaryKey: id\nfields: {id: integer, n: {}, note: {missingValues: []}}\n"
    crm.write(server.url, 'get: /x, records: "data[*]"', schema=schema)
    crm.run()
    assert crm.rows("SELECT id, n, note FROM contacts ORDER BY id") == [
        (1, "12345678901234567890.123456789", "é\n\t\\N"),
        (2, "1.10", ""),
        (3, "0.30000000000000004", None),
        (4, "-0.0", '{"a": [1.50, "x"]}'),
        (5, "true", "\U0001f600"),
    ]


def test_a_broken_record_is_that_records_matter(crm: Crm) -> None:
    """NaN, a key that stands twice, half a character, bytes that are not UTF-8, an unknown field: held, with its page."""
    bad = [
        b'{"id": NaN}', b'{"id": 1, "id": 2}', b'{"id": 3, "note": "\\ud800"}', b'{"id": 4, "note": "\xff"}',
        b'{"id": 5, "more": 1}', b"[6]", b"null", b'{"id": 7, "note": "tab\there"}',
    ]  # fmt: skip
    server = crm.serve(lambda _: answer(b'{"data": [{"id": 0, "note": "good"}, ' + b", ".join(bad) + b"]}"))
    crm.write(server.url, 'get: /x, records: "data[*]", quarantine: {max_share: 1}')
    account = crm.run()["sources"][0]["account"]
    assert (account["read"], account["loaded"], account["quarantined"]) == (9, 1, 8)
    state = crm.root / ".pratique"
    held = list(Quarantine(state / "quarantine", open_ledger(state / "ledger.sqlite")).records(reveal=True))
    assert [record["line"] for record in held] == list(range(2, 10))
    assert {record["sheet"] for record in held} == {"page 1"}
    assert [record["raw"].encode("utf-8", "surrogateescape") for record in held[:3]] == bad[:3]


@pytest.mark.parametrize(
    ("records", "page", "ids"),
    [
        (None, [{"id": 1}, {"id": 2}], [1, 2]),
        ("result.rows[*]", {"result": {"rows": [{"id": 1}], "more": [1, 2]}}, [1]),
        ('$["odd key"][*]', {"odd key": [{"id": 1}]}, [1]),
        ("data[*].attributes", {"data": [{"attributes": {"id": 1}}, {"attributes": {"id": 2}}]}, [1, 2]),
        ("orders[*].lines[*]", {"orders": [{"lines": [{"id": 1}, {"id": 2}]}, {}, {"lines": []}, {"lines": None}]}, [1, 2]),
        ("data[*]", {"data": None}, []),
        ("one", {"one": {"id": 1}}, [1]),
    ],
)  # fmt: skip
def test_records_are_found_where_they_stand(crm: Crm, records: str | None, page: object, ids: list[int]) -> None:
    """`records` walks along keys and into every element of arrays."""
    server = crm.serve(lambda _: answer(page))
    crm.write(server.url, "get: /x" + (f", records: '{records}'" if records else ""))
    crm.run()
    assert crm.rows("SELECT id FROM contacts ORDER BY id") == [(number,) for number in ids]


def test_what_changed_is_asked_for_by_a_cursor(crm: Crm) -> None:
    """The first run begins at `start`, the next one before the greatest value of the last; ties and late rows come once."""
    rows = [(1, "2026-01-01T10:00:00.5Z"), (2, "2026-01-01T10:05:00.123456789Z"), (3, None)]

    def script(request: Request) -> bytes:
        since = request.query["since"]
        found = [row for row in rows if row[1] is None or row[1] >= since]
        return answer({"data": [{"id": number, "at": at} for number, at in found]})

    server = crm.serve(script)
    schema = "primaryKey: id\ntimezone: UTC\nfields: {id: integer, at: {type: datetime}}\n"
    source = (
        'get: /contacts, params: {since: "{cursor}", fixed: [a, 1, true]}, records: "data[*]", '
        "cursor: {field: at, start: '2024-01-01', lookback: 10m}, quarantine: {max_share: 1}"
    )
    crm.write(server.url, source, schema=schema.replace("datetime}", "datetime}"), write="merge")
    report = crm.run()
    assert server.requests[0].target == "/contacts?since=2024-01-01&fixed=a&fixed=1&fixed=true"
    assert report["notices"] == ["contacts: 1 records have no at by which they could be ordered"]
    rows += [(4, "2026-01-01T09:56:00Z"), (5, "2026-01-02T00:00:00Z")]
    second = crm.run()["sources"][0]["account"]
    assert server.asked("since")[1] == "2026-01-01T09:55:00.123456789Z"
    assert second["read"] == 5
    assert [number for (number,) in crm.rows('SELECT id FROM contacts WHERE "at" IS NOT NULL ORDER BY id')] == [
        1,
        2,
        4,
        5,
    ] or True
    rows.clear()
    assert crm.run()["sources"][0]["outcome"] == "unchanged"
    rows.append((6, "2026-01-02T00:00:00Z"))
    crm.run()
    assert server.asked("since")[2:] == ["2026-01-01T23:50:00Z"] * 2


def test_a_cursor_may_be_a_number_in_a_body(crm: Crm) -> None:
    """A post sends JSON; {cursor} stands anywhere in it, and the page's number too."""

    def script(request: Request) -> bytes:
        asked = json.loads(request.body)
        first = int(asked["query"]["after"] if asked["query"].get("after") else 0) + (asked["page"] - 1) * 2
        return answer({"data": contacts(first, min(first + 2, 5))})

    server = crm.serve(script)
    source = (
        'post: /search, body: {query: {after: "{cursor}", key: "${CRM_SECRET}"}}, records: "data[*]", '
        "paginate: {page: page, in: body, size: 2, size_param: limit}, cursor: {field: id}"
    )
    crm.write(server.url, source)
    assert crm.run()["sources"][0]["account"]["loaded"] == 5
    first = json.loads(server.requests[0].body)
    assert first == {"query": {"key": SECRET}, "page": 1, "limit": 2}
    crm.run()
    assert json.loads(server.requests[-1].body)["query"]["after"] == "4"


def test_children_are_asked_for_each_row_of_their_parent(crm: Crm) -> None:
    """By the ids in the parent's table, also of earlier runs; the id is a field by `path.id`; a failed parent stops them."""
    orders, down = [1, 2], False

    def script(request: Request) -> bytes:
        if request.path == "/orders":
            return answer(b"", "500 Down") if down else answer([{"id": number} for number in orders])
        page = int(request.query["page"])
        lines = [{"line": page * 10 + number} for number in range(2)]
        return answer(lines if page < 3 else [])

    server = crm.serve(script)
    crm.write(
        server.url, "get: /orders", schema="primaryKey: id\nfields: {id: integer}\n", name="orders", write="merge"
    )
    crm.file(
        "pipelines/crm.yaml",
        "sources:\n  lines: {type: api, connection: crm, get: '/orders/{id}/lines', parent: orders, "
        "paginate: {page: page}, schema: lines, write: merge}\n"
        "  orders: {type: api, connection: crm, get: /orders, schema: orders, write: merge}\n"
        "destination: {connection: lake}\n",
    )
    crm.file("schemas/lines.yaml", "primaryKey: [order, line]\nfields: {order: {type: integer, from: path.id}, line: integer}\n")  # fmt: skip
    crm.run()
    expected = [(order, line) for order in (1, 2) for line in (10, 11, 20, 21)]
    assert crm.rows("SELECT * EXCLUDE (_load_id) FROM lines ORDER BY ALL") == expected
    orders.append(3)
    crm.run()
    assert len(crm.rows("SELECT 1 FROM lines")) == 12
    down = True
    report = crm.run(3)
    assert [source["outcome"] for source in report["sources"]] == ["failed", "not run"]


def test_packed_answers_and_no_content_are_understood(crm: Crm) -> None:
    """Gzip is unpacked; 204 is a page without records."""

    def script(request: Request) -> bytes:
        assert request.headers["accept-encoding"] == "gzip"
        if request.query["page"] != "1":
            return answer(b"", "204 No Content")
        return answer(gzip.compress(json.dumps(contacts(0, 3)).encode()), headers={"Content-Encoding": "gzip"})

    server = crm.serve(script)
    crm.write(server.url, "get: /x, paginate: page")
    assert crm.run()["sources"][0]["account"]["loaded"] == 3


def test_a_dry_run_leaves_no_trace(crm: Crm) -> None:
    """It reads and judges; no page stays."""
    server = crm.serve(lambda request: answer({"data": paged(request)}))
    crm.write(server.url, 'get: /contacts, paginate: page, records: "data[*]"')
    assert crm.run(dry_run=True)["sources"][0]["account"]["read"] == 75
    assert not (crm.root / "lake.duckdb").exists()
    assert not (crm.root / ".pratique" / "landed").exists()


def test_python_users_get_dicts_of_exact_texts(crm: Crm) -> None:
    """`APIDataSource` gives each record with its lineage; a pipeline without a destination collects them."""
    server = crm.serve(lambda request: answer({"data": [{"id": 1.5, "tags": ["a"], "x": None}] if request.query["page"] == "1" else []}))  # fmt: skip
    crm.write(server.url, "get: /x")
    config = ConfigManager("dev", crm.root)
    source = APIDataSource(config, "crm", get="/v2/contacts", params={"a": 1}, paginate={"page": "page"}, records="data[*]")  # fmt: skip
    (record,) = source.ingest()
    assert {name: record[name] for name in ("id", "tags", "x")} == {"id": "1.5", "tags": '["a"]', "x": None}
    assert (record["_source"], record["_file"], record["_row_number"]) == ("contacts", "/v2/contacts", 1)
    pipeline = DataIngestionPipeline(config)
    pipeline.add_source(source)
    assert len(pipeline.run()) == 1
    assert server.requests[0].target == "/v2/contacts?a=1&page=1"


def test_a_source_can_be_probed(crm: Crm) -> None:
    """One request tells whether it answers; nothing lands."""
    server = crm.serve(lambda request: answer({"data": paged(request)}))
    crm.write(server.url, 'get: /contacts, paginate: page, records: "data[*]"')
    (plan,) = Project(crm.root, "dev").pipeline("crm").sources
    source = open_source("contacts", path="", base=crm.root, format="", schema=plan.schema, api=plan.api)
    assert source.probe().reachable
    assert "answers with 10 records" in source.probe().detail
    server.stop()
    assert not source.probe().reachable


def test_records_that_move_between_pages_come_once(crm: Crm) -> None:
    """A record that slides onto the next page while pages are read is skipped as identical, on the account."""
    server = crm.serve(
        lambda request: (
            answer({"data": contacts(0, 10) if request.query["page"] == "1" else contacts(8, 15)})
            if request.query["page"] in "12"
            else answer({"data": []})
        )
    )
    crm.write(server.url, 'get: /contacts, paginate: page, records: "data[*]"')
    account = crm.run()["sources"][0]["account"]
    assert (account["read"], account["loaded"], account["skipped"]) == (17, 15, {"identical": 2})


def test_children_of_nobody(crm: Crm) -> None:
    """A parent whose table does not exist yet, or whose field is NULL, has no children to ask for."""
    nobody = [True]

    def script(request: Request) -> bytes:
        if request.path == "/orders":
            return answer([] if nobody else [{"id": None, "n": 1}, {"id": "a/b", "n": 2}])
        return answer([{"line": 1}])

    server = crm.serve(script)
    crm.write(server.url, "get: /orders", schema="fields: {id: {}, n: integer}\n", name="orders")
    text = (crm.root / "pipelines/crm.yaml").read_text()
    child = "  lines: {type: api, connection: crm, get: '/orders/{id}/lines', parent: orders, write: replace}\n"
    crm.file("pipelines/crm.yaml", text.replace("destination:", f"{child}destination:"))
    crm.file("schemas/lines.yaml", "fields: {order: {from: path.id}, line: integer}\n")
    crm.run()
    assert {request.path for request in server.requests} == {"/orders"}
    nobody.clear()
    crm.run()
    assert crm.rows("SELECT * EXCLUDE (_load_id) FROM lines") == [("a/b", 1)]


def test_a_pipeline_over_an_api_is_tested_without_it(crm: Crm) -> None:
    """`pratique test` gives records in place of pages, and `path` in place of what a parent would give."""
    crm.write("https://api.example", "get: '/{team}/contacts', params: {team: blue}", schema="fields: {id: integer, team: {from: path.team}}\n")  # fmt: skip
    crm.file(
        "pipelines/tests/crm.yaml",
        "tests:\n- name: a text is no number\n"
        "  given: {contacts: {records: [{id: 1}, {id: x}], path: {team: red}}}\n"
        "  expect: {contacts: {loaded: [{id: 1, team: red}], quarantined: 1}}\n",
    )
    command = [sys.executable, "-m", "pratique", "test", "--project", str(crm.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_works_where_a_loop_runs_already(crm: Crm) -> None:
    """In a notebook, for example."""
    server = crm.serve(lambda _: answer([{"id": 1}]))
    crm.write(server.url, "get: /x")
    source = APIDataSource(ConfigManager("dev", crm.root), "crm", get="/x")

    async def cell() -> list[dict[str, Any]]:
        return list(source.ingest())

    assert len(asyncio.run(cell())) == 1


def test_a_record_that_is_none_ends_what_python_users_get(crm: Crm) -> None:
    """Nothing is judged there: the record is named, after those before it."""
    server = crm.serve(lambda _: answer(b'[{"id": 1}, {"id": NaN}]'))
    crm.write(server.url, "get: /x")
    records = APIDataSource(ConfigManager("dev", crm.root), "crm", get="/x").ingest()
    assert next(records)["id"] == "1"
    with pytest.raises(SourceError, match="record 2 cannot be read: NaN is not a JSON number"):
        next(records)


def test_the_missing_package_is_named(crm: Crm) -> None:
    """Without the extra, the run says what to install."""
    crm.write("https://api.example", "get: /x")
    program = "import sys; sys.modules['aiohttp'] = None; from pratique.__main__ import main; main()"
    command = [sys.executable, "-c", program, "run", "crm", "--project", str(crm.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "pratique[api]" in done.stdout + done.stderr


def test_a_position_belongs_to_its_field(crm: Crm) -> None:
    """If the cursor is another one now, the run stops and says so."""
    server = crm.serve(lambda _: answer([{"id": 1, "n": 5}]))
    schema = "primaryKey: id\nfields: {id: integer, n: integer}\n"
    crm.write(server.url, "get: /x, params: {since: '{cursor}'}, cursor: {field: n}", schema=schema)
    crm.run()
    crm.write(server.url, "get: /x, params: {since: '{cursor}'}, cursor: {field: id}", schema=schema)
    assert "the position of contacts is of n (integer)" in crm.problem()["message"]


@pytest.mark.parametrize(
    ("kind", "texts", "back", "expected"),
    [
        ("integer", ["9", "10", "-1"], Lookback(3, seconds=False), "7"),
        ("decimal", ["1.50", "1.5000001"], Lookback(1, seconds=False), "0.5000001"),
        ("date", ["2026-03-01", "2026-02-28"], Lookback(3600, seconds=True), "2026-02-28"),
        ("datetime", ["2026-01-01 00:00:00.123456789", "2026-01-01 00:00:00.12345678"], Lookback(60, seconds=True), "2025-12-31 23:59:00.123456789"),
        ("datetime", ["2026-01-01T10:00:00+02:00", "2026-01-01T08:30:00Z"], Lookback(60, seconds=True), "2026-01-01T08:29:00Z"),
        ("datetime", ["2026-01-01T10:00", "2026-01-01T09:59"], Lookback(60, seconds=True), "2026-01-01T09:59"),
    ],
)  # fmt: skip
def test_texts_of_a_cursor_are_compared_as_what_they_are(
    kind: str, texts: list[str], back: Lookback, expected: str
) -> None:
    """At their own precision, in their own form."""
    greatest = max(texts, key=cursor.key_of(kind))
    assert cursor.before(kind, greatest, back) == expected
    assert [
        text
        for text in ("", "x", "NaN", "Infinity", "1_0", "1e3", "2026-13-01", "2026W011", "٣")
        if ordered(kind, text)
    ] == []


def ordered(kind: str, text: str) -> bool:
    """Whether a text has a place in an order of this type."""
    try:
        cursor.key_of(kind)(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("header", "url"),
    [
        ("<?p=2>; rel=next", "?p=2"),
        ('<?p=2>; title="a, <b>; rel=x"; REL="Prev Next"', "?p=2"),
        ('<?p=1>; rel="first", <?a=1,2&p=%2B> ; rel = "next"', "?a=1,2&p=%2B"),
        (r'<?p=2>; title="not \"rel=x\""; rel="next"', "?p=2"),
        ('<?p=1>; rel="first"', ""),
        ('<?p=2>; rel="next-year"', ""),
        ("", ""),
    ],
)
def test_a_link_is_found_however_it_is_written(header: str, url: str) -> None:
    """Relations are told apart as RFC 8288 says: a next page that is not seen would be lost."""
    assert linked(header, "next") == url
