"""Connections that lead to REST APIs, and what a source asks of one."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field

from pratique.apis import (
    CURSOR,
    EACH,
    ApiInput,
    ApiServer,
    Auth,
    AuthType,
    JsonPath,
    Network,
    Paging,
    ParentInput,
    Style,
    origin,
    places,
)
from pratique.databases import Cursor
from pratique.documents import KeyPath
from pratique.mistakes import Mistake, refuse
from pratique.secrets import Secret, remembered, reveal
from pratique.specs.base import Spec, Where, parse
from pratique.specs.pipeline import PaginateSpec, SourceSpec

Seconds = Annotated[float, Field(gt=0, le=86_400)]
_RATE: Final = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*/\s*(s|min|m|h)\s*")
_PERIODS: Final = {"s": 1, "m": 60, "min": 60, "h": 3600}
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OWN_HEADERS: Final = frozenset({"authorization", "cookie", "host", "content-length", "transfer-encoding"})
# What each type of authentication takes: the words that it needs, and those that it may have.
_AUTH_WORDS: Final[Mapping[AuthType, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "none": ((), ()),
    "basic": (("user", "password"), ()),
    "bearer": (("token",), ()),
    "api_key": (("name", "key"), ("in",)),
    "oauth2": (("client_id", "client_secret"), ("token_url", "scope", "audience", "in")),
}
_AUTH_SECRETS: Final = ("password", "token", "key", "client_secret")
_AUTH_PLACES: Final[Mapping[str, tuple[str, ...]]] = {"api_key": ("header", "query"), "oauth2": ("header", "body")}


class AuthSpec(Spec):
    """Who asks: none, basic, bearer, api_key, or oauth2 by client credentials. What is secret comes by reference."""

    type: AuthType
    user: str | None = None
    password: str | None = None
    token: str | None = None
    name: str | None = None
    key: str | None = None
    in_: Literal["header", "query", "body"] | None = Field(None, alias="in")
    client_id: str | None = None
    client_secret: str | None = None
    token_url: str | None = None
    scope: str | None = None
    audience: str | None = None


class ApiConnectionSpec(Spec):
    """How a REST API is reached."""

    url: Annotated[str, Field(min_length=1)]
    auth: AuthSpec | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    allowed_origins: list[str] = Field(default_factory=list)
    allowed_networks: list[str] = Field(default_factory=list)
    concurrency: Annotated[int, Field(ge=1, le=64)] = 8
    rate: str | None = None
    timeout_seconds: Seconds = 60
    connect_timeout_seconds: Seconds = 10
    retry_after_seconds_max: Seconds = 900
    tls_ca: str | None = None


def api_server(name: str, connection: Mapping[str, Any], root: Path, where: Where) -> ApiServer:
    """The API that a connection leads to. Secrets come by reference only; ConfigurationError says what is wrong."""
    parsed = parse(ApiConnectionSpec, reveal(connection), where, shown=connection)
    refuse(parsed.mistakes)
    spec = parsed.spec
    assert spec is not None  # noqa: S101 - `refuse` raised otherwise
    refuse(_url_mistakes(name, spec, where))
    auth = _auth(connection.get("auth", {}), spec, where)
    networks = [_network(text, index, where) for index, text in enumerate(spec.allowed_networks)]
    if spec.url.startswith("http:") and auth.type != "none" and not networks:
        hint = "use https, or list the network of a machine that you trust in allowed_networks, such as 127.0.0.1/32"
        refuse([Mistake(where(("url",)), "credentials would travel unencrypted over http", hint, "conflict")])
    return ApiServer(
        name,
        spec.url.rstrip("/"),
        auth=auth,
        headers=_headers(connection, spec, where),
        allowed_origins=tuple(_origin(text, index, where) for index, text in enumerate(spec.allowed_origins)),
        allowed_networks=tuple(networks),
        concurrency=spec.concurrency,
        rate=_rate(spec.rate, where),
        timeout_seconds=spec.timeout_seconds,
        connect_timeout_seconds=spec.connect_timeout_seconds,
        retry_after_seconds_max=spec.retry_after_seconds_max,
        tls_ca=str(root / Path(spec.tls_ca).expanduser()) if spec.tls_ca else None,
    )


def _url_mistakes(name: str, spec: ApiConnectionSpec, where: Where) -> Iterator[Mistake]:
    try:
        parts, _ = urlsplit(spec.url), origin(spec.url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"}:
        hint = "such as https://api.example.com/v2"
        yield Mistake(where(("url",)), f"connection {name} does not lead to an API", hint)
    elif parts.username or parts.password:
        hint = "write auth: {type: basic, user: …, password: ${NAME}}"
        yield Mistake(where(("url",)), "credentials stand in the url", hint)
    elif parts.query or parts.fragment:
        hint = "write them as `params` of the source; a key as auth: {type: api_key, in: query, …}"
        yield Mistake(where(("url",)), "the url of a connection has parameters", hint)


def _auth(written: Any, spec: ApiConnectionSpec, where: Where) -> Auth:
    if spec.auth is None:
        return Auth()
    kind = spec.auth.type
    needed, more = _AUTH_WORDS[kind]
    words = {
        word: getattr(spec.auth, "in_" if word == "in" else word) for word in AuthSpec.model_fields if word != "in_"
    }
    words["in"] = spec.auth.in_
    mistakes = [
        Mistake(where(("auth",)), f"auth of type {kind} needs {word}", f"add {word}: …", "missing-key")
        for word in needed
        if not words[word]
    ]
    mistakes += [
        Mistake(where(("auth", word), True), f"{word} means nothing for auth of type {kind}", "remove it", "conflict")
        for word, value in words.items()
        if value is not None and word not in {"type", *needed, *more}
    ]
    mistakes += [
        Mistake(where(("auth", word)), f"the {word} stands in the file itself", f"write {word}: ${{NAME}} and set it")
        for word in _AUTH_SECRETS
        if word in needed and words[word] and not isinstance(written.get(word), Secret)
    ]
    if words["in"] and kind in _AUTH_PLACES and words["in"] not in _AUTH_PLACES[kind]:
        hint = " or ".join(_AUTH_PLACES[kind])
        mistakes.append(Mistake(where(("auth", "in")), f"auth of type {kind} cannot stand in the {words['in']}", hint))
    refuse(mistakes)
    secret = next((words[word] for word in _AUTH_SECRETS if words[word]), None)
    token_url = _token_url(spec, where) if kind == "oauth2" else ""
    return Auth(
        kind,
        user=words["user"] or words["client_id"] or "",
        secret=Secret(remembered(secret)) if secret else None,
        name=words["name"] or "",
        place=words["in"] or "header",
        token_url=token_url,
        scope=words["scope"] or "",
        audience=words["audience"] or "",
    )


def _token_url(spec: ApiConnectionSpec, where: Where) -> str:
    """Where tokens are given; by default under the API's own origin."""
    text = (spec.auth.token_url if spec.auth else None) or "/oauth/token"
    text = f"{origin(spec.url)}{text}" if text.startswith("/") else text
    try:
        sound = origin(text).startswith(("http:", "https:"))
    except ValueError:
        sound = False
    if not sound:
        refuse([Mistake(where(("auth", "token_url")), "token_url is no URL", "such as https://login.example/token")])
    return text


