"""A project out of files: everything is looked at, then the files that it takes are proposed, and written at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pratique.config_manager import ConfigManager, config_files
from pratique.documents import shown_path
from pratique.engines import EngineSettings
from pratique.engines.duckdb_session import Session
from pratique.errors import ConfigurationError, SourceError, StateError
from pratique.inference.columns import Answers
from pratique.inference.databases import Place, declared_links, read_tables
from pratique.inference.files import files_of, read
from pratique.inference.keys import Key, Link, keys, links
from pratique.inference.layout import flow
from pratique.inference.names import file_name
from pratique.inference.profile import Read, Table, profile
from pratique.inference.project_text import config_text, database_text, examples_text, pipeline_text
from pratique.inference.records import broken_record, sound_records
from pratique.inference.schema_text import schema_text
from pratique.mistakes import Mistakes
from pratique.sources import ReadLimits
from pratique.workspace import workspace

_WAREHOUSE: Final = "warehouse"
_WAREHOUSE_URL: Final = "duckdb://warehouse.duckdb"
_DATABASES: Final = ("duckdb://", "parquet://")
_SUFFIXES: Final = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Proposal:
    """What was found, and the texts of the files that are to be written, by their path below the project."""

    root: Path
    pipeline: str
    tables: tuple[Table, ...]  # parents first
    keys: Mapping[str, Sequence[Key]]
    links: tuple[Link, ...]
    left_out: tuple[str, ...]
    texts: Mapping[str, str]


def propose(root: Path, target: Path, name: str | None, answers: Answers) -> Proposal:
    """Look at all records of a file, or of all files of a folder. Nothing is written but passing files.

    Raises SourceError where there is nothing to read, ConfigurationError where the configuration that is there does not
    say where rows shall go.
    """
    target = Path(os.path.abspath(target))  # noqa: PTH100 - links stay: a source names files as people do
    if not target.exists():
        raise SourceError(f"there is no file or folder {shown_path(target)}", hint="check its name")
    config = ConfigManager(root=root)
    limits = _limits(config)
    with workspace(root / config.settings.state.path / "tmp") as folder:
        found, left_out = files_of(target, limits, folder)
        several = target.name if target.is_dir() else target.stem
        pipeline = file_name(name or (found[0].name if target.is_file() and len(found) == 1 else several))
        if len(found) == 1 and name:
            found = [replace(found[0], name=pipeline)]
        places = _Places.of(root, found[0].base, pipeline, config)
        reads = [read(files, places.path(files.pattern), limits, folder) for files in found]
        told = {files.name: files.look.format for files in found if files.told}

        def text(tables: Sequence[Table]) -> str:
            return pipeline_text(pipeline, tables, told, places.connection, places.destination)

        made = _composed(pipeline, reads, answers, config, folder, text)
    return replace(made, root=root, left_out=tuple(left_out), texts={**places.texts, **made.texts})


def propose_database(root: Path, place: Place, wanted: Sequence[str], name: str | None, answers: Answers) -> Proposal:
    """Look at all rows of the tables of a database that are `wanted`, or of all tables; the rest as `propose`."""
    config = ConfigManager(root=root)
    destination, texts = _around(root, place, config)
    with workspace(root / config.settings.state.path / "tmp") as folder:
        reads = read_tables(place, wanted, _limits(config), folder)
        pipeline = file_name(name or place.name)

        def text(tables: Sequence[Table]) -> str:
            return database_text(pipeline, tables, place.name, destination)

        made = _composed(pipeline, reads, answers, config, folder, text)
    return replace(made, root=root, texts={**texts, **made.texts})


def _limits(config: ConfigManager) -> ReadLimits:
    limits = config.settings.limits
    return ReadLimits(
        limits.record_bytes_max,
        limits.columns_max,
        limits.files_per_load_max,
        limits.unpacked_bytes_max,
        limits.expansion_max,
    )


def _composed(
    pipeline: str,
    reads: Sequence[Read],
    answers: Answers,
    config: ConfigManager,
    folder: Path,
    text: Callable[[Sequence[Table]], str],
) -> Proposal:
    """What all records say, as schemas, a pipeline (its `text` by its tables) and a first test."""
    limits = config.settings.limits
    settings = EngineSettings(
        folder, memory_limit=limits.memory, threads=limits.threads, max_temp_directory_size=limits.temporary_disk,
        record_bytes_max=limits.record_bytes_max,
    )  # fmt: skip
    with _session(settings, tuple(file.path for item in reads for file in item.landed.files)) as session:
        tables = [profile(session, item, number, answers) for number, item in enumerate(reads)]
        by_name = {table.name: keys(session, table, item.key) for table, item in zip(tables, reads, strict=True)}
        linked = links(session, tables, by_name, declared_links(reads))
        _referred(by_name, linked)
        tables = _ordered(tables, linked)
        texts = {f"schemas/{table.name}.yaml": schema_text(table, by_name[table.name], linked) for table in tables}
        texts[f"pipelines/{pipeline}.yaml"] = text(tables)
        given = sound_records(session, tables, linked)
        if given:
            example = examples_text(pipeline, given, broken_record(tables, by_name, given))
            texts[f"pipelines/tests/{pipeline}.yaml"] = example
    return Proposal(Path(), pipeline, tuple(tables), by_name, tuple(linked), (), texts)


def _around(root: Path, place: Place, config: ConfigManager) -> tuple[str, Mapping[str, str]]:
    """The connection into which rows go, and the configuration if it has to be written."""
    if not config_files(root, Mistakes()):
        words = {_WAREHOUSE: {"url": _WAREHOUSE_URL}, place.name: place.words}
        return _WAREHOUSE, {"config/default.yaml": config_text(words, "the database that is read")}
    databases = _destinations(config)
    lacking = ([] if databases else [f"{_WAREHOUSE}: {flow({'url': _WAREHOUSE_URL})}"]) + (
        [] if place.known else [f"{place.name}: {flow(place.words)}"]
    )
    if lacking:
        raise _lacking(root, lacking, "rows" if not databases else "this database")
    return databases[0], {}


@contextmanager
def _session(settings: EngineSettings, paths: tuple[Path, ...]) -> Iterator[Session]:
    session = Session(settings, paths)
    try:
        yield session
    finally:
        session.close()


def _referred(by_name: dict[str, list[Key]], linked: Sequence[Link]) -> None:
    """A field that others refer to is a key of its table, if the table has none yet."""
    for link in linked:
        known = by_name[link.parent]
        if link.rule and not any(key.good for key in known):
            key = Key(
                (link.parent_field,), True, f"different in all records, and {link.child}.{link.field} refers to it"
            )
            by_name[link.parent] = [key, *(other for other in known if other.fields != key.fields)]


def _ordered(tables: Sequence[Table], linked: Sequence[Link]) -> list[Table]:
    """Parents before their children, else as they came."""
    ordered: list[Table] = []
    waiting = list(tables)
    while waiting:
        names = {table.name for table in waiting}
        bound = {link.child for link in linked if link.rule and link.parent in names}
        free = [table for table in waiting if table.name not in bound]
        ordered += free[:1]
        waiting.remove(free[0])
    return ordered


@dataclass(frozen=True, slots=True)
class _Places:
    """How the pipeline reaches its files and its destination, and the configuration if it has to be written."""

    prefix: str
    connection: str | None
    destination: str
    texts: Mapping[str, str]

    def path(self, pattern: str) -> str:
        """How a source names files in their folder."""
        return f"{self.prefix}{pattern}"

    @classmethod
    def of(cls, root: Path, base: Path, pipeline: str, config: ConfigManager) -> _Places:
        inside = base.resolve().is_relative_to(root.resolve())
        prefix = (
            ""
            if not inside or base.resolve() == root.resolve()
            else f"{base.resolve().relative_to(root.resolve()).as_posix()}/"
        )
        if set("*?{}") & set(prefix):
            raise SourceError(
                "its folder has characters that stand for others in a path", where=str(base), hint="rename it"
            )
        name = None if inside else f"{pipeline}_files"
        wanted = {_WAREHOUSE: {"url": _WAREHOUSE_URL}} | ({name: {"url": str(base)}} if name else {})
        if not config_files(root, Mistakes()):
            why = "paths of sources count from this folder"
            return cls(prefix, name, _WAREHOUSE, {"config/default.yaml": config_text(wanted, why)})
        databases = _destinations(config)
        known = {key: _url(value) for key, value in config.settings.connections.items()}
        folder = next(
            (
                key
                for key, url in known.items()
                if name and url and "://" not in url and (root / url).resolve() == base.resolve()
            ),
            None,
        )
        lacking = ([] if databases else [_WAREHOUSE]) + ([name] if name and folder is None else [])
        if lacking:
            lines = [f"{key}: {{url: {wanted[key]['url']}}}" for key in lacking]
            raise _lacking(root, lines, "rows" if _WAREHOUSE in lacking else "the files")
        return cls(prefix, folder, databases[0], {})


def _destinations(config: ConfigManager) -> list[str]:
    """Connections into which rows can go, the warehouse first."""
    known = {key: _url(value) for key, value in config.settings.connections.items()}
    found = [key for key, url in known.items() if url.startswith(_DATABASES)]
    return sorted(found, key=lambda key: key != _WAREHOUSE)


def _lacking(root: Path, lines: Sequence[str], what: str) -> ConfigurationError:
    told = "\n".join(f"  {line}" for line in lines)
    return ConfigurationError(
        f"the configuration has no connection for {what}",
        where=shown_path(root / "config"),
        hint=f"add to it, under `connections:`\n{told}",
    )


def _url(connection: Mapping[str, Any]) -> str:
    return str(connection.get("url", ""))


def write(proposal_root: Path, texts: Mapping[str, str], *, force: bool) -> list[str]:
    """Write files below a project; all of them, or none if one is there, says something else and may not be replaced.

    So whoever was interrupted does the same again.
    """
    there = [path for path, text in texts.items() if not _is_free(proposal_root / path, text)]
    if there and not force:
        told = ", ".join(shown_path(_twin(proposal_root / path) or Path(path)) for path in there)
        raise ConfigurationError(
            f"{told} {'is' if len(there) == 1 else 'are'} there already: nothing was written",
            hint="--force replaces what is there, --name gives the new pipeline another name",
        )
    try:
        for path, text in texts.items():
            target = _twin(proposal_root / path) or proposal_root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(f".{target.name}.part")
            part.write_text(text, encoding="utf-8")
            part.replace(target)
    except OSError as error:
        raise StateError(
            f"{error.filename} cannot be written: {error.strerror}", hint="make the folder writable"
        ) from error
    return list(texts)


def _is_free(path: Path, text: str) -> bool:
    """Whether nothing is there under this name, or this very text."""
    twin = _twin(path)
    return twin is None or (twin == path and twin.is_file() and twin.read_bytes() == text.encode())


def _twin(path: Path) -> Path | None:
    """The file that is there under this name, with whatever suffix a project reads."""
    return next((other for suffix in _SUFFIXES if (other := path.with_suffix(suffix)).exists()), None)
