"""What is asked of a REST API: where it is, who asks, which pages, and which records in them. Plain values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Final, Literal
from urllib.parse import quote, urlsplit

from pratique.databases import Cursor

AuthType = Literal["none", "basic", "bearer", "api_key", "oauth2"]
Style = Literal["next", "link_header", "next_page_header", "cursor", "page", "offset"]
Network = IPv4Network | IPv6Network

CURSOR: Final = "{cursor}"
_PLACE: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


# --- paths into JSON --------------------------------------------------------------------------------------------------

EACH: Final = 0  # the step that goes into every element of an array
_STEP: Final = re.compile(r"""\[\*\]|(?:\.|^)([^.\[\]"'*\s$]+)|\[(?:"([^"]+)"|'([^']+)')\]""")


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A path into a JSON text: keys, and `[*]` for every element of an array."""

    text: str
    steps: tuple[str | int, ...]

    @classmethod
    def parse(cls, text: str) -> JsonPath:
        """The path that `text` says, such as `data[*]`, `$.result["odd key"][*]`; ValueError says what is wrong."""
        rest, steps, at = text.removeprefix("$"), list[str | int](), 0
        while at < len(rest):
            match = _STEP.match(rest, at)
            if match is None:
                raise ValueError(f"it is not understood from character {at + len(text) - len(rest) + 1} on")
            steps.append(EACH if match[0] == "[*]" else next(name for name in match.groups() if name))
            at = match.end()
        return cls(text, tuple(steps))

    def one(self, value: Any) -> Any:
        """What stands there in a parsed value along keys alone, or None."""
        for step in self.steps:
            value = value.get(step) if isinstance(value, dict) else None
        return value

    def records(self, value: Any) -> list[Any]:
        """The records in a parsed value. ValueError where the path leads into nothing, or into another kind of value.

        null is no records; so is, within a record, what is missing before a `[*]`.
        """
        return _records(value, self.steps, inside=False)


def _records(value: Any, steps: tuple[str | int, ...], *, inside: bool) -> list[Any]:
    if not steps or (value is None and EACH not in steps):
        return [value]
    step, rest = steps[0], steps[1:]
    if value is None:
        return []
    if step == EACH:
        if not isinstance(value, list):
            raise ValueError(f"an array is expected, {kind_of(value)} is there")
        return [found for item in value for found in _records(item, rest, inside=True)]
    if not isinstance(value, dict):
        raise ValueError(f"an object with {step!r} is expected, {kind_of(value)} is there")  # noqa: TRY004 - the text is wrong
    if step not in value:
        if inside:
            return [] if EACH in rest else [None]
        raise ValueError(f"there is no {step!r}; there are {', '.join(map(repr, value)) or 'no keys at all'}"[:300])
    return _records(value[step], rest, inside=inside)


def kind_of(value: Any) -> str:
    """What kind of JSON value it is, as people say it."""
    kinds = {dict: "an object", list: "an array", str: "a text", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")


# --- who is asked, and for what ---------------------------------------------------------------------------------------


def origin(url: str) -> str:
    """Scheme, host and port of a URL in one form: what credentials are bound to. ValueError if it has none."""
    parts = urlsplit(url)
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    if not parts.hostname or port is None or parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("it is no URL of http or https")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname.lower()
    return f"{parts.scheme}://{host}:{port}"


@dataclass(frozen=True, slots=True)
class Auth:
    """Who asks. Secrets are Secret; what a type does not use is empty.

    basic: `user`, `secret`; bearer: `secret`; api_key: `name`, `place`, `secret`; oauth2 (client credentials): `user`
    is the client's id, `secret` its secret, sent to `token_url` as `place` says.
    """

    type: AuthType = "none"
    user: str = ""
    secret: Any = None
    name: str = ""
    place: Literal["header", "query", "body"] = "header"
    token_url: str = ""
    scope: str = ""
    audience: str = ""


@dataclass(frozen=True, slots=True)
class ApiServer:
    """How an API is reached. `rate` is requests per second, None without a limit of our own."""

    name: str  # of the connection
    url: str  # without a slash at its end
    auth: Auth = Auth()
    headers: Mapping[str, Any] = field(default_factory=dict)
    allowed_origins: tuple[str, ...] = ()
    allowed_networks: tuple[Network, ...] = ()
    concurrency: int = 8
    rate: float | None = None
    timeout_seconds: float = 60
    connect_timeout_seconds: float = 10
    retry_after_seconds_max: float = 900
    tls_ca: str | None = None

    @property
    def origin(self) -> str:
        """What credentials are bound to."""
        return origin(self.url)


@dataclass(frozen=True, slots=True)
class Paging:
    """How one page leads to the next: `where` is a path, a relation, a header, or a parameter, as `style` says."""

    style: Style
    where: str
    path: JsonPath | None = None  # of `where`, for what stands in a page
    param: str = ""
    in_body: bool = False
    first: int = 1
    size: int | None = None
    size_param: str | None = None
    total: JsonPath | None = None
    pages: JsonPath | None = None


@dataclass(frozen=True, slots=True)
class ParentInput:
    """The source whose rows say what is asked: its table, and the fields that stand in the path."""

    source: str
    fields: tuple[str, ...]
    table: str = ""


@dataclass(frozen=True, slots=True)
class ApiInput:
    """The records that a source reads. Values of `params` and `body` may be Secret, or hold `{cursor}`."""

    server: ApiServer
    path: str
    method: Literal["GET", "POST"] = "GET"
    params: tuple[tuple[str, Any], ...] = ()
    path_params: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    paging: Paging | None = None
    records: JsonPath = JsonPath("[*]", (EACH,))
    cursor: Cursor | None = None
    parent: ParentInput | None = None

    @property
    def captured(self) -> tuple[str, ...]:
        """The values in the path that are no secrets: a schema may take fields from them."""
        return tuple(name for name in places(self.path) if isinstance(self.path_params.get(name, ""), str))

    @property
    def name(self) -> str:
        """What stands for the file's name in reports, lineage and quarantine."""
        return self.path


def places(path: str) -> tuple[str, ...]:
    """The names in braces in a path, in their order, each once."""
    return tuple(dict.fromkeys(_PLACE.findall(path)))


def filled(path: str, values: Mapping[str, str]) -> str:
    """A path with a value at each name in braces; ValueError for a value that would change the path's shape."""
    for name in places(path):
        if values[name] in {"", ".", ".."}:
            raise ValueError(f"the value of {{{name}}} cannot stand in a path: {values[name]!r}")
    return _PLACE.sub(lambda match: quote(values[match[1]], safe=""), path)


def template(value: Any, cursor: str | None) -> Any:
    """`value` with the cursor at `{cursor}`; None where there is none yet: such a parameter is left out."""
    if isinstance(value, str) and CURSOR in value:
        return None if cursor is None else value.replace(CURSOR, cursor)
    if isinstance(value, Mapping):
        made = {key: template(item, cursor) for key, item in value.items()}
        return {key: item for key, item in made.items() if item is not None or value[key] is None}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [template(item, cursor) for item in value]
    return value
