"""Servers that misbehave: no run hangs beyond its limit, no page is lost or doubled, no credential goes elsewhere."""

from __future__ import annotations

import gzip
import json
import shutil
import socket
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

import pytest
from api_project import BEARER, LINKS, PAGES, SECRET, Crm, page_of, rows, whole
from http_server import Request, answer

from pratique.ingestion import run_pipeline
from pratique.project import Project

QUICK = f"{BEARER}, timeout_seconds: 1"


def once(bad: Callable[[Request], Any], *, page: str = "2") -> Callable[[Request], Any]:
    """A script that answers page 2 badly for the first time it is asked for, and all else well."""
    done: list[str] = []

    def script(request: Request) -> Any:
        if request.query.get("page") == page and not done:
            done.append(page)
            return bad(request)
        return page_of(request)

    return script


def cut_length(_: Request) -> Any:
    """Less than Content-Length says."""
    return lambda connection: connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"data": []}')


def cut_chunks(_: Request) -> Any:
    """A chunked body without its end, whose part is whole JSON."""
    return lambda connection: connection.sendall(
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc\r\n{"data": []}\r\n'
    )


def cut_packed(_: Request) -> bytes:
    """Gzip that ends too early."""
    packed = gzip.compress(json.dumps({"data": rows(2)}).encode())
    return answer(packed[:-12], headers={"Content-Encoding": "gzip"})


