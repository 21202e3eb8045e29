"""Four REST servers that others wrote: every record once and exact, only what is new, no page asked for twice."""

from __future__ import annotations

import json
import time
from collections import Counter
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import fault_proxy
import pytest
import rest_servers
from api_project import NEAR, Crm
from rest_servers import KINTO, RECORDS, SECRET

SCHEMA = (
    "primaryKey: id\nextraFields: drop\nfields:\n  id: integer\n  note: {missingValues: []}\n"
    '  amount: "decimal(12,2)"\n  updated: integer\n'
)
BASIC = 'auth: {type: basic, user: reader, password: "${CRM_SECRET}"}'
BEARER = 'auth: {type: bearer, token: "${CRM_SECRET}"}'
IN_HEADER = 'auth: {type: api_key, name: Authorization, key: "Bearer ${CRM_SECRET}"}'
IN_QUERY = 'auth: {type: api_key, in: query, name: _auth_token, key: "${CRM_SECRET}"}'
TABLE = 'get: /shop/orders.json, params: {_shape: objects, _size: 10}, records: "rows[*]"'
LIST = "get: /orders"
ORDERS = f'get: /{KINTO}/orders/records, params: {{_limit: 10, _sort: last_modified}}, records: "data[*]"'
# Each way to the next page, by servers that have it, and each way to be known, by servers that ask who it is.
WAYS = {
    "page": ("json_server", "", f"{LIST}, paginate: {{page: _page, size: 10, size_param: _limit}}"),
    "offset": ("json_server", "", f"{LIST}, paginate: {{offset: _start, size: 10, size_param: _limit}}"),
    "Link header": ("json_server", "", f"{LIST}, params: {{_page: 1}}, paginate: {{link_header: next}}"),
    "Link header, bearer": ("datasette", BEARER, f"{TABLE}, paginate: {{link_header: next}}"),
    "next in body, key in query": ("datasette", IN_QUERY, f"{TABLE}, paginate: {{next: next_url}}"),
    "cursor, key in header": ("datasette", IN_HEADER, f"{TABLE}, paginate: {{cursor: next, param: _next}}"),
    "header with next page, basic": ("kinto", BASIC, f"{ORDERS}, paginate: {{next_page_header: Next-Page}}"),
}  # fmt: skip
# Pages of ten for 95 records; by number one more shows the end, and some are asked for ahead of it.
PAGES = 10


