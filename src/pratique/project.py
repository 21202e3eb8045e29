"""A project on disk: configuration, schemas and pipelines, as files of one folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pratique.config_manager import ConfigManager
from pratique.documents import Document, folder_of, load_document, shown_path
from pratique.errors import ConfigurationError
from pratique.expectations import Promise
from pratique.mistakes import Mistake, Mistakes, refuse
from pratique.planning import Pipeline, Planner
from pratique.schema import Schema
from pratique.schema.rules import sensitive

_SUFFIXES: Final = (".yaml", ".yml", ".json")


class Project:
    """The folder that holds config/, pipelines/ and schemas/, seen in one environment.

    Whatever it returns is checked; a ConfigurationError carries every mistake of the files that were read, each with
    file, line and column. With `found`, mistakes of the configuration are put there, and what is right of it holds.
    """

    def __init__(
        self, root: str | Path | None = None, environment: str | None = None, found: Mistakes | None = None
    ) -> None:
        self.config = ConfigManager(environment, root, found)
        self.root = self.config.root
        self._schemas: dict[str, tuple[dict[int, Schema], Mistakes]] = {}
        self._promises: dict[str, Promise] = {}

    def pipeline_names(self) -> list[str]:
        """The names of all pipelines, sorted; their files are not read."""
        return sorted(_files(self.root / "pipelines"))

    def test_files(self) -> list[Path]:
        """The files of tests beside the pipelines, sorted; they are not read."""
        return sorted(_files(self.root / "pipelines" / "tests").values())

    def schema_names(self) -> list[str]:
        """The names of all schemas, sorted; their files are not read."""
        return sorted({stem.partition("@")[0] for stem in _files(self.root / "schemas")})

    def pipeline(self, name: str) -> Pipeline:
        """The pipeline of this name, checked together with its schemas and connections."""
        found = Mistakes()
        pipeline = self.read_pipeline(name, found)
        found.refuse()
        assert pipeline is not None  # noqa: S101 - `refuse` raised otherwise
        return pipeline

    def read_pipeline(self, name: str, found: Mistakes) -> Pipeline | None:
        """What is right of a pipeline; every mistake in it and in its schemas is put into `found`."""
        from pratique.specs.base import nearest  # noqa: PLC0415 - pydantic: 0.1 s that `--help` does without
        from pratique.specs.pipeline_files import read_pipeline  # noqa: PLC0415 - the same

        with found.caught():
            files = _files(self.root / "pipelines")
            if name not in files:
                message, hint = f'there is no pipeline "{name}"', nearest(name, files, "known pipelines")
                refuse([Mistake(str(self.root / "pipelines"), message, hint, "unknown-name")])
            file = read_pipeline(name, load_document(files[name], found), found)
            if file is not None:
                self._promises[name] = file.promise
                return Planner(self.config, self.read_schema, name, file, found).plan()
        return None

    def promise(self, name: str) -> Promise:
        """What a pipeline promises by the clock, and whose it is; nothing of both if its file cannot be read."""
        if name not in self._promises:
            self.read_pipeline(name, Mistakes())
        return self._promises.get(name, Promise(name))

    def pipeline_document(self, name: str) -> tuple[Document, Mapping[str, Any]]:
        """The document of a pipeline that is right, and what it says with `defaults` merged into each source."""
        from pratique.specs.pipeline_files import with_defaults  # noqa: PLC0415 - pydantic

        document = replace(load_document(_files(self.root / "pipelines")[name]), heirs="sources")
        return document, with_defaults(document.value)

    def schema(self, ref: str, where: str = "") -> Schema:
        """The schema of `NAME@VERSION`, or the latest version of `NAME`; errors stand at `where`."""
        found = Mistakes()
        schema = self.read_schema(ref, where, found)
        found.refuse()
        assert schema is not None  # noqa: S101 - `refuse` raised otherwise
        return schema

    def read_schema(self, ref: str, where: str, found: Mistakes) -> Schema | None:
        """What is right of a schema; mistakes in its files, or that it does not exist, are put into `found`."""
        from pratique.specs.base import nearest  # noqa: PLC0415 - pydantic

        name, at, version = ref.partition("@")
        where = where or str(self.root / "schemas")
        with found.caught():
            versions = self.versions(name, found)
            if name not in self.schema_names():
                hint = nearest(name, self.schema_names(), "known schemas")
                found.add([Mistake(where, f'there is no schema "{name}"', hint, "unknown-name", length=len(name))])
            elif at and versions and not (version.isdecimal() and int(version) in versions):
                hint = f"known versions: {', '.join(map(str, sorted(versions)))}"
                found.add([Mistake(where, f'schema {name} has no version "{version}"', hint, "unknown-name")])
            elif versions:
                return versions[int(version) if at else max(versions)]
        return None

    def versions(self, name: str, found: Mistakes) -> dict[int, Schema]:
        """All versions of a schema by number, read and checked once; mistakes are put into `found`."""
        from pratique.specs.schema_files import load_schemas  # noqa: PLC0415 - pydantic

        if name not in self._schemas:
            versions: dict[int, Schema] = {}
            mistakes = Mistakes()
            for stem, path in _files(self.root / "schemas").items():
                for schema in load_schemas(path, mistakes) if stem.partition("@")[0] == name else ():
                    other = versions.setdefault(schema.version, schema)
                    if other is not schema:
                        message = f"version {schema.version} of {name} stands in two files"
                        hint = f"keep one of {other.path} and {schema.path}"
                        mistakes.add([Mistake(schema.place(("version",)), message, hint, "duplicate")])
            self._schemas[name] = (versions, mistakes)
        versions, mistakes = self._schemas[name]
        found.add(mistakes)
        return versions


def sensitive_fields(root: Path) -> frozenset[str] | None:
    """Names and headers of every field that a schema of the project marks sensitive; None if one cannot be read."""
    from pratique.specs.schema_files import load_schemas  # noqa: PLC0415 - pydantic

    try:
        schemas = [schema for path in _files(root / "schemas").values() for schema in load_schemas(path)]
    except ConfigurationError:
        return None
    marked = (schema.field(name) for schema in schemas for name in sensitive(schema))
    return frozenset(name for field in marked for name in (field.name, *field.headers))


def _files(folder: Path) -> dict[str, Path]:
    """YAML and JSON files of a folder by their stem; two files of one stem are an error."""
    found: dict[str, Path] = {}
    for path in folder_of(folder):
        if path.suffix in _SUFFIXES and not path.name.startswith("."):
            if path.stem in found:
                message = f"{found[path.stem].name} and {path.name} have the same name"
                refuse([Mistake(f"{shown_path(path)}:1:1", message, "keep one of them", "duplicate")])
            found[path.stem] = path
    return found
