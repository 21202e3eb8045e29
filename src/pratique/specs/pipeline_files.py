"""Pipeline files on disk: defaults merged into each source, words of later features told or refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from pratique.documents import Document, KeyPath
from pratique.expectations import Promise
from pratique.mistakes import Mistake, Mistakes
from pratique.specs.base import Spec, parse
from pratique.specs.pipeline import (
    DESTINATION_WORDS,
    NOTICED_WORDS,
    PIPELINE_WORDS,
    SOURCE_WORDS,
    STRANGE_WORDS,
    PipelineSpec,
    SourceSpec,
)
from pratique.specs.promises import promise_of

_STAND_INS: Final = {"destination": {"connection": "missing"}}  # what else is wrong is told even if there is none


@dataclass(frozen=True, slots=True)
class PipelineFile:
    """What could be read of a pipeline's document; `document` places each value, also those that `defaults` gave.

    `wrong` are the parts that could not be read, each told already.
    """

    spec: PipelineSpec
    document: Document
    wrong: frozenset[KeyPath]
    notices: tuple[str, ...]
    promise: Promise


def read_pipeline(name: str, document: Document, found: Mistakes) -> PipelineFile | None:
    """The pipeline that `document` declares; every mistake is put into `found`. None if nothing of it can be read."""
    document = replace(document, heirs="sources")
    raw = document.value
    if raw is None:
        hint = "begin with `sources:` and `destination:`"
        found.add([Mistake(document.where(), "the pipeline file is empty", hint, "missing-key")])
        return None
    if isinstance(raw, dict) and "fields" in raw and "sources" not in raw:
        hint = "move it to schemas/"
        found.add([Mistake(document.where(), "this is a schema, but it stands among the pipelines", hint, "file")])
        return None
    parsed = parse(PipelineSpec, with_defaults(raw), document.place, stand_ins=_STAND_INS)
    found.add(parsed.mistakes)
    if parsed.spec is None:
        return None
    later, notices = [*_later(parsed.spec, document)], [*_notices(parsed.spec, document)]
    found.add([*later, *notices])
    messages = tuple(dict.fromkeys(notice.message for notice in notices))
    owner = document.owners()
    unserved = {owner(mistake.where)[:2] for mistake in later}
    promise = promise_of(name, parsed.spec, document, found)
    return PipelineFile(parsed.spec, document, parsed.wrong | unserved, messages, promise)


def _later(spec: PipelineSpec, document: Document) -> Iterator[Mistake]:
    """Words without whose feature the result would be wrong."""
    for name, source in spec.sources.items():
        yield from _refused(source, SOURCE_WORDS, ("sources", name), document)
        yield from _strange(name, source, document)
    yield from _refused(spec.destination, DESTINATION_WORDS, ("destination",), document)
    yield from _refused(spec, PIPELINE_WORDS, (), document)


def _strange(name: str, source: SourceSpec, document: Document) -> Iterator[Mistake]:
    """Words that belong to another type of source."""
    for word in sorted(STRANGE_WORDS[source.type]):
        if getattr(source, word):
            hint = "a filter of rows stands in the schema" if word == "filter" else "leave it out, or change the type"
            place = document.key_where(("sources", name, word))
            yield Mistake(place, f"sources.{name}.{word} is not served for type {source.type}", hint, "not-served")


def _refused(spec: Spec, words: frozenset[str], path: KeyPath, document: Document) -> Iterator[Mistake]:
    for word in sorted(words):
        if getattr(spec, word) is not None:
            shown = ".".join(map(str, (*path, word)))
            hint = "a filter of rows stands in the schema" if word == "filter" else "leave it out"
            yield Mistake(document.key_where((*path, word)), f"{shown} is not served yet", hint, "not-served")


def _notices(spec: PipelineSpec, document: Document) -> Iterator[Mistake]:
    """Words that change nothing about the rows, and do nothing yet."""
    paths: list[KeyPath] = [(word,) for word in sorted(NOTICED_WORDS) if getattr(spec, word) is not None]
    for path in paths:
        message, hint = (
            f"{'.'.join(map(str, path))} is not served yet",
            "it does nothing; the rows are right without it",
        )
        yield Mistake(document.key_where(path), message, hint, "not-served", "warning")


def with_defaults(raw: Any) -> Any:
    """The value of a pipeline's document with `defaults` merged into each source."""
    if isinstance(raw, dict) and isinstance(raw.get("sources"), dict) and isinstance(raw.get("defaults"), dict):
        sources = {name: _merged(raw["defaults"], source) for name, source in raw["sources"].items()}
        return {**raw, "sources": sources}
    return raw


def _merged(defaults: Any, own: Any) -> Any:
    """`own` over `defaults`: mappings are merged, null takes a default away."""
    if own is None:
        return defaults
    if not isinstance(own, dict):
        return own
    merged = {**defaults, **own}
    for key, value in own.items():
        if value is None and key in defaults:
            del merged[key]
        elif isinstance(value, dict) and isinstance(defaults.get(key), dict):
            merged[key] = _merged(defaults[key], value)
    return merged