def _headers(connection: Mapping[str, Any], spec: ApiConnectionSpec, where: Where) -> dict[str, Any]:
    """Further headers as they are written: what came by reference stays a Secret."""
    refuse(
        Mistake(where(("headers", name), True), f"{name} cannot be a header here", "leave it out; `auth` says who asks")
        for name, value in spec.headers.items()
        if not _HEADER.fullmatch(name) or name.lower() in _OWN_HEADERS or re.search(r"[\r\n\0]", value)
    )
    return dict(connection.get("headers") or {})


def _origin(text: str, index: int, where: Where) -> str:
    try:
        return origin(text)
    except ValueError:
        hint = "such as https://files.example.com"
        refuse([Mistake(where(("allowed_origins", index)), f'"{text}" is no origin', hint)])
        raise


def _network(text: str, index: int, where: Where) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        hint = "such as 10.1.0.0/16 or 127.0.0.1/32"
        refuse([Mistake(where(("allowed_networks", index)), f'"{text}" is no network', hint)])
        raise


def _rate(text: str | None, where: Where) -> float | None:
    if text is None:
        return None
    match = _RATE.fullmatch(text)
    if match is None or not float(match[1]):
        refuse([Mistake(where(("rate",)), f'rate: "{text}" is not understood', "such as 10/s, 600/min or 5000/h")])
        raise ValueError(text)
    return float(match[1]) / _PERIODS[match[2]]