def reset(_: Request) -> Any:
    """A connection that is reset."""

    def work(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()

    return work


def silence(_: Request) -> Any:
    """Nothing at all."""
    return lambda connection: connection.recv(1)


def drops(_: Request) -> Any:
    """A byte now and then, for ever."""

    def work(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            connection.sendall(b" ")
            time.sleep(0.2)

    return work


def slow_head(_: Request) -> Any:
    """Header lines, one after the other, for ever."""

    def work(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X: y\r\n")
            time.sleep(0.2)

    return work


def heads(_: Request) -> Any:
    """Header lines without end, as fast as they go."""

    def work(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X-Y: z\r\n" * 10_000)

    return work


PASSING = {
    "503": lambda _: answer(b"", "503 Busy"),
    "500, 502, 504": lambda _: answer(b"oops", "502 Bad Gateway"),
    "429 with seconds": lambda _: answer(b"", "429 Slow", {"Retry-After": "1"}),
    "429 with a date": lambda _: answer(
        b"", "429 Slow", {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)}
    ),
    "429 with junk": lambda _: answer(b"", "429 Slow", {"Retry-After": "soon"}),
    "429 with a negative number": lambda _: answer(b"", "429 Slow", {"Retry-After": "-5"}),
    "cut by length": cut_length,
    "cut chunks": cut_chunks,
    "cut gzip": cut_packed,
    "reset": reset,
    "silence": silence,
    "slow bytes": drops,
    "slow header": slow_head,
    "a flood of header lines": heads,
    "no HTTP": lambda _: lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", PASSING)
def test_what_passes_is_tried_again_and_no_page_is_lost(crm: Crm, name: str) -> None:
    """One bad answer costs a retry: every page is there once, within the limits, and the report tells of it."""
    server = crm.serve(once(PASSING[name]))
    crm.write(server.url, PAGES, connection=QUICK)
    began = time.monotonic()
    report = crm.run()
    assert time.monotonic() - began < 8
    whole(crm, server)
    assert server.asked().count("2") == 2
    if name != "reset":  # one that was open before is opened anew by the HTTP library
        assert report["notices"] == ["contacts: tried again 1 time"]


def test_a_retry_prints_nothing(crm: Crm) -> None:
    """What a run prints as JSON is JSON, however often something is tried again; the report says how often."""
    server = crm.serve(once(PASSING["503"]))
    crm.write(server.url, PAGES, connection=QUICK)
    printed = crm.command("--json")
    assert json.loads(printed)["notices"] == ["contacts: tried again 1 time"]
    shutil.rmtree(crm.root / ".pratique")
    assert "stamina" not in crm.command()


@pytest.mark.parametrize("retry_after", ["31536000", "999999999999999999", format_datetime(datetime(2999, 1, 1, tzinfo=UTC), usegmt=True)])  # fmt: skip
def test_an_absurd_pause_ends_the_run_which_can_be_resumed(crm: Crm, retry_after: str) -> None:
    """Nobody waits for a year: the run ends at once, what was read is kept, and the next run goes on behind it."""
    busy = [True]

    def script(request: Request) -> bytes:
        if request.query["page"] == "3" and busy:
            return answer(b"", "429 Slow", {"Retry-After": retry_after})
        return page_of(request, 4)

    server = crm.serve(script)
    crm.write(server.url, PAGES, connection=f"{BEARER}, concurrency: 1")
    began = time.monotonic()
    problem = crm.problem()
    assert time.monotonic() - began < 5
    assert "asks to wait" in problem["message"]
    busy.clear()
    crm.run()
    whole(crm, server, 4)
    assert server.asked() == ["1", "2", "3", "3", "4", "5"]


def test_a_pause_holds_for_every_request(crm: Crm) -> None:
    """While an API asks to wait, none of the requests that run side by side is sent."""
    times: list[tuple[str, float]] = []

    def script(request: Request) -> bytes:
        page = request.query["page"]
        first = page not in [asked for asked, _ in times]
        times.append((page, time.monotonic()))
        busy = page == "2" and first
        return answer(b"", "503 Busy", {"Retry-After": "4"}) if busy else answer({"pages": 30, "data": rows(int(page))})

    server = crm.serve(script)
    source = PAGES.replace("page: page", "page: page, pages: pages")
    crm.write(server.url, source, connection=f"{BEARER}, concurrency: 2")
    crm.run()
    whole(crm, server, 30)
    refused = next(at for page, at in times if page == "2")
    assert not [at for _, at in times if refused + 1 < at < refused + 3.8]


@pytest.mark.parametrize("name", ["503", "silence", "slow bytes", "slow header", "a flood of header lines", "reset"])
def test_what_does_not_pass_ends_within_the_limits(crm: Crm, name: str) -> None:
    """Three retries, then exit 3 as something that may pass later; pages before are kept, and not asked for again."""
    bad, broken = PASSING[name], [True]
    server = crm.serve(lambda request: bad(request) if broken and request.query["page"] == "2" else page_of(request))
    crm.write(server.url, PAGES, connection=f"{QUICK}, concurrency: 1")
    began = time.monotonic()
    problem = crm.problem()
    assert time.monotonic() - began < 15
    assert (problem["code"], problem["message"].startswith("page 2: ")) == ("source_unreachable", True)
    assert problem["message"].endswith(", tried again 3 times")
    assert server.asked() == ["1", "2", "2", "2", "2"] or name == "reset"
    asked = len(server.requests)
    broken.clear()
    crm.run()
    whole(crm, server)
    assert server.asked()[asked:] == ["2", "3", "4"]


def html(_: Request) -> bytes:
    """A page to log in."""
    return answer(b"<html><body>Please log in\x1b[2J</body></html>", kind="text/html")


def bomb(_: Request) -> bytes:
    """Many blanks, packed a thousand times smaller."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    piece = b" " * (1 << 20)
    packed = b"".join(packer.compress(piece) for _ in range(1 << 7)) + packer.flush()
    return answer(packed, headers={"Content-Encoding": "gzip"})


def flood(_: Request) -> Any:
    """A body without end."""

    def work(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[")
        while True:
            connection.sendall(b" " * (1 << 20))

    return work


REFUSED = {
    "a page to log in": (html, r'it is not JSON: Expecting value at character 1: "<html><body>Please log in\x1b[2J</body></html>"'),
    "an empty body": (lambda _: answer(b""), "answers 200 with an empty body"),
    "broken JSON": (lambda _: answer(b'{"data": [{"id": 1}, {"id": '), "it is not JSON"),
    "another JSON": (lambda _: answer({"error": "no rights"}), "there is no 'data'; there are 'error'"),
    "no array": (lambda _: answer({"data": {"id": 1}}), "an array is expected, an object is there"),
    "nested deep": (lambda _: answer(b'{"data": [' + b"[" * 1010 + b"]" * 1010 + b"]}"), "it is not JSON: nested too deep"),
    "records twice": (lambda _: answer(b'{"data": [{"id": 1}], "data": []}'), "the key 'data' stands twice, again at character 31"),
    "nested without end": (lambda _: answer(b"[" * 200_000), "it is not JSON: nested too deep"),
    "400": (lambda _: answer({"error": f"bad key {SECRET}"}, "400 Bad"), "answers 400 Bad"),
    "401": (lambda _: answer(b"", "401 Unauthorized"), "answers 401"),
    "403": (lambda _: answer(b"", "403 Forbidden"), "answers 403 Forbidden"),
    "206": (lambda _: answer({"data": []}, "206 Partial Content"), "answers 206"),
    "304": (lambda _: b"HTTP/1.1 304 Not Modified\r\n\r\n", "answers 304"),
    "a bomb": (bomb, "answers with more than 33,554,432 bytes"),
    "a flood": (flood, "answers with more than 33,554,432 bytes"),
    "a packing of its own": (lambda _: answer(b"x", headers={"Content-Encoding": "br"}), "packed as br"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_page_fails_at_once(crm: Crm, name: str) -> None:
    """Not tried again, never taken for an empty page; the message says what came, and no secret of it."""
    bad, message = REFUSED[name]
    server = crm.serve(bad)
    crm.write(server.url, PAGES, connection=BEARER)
    began = time.monotonic()
    problem = crm.problem()
    assert time.monotonic() - began < 20
    assert message in problem["message"]
    assert len(server.requests) == 1
    assert not (crm.root / "lake.duckdb").exists()


def same(request: Request) -> bytes:
    """Page 1, whatever page is asked for."""
    return answer({"asked": request.query.get("page"), "data": rows(1)})


def circle(request: Request) -> bytes:
    """A leads to B, B to A."""
    at = request.query.get("at", "a")
    return answer({"data": rows(1 if at == "a" else 2), "next": f"/contacts?at={'b' if at == 'a' else 'a'}"})


def itself(_: Request) -> bytes:
    """A page that leads to itself."""
    return answer({"data": rows(1), "next": "/contacts?at=a"})


def empty(request: Request) -> bytes:
    """Ever new cursors, and never a record."""
    return answer({"data": [], "next": f"/contacts?at={int(request.query.get('at', 0)) + 1}"})


def unheard(request: Request) -> bytes:
    """Ever new cursors, and always the first page."""
    return answer({"data": rows(1), "next": f"/contacts?at={int(request.query.get('at', 0)) + 1}"})


@pytest.mark.parametrize(
    ("script", "source"),
    [(same, PAGES), (circle, LINKS), (itself, LINKS), (empty, LINKS), (unheard, LINKS), (same, PAGES.replace("page: page", "offset: page"))],
)  # fmt: skip
def test_pages_without_end_are_seen(crm: Crm, script: Callable[[Request], bytes], source: str) -> None:
    """Whatever goes round in a circle ends with an error: nothing of it is loaded, nothing is cut off in silence."""
    server = crm.serve(script)
    crm.write(server.url, source, connection=BEARER)
    assert "no progress" in crm.problem()["message"]
    assert len(server.requests) <= 120
    assert not (crm.root / "lake.duckdb").exists()


@pytest.mark.parametrize("after", [True, {"id": 7}, [7]])
def test_a_cursor_that_is_no_text_is_no_end(crm: Crm, after: object) -> None:
    """A path that names something else than a cursor is told: the first page alone would pass for all of them."""
    server = crm.serve(lambda _: answer({"data": rows(1), "next": after}))
    crm.write(server.url, 'get: /x, paginate: {cursor: next, param: after}, records: "data[*]"')
    assert "at 'next', is" in crm.problem()["message"]
    assert not (crm.root / "lake.duckdb").exists()


def test_a_hole_in_the_pages_is_seen(crm: Crm) -> None:
    """An empty page is the end; records behind it that were asked for ahead are an error, not a loss."""

    def script(request: Request) -> bytes:
        page = int(request.query["page"])
        time.sleep(0.3 if page == 7 else 0)
        return answer({"data": [] if page == 7 or page > 30 else rows(page)})

    server = crm.serve(script)
    crm.write(server.url, PAGES, connection=BEARER)
    assert "page 7 is empty, but page 8 is not" in crm.problem()["message"]


def test_records_that_are_told_and_not_given_are_told(crm: Crm) -> None:
    """A total that the pages do not reach stands in the report."""
    server = crm.serve(lambda request: answer({"n": 35, "data": rows(int(request.query["page"])) if int(request.query["page"]) < 4 else []}))  # fmt: skip
    crm.write(server.url, PAGES.replace("page: page", "page: page, total: n"), connection=BEARER)
    assert crm.run()["notices"] == ["contacts: /contacts tells of 35 records and gave 30"]


def test_limits_are_kept_on_both_sides(crm: Crm) -> None:
    """So many pages, bytes and seconds, and no more; at the limit it still works."""
    server = crm.serve(page_of)
    crm.write(server.url, PAGES, connection=f"{BEARER}, concurrency: 1", settings="limits: {pages_max: 4}\n")
    crm.run()
    shutil.rmtree(crm.root / ".pratique")
    for limit, message in {
        "pages_max: 3": "more than 3 pages",
        "unpacked_bytes_max: 500": "take more than 500 bytes",
        "read_seconds_max: 0.000001": "was read for more than",
    }.items():
        crm.write(server.url, PAGES, connection=f"{BEARER}, concurrency: 1", settings=f"limits: {{{limit}}}\n")
        assert message in crm.problem()["message"]
        shutil.rmtree(crm.root / ".pratique")
    body = len(json.dumps({"data": [{"id": 1, "note": "y" * 2000}]}))
    exact = crm.serve(lambda _: answer({"data": [{"id": 1, "note": "y" * 2000}]}))
    for size, code in ((body, 0), (body - 1, 3)):
        crm.write(exact.url, 'get: /x, records: "data[*]"', settings=f"limits: {{response_bytes_max: {size}}}\n")
        crm.run(code)


HOSTILE = ["http://[", "http://[::1", "http://x:99999999/", "http://a b/", "\x01", "//", "http:///x", "é" * 100, "?" + "a" * 7000]  # fmt: skip


@pytest.mark.parametrize("target", HOSTILE)
@pytest.mark.parametrize("way", ["redirect", "next", "link"])
def test_a_url_that_is_none_is_told(crm: Crm, target: str, way: str) -> None:
    """Whatever stands where a URL is due: an error of the source, never a fault of the program."""
    made = {
        "redirect": lambda _: answer(b"", "302 Found", {"Location": target}),
        "next": lambda _: answer({"data": rows(1), "next": target}),
        "link": lambda _: answer({"data": rows(1)}, headers={"Link": f"<{target}>; rel=next"}),
    }
    server = crm.serve(made[way])
    source = LINKS.replace("next: next", "link_header: next") if way == "link" else LINKS
    crm.write(server.url, source, connection=BEARER)
    report = run_pipeline(Project(crm.root, "dev"), "crm")
    assert report.exit_code in {0, 3}
    assert report.exit_code == 3 or "stands" in way or target in {"\x01", "http://[::1", "http://[", "?" + "a" * 7000}


def test_what_went_round_in_a_circle_is_not_gone_on_with(crm: Crm) -> None:
    """When the API is repaired the next run asks anew."""
    broken = [True]
    server = crm.serve(lambda request: circle(request) if broken else answer({"data": rows(3), "next": None}))
    crm.write(server.url, LINKS, connection=BEARER)
    crm.problem()
    broken.clear()
    crm.run()
    assert [number for number, _ in crm.rows()] == list(range(30, 40))


def test_a_clock_that_is_wrong_is_told(crm: Crm) -> None:
    """What changed is asked for by the API's time: whoever chooses a look-back should know."""
    there = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    server = crm.serve(lambda _: answer([{"id": 1}], headers={"Date": there}))
    crm.write(server.url, "get: /x")
    (notice,) = crm.run()["notices"]
    assert "is more than a minute ahead of this machine's" in notice


PACKED = gzip.compress(b"[]", mtime=0)  # of no moment: every process of the tests collects the same


@pytest.mark.parametrize("body", [PACKED + b"more", b"no gzip at all", PACKED[:-4] + b"\0\0\0\0"])  # fmt: skip
def test_a_damaged_packing_is_no_page(crm: Crm, body: bytes) -> None:
    """Checksum, length, and nothing behind."""
    server = crm.serve(lambda _: answer(body, headers={"Content-Encoding": "gzip"}))
    crm.write(server.url, "get: /x")
    message = crm.problem()["message"]
    assert "a damaged packing" in message or "something behind what is packed" in message


def test_old_ways_of_http_are_understood(crm: Crm) -> None:
    """HTTP/1.0 without a length; a charset that is wrong, for JSON is UTF-8."""
    head = b"HTTP/1.0 200 OK\r\nContent-Type: application/json; charset=iso-8859-1\r\n\r\n"
    server = crm.serve(lambda _: lambda connection: connection.sendall(head + '[{"id": 1, "note": "é"}]'.encode()))
    crm.write(server.url, "get: /x")
    crm.run()
    assert crm.rows() == [(1, "é")]


def test_secrets_in_a_path_are_hidden(crm: Crm) -> None:
    """Also as a URL writes them."""
    server = crm.serve(lambda _: answer(b"", "404 Not Found"))
    crm.write(server.url, 'get: "/{key}/x", params: {key: "${CRM_SECRET}"}')
    message = crm.problem()["message"]
    assert "/***/x answers 404" in message
    assert server.requests[0].path == f"/{quote(SECRET, safe='')}/x"
