"""A pipeline as it is run: every source, its schema and its table, resolved so that nobody has to check again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, TypeVar, cast

from pratique import nested_tables as nested
from pratique.apis import ApiInput
from pratique.asking import asked_of, check_cursor, check_parent, filtered
from pratique.config_manager import ConfigManager
from pratique.databases import DatabaseInput
from pratique.documents import KeyPath
from pratique.inputs import FORMATS, CloudInput, FileFormat, PythonInput, format_of, is_served_later, suffix_of
from pratique.mistakes import Code, Mistake, Mistakes, refuse
from pratique.model import LINEAGE_COLUMNS, Disposition
from pratique.nesting import Nest, Unit
from pratique.references import CAPTURE, SchemaOf, check_captures, check_reference, check_stored_keys, parent_of
from pratique.schema import Dialect, Schema

if TYPE_CHECKING:
    from pratique.specs.base import Where
    from pratique.specs.pipeline import SourceSpec
    from pratique.specs.pipeline_files import PipelineFile

OnNewVersion = Literal["replace", "merge", "append", "refuse"]
_TABLE: Final = re.compile(r"\w[\w-]*(\.\w[\w-]*)?")
_LATEST: Final = re.compile(r"latest\(\s*([^()]+?)\s*\)")
_WRITING: Final = ("destination", "write", "lineage")
_GIVEN: Final[Mapping[bool, FileFormat]] = {True: "jsonl", False: "csv"}  # the form of what a test gives in its place


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """One source, resolved: what is read, by which schema, and how it is written into which table."""

    name: str
    path: str  # of files; of a database the name of the table, or `query`; of an API the path that is asked
    base: Path
    format: FileFormat
    schema: Schema
    table: str
    write: Disposition
    keep: str | None
    on_new_version: OnNewVersion | None
    overrides: tuple[tuple[Mapping[str, str], Dialect], ...]
    max_share: float
    parents: tuple[str, ...]  # sources of this pipeline that must be loaded first
    reference_tables: Mapping[str, str]  # schema that a reference names -> its table
    database: DatabaseInput | None = None
    python: PythonInput | None = None
    cloud: CloudInput | None = None
    api: ApiInput | None = None
    records: tuple[str, ...] = ()  # keys that lead to the array of records in a JSON file
    nest: Nest | None = None  # of nested records: where in the documents of another source of this pipeline they are
    unit: Unit = "row"  # of documents: what falls together

    @property
    def type(self) -> str:
        """The word of the language for this kind of source."""
        if self.api:
            return "api"
        return self.database.server.kind if self.database else "python" if self.python else "files"

    @property
    def captured(self) -> str:
        """The path with the parts that fields may be taken from."""
        return "".join(f"{{{place}}}" for place in self.api.captured) if self.api else self.path

    @property
    def given(self) -> str:
        """The source whose records are read: of nested records that of their documents."""
        return self.nest.of if self.nest else self.name


@dataclass(frozen=True, slots=True)
class DestinationPlan:
    """Where good rows go: `name` is the connection's, `path` a file (duckdb) or a folder (parquet)."""

    type: Literal["duckdb", "parquet"]
    path: Path
    name: str


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A checked pipeline; parents stand before their children in `sources`."""

    name: str
    description: str
    environment: str
    path: str
    sources: tuple[SourcePlan, ...]
    destination: DestinationPlan
    lineage: tuple[str, ...] = ("_load_id",)
    notices: tuple[str, ...] = ()
    one_snapshot: bool = False  # all sources are read as their database was at one moment


_T = TypeVar("_T")


class Planner:
    """Resolves one pipeline file."""

    def __init__(
        self, config: ConfigManager, schema_of: SchemaOf, name: str, file: PipelineFile, found: Mistakes
    ) -> None:
        self._config = config
        self._schema_of = schema_of
        self._name = name
        self._file = file
        self._spec = file.spec
        self._document = file.document
        self._found = found
        self._unsound: set[str] = set()  # schemas in which something is wrong

    def plan(self) -> Pipeline:
        """The whole pipeline, as far as it is right; what is wrong is put into `found`."""
        plans = [plan for name, source in self._spec.sources.items() for plan in self._tables(name, source)]
        with self._found.caught():
            self._check_tables(plans)
        plans = [self._with_parents(plan, plans) for plan in plans]
        plans = [_after_what_is_inside(plan, plans) for plan in plans]
        return Pipeline(
            name=self._name,
            description=self._spec.description,
            environment=self._config.environment,
            path=self._document.path,
            sources=self._step(("sources",), lambda: self._ordered(plans), tuple(plans)),
            destination=self._step(
                ("destination",), self._destination, DestinationPlan("duckdb", self._config.root, ""), "connections"
            ),
            lineage=tuple(name for name in LINEAGE_COLUMNS if name in self._spec.lineage),
            notices=self._file.notices,
            one_snapshot=self._spec.together.snapshot == "one",
        )

    def _step(self, path: KeyPath, step: Callable[[], _T], otherwise: _T, *leans_on: str) -> _T:
        """What `step` gives, else `otherwise`; its mistakes are told.

        But not if a part of what stands at `path`, or under the keys that the step leans on, is wrong: they may only
        follow from that.
        """
        unsound = {wrong[0] for wrong in self._file.wrong} | {f"schema {name}" for name in self._unsound}
        if not self._config.connections_sound:
            unsound.add("connections")
        doubted = not unsound.isdisjoint(leans_on) or any(
            wrong[: len(path)] == path or path[: len(wrong)] == wrong for wrong in self._file.wrong
        )
        found = Mistakes() if doubted else self._found
        with found.caught():
            return step()
        return otherwise

    def _fail(self, message: str, path: KeyPath, hint: str = "", code: Code = "conflict", word: str = "") -> NoReturn:
        """Refuse what stands at `path`, or the `word` in it."""
        where = self._document.inside(path, word) if word else self._document.where(path)
        refuse([Mistake(where, message, hint, code, length=len(word))])
        raise AssertionError(message)

    def _connection(self, name: str, path: KeyPath, served: tuple[str, ...]) -> tuple[str, Path]:
        from pratique.specs.connections import local_path  # noqa: PLC0415 - pydantic

        connection, where = self._named(name, path)
        return local_path(connection, served, self._config.root, where, self._document.where(path))

    def _destination(self) -> DestinationPlan:
        name = self._spec.destination.connection
        path: KeyPath = ("destination", "connection")
        kind, target = self._connection(name, path, ("duckdb", "parquet"))
        if kind == "":
            where = self._config.where(("connections", name, "url"))
            hint = "begin the url with duckdb:// (one file) or parquet:// (a folder)"
            refuse([Mistake(where, f"connection {name} does not say what it leads to", hint)])
        return DestinationPlan(cast(Literal["duckdb", "parquet"], kind), target, name)

    def _tables(self, name: str, spec: SourceSpec) -> Iterator[SourcePlan]:
        """The plan of a source; of one with `tables` that of its documents, and one for each further table."""
        documents = self._source(name, spec)
        if documents is None or spec.tables is None:
            yield from [documents] if documents else ()
            return
        at: KeyPath = ("sources", name)
        leans_on = (*_WRITING, f"schema {documents.schema.name}")
        nothing: tuple[nested.NestedTable, ...] = ()
        tables = partial(nested.nested_tables, name, spec, documents.schema, self._schema, self._document, documents)
        inside = self._step(at, tables, nothing, *leans_on)
        yield replace(documents, schema=nested.documents_schema(documents.schema, inside), unit=spec.unit or "document")
        for one in inside:
            path: KeyPath = (*at, "tables", one.table)
            table = self._step(path, partial(self._table, one.table, one.schema.name, path), one.table, *_WRITING)
            yield replace(
                documents, name=f"{name}.{one.table}", schema=one.schema, table=table, keep=None, nest=one.nest
            )

    def _schema(self, reference: str, at: KeyPath) -> Schema | None:
        own = Mistakes()
        schema = self._schema_of(reference, self._document.where(at), own)
        self._found.add(own)
        self._unsound |= {schema.name} if schema and own.errors else set()
        return schema

    def _source(self, name: str, spec: SourceSpec) -> SourcePlan | None:
        at: KeyPath = ("sources", name)
        schema, reads_files, connected = None, spec.type == "files", "connections"
        documents = nested.documents_table(spec)
        reference = spec.schema_ if reads_files else spec.schema_ or name
        if documents is not None:
            schema = self._schema(documents[1], (*at, "tables", documents[0], "schema"))
        elif reference is not None:
            schema = self._schema(reference, (*at, "schema"))
        self._step(at, lambda: self._complete(name, spec), None)
        asked = self._step(at, lambda: asked_of(self._config, name, spec, self._document), None, connected)
        database = asked if isinstance(asked, DatabaseInput) else None
        api = asked if isinstance(asked, ApiInput) else None
        python = asked if isinstance(asked, PythonInput) else None
        nowhere: tuple[Path, CloudInput | None, str | None] = (self._config.root, None, spec.path)
        base, cloud, path = self._step(at, lambda: self._files(name, spec), nowhere, connected)
        path = asked.name.lstrip("/") if asked else path
        captured = "".join(f"{{{place}}}" for place in api.captured) if api else path or ""
        if schema is None or path is None:
            return None
        read, whole = schema, schema
        leans_on = (*_WRITING, f"schema {read.name}")
        write = spec.write or self._spec.write or self._spec.destination.write or "append"
        own_table = documents[0] if documents else None if database else spec.table
        self._step(at, lambda: check_captures(name, captured, read, self._document), None, *leans_on)
        merged = spec.on_new_version == "merge"
        self._step(at, lambda: check_stored_keys(name, read, write, merged=merged), None, *leans_on)
        if asked:
            self._step(at, lambda: check_cursor(name, asked, whole, write, self._document), None, *leans_on)
            read = self._step(at, lambda: filtered(name, spec.filter, whole, self._document), whole, *leans_on)
        share = (
            spec.quarantine.max_share,
            self._spec.quarantine.max_share,
            self._config.settings.quarantine.max_share,
        )
        return SourcePlan(
            name=name,
            path=path,
            base=base,
            format=self._step(at, lambda: self._format(name, spec, path), "csv") if reads_files else _GIVEN[bool(api)],
            schema=read,
            table=self._step(at, lambda: self._table(own_table, read.name, (*at, "table")), read.name, *_WRITING),
            write=write,
            keep=self._step(at, lambda: self._keep(name, spec, read, write), None, *leans_on),
            on_new_version=self._step(at, lambda: self._on_new_version(name, spec, read, write), None, *leans_on),
            overrides=self._step(at, lambda: self._overrides(name, spec, path, read), ()),
            max_share=next(value for value in share if value is not None),
            parents=(),
            reference_tables={},
            database=database,
            python=python,
            cloud=cloud,
            api=api,
            records=self._step(at, lambda: nested.records_of(name, spec, path, self._document), ())
            if reads_files
            else (),
        )

    def _complete(self, name: str, spec: SourceSpec) -> None:
        where = self._document.where(("sources", name))
        words: dict[str, object] = {"path": spec.path, "schema": spec.schema_ or spec.tables}
        if spec.type == "python":
            words = {"use": spec.use}
        elif spec.type != "files":
            words = {"connection": spec.connection}
        missing = [
            Mistake(where, f"sources.{name}: {word} is missing", f"add {word}: …", "missing-key")
            for word, value in words.items()
            if value is None
        ]
        refuse([*missing, *nested.check_tables(name, spec, self._document, self._spec.destination.table)])

    def _files(self, name: str, spec: SourceSpec) -> tuple[Path, CloudInput | None, str | None]:
        """The folder or the bucket from which a source's path counts, and the path there."""
        from pratique.specs.clouds import cloud_input, cloud_of_path, leads_into_a_cloud  # noqa: PLC0415 - pydantic

        at, root = ("sources", name), self._config.root
        if spec.type != "files":
            return root, None, spec.path
        if spec.connection is None:
            return root, *cloud_of_path(spec.path, self._document.where((*at, "path")), root)
        connection, where = self._named(spec.connection, (*at, "connection"))
        if leads_into_a_cloud(connection.get("url")):
            return root, cloud_input(connection, where, root), spec.path
        return self._connection(spec.connection, (*at, "connection"), ("file", "files"))[1], None, spec.path

    def _named(self, name: str, path: KeyPath) -> tuple[dict[str, Any], Where]:
        """A connection of the settings, and where its values stand."""
        config = self._config

        def where(path: KeyPath, key: bool = False) -> str:  # noqa: FBT001, FBT002 - see specs.base.Where
            return config.where(("connections", name, *path), key)

        return config.connection(name, self._document.where(path)), where

    def _format(self, name: str, spec: SourceSpec, path: str) -> FileFormat:
        if is_served_later(path):
            served = ", ".join(sorted(FORMATS))
            message = f"sources.{name}: {suffix_of(path)} files are not served yet"
            self._fail(message, ("sources", name, "path"), f"served: {served}", "not-served")
        if spec.format is not None:
            return spec.format
        found = format_of(path)
        if found is None:
            message = f"sources.{name}: the path does not say which format its files have"
            self._fail(
                message, ("sources", name, "path"), "add format: csv, jsonl, json, excel or parquet", "missing-key"
            )
        return found

    def _table(self, written: str | None, schema: str, path: KeyPath) -> str:
        """The table of a source: its own, the destination's, or the schema's name; under `dataset` if there is one."""
        destination = self._spec.destination
        table = written or schema
        if written is None and destination.table is not None:
            table, path = destination.table, ("destination", "table")
            if len(self._spec.sources) > 1:
                message = f"destination.table names one table for {len(self._spec.sources)} sources"
                self._fail(message, path, "write `table:` at each source, or `dataset:` in the destination")
        if destination.dataset is not None:
            table = f"{self._dataset(destination.dataset)}.{table}"
        parts = table.lower().split(".")
        if not _TABLE.fullmatch(table) or any(part.startswith("_pratique") for part in parts):
            hint = "table or dataset.table: letters, digits, _ and -"
            self._fail(f'"{table}" cannot be the name of a table', path, hint, "value")
        return table

    def _dataset(self, text: str) -> str:
        name = text.replace("{env}", self._config.environment)
        if "{" in name or "}" in name:
            self._fail(
                "destination.dataset: only {env} can stand in braces",
                ("destination", "dataset"),
                'such as "shop_{env}"',
                "value",
            )
        return name

    def _keep(self, name: str, spec: SourceSpec, schema: Schema, write: Disposition) -> str | None:
        """The field of `keep: latest(field)`; a merge needs a key in any case."""
        at: KeyPath = ("sources", name)
        if write == "merge" and not schema.primary_key:
            message = f"sources.{name}: write: merge needs a primaryKey, but schema {schema.name} has none"
            self._fail(message, self._written(name, "write"), f"add primaryKey to {schema.path}", "missing-key")
        own = spec.keep is not None
        text = spec.keep if own else self._spec.destination.keep
        path = (*at, "keep") if own else ("destination", "keep")
        if text is None or (write != "merge" and not own and self._merges_elsewhere()):
            return None
        match = _LATEST.fullmatch(text)
        if match is None:
            self._fail(f'keep: "{text}" is not understood', path, "write keep: latest(field)", "value")
        if write != "merge":
            message = f"keep is for write: merge, but sources.{name} has write: {write}"
            refuse([Mistake(self._document.key_where(path), message, "remove keep, or write: merge", "conflict")])
        if match[1] not in {field.name for field in schema.fields}:
            from pratique.specs.base import nearest  # noqa: PLC0415 - pydantic

            hint = nearest(match[1], [field.name for field in schema.fields], "fields")
            self._fail(
                f'keep names "{match[1]}", which is no field of schema {schema.name}',
                path,
                hint,
                "unknown-name",
                match[1],
            )
        return match[1]

    def _merges_elsewhere(self) -> bool:
        """True if another source merges: a `keep` of the destination then belongs to that one."""
        default = self._spec.write or self._spec.destination.write
        return any((source.write or default) == "merge" for source in self._spec.sources.values())

    def _written(self, name: str, word: str) -> KeyPath:
        """Where the word that holds for a source is written: at the source, the pipeline or the destination."""
        if getattr(self._spec.sources[name], word) is not None:
            return ("sources", name, word)
        return (word,) if getattr(self._spec, word, None) is not None else ("destination", word)

    def _on_new_version(self, name: str, spec: SourceSpec, schema: Schema, write: Disposition) -> OnNewVersion | None:
        wanted = spec.on_new_version
        path: KeyPath = ("sources", name, "on_new_version")
        if wanted is None:
            return None
        if write == "replace":
            self._fail("on_new_version means nothing for write: replace, which replaces all rows", path, "remove it")
        if wanted == "replace" and write != "append":
            self._fail(
                f"on_new_version: replace is for write: append, not for {write}",
                path,
                "a merge updates rows by their key",
            )
        if wanted == "replace" and "_load_id" not in self._spec.lineage:
            self._fail("on_new_version: replace finds a file's rows by _load_id", path, "add _load_id to lineage")
        if wanted == "merge" and not schema.primary_key:
            message = f"on_new_version: merge needs a primaryKey, but schema {schema.name} has none"
            self._fail(message, path, f"add primaryKey to {schema.path}", "missing-key")
        return wanted

    def _overrides(
        self, name: str, spec: SourceSpec, path: str, schema: Schema
    ) -> tuple[tuple[Mapping[str, str], Dialect], ...]:
        from pratique.specs.base import nearest  # noqa: PLC0415 - pydantic

        captures = CAPTURE.findall(path)
        for index, override in enumerate(spec.overrides):
            for capture in override.when:
                if capture not in captures:
                    message = f"sources.{name}: the path has no part {{{capture}}}"
                    self._fail(
                        message,
                        ("sources", name, "overrides", index, "when", capture),
                        nearest(capture, captures, "parts"),
                        "unknown-name",
                    )
        return tuple((override.when, override.dialect.over(schema.dialect)) for override in spec.overrides)

    def _check_tables(self, plans: list[SourcePlan]) -> None:
        """Two sources may share a table only if they agree on its schema and neither replaces it."""
        seen: dict[str, SourcePlan] = {}
        for plan in plans:
            other = seen.setdefault(plan.table.lower(), plan)
            same = (other.schema.name, other.schema.version) == (plan.schema.name, plan.schema.version)
            if other is not plan and not (same and "replace" not in (plan.write, other.write)):
                message = f"sources.{plan.name} and sources.{other.name} both write the table {plan.table}"
                self._fail(message, ("sources", plan.name), "give one of them another `table:`", "duplicate")

    def _with_parents(self, plan: SourcePlan, plans: list[SourcePlan]) -> SourcePlan:
        """The plan with its parents: the sources whose tables its references point to, and those tables."""
        tables: dict[str, str] = {}
        parents: list[str] = [plan.nest.of] if plan.nest else []
        for reference in plan.schema.references:
            siblings = [other for other in plans if other.schema.name == reference.parent]
            if any(other is plan for other in siblings):
                siblings = [plan]
            if len(siblings) > 1 and len({other.table for other in siblings}) > 1:
                names = ", ".join(other.name for other in siblings)
                message = f"schema {plan.schema.name} refers to {reference.parent}, which has several tables: {names}"
                hint = "give these sources one table, or load them in pipelines of their own"
                self._found.add([Mistake(self._document.where(("sources", plan.name)), message, hint, "reference")])
            found = Mistakes() if plan.schema.name in self._unsound else self._found
            parent = siblings[0].schema if siblings else parent_of(plan.schema, reference, self._schema_of, found)
            if parent is None:
                continue
            if siblings and self._unsound.isdisjoint({plan.schema.name, parent.name}):
                with self._found.caught():
                    check_reference(plan.schema, parent, reference)
            tables[reference.parent] = siblings[0].table if siblings else self._parent_table(parent)
            parents += [other.name for other in siblings if other is not plan and other.name not in parents]
        plan = replace(plan, parents=tuple(parents), reference_tables=tables)
        return self._driven(plan, plans) if plan.api and plan.api.parent else plan

    def _driven(self, plan: SourcePlan, plans: list[SourcePlan]) -> SourcePlan:
        """The plan of a source that is asked for each row of another one: after it, by its table."""
        api, found = plan.api, self._found
        assert api is not None and api.parent is not None  # noqa: S101, PT018 - asked before
        parent = next((other for other in plans if other.name == api.parent.source != plan.name), None)
        with found.caught():
            if parent is not None or api.parent.source not in self._spec.sources or api.parent.source == plan.name:
                check_parent(plan.name, api, parent.schema if parent else None, self._document)
        if parent is None:
            return plan
        driven = replace(api, parent=replace(api.parent, table=parent.table))
        return replace(plan, api=driven, parents=tuple(dict.fromkeys((*plan.parents, parent.name))))

    def _parent_table(self, parent: Schema) -> str:
        """Where a schema's table is if no source of this pipeline writes it."""
        dataset = self._spec.destination.dataset
        return parent.name if dataset is None else f"{self._dataset(dataset)}.{parent.name}"

    def _ordered(self, plans: list[SourcePlan]) -> tuple[SourcePlan, ...]:
        """Parents first, otherwise as written."""
        ordered: list[SourcePlan] = []
        waiting = list(plans)
        while waiting:
            done = {plan.name for plan in ordered}
            ready = next((plan for plan in waiting if done.issuperset(plan.parents)), None)
            if ready is None:
                circle = " and ".join(plan.name for plan in waiting)
                hint = "remove one of the references, or make it a check of a later pipeline"
                self._fail(f"the sources {circle} refer to each other in a circle", ("sources", waiting[0].name), hint)
            ordered.append(ready)
            waiting.remove(ready)
        return tuple(ordered)


def _after_what_is_inside(plan: SourcePlan, plans: list[SourcePlan]) -> SourcePlan:
    """Documents come after what their nested records refer to: all of them are loaded together."""
    inside = {other.name: other.parents for other in plans if other.nest and other.nest.of == plan.name}
    needed = [name for parents in inside.values() for name in parents if name not in {plan.name, *inside}]
    return replace(plan, parents=tuple(dict.fromkeys((*plan.parents, *needed)))) if inside else plan
