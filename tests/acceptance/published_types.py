"""Events held against OpenLineage's own types, which its project generates from the published schemas, version by version.

Whatever a type does not know, misses, or has another type for is told with its place. Every facet must be the one, in the
version, that its `_schemaURL` names.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import types
import typing
from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import attr
from openlineage.client import generated
from openlineage.client.generated import base

_MODULES = [
    importlib.import_module(f"{generated.__name__}.{info.name}") for info in pkgutil.iter_modules(generated.__path__)
]
_FACETS = {
    item._get_schema(): item
    for module in _MODULES
    for item in vars(module).values()
    if isinstance(item, type) and issubclass(item, base.BaseFacet)
}
_URIS = {"producer", "schemaURL", "_producer", "_schemaURL", "uri"}


def faults(event: dict[str, Any]) -> list[str]:
    """Everything that is wrong with a run event; empty if it is a valid one."""
    found = list(_of(base.RunEvent, event, "event"))
    if event.get("schemaURL") != base.RunEvent._get_schema():
        found.append(f"schemaURL: {event.get('schemaURL')}")
    return found


def _of(kind: type, value: Any, place: str) -> Iterator[str]:
    """Faults of a value that should be of an attrs class."""
    if not isinstance(value, dict):
        yield f"{place}: expected an object, found {value!r}"
        return
    hints = typing.get_type_hints(kind)
    known = {item.name: item for item in attr.fields(kind)}
    for name, item in known.items():
        required = item.default is attr.NOTHING or name in {"_producer", "_schemaURL", "producer", "schemaURL"}
        if required and name not in value:
            yield f"{place}.{name}: missing"
    for name, inner in value.items():
        if name not in known:
            yield f"{place}.{name}: unknown"
            continue
        yield from _value(hints[name], inner, f"{place}.{name}")
        if name in _URIS and not urlsplit(inner).scheme:
            yield f"{place}.{name}: not a URI: {inner}"
        if name == "runId":
            UUID(inner)
        if name == "eventTime" and datetime.fromisoformat(inner).tzinfo is None:
            yield f"{place}.{name}: no time zone"


def _value(hint: Any, value: Any, place: str) -> Iterator[str]:
    """Faults of a value that should be of this type."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        yield from _value(next(item for item in inner if item is not types.NoneType), value, place)
    elif origin is dict:
        for name, item in value.items():
            facet = isinstance(inner[1], type) and issubclass(inner[1], base.BaseFacet)
            yield from (_facet if facet else _value)(inner[1], item, f"{place}.{name}")
    elif origin is list:
        for number, item in enumerate(value):
            yield from _value(inner[0], item, f"{place}[{number}]")
    elif attr.has(hint):
        yield from _of(hint, value, place)
    elif hint is not Any:
        yield from _plain(hint, value, place)


def _plain(hint: type, value: Any, place: str) -> Iterator[str]:
    if issubclass(hint, Enum):
        if value not in {item.value for item in hint}:
            yield f"{place}: {value} is none of {hint.__name__}"
        return
    kinds = (int, float) if hint is float else hint
    if not isinstance(value, kinds) or (hint is not bool and isinstance(value, bool)):
        yield f"{place}: expected {hint.__name__}, found {value!r}"


def _facet(kind: type, value: dict[str, Any], place: str) -> Iterator[str]:
    url = value.get("_schemaURL", "")
    found = _FACETS.get(url)
    if found is None or not issubclass(found, kind):
        yield f"{place}: {url} is no published {kind.__name__}"
        return
    name = place.rpartition(".")[2]
    published = re.sub(r"(Input|Output)?(Dataset|Run|Job)Facet$", "", found.__name__)
    if name.replace("_", "").lower() != published.lower():
        yield f"{place}: holds a {found.__name__}"
    yield from _of(found, value, place)
