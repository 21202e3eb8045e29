"""APIs repeat what they are asked: a secret that stands in an answer gets onto no disk, and a killed run still goes on."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from api_project import NEAR, SECRET, Crm, rows
from http_server import Request, answer

ECHO = 'params: {key: "${CRM_SECRET}"}'
WRITTEN: dict[str, Callable[[str], str]] = {
    "plus": quote_plus,
    "percent": lambda text: quote(text, safe=""),
    "lower case": lambda text: re.sub("%..", lambda found: found[0].lower(), quote(text, safe="")),
    "some of it": lambda text: quote(text, safe="/+").replace("-", "%2D"),
}
STYLES = {
    "next": "next: next",
    "link": "link_header: next",
    "header": "next_page_header: X-Next",
    "cursor": "cursor: after, param: after",
}


def script(written: Callable[[str], str], busy: list[bool]) -> Callable[[Request], bytes]:
    """Four pages that repeat the key in every way that leads on, and in the body; the third is busy at first."""

    def work(request: Request) -> bytes:
        query = request.query
        if query.get("key") != SECRET:
            return answer({"error": "no key"}, "403 Forbidden")
        page = int(query.get("after", query.get("page", "1")).partition("/")[0])
        if page == 3 and busy:
            return answer(b"", "429 Slow", {"Retry-After": "99999"})
        url = f"/contacts?key={written(SECRET)}&page={page + 1}&x=%C3%A9"
        more = page < 4
        body = json.dumps(
            {
                "you": f"asked with {SECRET} in {request.target}",
                "data": rows(page),
                "next": url if more else None,
                "after": f"{page + 1}/{SECRET}" if more else None,
            }
        ).replace("/", "\\/")
        headers = {"Link": f'<{url}>; rel="next"', "X-Next": url} if more else {}
        return answer(body.encode(), headers=headers)

    return work


def kept(crm: Crm) -> bytes:
    """Every byte on the disk of the project."""
    return b"".join(path.read_bytes() for path in crm.root.rglob("*") if path.is_file())


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("style", STYLES)
def test_an_echoed_secret_stands_on_no_disk(crm: Crm, style: str, written: str) -> None:
    """A run that ends in the middle left its pages without the secret; the next one goes on and asks with it."""
    busy = [True]
    server = crm.serve(script(WRITTEN[written], busy))
    source = f'get: /contacts, {ECHO}, paginate: {{{STYLES[style]}}}, records: "data[*]"'
    crm.write(server.url, source)
    assert "asks to wait" in crm.problem()["message"]
    found = kept(crm)
    assert b'"data"' in found, "pages are kept"
    # letters and digits of it are the same in every way of writing
    assert not re.search(rb"canary.{0,9}secret.{0,9}of", found), "the secret stands on the disk"
    busy.clear()
    crm.run()
    assert [number for number, _ in crm.rows()] == [page * 10 + at for page in range(1, 5) for at in range(10)]
    assert len(server.requests) == 5, "a page was asked for again"
    assert {request.query["key"] for request in server.requests} == {SECRET}
    if style != "cursor":
        assert all(request.target.endswith("&x=%C3%A9") for request in server.requests[1:])


@pytest.mark.parametrize(
    "auth",
    [
        'type: bearer, token: "${CRM_SECRET}"',
        'type: basic, user: me, password: "${CRM_SECRET}"',
        'type: api_key, name: X-Key, key: "${CRM_SECRET}"',
    ],
)
def test_what_an_api_repeats_of_headers_and_in_base64_stands_on_no_disk(crm: Crm, auth: str) -> None:
    """Headers that are sent back, and a cursor that wraps the secret: hidden, and whole again when it is asked with."""
    busy = [True]
    wrapped = base64.b64encode(json.dumps({"key": SECRET, "at": 2}).encode()).decode()

    def work(request: Request) -> bytes:
        after = request.query.get("after")
        if after and busy:
            return answer(b"", "429 Slow", {"Retry-After": "99999"})
        return answer({"you": request.headers, "data": rows(2 if after else 1), "after": None if after else wrapped})

    server = crm.serve(work)
    source = 'get: /contacts, paginate: {cursor: after, param: after}, records: "data[*]"'
    crm.write(server.url, source, connection=f"{NEAR}, auth: {{{auth}}}")
    assert "asks to wait" in crm.problem()["message"]
    found = kept(crm)
    assert b'"data"' in found, "pages are kept"
    assert SECRET.encode() not in found
    for before in ("", "me:", "m"):  # wherever it begins in a group of three
        part = base64.b64encode((before + SECRET).encode())[len(before) + 1 : -4]
        assert part not in found, "the secret stands on the disk, in base64"
    busy.clear()
    crm.run()
    assert [request.query.get("after") for request in server.requests] == [None, wrapped, wrapped]
    assert len(crm.rows()) == 20


def test_a_record_that_holds_a_secret_stays_as_it_is(crm: Crm) -> None:
    """What stands in a record is data: it is loaded as it came, beside an echo that is hidden."""
    server = crm.serve(lambda _: answer({"echo": SECRET, "data": [{"id": 1, "note": SECRET}]}))
    crm.write(server.url, f'get: /x, {ECHO}, records: "data[*]"')
    crm.run()
    assert crm.rows() == [(1, SECRET)]


def test_a_secret_of_digits_may_stand_as_a_number(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page stays JSON when the number in it is hidden."""
    monkeypatch.setenv("CRM_SECRET", "98765432109")
    busy = [True]

    def work(request: Request) -> bytes:
        if request.query.get("page") == "2" and busy:
            return answer(b"", "429 Slow", {"Retry-After": "99999"})
        more = request.query.get("page") != "2"
        body = {"key": 98765432109, "data": rows(1 if more else 2), "next": "/contacts?page=2" if more else None}
        return answer(body)

    server = crm.serve(work)
    crm.write(server.url, f'get: /contacts, {ECHO}, paginate: {{next: next}}, records: "data[*]"')
    crm.problem()
    assert b"98765432109" not in kept(crm)
    busy.clear()
    crm.run()
    assert len(crm.rows()) == 20


def test_an_echo_leads_nowhere_else(crm: Crm) -> None:
    """A link to another origin that holds the secret is asked without it, also where that origin is allowed."""
    other = crm.serve(lambda _: answer({"data": rows(2), "next": None}))
    server = crm.serve(
        lambda _: answer({"data": rows(1), "next": f"{other.url}/contacts?key={quote_plus(SECRET)}&page=2"})
    )
    source = f'get: /contacts, {ECHO}, paginate: {{next: next}}, records: "data[*]"'
    crm.write(server.url, source, connection=f'{NEAR}, allowed_origins: ["{other.url}"]')
    crm.run()
    (request,) = other.requests
    assert request.target == "/contacts?key=&page=2"
    assert len(crm.rows()) == 20


def test_a_way_on_that_looks_like_ours_is_refused(crm: Crm) -> None:
    """What stands for a secret on the disk cannot be given by an API."""
    server = crm.serve(lambda _: answer({"data": rows(1), "after": "\x000\x00"}))
    crm.write(server.url, f'get: /contacts, {ECHO}, paginate: {{cursor: after}}, records: "data[*]"')
    assert "holds a NUL" in crm.problem()["message"]
