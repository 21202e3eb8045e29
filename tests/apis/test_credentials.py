"""Where requests and credentials go: to their origin, to addresses that are allowed, over TLS that is checked."""

from __future__ import annotations

import base64
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, unquote_plus

import pytest
from api_project import BEARER, LINKS, NEAR, PAGES, SECRET, Crm, page_of, rows, whole
from http_server import Request, Server, answer
from servers import install

HOSTS = ["127.0.0.1", "localhost", "127.1", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]", "0.0.0.0"]  # noqa: S104


def leads_to(target: str) -> dict[str, Callable[[Request], Any]]:
    """Ways in which a server leads elsewhere."""
    return {
        "redirect": lambda _request: answer(b"", "302 Found", {"Location": f"{target}/contacts"}),
        "next": lambda _request: answer({"data": rows(1), "next": f"{target}/contacts?page=2"}),
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
    sent = server.requests[0].text
    assert any(form in sent for form in (SECRET, "Basic ")) or SECRET in unquote_plus(sent)
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


@pytest.mark.parametrize("host", HOSTS)
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


def test_a_name_with_several_private_addresses_is_refused_too(crm: Crm, two_addresses: Callable[[str], None]) -> None:
    """The same of a name with an address of each kind: refused by name, and not asked again."""
    server = crm.serve(page_of)
    two_addresses("two.example")
    crm.write(f"http://two.example:{server.port}", PAGES, connection="timeout_seconds: 5")
    told = crm.command(code=3)
    assert "is an address of this machine or of a private network" in told
    assert "tried again" not in told
    assert server.requests == []
    crm.write(f"http://two.example:{server.port}", PAGES, connection="allowed_networks: [127.0.0.0/8]")
    crm.command()


@pytest.fixture
def two_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Have the C library of processes that start from now on resolve a name to 127.0.0.1 and ::1."""

    def library() -> Path | None:
        return next(Path("/usr/lib").glob("**/libnss_wrapper.so"), None)

    def resolve(name: str) -> None:
        hosts = tmp_path / "hosts"
        hosts.write_text(f"127.0.0.1 {name}\n::1 {name}\n")
        monkeypatch.setenv("LD_PRELOAD", str(found))
        monkeypatch.setenv("NSS_WRAPPER_HOSTS", str(hosts))

    if library() is None:
        install("libnss-wrapper")
    found = library()
    if found is None:
        pytest.fail("this test needs a resolver that it can set: apt-get install libnss-wrapper")
    return resolve


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
def test_a_certificate_is_always_checked(crm: Crm, tmp_path: Path, name: str, *, trusted: bool) -> None:
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
