"""Pipeline files on disk: defaults merged into each source, words of later features told or refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pratique.documents import Document, KeyPath
from pratique.specs.base import Mistake, Spec, parse, refuse
from pratique.specs.pipeline import (
    DATABASE_TYPES,
    DATABASE_WORDS,
    DESTINATION_WORDS,
    FILE_WORDS,
    NOTICED_WORDS,
    PIPELINE_WORDS,
    SOURCE_WORDS,
    PipelineSpec,
    SourceSpec,
)


class PipelineFile:
    """A pipeline's document: its spec, notices, and the place of each value, also of those that `defaults` gave."""

    def __init__(self, document: Document) -> None:
        self._document = document
        raw = document.value
        if raw is None:
            refuse(
                [Mistake(document.where(), "the pipeline file is empty", "begin with `sources:` and `destination:`")]
            )
        if isinstance(raw, dict) and isinstance(raw.get("sources"), dict) and isinstance(raw.get("defaults"), dict):
            sources = {name: _merged(raw["defaults"], source) for name, source in raw["sources"].items()}
            raw = {**raw, "sources": sources}
        spec, mistakes = parse(PipelineSpec, raw, self.where)
        if spec is None:
            refuse(mistakes)
            raise AssertionError(document.path)
        refuse(self._later(spec))
        self.spec = spec
        self.notices = tuple(dict.fromkeys(self._notices(spec)))

    def where(self, path: KeyPath, key: bool = False) -> str:  # noqa: FBT001, FBT002 - see specs.base.Where
        """`file:line:column` of the value at `path`, or of its key."""
        if path[:1] == ("sources",) and not self._document.has(path):
            for length in range(len(path), 2, -1):
                if self._document.has(path[:length]):
                    break
                if self._document.has(("defaults", *path[2:length])):
                    return self._document.place(("defaults", *path[2:]), key)
        return self._document.place(path, key)

    def _later(self, spec: PipelineSpec) -> Iterator[Mistake]:
        """Words without whose feature the result would be wrong."""
        for name, source in spec.sources.items():
            if source.type not in {"files", *DATABASE_TYPES}:
                message = f"sources.{name}: type {source.type} is not served yet"
                yield Mistake(self.where(("sources", name, "type")), message, "served: files, postgres, mysql, sqlite")
            yield from self._refused(source, SOURCE_WORDS, ("sources", name))
            yield from self._strange(name, source)
        yield from self._refused(spec.destination, DESTINATION_WORDS, ("destination",))
        yield from self._refused(spec, PIPELINE_WORDS, ())

    def _refused(self, spec: Spec, words: frozenset[str], path: KeyPath) -> Iterator[Mistake]:
        for word in sorted(words):
            if getattr(spec, word) is not None:
                shown = ".".join(map(str, (*path, word)))
                hint = "a filter of rows stands in the schema" if word == "filter" else "leave it out"
                yield Mistake(self.where((*path, word), key=True), f"{shown} is not served yet", hint)

    def _strange(self, name: str, source: SourceSpec) -> Iterator[Mistake]:
        """Words that belong to another type of source."""
        database = source.type in DATABASE_TYPES
        for word in sorted(FILE_WORDS if database else DATABASE_WORDS):
            if getattr(source, word):
                hint = f"leave it out, or change type: {source.type}"
                if word == "filter":
                    hint = "a filter of rows stands in the schema"
                where = self.where(("sources", name, word), key=True)
                what = f"for type {source.type}" if database or source.type == "files" else "yet"
                yield Mistake(where, f"sources.{name}.{word} is not served {what}", hint)

    @staticmethod
    def _notices(spec: PipelineSpec) -> Iterator[str]:
        """Words that change nothing about the rows, and do nothing yet."""
        for word in sorted(NOTICED_WORDS):
            if getattr(spec, word) is not None:
                yield f"{word} is not served yet"
        for name, source in spec.sources.items():
            if source.expect is not None:
                yield f"sources.{name}.expect is not served yet"


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
