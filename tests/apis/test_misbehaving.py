"""Servers that misbehave: no run hangs beyond its limit, no page is lost or doubled, no credential goes elsewhere."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import socket
import ssl
import subprocess
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, unquote_plus

import pytest
from api_project import NEAR, SECRET, Crm
from http_server import Request, Server, answer

BEARER = f'{NEAR}, auth: {{type: bearer, token: "${{CRM_SECRET}}"}}'
QUICK = f"{BEARER}, timeout_seconds: 1"
PAGES = 'get: /contacts, paginate: {page: page}, records: "data[*]"'
LINKS = 'get: /contacts, paginate: {next: next}, records: "data[*]"'


def page_of(request: Request, pages: int = 3) -> bytes:
    """Ten records on each page."""
    page = int(request.query.get("page", 1))
    return answer({"data": rows(page) if page <= pages else []})


def rows(page: int) -> list[dict[str, object]]:
    """The records of a page."""
    return [{"id": page * 10 + number, "note": "x"} for number in range(10)]


def whole(crm: Crm, server: Server, pages: int = 3) -> None:
    """Every record is in the destination, once, and every request had the credential."""
    assert [number for number, _ in crm.rows()] == [page * 10 + at for page in range(1, pages + 1) for at in range(10)]
    assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {SECRET}"}


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
    """gzip that ends too early."""
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
        assert report["notices"] == ["contacts: 1 requests were tried again"]


def test_a_retry_prints_nothing(crm: Crm) -> None:
    """What a run prints as JSON is JSON, however often something is tried again; the report says how often."""
    server = crm.serve(once(PASSING["503"]))
    crm.write(server.url, PAGES, connection=QUICK)
    printed = crm.command("--json")
    assert json.loads(printed)["notices"] == ["contacts: 1 requests were tried again"]
    shutil.rmtree(crm.root / ".pratique")
    assert "retry" not in crm.command()


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
        return answer(b"", "503 Busy", {"Retry-After": "2"}) if busy else answer({"pages": 30, "data": rows(int(page))})

    server = crm.serve(script)
    source = PAGES.replace("page: page", "page: page, pages: pages")
    crm.write(server.url, source, connection=f"{BEARER}, concurrency: 2")
    crm.run()
    whole(crm, server, 30)
    refused = next(at for page, at in times if page == "2")
    assert not [at for _, at in times if refused + 0.3 < at < refused + 1.8]


@pytest.mark.parametrize("name", ["503", "silence", "slow bytes", "slow header", "reset"])
def test_what_does_not_pass_ends_within_the_limits(crm: Crm, name: str) -> None:
    """Three retries, then exit 3 as something that may pass later; pages before are kept, and not asked for again."""
    bad, broken = PASSING[name], [True]
    server = crm.serve(lambda request: bad(request) if broken and request.query["page"] == "2" else page_of(request))
    crm.write(server.url, PAGES, connection=f"{QUICK}, concurrency: 1")
    began = time.monotonic()
    problem = crm.problem()
    assert time.monotonic() - began < 15
    assert (problem["code"], problem["message"].startswith("page 2: ")) == ("source_unreachable", True)
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
    "a page to log in": (html, r"it is not JSON: Expecting value at character 1: '<html><body>Please log in\x1b[2J</body></html>'"),
    "an empty body": (lambda _: answer(b""), "answers 200 with an empty body"),
    "broken JSON": (lambda _: answer(b'{"data": [{"id": 1}, {"id": '), "it is not JSON"),
    "another JSON": (lambda _: answer({"error": "no rights"}), "there is no 'data'; there are 'error'"),
    "no array": (lambda _: answer({"data": {"id": 1}}), "an array is expected, an object is there"),
    "nested without end": (lambda _: answer(b"[" * 200_000), "it is not JSON: nested too deep"),
    "400": (lambda _: answer({"error": f"bad key {SECRET}"}, "400 Bad"), "answers 400 Bad"),
    "401": (lambda _: answer(b"", "401 Unauthorized"), "answers 401"),
    "403": (lambda _: answer(b"", "403 Forbidden"), "answers 403 Forbidden"),
    "206": (lambda _: answer({"data": []}, "206 Partial Content"), "answers 206"),
    "304": (lambda _: b"HTTP/1.1 304 Not Modified\r\n\r\n", "answers 304"),
    "a bomb": (bomb, "answers with more than 67,108,864 bytes"),
    "a flood": (flood, "answers with more than 67,108,864 bytes"),
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


def itself(request: Request) -> bytes:
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


def test_a_server_that_gives_fewer_than_asked_for_is_seen(crm: Crm) -> None:
    """By offsets of 20, a server that never gives more than 10 would lose every second page: the run says so."""

    def script(request: Request) -> bytes:
        offset = int(request.query["offset"])
        return answer({"data": [{"id": number} for number in range(offset, min(offset + 10, 95))]})

    server = crm.serve(script)
    crm.write(server.url, 'get: /x, paginate: {offset: offset, size: 20, size_param: limit}, records: "data[*]"')
    assert "write size: 10" in json.dumps(crm.problem())


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


# --- where credentials go ---------------------------------------------------------------------------------------------


def leads_to(target: str) -> dict[str, Callable[[Request], Any]]:
    """Ways in which a server leads elsewhere."""
    return {
        "redirect": lambda _: answer(b"", "302 Found", {"Location": f"{target}/contacts"}),
        "next": lambda request: answer({"data": rows(1), "next": f"{target}/contacts?page=2"}),
    }


@pytest.mark.parametrize("way", ["redirect", "next"])
@pytest.mark.parametrize("auth", ["bearer, token", "basic, user: u, password", "api_key, name: X-Key, key", "api_key, in: query, name: key, key"])  # fmt: skip
def test_credentials_never_leave_their_origin(crm: Crm, way: str, auth: str) -> None:
    """Another port is another origin: refused unless it is listed, and even then without a credential."""
    other = crm.serve(lambda _: answer({"data": rows(2), "next": None}))
    server = crm.serve(leads_to(other.url)[way])
    connection = f'{NEAR}, auth: {{type: {auth}: "${{CRM_SECRET}}"}}'
    crm.write(server.url, LINKS, connection=connection)
    problem = crm.problem()
    assert f"leads to {other.url}/contacts, which is not {server.url}" in problem["message"]
    assert other.requests == []
    crm.write(server.url, LINKS, connection=f'{connection}, allowed_origins: ["{other.url}"]')
    crm.run()
    (request,) = other.requests
    for form in (SECRET, quote_plus(SECRET), "uthorization", "-key"):
        assert form not in request.text
    assert SECRET in unquote_plus(server.requests[0].text) or "Basic " in server.requests[0].text
    for path in crm.root.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data", "http://localhost:1/x", "file:///etc/passwd", "http://[::1]:1/x",
        "http://0x7f000001/x", "http://2130706433/x", "gopher://x/", "//evil.example/x", "javascript:alert(1)",
    ],
)  # fmt: skip
def test_no_redirect_leads_inside(crm: Crm, target: str) -> None:
    """Whatever address a redirect names, in whatever form: it is not followed."""
    server = crm.serve(lambda _: answer(b"", "302 Found", {"Location": target}))
    crm.write(server.url, PAGES, connection=BEARER)
    assert "a redirect of" in crm.problem()["message"]
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]", "0.0.0.0"]
)  # noqa: S104
def test_private_addresses_are_refused_unless_allowed(crm: Crm, host: str) -> None:
    """In every form of writing, after the name is resolved, at the moment of connecting; no request arrives."""
    server = crm.serve(page_of)
    crm.write(f"http://{host}:{server.port}", PAGES, connection="timeout_seconds: 5")
    message = crm.problem()["message"]
    assert (
        "is an address of this machine or of a private network" in message or "is no URL that can be asked" in message
    )
    assert server.requests == []
    if host in {"127.0.0.1", "localhost", "[::ffff:127.0.0.1]"}:
        crm.write(f"http://{host}:{server.port}", PAGES, connection="allowed_networks: [127.0.0.0/8, '::1/128']")
        crm.run()


def test_redirects_within_the_origin_are_followed_and_counted(crm: Crm) -> None:
    """Five of them with the credential, not six; a post is not sent elsewhere."""

    def script(request: Request) -> bytes:
        left = int(request.path.rpartition("/")[2])
        return answer([{"id": 1}]) if left == 0 else answer(b"", "307 Go", {"Location": f"/hop/{left - 1}"})

    server = crm.serve(script)
    crm.write(server.url, "get: /hop/5", connection=BEARER)
    crm.run()
    assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {SECRET}"}
    crm.write(server.url, "get: /hop/6", connection=BEARER)
    assert "redirects more than 5 times" in crm.problem()["message"]
    crm.write(server.url, "post: /hop/1", connection=BEARER)
    assert "redirects a post" in crm.problem()["message"]


def test_https_never_leads_to_http(crm: Crm, tmp_path: Path) -> None:
    """Not even within the listed origins."""
    plain = crm.serve(page_of)
    server = crm.serve(
        lambda _: answer(b"", "302 Found", {"Location": f"{plain.url}/x"}), tls=certified(tmp_path, "IP:127.0.0.1")
    )
    connection = f'{BEARER}, tls_ca: ca.pem, allowed_origins: ["{plain.url}"]'
    crm.write(server.url, PAGES, connection=connection)
    assert "from https to http" in crm.problem()["message"]
    assert plain.requests == []


def certified(folder: Path, name: str, days: str = "2") -> ssl.SSLContext:
    """A server's TLS with a certificate of its own, which is also the file `ca.pem`."""
    command = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", days,
        "-keyout", str(folder / "key.pem"), "-out", str(folder / "ca.pem"), "-subj", "/CN=test",
        "-addext", f"subjectAltName={name}",
    ]  # fmt: skip
    if days == "0":
        command[command.index("-days") : command.index("-days") + 2] = [
            "-not_before",
            "20200101000000Z",
            "-not_after",
            "20200102000000Z",
        ]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    return context


