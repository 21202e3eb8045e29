"""The request for a page: path, parameters and body of a source, with the position and the page's number in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pratique.apis import ApiInput, Paging, filled, template
from pratique.errors import SourceError
from pratique.secrets import Secret, remembered, reveal


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: a whole URL, and parameters that are put behind those in it; `body` is sent as JSON."""

    url: str
    params: tuple[tuple[str, str], ...] = ()
    method: str = "GET"
    body: Any = None


def request(
    asked: ApiInput, cursor: str | None, values: tuple[str, ...], paging: Paging | None = None, value: str | None = None
) -> Ask:
    """The request for a page: `values` of a parent stand in its path, `value` is its number, offset or cursor."""
    params = [(name, made) for name, text in asked.params if (made := template(reveal(text), cursor)) is not None]
    body: dict[str, Any] | None = template(reveal(asked.body or {}), cursor) if asked.method == "POST" else None
    more: dict[str, Any] = {}
    if paging and value is not None:
        more[paging.param] = int(value) if paging.style in {"page", "offset"} else value
    if paging and paging.size_param:
        more[paging.size_param] = paging.size
    if paging and paging.in_body:
        body = {**(body or {}), **more}
    elif more:
        params = [(name, text) for name, text in params if name not in more]
        params += [(name, str(item)) for name, item in more.items()]
    return Ask(asked.server.url + _path(asked, values), tuple(params), asked.method, body)


def _path(asked: ApiInput, values: tuple[str, ...]) -> str:
    names = asked.parent.fields if asked.parent else ()
    for value in asked.path_params.values():
        if isinstance(value, Secret):
            remembered(quote(value.reveal(), safe=""))  # as it stands in the URL: an error may name that
    try:
        return filled(asked.path, {**reveal(dict(asked.path_params)), **dict(zip(names, values, strict=True))})
    except ValueError as error:
        raise SourceError(f"{asked.name}: {error}", hint="correct the value where it comes from") from error
