"""Everything that is wrong in a project, found by the loaders that a run uses."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pratique.case_files import read_cases
from pratique.config_manager import config_files, find_root
from pratique.documents import folder_of, shown_path
from pratique.errors import ConfigurationError
from pratique.mistakes import Mistake, Mistakes, mistakes_of
from pratique.project import Project
from pratique.references import parent_of
from pratique.schema import Schema

_FOLDERS: Final = ("config", "pipelines", "pipelines/tests", "schemas")
_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})
_BESIDE: Final = frozenset({".md", ".txt", ""})  # notes for people


@dataclass(frozen=True, slots=True)
class LintReport:
    """What was found, in the order of the files, and how many files were looked at."""

    mistakes: tuple[Mistake, ...]
    files: int

    @property
    def errors(self) -> int:
        """Mistakes that stop a run."""
        return sum(mistake.level == "error" for mistake in self.mistakes)

    @property
    def warnings(self) -> int:
        """Mistakes with which a run begins."""
        return len(self.mistakes) - self.errors


def lint(root: str | Path | None = None, environment: str | None = None, paths: Sequence[Path] = ()) -> LintReport:
    """Every mistake of every file of a project, in one environment or, if none is given, in all of them.

    `paths` (files or folders of the project) narrow what is told, not what is looked at. Nothing is opened but the
    project's own files and secret files. Raises ConfigurationError where there is no project, and for a path that
    holds no file of it.
    """
    found = Mistakes()
    folder = Path(root).resolve() if root is not None else find_root(Path.cwd())
    environments = [environment] if environment else [*sorted(config_files(folder, Mistakes()).keys() - {"default"})]
    used: set[str] = set()
    for name in environments or [""]:
        project = Project(folder, name, found)
        used |= _pipelines(project, found)
        _tests(project, found)
    _schemas(project, used, found)
    files = _files(folder, found)
    if not files:
        raise ConfigurationError(
            "there is no project here: no file in config/, pipelines/ or schemas/",
            where=str(folder),
            hint="go to the folder of a project, or name it: pratique lint --project DIR",
            facts={"code": "file"},
        )
    wanted = _wanted(files, paths)
    shown = {shown_path(path) for path in wanted}
    told = [mistake for mistake in found if not paths or mistake.file in shown]
    return LintReport(tuple(told), len(wanted))


def _pipelines(project: Project, found: Mistakes) -> set[str]:
    """Look at every pipeline; the names of the schemas that they use, also by reference."""
    used: set[str] = set()
    names: list[str] = []
    with found.caught():
        names = project.pipeline_names()
    for name in names:
        own = Mistakes()
        pipeline = project.read_pipeline(name, own)
        found.add(own)
        for source in pipeline.sources if pipeline else ():
            used |= {source.schema.name, *source.reference_tables}
        if own.errors:  # what it uses may only be written wrongly
            used |= set(project.schema_names())
    return used if names else set(project.schema_names())


def _tests(project: Project, found: Mistakes) -> None:
    """Look at every file of tests beside the pipelines."""
    files: list[Path] = []
    with found.caught():
        files = project.test_files()
    for path in files:
        with found.caught():
            read_cases(project, path, found)


def _schemas(project: Project, used: set[str], found: Mistakes) -> None:
    """Look at every schema by itself, and at the references between them."""
    names: list[str] = []
    with found.caught():
        names = project.schema_names()
    refers: dict[str, set[str]] = {}
    places: dict[str, str] = {}
    for name in names:
        own = Mistakes()
        with own.caught():
            for schema in project.versions(name, own).values():
                places.setdefault(name, schema.place(()))
                refers.setdefault(name, set()).update(reference.parent for reference in schema.references)
                if not own.errors and (
                    schema.checks or schema.filter or any(item.expression for item in schema.fields)
                ):
                    own.add(mistake for error in _unbound(schema) for mistake in mistakes_of(error))
                for reference in schema.references if not own.errors else ():
                    parent_of(schema, reference, project.read_schema, found)
        found.add(own)
    reached = set(used)
    while more := {parent for name in reached for parent in refers.get(name, ())} - reached:
        reached |= more
    hint = "name it as `schema:` of a source, or remove the file"
    found.add(
        Mistake(place, f"no pipeline uses the schema {name}", hint, "unused", "warning")
        for name, place in places.items()
        if name not in reached
    )


def _unbound(schema: Schema) -> list[ConfigurationError]:
    from pratique.engines.duckdb_rules import refusals  # noqa: PLC0415 - loading DuckDB costs 0.1 s

    return refusals(schema)


def _files(root: Path, found: Mistakes) -> list[Path]:
    """The files that make up the project; others beside them are told."""
    files: list[Path] = []
    for name in _FOLDERS:
        inside: list[Path] = []
        with found.caught():
            inside = folder_of(root / name)
        for path in inside:
            if path.name.startswith(".") or (name, path.name) == ("pipelines", "tests"):
                continue
            if path.suffix in _SUFFIXES and not path.is_dir():
                files.append(path)
            elif path.suffix not in _SUFFIXES and (path.is_dir() or path.suffix not in _BESIDE):
                message = f"{'this folder' if path.is_dir() else 'this file'} is not read"
                hint = f"{name}/ holds files NAME.yaml, without folders; move or rename it"
                found.add([Mistake(f"{shown_path(path)}", message, hint, "file", "warning")])
    return files


def _wanted(files: list[Path], paths: Iterable[Path]) -> list[Path]:
    """The files that lie at or under one of `paths`; all if there are none."""
    asked = [_real(path) for path in paths]
    for path in asked:
        if not any(_lies(file, path) for file in files):
            raise ConfigurationError(
                f"{shown_path(path)} holds no file of this project",
                where=shown_path(path),
                hint="give a file or folder under config/, pipelines/ or schemas/; `--project DIR` for another project",
                facts={"code": "file"},
            )
    return [file for file in files if not asked or any(_lies(file, path) for path in asked)]


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _lies(file: Path, at: Path) -> bool:
    """True if the file is, or lies under, the path `at`."""
    real = _real(file)
    return at == real or at in real.parents