@pytest.mark.parametrize(("name", "trusted"), [("IP:127.0.0.1", True), ("IP:127.0.0.1", False), ("DNS:other.example", True)])  # fmt: skip
def test_a_certificate_is_always_checked(crm: Crm, tmp_path: Path, name: str, trusted: bool) -> None:
    """One that nobody trusts, or that is another host's, is refused before a request is sent."""
    server = crm.serve(page_of, tls=certified(tmp_path, name))
    crm.write(server.url, PAGES, connection=BEARER + (", tls_ca: ca.pem" if trusted else ""))
    if trusted and name == "IP:127.0.0.1":
        crm.run()
        whole(crm, server)
    else:
        assert "no certificate that can be trusted" in crm.problem()["message"]
        assert server.requests == []


# --- tokens -----------------------------------------------------------------------------------------------------------


def oauth(crm: Crm, script: Callable[[Request, list[str]], Any], tokens: list[str], more: str = "") -> Server:
    """A project whose API gives tokens by client credentials, and answers as `script` says."""

    def both(request: Request) -> Any:
        if request.path == "/oauth/token":
            tokens.append(f"token-{len(tokens) + 1}-of-the-api")
            return answer({"access_token": tokens[-1], "token_type": "bearer", "expires_in": 3600})
        return script(request, tokens)

    server = crm.serve(both)
    auth = f'auth: {{type: oauth2, client_id: me, client_secret: "${{CRM_SECRET}}"{more}}}'
    crm.write(server.url, PAGES, connection=f"{NEAR}, {auth}")
    return server


