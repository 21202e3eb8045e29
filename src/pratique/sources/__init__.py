"""Where records come from: every source lands an immutable input, fingerprinted and counted."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pratique.apis import ApiInput
from pratique.databases import DatabaseInput
from pratique.inputs import CloudInput, PythonInput
from pratique.model import Disposition, Position
from pratique.planning import SourcePlan
from pratique.schema import Dialect, Schema
from pratique.sources.api.reading import clear_outdated
from pratique.sources.base import Probe, ReadLimits, Source
from pratique.sources.retry import Retries

__all__ = [
    "Probe",
    "ReadLimits",
    "Retries",
    "Source",
    "clear_outdated",
    "land_together",
    "open_source",
    "planned_source",
]


def planned_source(
    plan: SourcePlan,
    limits: ReadLimits,
    workspace: Path,
    *,
    landing: Path | None = None,
    values: Callable[[], list[tuple[str, ...]]] | None = None,
) -> Source:
    """The source that a plan describes, as `open_source` gives it."""
    return open_source(
        plan.name,
        path=plan.path,
        base=plan.base,
        format=plan.format,
        schema=plan.schema,
        disposition=plan.write,
        on_new_version=plan.on_new_version,
        overrides=plan.overrides,
        limits=limits,
        workspace=workspace,
        database=plan.database,
        python=plan.python,
        cloud=plan.cloud,
        records=plan.records,
        api=plan.api,
        landing=landing,
        values=values,
    )


def open_source(
    name: str,
    *,
    path: str,
    base: Path,
    format: str,  # noqa: A002 - the word of the language
    schema: Schema,
    disposition: Disposition = "append",
    on_new_version: str | None = None,
    overrides: tuple[tuple[Mapping[str, str], Dialect], ...] = (),
    limits: ReadLimits | None = None,
    workspace: Path | None = None,
    database: DatabaseInput | None = None,
    python: PythonInput | None = None,
    cloud: CloudInput | None = None,
    records: tuple[str, ...] = (),
    api: ApiInput | None = None,
    landing: Path | None = None,
    values: Callable[[], list[tuple[str, ...]]] | None = None,
) -> Source:
    """A source of files below `base` or in a `cloud`, of a `database`, an `api` or a `python` program; not touched yet.

    Raises ConfigurationError for a wrong path or format, or where the package for a kind of source is missing. What it
    must write in passing goes into `workspace` (None: the system's temporary folder), whose owner clears it; what a
    later run goes on with into `landing` (None: there is no later run). `values`: what stands in an API's path;
    `records`: keys that lead to the array of records in a JSON file.
    """
    limits, workspace = limits or ReadLimits(), workspace or Path(tempfile.gettempdir())
    if api is not None:
        from pratique.sources.api.source import ApiSource, nothing_in_the_path  # noqa: PLC0415 - one kind is needed

        asked_for = values if values is not None and api.parent else nothing_in_the_path
        return ApiSource(name, schema, api, disposition, limits, landing or workspace / "landed" / name, asked_for)
    if database is not None:
        from pratique.sources.database.source import DatabaseSource  # noqa: PLC0415 - loads what talks to databases

        return DatabaseSource(name, schema, database, disposition, limits, workspace)
    if python is not None:
        from pratique.sources.python_source import PythonSource  # noqa: PLC0415 - whoever reads files needs none of it

        return PythonSource(name, schema, python, disposition, limits, workspace)
    from pratique.sources.files.source import FileSource  # noqa: PLC0415 - whoever only names a source reads no file

    folder = None
    if cloud is not None:
        from pratique.sources.clouds.folder import CloudFolder  # noqa: PLC0415 - loads what talks to a cloud

        folder = CloudFolder(cloud, path, limits, workspace)
    found = (name, path, base, format, schema, disposition, on_new_version, overrides)
    return FileSource(*found, limits=limits, workspace=workspace, records=records, folder=folder)


def land_together(sources: Sequence[tuple[Source, Position]]) -> None:
    """Land sources of one database out of one snapshot of it; the next `land` of each gives what was landed here.

    Sources that are none of a database are left alone. Raises as `land` does.
    """
    from pratique.sources.database import source  # noqa: PLC0415 - loads what talks to databases

    asked = [(one, since) for one, since in sources if isinstance(one, source.DatabaseSource)]
    if asked:  # records that a test gives stand in for any of them
        source.land_together(asked)