@pytest.fixture
def crm(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> Crm:
    """A project that knows the secret of these servers."""
    monkeypatch.setenv("CRM_SECRET", SECRET)
    return crm


def before(crm: Crm, url: str) -> fault_proxy.FaultProxy:
    """A door before a server, which counts what is asked for."""
    return crm.servers.enter_context(fault_proxy.before(urlsplit(url).port or 0))


def written(crm: Crm, rest: Any, way: str) -> fault_proxy.FaultProxy:
    """A project that reads this way, through a door."""
    server, auth, source = WAYS[way]
    url = rest(server)
    door = before(crm, url)
    there = f"http://127.0.0.1:{door.port}{urlsplit(url).path}"
    crm.write(there, source, schema=SCHEMA, connection=", ".join(filter(None, [NEAR, auth])), write="merge")
    return door


def loaded(crm: Crm) -> list[tuple[Any, ...]]:
    """What the destination holds, in order."""
    return crm.rows("SELECT id, note, amount, updated FROM contacts ORDER BY id")


def expected(records: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """These records, as the destination must hold them."""
    return [(one["id"], one["note"], Decimal(one["amount"]), one["updated"]) for one in records]


def pages(door: fault_proxy.FaultProxy) -> Counter[str]:
    """The pages that were asked for; none that stands beyond the end."""
    found: Counter[str] = Counter()
    for target in door.requests:
        query = dict(parse_qsl(urlsplit(target).query))
        if int(query.get("_page", 1)) <= PAGES and int(query.get("_start", 0)) < len(RECORDS):
            query.pop("_auth_token", None)
            found[json.dumps(query, sort_keys=True)] += 1
    return found


@pytest.mark.parametrize("way", WAYS)
def test_every_record_is_there_once(crm: Crm, rest: Any, way: str) -> None:
    """Each style of pages and each way to be known, at a server that has it: all records, exactly, and the balance."""
    door = written(crm, rest, way)
    report = crm.run()
    assert loaded(crm) == expected(RECORDS)
    account = report["sources"][0]["account"]
    assert (account["read"], account["loaded"], account["quarantined"]) == (95, 95, 0)
    asked = pages(door)
    assert (len(asked), sum(asked.values())) == (PAGES, PAGES)
    crm.run()
    assert loaded(crm) == expected(RECORDS)


@pytest.mark.parametrize("way", WAYS)
def test_a_killed_run_asks_for_no_page_twice(crm: Crm, rest: Any, way: str) -> None:
    """Killed in the middle: the next run goes on, the key stands on no disk, and every record is there once."""
    door = written(crm, rest, way)
    door.fail(fault_proxy.Fault("latency", seconds=0.1))
    process = crm.start()
    while len(door.requests) < 5 and process.poll() is None:
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert (crm.root / ".pratique" / "landed").is_dir()
    kept = b"".join(path.read_bytes() for path in crm.root.rglob("*") if path.is_file())
    assert b"canary" not in kept
    door.mend()
    crm.run()
    assert loaded(crm) == expected(RECORDS)
    asked = pages(door)
    side_by_side = 8 if "page:" in WAYS[way][2] or "offset:" in WAYS[way][2] else 1
    assert len(asked) == PAGES
    assert sum(asked.values()) - PAGES <= side_by_side, "pages that were landed were asked for again"


GROWING = {
    "json_server": (
        "get: /changing, params: {updated_gte: '{cursor}'}, paginate: {page: _page, size: 10, size_param: _limit}, "
        "cursor: {field: updated}"
    ),
    "kinto": (
        f"get: /{KINTO}/changing/records, params: {{_since: '{{cursor}}', _limit: 10, _sort: last_modified}}, "
        "paginate: {next_page_header: Next-Page}, records: 'data[*]', cursor: {field: last_modified}"
    ),
}


@pytest.mark.parametrize("server", GROWING)
def test_only_what_is_new_is_asked_for(crm: Crm, rest: Any, server: str) -> None:
    """By the server's own parameter: the second run asks for what changed alone, and merges it."""
    url = rest(server)
    door = before(crm, url)
    crm.write(
        f"http://127.0.0.1:{door.port}{urlsplit(url).path}",
        GROWING[server],
        schema=SCHEMA + ("  last_modified: integer\n" if server == "kinto" else ""),
        connection=", ".join([NEAR, BASIC] if server == "kinto" else [NEAR]),
        write="merge",
    )
    crm.run()
    assert loaded(crm) == expected(RECORDS)
    new = {"note": "new", "amount": "7.70", "updated": 2000}
    if server == "kinto":
        rest_servers.send(f"{url}/{KINTO}/changing/records/7", {"data": new}, user="reader")
    else:
        rest_servers.send(f"{url}/changing/7", new, "PATCH")
    asked = len(door.requests)
    report = crm.run()
    assert report["sources"][0]["account"]["read"] <= 2  # and the one at the last position
    assert len(door.requests) - asked <= 2
    assert crm.rows("SELECT note, amount FROM contacts WHERE id = 7") == [("new", Decimal("7.70"))]
    assert crm.rows("SELECT count(*), count(DISTINCT id) FROM contacts") == [(95, 95)]


@pytest.mark.parametrize("server", ["datasette", "kinto"])
def test_a_wrong_secret_is_told_at_once(crm: Crm, rest: Any, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's own refusal, without a retry, and with what to do."""
    monkeypatch.setenv("CRM_SECRET", "canary-wrong")
    way = {"datasette": "Link header, bearer", "kinto": "header with next page, basic"}[server]
    door = written(crm, rest, way)
    problem = crm.problem()
    assert problem["code"] == "source"
    assert problem["hint"] in {"check the rights of these credentials", "check the `auth` of the connection"}
    assert "canary" not in json.dumps(problem)
    assert len(door.requests) == 1


ONE = "primaryKey: user\nextraFields: drop\nfields: {user: {missingValues: []}, authenticated: boolean}\n"


@pytest.mark.parametrize(
    ("path", "auth"),
    [("basic-auth/reader/{key}", BASIC), ("hidden-basic-auth/reader/{key}", BASIC), ("bearer", BEARER)],
)
def test_httpbin_knows_us(crm: Crm, rest: Any, path: str, auth: str) -> None:
    """Who asks is sent as RFC 7617 and RFC 6750 say, at a server that compares it, with a secret of odd characters."""
    monkey = "Ab-1 2+3_4"  # in a path of httpbin a slash would end it
    crm.file(".env", f"KEY={monkey}\n")
    given = auth.replace("CRM_SECRET", "KEY")
    source = f'get: "/{path}", records: "$"' + (', params: {key: "${KEY}"}' if "{key}" in path else "")
    schema = ONE if "{key}" in path else "fields: {authenticated: boolean}\nextraFields: drop\n"
    crm.write(rest("httpbin"), source, schema=schema, connection=f"{NEAR}, {given}")
    crm.run()
    assert crm.rows("SELECT authenticated FROM contacts") == [(True,)]
    crm.write(rest("httpbin"), source, schema=schema, connection=NEAR)
    problem = crm.problem()
    assert "answers 401" in problem["message"] or "answers 404" in problem["message"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/redirect/6", "redirects more than 5 times"),
        ("/redirect-to?url=http%3A%2F%2F169.254.169.254%2F", "a redirect of"),
        ("/status/418", "answers 418"),
        ("/html", "it is not JSON"),
        ("/deflate", "packed as deflate"),
        ("/brotli", "packed as br"),
        ("/status/503", "answers 503 SERVICE UNAVAILABLE, tried again 1 time"),
        ("/delay/9", "did not answer whole within 1 seconds, tried again 1 time"),
        ("/drip?numbytes=100&duration=9&delay=0", "did not answer whole within 1 seconds, tried again 1 time"),
    ],
)
def test_what_httpbin_does_badly_is_told(crm: Crm, rest: Any, path: str, message: str) -> None:
    """Redirects, statuses, packings and slowness of a real server end within their limits, as what they are."""
    name, _, query = path.partition("?")
    params = ", ".join(f"{key}: '{value}'" for key, value in parse_qsl(query))
    source = f"get: {name}, params: {{{params}}}, records: '$'"
    settings = "limits: {retries_max: 1}\n"
    crm.write(rest("httpbin"), source, connection=f"{NEAR}, timeout_seconds: 1", settings=settings)
    began = time.monotonic()
    assert message in crm.problem()["message"]
    assert time.monotonic() - began < 20


def test_what_httpbin_does_well_is_read(crm: Crm, rest: Any) -> None:
    """Five redirects, packed answers, and records deep inside a document."""
    schema = "fields: {url: {missingValues: []}}\nextraFields: drop\n"
    crm.write(rest("httpbin"), "get: /redirect/5, params: {a: b}, records: '$'", schema=schema)
    crm.run()
    assert crm.rows("SELECT url FROM contacts") == [(f"{rest('httpbin')}/get",)]
    (crm.root / "lake.duckdb").unlink()
    crm.write(rest("httpbin"), "get: /gzip, records: '$'", schema="fields: {gzipped: boolean}\nextraFields: drop\n")
    crm.run()
    assert crm.rows("SELECT gzipped FROM contacts") == [(True,)]
    (crm.root / "lake.duckdb").unlink()
    crm.write(
        rest("httpbin"),
        "get: /json, records: 'slideshow.slides[*]'",
        schema="fields: {title: {missingValues: []}}\nextraFields: drop\n",
    )
    crm.run()
    assert crm.rows("SELECT title FROM contacts ORDER BY 1") == [("Overview",), ("Wake up to WonderWidgets!",)]
