"""A project out of files: everything is looked at, then the files that it takes are proposed, and written at once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
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
from pratique.inference.files import files_of, read
from pratique.inference.keys import Key, Link, keys, links
from pratique.inference.names import file_name
from pratique.inference.profile import Table, profile
from pratique.inference.project_text import config_text, examples_text, pipeline_text
from pratique.inference.records import broken_record, sound_records
from pratique.inference.schema_text import schema_text
from pratique.mistakes import Mistakes
from pratique.sources import ReadLimits
from pratique.workspace import workspace

_WAREHOUSE: Final = "warehouse"
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
    limits = config.settings.limits
    reading = ReadLimits(
        limits.record_bytes_max,
        limits.columns_max,
        limits.files_per_load_max,
        limits.unpacked_bytes_max,
        limits.expansion_max,
    )
    with workspace(root / config.settings.state.path / "tmp") as folder:
        found, left_out = files_of(target, reading, folder)
        several = target.name if target.is_dir() else target.stem
        pipeline = file_name(name or (found[0].name if target.is_file() and len(found) == 1 else several))
        if len(found) == 1 and name:
            found = [replace(found[0], name=pipeline)]
        base = found[0].base
        places = _Places.of(root, base, pipeline, config)
        reads = [read(files, places.path(files.pattern), reading, folder) for files in found]
        paths = tuple(file.path for item in reads for file in item.landed.files)
        settings = EngineSettings(
            folder, memory_limit=limits.memory, threads=limits.threads, max_temp_directory_size=limits.temporary_disk,
            record_bytes_max=limits.record_bytes_max,
        )  # fmt: skip
        with _session(settings, paths) as session:
            tables = [profile(session, item, number, answers) for number, item in enumerate(reads)]
            by_name = {table.name: keys(session, table) for table in tables}
            linked = links(session, tables, by_name)
            _referred(by_name, linked)
            tables = _ordered(tables, linked)
            texts = dict(places.texts)
            for table in tables:
                texts[f"schemas/{table.name}.yaml"] = schema_text(table, by_name[table.name], linked)
            told = {files.name: files.look.format for files in found if files.told}
            texts[f"pipelines/{pipeline}.yaml"] = pipeline_text(
                pipeline, tables, told, places.connection, places.destination
            )
            given = sound_records(session, tables, linked)
            if given:
                example = examples_text(pipeline, given, broken_record(tables, by_name, given))
                texts[f"pipelines/tests/{pipeline}.yaml"] = example
    return Proposal(root, pipeline, tuple(tables), by_name, tuple(linked), tuple(left_out), texts)


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
        wanted = {_WAREHOUSE: "duckdb://warehouse.duckdb"} | ({name: str(base)} if name else {})
        if not config_files(root, Mistakes()):
            return cls(prefix, name, _WAREHOUSE, {"config/default.yaml": config_text(wanted)})
        known = {key: _url(value) for key, value in config.settings.connections.items()}
        databases = sorted(
            (key for key, url in known.items() if url.startswith(_DATABASES)), key=lambda key: key != _WAREHOUSE
        )
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
            lines = "\n".join(f"  {key}: {{url: {wanted[key]}}}" for key in lacking)
            raise ConfigurationError(
                f"the configuration has no connection for {'rows' if _WAREHOUSE in lacking else 'the files'}",
                where=shown_path(root / "config"),
                hint=f"add to it, under `connections:`\n{lines}",
            )
        return cls(prefix, folder, databases[0], {})


def _url(connection: Mapping[str, Any]) -> str:
    return str(connection.get("url", ""))


def write(proposal_root: Path, texts: Mapping[str, str], *, force: bool) -> list[str]:
    """Write files below a project; all of them, or none if one is there and may not be replaced."""
    there = [path for path in texts if _twin(proposal_root / path)]
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


def _twin(path: Path) -> Path | None:
    """The file that is there under this name, with whatever suffix a project reads."""
    return next((other for suffix in _SUFFIXES if (other := path.with_suffix(suffix)).exists()), None)
