"""Every value that is in force, with the place that it comes from; secrets as the references that stand for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pratique.config_manager import ConfigManager
from pratique.documents import KeyPath
from pratique.planning import Pipeline
from pratique.project import Project

BUILT_IN: Final = "built-in default"

_SECRET_WORD: Final = re.compile(r"password|passwd|secret|token|credential|(?<![a-z])key(?![a-z])", re.IGNORECASE)
_USER_INFO: Final = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_REFERENCE: Final = re.compile(r"\$\{[^}]*\}")
_HIDDEN: Final = "***"
_FREE_FORM: Final = frozenset({"connections", "monitoring", "alerts", "retry", "service"})  # nothing is built in


@dataclass(frozen=True, slots=True)
class Settled:
    """One value: its key path, what holds, and `file:line`, a variable, or `built-in default`."""

    path: KeyPath
    value: Any
    where: str


def settled_settings(config: ConfigManager) -> list[Settled]:
    """Every setting, in the order of the declarations."""
    written = dict(_leaves(config.written))
    defaults = {path: value for path, value in _leaves(config.settings.model_dump()) if path[0] not in _FREE_FORM}
    order = {key: number for number, key in enumerate(type(config.settings).model_fields)}
    places = {path: number for number, path in enumerate({**defaults, **written})}
    return [
        Settled(
            path,
            _masked(path, written[path], config.where(path)) if path in written else defaults[path],
            config.origin(".".join(map(str, path))),
        )
        for path in sorted({**defaults, **written}, key=lambda path: (order[str(path[0])], places[path]))
    ]


def settled_pipeline(project: Project, name: str) -> list[Settled]:
    """Every value of a pipeline with `defaults` merged in, what the loader chose where nothing is written, connections.

    Raises ConfigurationError with every mistake in the pipeline.
    """
    pipeline = project.pipeline(name)
    document, merged = project.pipeline_document(name)
    found = [
        Settled(path, _masked(path, value, ""), _line(document.where(path)))
        for path, value in _leaves({key: value for key, value in merged.items() if key != "defaults"})
    ]
    paths = {item.path for item in found}
    found += [item for item in _chosen(pipeline, merged, document.where) if item.path not in paths]
    used = {pipeline.destination.name, *(item.value for item in found if item.path[-1] == "connection")}
    found += [
        item for item in settled_settings(project.config) if item.path[0] == "connections" and item.path[1] in used
    ]
    return found


def _chosen(pipeline: Pipeline, merged: Mapping[str, Any], where: Any) -> Iterator[Settled]:
    """What holds for a source though nothing is written at it."""
    destination = merged.get("destination", {})
    for source in (plan for plan in pipeline.sources if plan.nest is None):
        at: KeyPath = ("sources", source.name)
        yield Settled((*at, "type"), source.type, BUILT_IN)
        yield Settled((*at, "format"), source.format, _line(where((*at, "path"))))
        write = ("write",) if merged.get("write") else ("destination", "write")
        written = merged.get("write") or destination.get("write")
        yield Settled((*at, "write"), source.write, _line(where(write)) if written else BUILT_IN)
        table: KeyPath = (*at, "schema")
        table = ("destination", "table") if destination.get("table") else table
        yield Settled((*at, "table"), source.table, _line(where(table)))


def _leaves(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif path:  # a project may say nothing at all
        yield path, value


def _masked(path: KeyPath, value: Any, where: str) -> Any:
    """A value without secrets: references stay; what a variable, or a key such as `password`, holds does not."""
    if isinstance(value, list):
        return [_masked((*path, index), item, where) for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    if path[:1] == ("connections",) and not re.search(r":[0-9]+:[0-9]+$", where) and not _REFERENCE.search(value):
        return _HIDDEN
    if path[:1] == ("alerts",) and (path[-1] in {"url", "heartbeat"} or "headers" in path) and "${" not in value:
        return f"{value.partition('://')[0]}://{_HIDDEN}" if "://" in value else _HIDDEN  # an address may be all secret
    if _SECRET_WORD.search(str(path[-1])) and not _REFERENCE.fullmatch(value):
        return _HIDDEN
    return _USER_INFO.sub(lambda match: match[0] if _REFERENCE.search(match[0]) else _HIDDEN, value)


def _line(where: str) -> str:
    return where.rpartition(":")[0]