# --- what a source asks -----------------------------------------------------------------------------------------------


def api_input(name: str, spec: SourceSpec, asked: ApiServer, params: Any, body: Any, where: Where) -> ApiInput:
    """What a source asks of its API: `params` and `body` are those of the spec with their secrets resolved."""
    if (spec.get is None) == (spec.post is None):
        what = "neither get nor post" if spec.get is None else "get and post"
        place = where(()) if spec.get is None else where(("post",))
        refuse([Mistake(place, f"sources.{name} names {what}", "write one of get: /path and post: /path", "conflict")])
    word = "get" if spec.get is not None else "post"
    path = spec.get or spec.post or ""
    mistakes = [*_path_mistakes(name, word, path, spec, where)]
    if body is not None and word == "get":
        mistakes.append(Mistake(where(("body",)), f"sources.{name}: a get has no body", "write post:", "conflict"))
    refuse(mistakes)
    cursor = Cursor(spec.cursor.field, spec.cursor.start, spec.cursor.lookback) if spec.cursor else None
    texts: dict[str, Any] = params or {}
    inside = [key for key in places(path) if key in texts]
    fields = tuple(key for key in places(path) if key not in texts)
    _check_cursor(name, spec, texts, body, where)
    return ApiInput(
        asked,
        path,
        "GET" if word == "get" else "POST",
        tuple((key, item) for key, value in texts.items() if key not in inside for item in _items(value)),
        {key: _text(texts[key]) for key in inside},
        body,
        _paging(name, spec, where) if spec.paginate else None,
        _path(spec.records, ("records",), name, where) if spec.records else JsonPath.parse("[*]"),
        cursor,
        ParentInput(spec.parent, fields) if spec.parent else None,
    )


def _path_mistakes(name: str, word: str, path: str, spec: SourceSpec, where: Where) -> Iterator[Mistake]:
    if not path.startswith("/") or re.search(r"[?#\s\\]|/\.{1,2}(/|$)|//", path):
        hint = "a path below the connection's url, such as /v2/contacts; parameters stand in `params`"
        yield Mistake(where((word,)), f'sources.{name}.{word}: "{path}" is no path', hint)
    open_places = [place for place in places(path) if place not in (spec.params or {})]
    if open_places and spec.parent is None:
        shown = ", ".join(f"{{{place}}}" for place in open_places)
        hint = "give them in `params`, or name the source whose rows have these fields: parent: NAME"
        yield Mistake(
            where((word,)), f"sources.{name}.{word}: nothing says what stands for {shown}", hint, "missing-key"
        )
    if spec.parent is not None and not open_places:
        hint = "write its field in braces, such as /orders/{id}/lines"
        yield Mistake(
            where(("parent",)), f"sources.{name}: no field of {spec.parent} stands in the path", hint, "conflict"
        )
    if "{" in re.sub(r"\{[A-Za-z_][A-Za-z0-9_]*\}", "", path):
        yield Mistake(where((word,)), f"sources.{name}.{word}: a brace is not closed, or holds no name", "such as {id}")


