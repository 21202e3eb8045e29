"""A project on disk: configuration, schemas and pipelines, resolved into plans that nobody has to check again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NoReturn, cast

from pratique.config_manager import ConfigManager
from pratique.databases import DatabaseInput, DatabaseKind
from pratique.documents import KeyPath, folder_of, load_document
from pratique.errors import ConfigurationError
from pratique.model import LINEAGE_COLUMNS, Disposition
from pratique.plan_checks import check_reference, check_stored_keys
from pratique.schema import Dialect, Schema

if TYPE_CHECKING:
    from pratique.specs.pipeline import SourceSpec
    from pratique.specs.pipeline_files import PipelineFile

OnNewVersion = Literal["replace", "merge", "append", "refuse"]
FileFormat = Literal["csv", "jsonl", "json", "parquet"]

_SUFFIXES: Final = (".yaml", ".yml", ".json")
_FORMATS: Final[Mapping[str, FileFormat]] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
}
_LATER_SUFFIXES: Final = frozenset({".xz", ".xlsx", ".xls"})
_PACKINGS: Final = frozenset({".gz", ".zst", ".bz2", ".zip"})
_CAPTURE: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?::[^{}]*)?\}")
_TABLE: Final = re.compile(r"\w[\w-]*(\.\w[\w-]*)?")
_LATEST: Final = re.compile(r"latest\(\s*([^()]+?)\s*\)")


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """One source, resolved: what is read, by which schema, and how it is written into which table."""

    name: str
    path: str  # of files; of a database source the table, or `query`
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

    @property
    def type(self) -> str:
        """The word of the language for this kind of source."""
        return self.database.server.kind if self.database else "files"


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


class Project:
    """The folder that holds config/, pipelines/ and schemas/, seen in one environment.

    Whatever it returns is checked; every mistake is a ConfigurationError with file, line and column.
    """

    def __init__(self, root: str | Path | None = None, environment: str | None = None) -> None:
        self.config = ConfigManager(environment, root)
        self.root = self.config.root
        self._schemas: dict[str, dict[int, Schema]] = {}

    def pipeline_names(self) -> list[str]:
        """The names of all pipelines, sorted; their files are not read."""
        return sorted(_files(self.root / "pipelines"))

    def pipeline(self, name: str) -> Pipeline:
        """The pipeline of this name, checked together with its schemas and connections."""
        from pratique.specs.base import nearest  # noqa: PLC0415 - pydantic: 0.1 s that `--help` does without
        from pratique.specs.pipeline_files import PipelineFile  # noqa: PLC0415 - the same

        files = _files(self.root / "pipelines")
        if name not in files:
            raise ConfigurationError(
                f'there is no pipeline "{name}"',
                where=str(self.root / "pipelines"),
                hint=nearest(name, files, "known pipelines"),
            )
        document = load_document(files[name])
        return _Planner(self, name, PipelineFile(document), document.path).plan()

    def schema(self, ref: str, where: str = "") -> Schema:
        """The schema of `NAME@VERSION`, or the latest version of `NAME`; errors stand at `where`."""
        from pratique.specs.base import nearest  # noqa: PLC0415 - pydantic

        name, at, version = ref.partition("@")
        versions = self._versions(name)
        if not versions:
            raise ConfigurationError(
                f'there is no schema "{name}"',
                where=where or str(self.root / "schemas"),
                hint=nearest(name, self._schema_names(), "known schemas"),
            )
        if at and not (version.isdecimal() and int(version) in versions):
            raise ConfigurationError(
                f'schema {name} has no version "{version}"',
                where=where or str(self.root / "schemas"),
                hint=f"known versions: {', '.join(map(str, sorted(versions)))}",
            )
        return versions[int(version) if at else max(versions)]

    def _schema_names(self) -> set[str]:
        return {stem.partition("@")[0] for stem in _files(self.root / "schemas")}

    def _versions(self, name: str) -> dict[int, Schema]:
        """All versions of a schema; read and checked once."""
        if name not in self._schemas:
            self._schemas[name] = {}
            for stem, path in _files(self.root / "schemas").items():
                if stem.partition("@")[0] == name:
                    self._read_versions(name, path)
        return self._schemas[name]

    def _read_versions(self, name: str, path: Path) -> None:
        from pratique.schema.compile import check  # noqa: PLC0415 - the SQL parser
        from pratique.specs.schema_files import load_schemas  # noqa: PLC0415 - pydantic

        for schema in load_schemas(path):
            if schema.version in self._schemas[name]:
                raise ConfigurationError(
                    f"version {schema.version} of {name} stands in two files",
                    where=schema.path,
                    hint=f"keep one of {self._schemas[name][schema.version].path} and {schema.path}",
                )
            check(schema)
            self._schemas[name][schema.version] = schema


def _files(folder: Path) -> dict[str, Path]:
    """YAML and JSON files of a folder by their stem; two files of one stem are an error."""
    found: dict[str, Path] = {}
    for path in folder_of(folder):
        if path.suffix in _SUFFIXES and not path.name.startswith("."):
            if path.stem in found:
                message = f"{found[path.stem].name} and {path.name} have the same name"
                raise ConfigurationError(message, where=str(folder), hint="keep one of them")
            found[path.stem] = path
    return found


class _Planner:
    """Resolves one pipeline file."""

    def __init__(self, project: Project, name: str, file: PipelineFile, path: str) -> None:
        self._project = project
        self._name = name
        self._file = file
        self._spec = file.spec
        self._path = path

    def plan(self) -> Pipeline:
        """The whole pipeline, or the first mistake in it."""
        plans = [self._source(name, source) for name, source in self._spec.sources.items()]
        self._check_tables(plans)
        return Pipeline(
            name=self._name,
            description=self._spec.description,
            environment=self._project.config.environment,
            path=self._path,
            sources=self._ordered([self._with_parents(plan, plans) for plan in plans]),
            destination=self._destination(),
            lineage=tuple(name for name in LINEAGE_COLUMNS if name in self._spec.lineage),
            notices=self._file.notices,
        )

    def _fail(self, message: str, path: KeyPath, hint: str = "") -> NoReturn:
        raise ConfigurationError(message, where=self._file.where(path), hint=hint)

    def _connection(self, name: str, path: KeyPath, served: tuple[str, ...]) -> tuple[str, Path]:
        from pratique.specs.connections import local_path  # noqa: PLC0415 - pydantic

        config = self._project.config
        connection = config.connection(name, self._file.where(path))
        return local_path(connection, served, self._project.root, lambda key: config.where(("connections", name, *key)))

    def _destination(self) -> DestinationPlan:
        name = self._spec.destination.connection
        path: KeyPath = ("destination", "connection")
        kind, target = self._connection(name, path, ("duckdb", "parquet"))
        if kind == "":
            where = self._project.config.where(("connections", name, "url"))
            hint = "begin the url with duckdb:// (one file) or parquet:// (a folder)"
            raise ConfigurationError(f"connection {name} does not say what it leads to", where=where, hint=hint)
        return DestinationPlan(cast(Literal["duckdb", "parquet"], kind), target, name)

    def _source(self, name: str, spec: SourceSpec) -> SourcePlan:
        at: KeyPath = ("sources", name)
        if spec.type != "files":
            return self._database_source(name, spec)
        if spec.path is None or spec.schema_ is None:
            missing = "path" if spec.path is None else "schema"
            self._fail(f"sources.{name}: {missing} is missing", at, f"add {missing}: …")
        schema = self._project.schema(spec.schema_, self._file.where((*at, "schema")))
        self._check_captures(name, spec.path, schema)
        base = self._project.root
        if spec.connection is not None:
            _, base = self._connection(spec.connection, (*at, "connection"), ("file", "files"))
        elif "://" in spec.path:
            self._fail(
                f"sources.{name}: a path of a cloud is not served yet", (*at, "path"), "served: paths of this machine"
            )
        write = spec.write or self._spec.write or self._spec.destination.write or "append"
        check_stored_keys(name, schema, write, merged=spec.on_new_version == "merge")
        return SourcePlan(
            name=name,
            path=spec.path,
            base=base,
            format=self._format(name, spec, spec.path),
            schema=schema,
            table=self._table(spec.table, schema.name, (*at, "table")),
            write=write,
            keep=self._keep(name, spec, schema, write),
            on_new_version=self._on_new_version(name, spec, schema, write),
            overrides=self._overrides(name, spec, spec.path, schema),
            max_share=self._max_share(spec),
            parents=(),
            reference_tables={},
        )

    def _max_share(self, spec: SourceSpec) -> float:
        settings = self._project.config.settings
        share = (spec.quarantine.max_share, self._spec.quarantine.max_share, settings.quarantine.max_share)
        return next(value for value in share if value is not None)

    def _database_source(self, name: str, spec: SourceSpec) -> SourcePlan:
        """A source that reads a table or query; its schema is that of its own name, if it names none."""
        from pratique.schema.compile import check  # noqa: PLC0415 - the SQL parser
        from pratique.specs.databases import database_input, server  # noqa: PLC0415 - pydantic

        at: KeyPath = ("sources", name)
        if spec.connection is None:
            self._fail(f"sources.{name}: connection is missing", at, "add connection: …, the name of one in config/")
        config = self._project.config
        found = config.connection(spec.connection, self._file.where((*at, "connection")))
        kind = cast(DatabaseKind, spec.type)
        places = ("connections", spec.connection)
        there = server(spec.connection, found, kind, config.root, lambda key: config.where((*places, *key)))
        asked = database_input(name, spec, there, lambda key: self._file.where((*at, *key)))
        schema = self._project.schema(spec.schema_ or name, self._file.where((*at, "schema")))
        write = spec.write or self._spec.write or self._spec.destination.write or "append"
        check_stored_keys(name, schema, write, merged=False)
        self._check_cursor(name, asked, schema, write)
        self._check_captures(name, "", schema)
        if spec.filter is not None:
            both = f"({schema.filter}) AND ({spec.filter})" if schema.filter else spec.filter
            schema = replace(schema, filter=both)
            try:
                check(schema)
            except ConfigurationError as error:
                self._fail(f"sources.{name}.filter: {error.message}", (*at, "filter"), error.hint)
        return SourcePlan(
            name=name,
            path=asked.name,
            base=config.root,
            format="csv",
            schema=schema,
            table=self._table(None, schema.name, (*at, "table")),
            write=write,
            keep=self._keep(name, spec, schema, write),
            on_new_version=None,
            overrides=(),
            max_share=self._max_share(spec),
            parents=(),
            reference_tables={},
            database=asked,
        )

    def _check_cursor(self, name: str, asked: DatabaseInput, schema: Schema, write: Disposition) -> None:
        path: KeyPath = ("sources", name, "cursor")
        if asked.cursor is None:
            return
        if write == "replace":
            hint = "write cursor: null to read all rows each time, or write: merge"
            self._fail(f"sources.{name}: write: replace would keep the new rows only", path, hint)
        if asked.cursor.lookback and not schema.primary_key:
            message = f"sources.{name}: a look-back reads rows again, and schema {schema.name} has no key to tell them"
            self._fail(message, (*path, "lookback"), "give the schema a primaryKey, or remove lookback")

    def _check_captures(self, name: str, path: str, schema: Schema) -> None:
        captures = _CAPTURE.findall(path)
        for field in schema.fields:
            if field.capture is not None and field.capture not in captures:
                message = (
                    f"schema {schema.name} takes {field.name} from path.{field.capture}, which the path does not name"
                )
                self._fail(message, ("sources", name, "path"), f"write {{{field.capture}}} at its place in the path")

    def _format(self, name: str, spec: SourceSpec, path: str) -> FileFormat:
        suffix = Path(path).suffix.lower()
        if suffix in _PACKINGS:  # `orders.csv.gz` is CSV
            suffix = Path(path).with_suffix("").suffix.lower()
        if suffix in _LATER_SUFFIXES:
            served = ", ".join(sorted(_FORMATS))
            self._fail(
                f"sources.{name}: {suffix} files are not served yet", ("sources", name, "path"), f"served: {served}"
            )
        if spec.format is not None:
            return spec.format
        if suffix not in _FORMATS:
            message = f"sources.{name}: the path does not say which format its files have"
            self._fail(message, ("sources", name, "path"), "add format: csv, jsonl, json or parquet")
        return _FORMATS[suffix]

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
            self._fail(
                f'"{table}" cannot be the name of a table', path, "table or dataset.table: letters, digits, _ and -"
            )
        return table

    def _dataset(self, text: str) -> str:
        name = text.replace("{env}", self._project.config.environment)
        if "{" in name or "}" in name:
            self._fail(
                "destination.dataset: only {env} can stand in braces",
                ("destination", "dataset"),
                'such as "shop_{env}"',
            )
        return name

    def _keep(self, name: str, spec: SourceSpec, schema: Schema, write: Disposition) -> str | None:
        """The field of `keep: latest(field)`; a merge needs a key in any case."""
        at: KeyPath = ("sources", name)
        if write == "merge" and not schema.primary_key:
            message = f"sources.{name}: write: merge needs a primaryKey, but schema {schema.name} has none"
            self._fail(message, self._written(name, "write"), f"add primaryKey to {schema.path}")
        own = spec.keep is not None
        text = spec.keep if own else self._spec.destination.keep
        path = (*at, "keep") if own else ("destination", "keep")
        if text is None or (write != "merge" and not own and self._merges_elsewhere()):
            return None
        match = _LATEST.fullmatch(text)
        if match is None:
            self._fail(f'keep: "{text}" is not understood', path, "write keep: latest(field)")
        if write != "merge":
            self._fail(f"keep is for write: merge, but sources.{name} has write: {write}", path, "remove keep")
        if match[1] not in {field.name for field in schema.fields}:
            from pratique.specs.base import nearest  # noqa: PLC0415 - pydantic

            hint = nearest(match[1], [field.name for field in schema.fields], "fields")
            self._fail(f'keep names "{match[1]}", which is no field of schema {schema.name}', path, hint)
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
            self._fail(message, path, f"add primaryKey to {schema.path}")
        return wanted

    def _overrides(
        self, name: str, spec: SourceSpec, path: str, schema: Schema
    ) -> tuple[tuple[Mapping[str, str], Dialect], ...]:
        from pratique.specs.base import nearest  # noqa: PLC0415 - pydantic

        captures = _CAPTURE.findall(path)
        for index, override in enumerate(spec.overrides):
            for capture in override.when:
                if capture not in captures:
                    message = f"sources.{name}: the path has no part {{{capture}}}"
                    self._fail(
                        message,
                        ("sources", name, "overrides", index, "when", capture),
                        nearest(capture, captures, "parts"),
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
                self._fail(message, ("sources", plan.name), "give one of them another `table:`")

    def _with_parents(self, plan: SourcePlan, plans: list[SourcePlan]) -> SourcePlan:
        """The plan with its parents: the sources whose tables its references point to, and those tables."""
        tables: dict[str, str] = {}
        parents: list[str] = []
        for reference in plan.schema.references:
            siblings = [other for other in plans if other.schema.name == reference.parent]
            if any(other is plan for other in siblings):
                siblings = [plan]
            if len(siblings) > 1 and len({other.table for other in siblings}) > 1:
                names = ", ".join(other.name for other in siblings)
                self._fail(
                    f"schema {plan.schema.name} refers to {reference.parent}, which has several tables: {names}",
                    ("sources", plan.name),
                )
            parent = siblings[0].schema if siblings else self._project.schema(reference.parent, reference.where)
            check_reference(plan.schema, parent, reference)
            tables[reference.parent] = siblings[0].table if siblings else self._parent_table(parent)
            parents += [other.name for other in siblings if other is not plan and other.name not in parents]
        return replace(plan, parents=tuple(parents), reference_tables=tables)

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