def test_a_token_is_fetched_once_and_renewed_once_when_it_ends(crm: Crm) -> None:
    """One token for all requests; where it ends in the middle, one new one, and no page is lost or asked for in vain."""

    def script(request: Request, tokens: list[str]) -> bytes:
        ended = len(tokens) == 1 and int(request.query["page"]) > 4
        good = request.headers["authorization"] == f"Bearer {tokens[-1]}" and not ended
        return page_of(request, 9) if good else answer(b"", "401 Unauthorized")

    tokens: list[str] = []
    server = oauth(crm, script, tokens)
    crm.run()
    assert len(tokens) == 2
    assert [number for number, _ in crm.rows()] == list(range(10, 100))
    asked = [request for request in server.requests if request.path == "/oauth/token"]
    assert {request.body for request in asked} == {b"grant_type=client_credentials"}
    expected = base64.b64encode(f"me:{quote_plus(SECRET)}".encode()).decode()
    assert {request.headers["authorization"] for request in asked} == {f"Basic {expected}"}
    for path in crm.root.rglob("*"):
        assert not path.is_file() or b"-of-the-api" not in path.read_bytes()


def test_a_second_refusal_ends_the_run(crm: Crm) -> None:
    """A new token that is refused too is no matter of trying."""
    tokens: list[str] = []
    server = oauth(crm, lambda *_: answer(b"", "401 Unauthorized"), tokens, ", in: body, scope: read")
    assert "answers 401" in crm.problem()["message"]
    assert (len(tokens), len(server.requests)) == (2, 4)
    assert b"client_secret=" in server.requests[0].body


@pytest.mark.parametrize(
    ("token", "message"),
    [
        (answer(b"", "400 Bad"), "no token is given"),
        (answer({"token": "x"}), "no access_token"),
        (answer({"access_token": "a\r\nX-Evil: 1"}), "is no token"),
        (answer(b"", "302 Found", {"Location": "http://elsewhere.example/"}), "redirects"),
    ],
)  # fmt: skip
def test_no_token_is_told(crm: Crm, token: bytes, message: str) -> None:
    """Whatever comes in place of a token: nothing is asked without one."""
    server = crm.serve(lambda request: token if request.path == "/oauth/token" else page_of(request))
    auth = 'auth: {type: oauth2, client_id: me, client_secret: "${CRM_SECRET}"}'
    crm.write(server.url, PAGES, connection=f"{NEAR}, {auth}")
    assert message in crm.problem()["message"]
    assert len(server.requests) == 1