def _check_cursor(name: str, spec: SourceSpec, params: Any, body: Any, where: Where) -> None:
    used = any(CURSOR in text for text in _strings([params, body]))
    if spec.cursor and not used:
        hint = 'such as params: {updated_since: "{cursor}"}'
        message = f"sources.{name}: the cursor is sent nowhere: no parameter holds {CURSOR}"
        refuse([Mistake(where(("cursor",)), message, hint, "conflict")])
    if used and not spec.cursor:
        message = f"sources.{name}: {CURSOR} stands for nothing, there is no cursor"
        refuse([Mistake(where(("params",)), message, "add cursor: {field: updated_at}", "missing-key")])
    if spec.cursor and spec.parent:
        message = f"sources.{name}: a cursor would miss the rows of parents that are new"
        refuse([Mistake(where(("cursor",)), message, "leave it out: all parents are asked each time", "conflict")])


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _items(value: Any) -> list[Any]:
    return [_text(item) for item in value] if isinstance(value, list) else [_text(value)]


def _text(value: Any) -> Any:
    """A parameter as it is sent; a Secret stays one."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str | Secret) else str(value)


_STYLES: Final[tuple[Style, ...]] = ("next", "link_header", "next_page_header", "cursor", "page", "offset")
_WITH_PARAM: Final = frozenset({"cursor", "next_page_header"})
_NUMBERED: Final = frozenset({"page", "offset"})
# Words of `paginate` by the styles for which they mean something.
_PAGING_WORDS: Final[Mapping[str, frozenset[str]]] = {
    "param": _WITH_PARAM,
    "in": _WITH_PARAM | _NUMBERED,
    "first": _NUMBERED,
    "size": _NUMBERED,
    "size_param": _NUMBERED,
    "total": frozenset(_STYLES),
    "pages": frozenset({"page"}),
}


def _paging(name: str, spec: SourceSpec, where: Where) -> Paging:
    paginate = spec.paginate
    assert paginate is not None  # noqa: S101 - asked before
    styles = [style for style in _STYLES if getattr(paginate, style) is not None]
    if len(styles) != 1:
        what = "says not how one page leads to the next" if not styles else f"has {' and '.join(styles)}"
        message, hint = f"sources.{name}.paginate {what}", f"write one of {', '.join(_STYLES)}"
        refuse([Mistake(where(("paginate",)), message, hint, "conflict" if styles else "missing-key")])
    style = styles[0]
    text = str(getattr(paginate, style))
    given = _given(paginate)
    mistakes = [
        Mistake(where(("paginate", word)), f"{word} means nothing for paginate: {style}", "remove it", "conflict")
        for word in given
        if style not in _PAGING_WORDS[word]
    ]
    if paginate.in_ == "body" and spec.post is None:
        mistakes.append(
            Mistake(where(("paginate", "in")), "a get has no body", "write post:, or in: query", "conflict")
        )
    if paginate.size_param and not paginate.size:
        mistakes.append(
            Mistake(where(("paginate", "size_param")), "size_param has no size", "add size: 100", "missing-key")
        )
    refuse(mistakes)
    return Paging(
        style,
        text,
        _keys(text, ("paginate", style), name, where) if style in {"next", "cursor"} else None,
        (paginate.param or {"cursor": "cursor", "next_page_header": "page"}.get(style, text)),
        paginate.in_ == "body",
        paginate.first if paginate.first is not None else (0 if style == "offset" else 1),
        paginate.size,
        paginate.size_param,
        _keys(paginate.total, ("paginate", "total"), name, where) if paginate.total else None,
        _keys(paginate.pages, ("paginate", "pages"), name, where) if paginate.pages else None,
    )


def _given(paginate: PaginateSpec) -> list[str]:
    fields = {"in": "in_"}
    return [word for word in _PAGING_WORDS if getattr(paginate, fields.get(word, word)) is not None]


def _keys(text: str, path: KeyPath, name: str, where: Where) -> JsonPath:
    """A path of keys alone."""
    found = _path(text, path, name, where)
    if EACH in found.steps or not found.steps:
        message = f"sources.{name}.{'.'.join(map(str, path))}: one value is meant"
        refuse([Mistake(where(path), message, "such as paging.next")])
    return found


def _path(text: str, path: KeyPath, name: str, where: Where) -> JsonPath:
    try:
        return JsonPath.parse(text)
    except ValueError as error:
        message = f'sources.{name}.{".".join(map(str, path))}: "{text}" is no path into JSON: {error}'
        refuse([Mistake(where(path), message, "keys and [*], such as data[*]")])
        raise
