"""Datasets of OpenLineage and their facets: what a source reads and writes, under the names that others use too.

Names are those of OpenLineage's page on naming; DuckDB and SQLite have none there: `duckdb://PATH` and `sqlite://PATH`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pratique.databases import DatabaseInput, Server
from pratique.inputs import CloudInput
from pratique.model import RuleTally, SetVerdict
from pratique.monitoring.exporters import own_version
from pratique.planning import Pipeline, SourcePlan
from pratique.schema import Field, Schema
from pratique.schema.rules import computed

PRODUCER: Final = f"urn:pratique:{own_version().replace(' ', '-')}"
EVENT_SCHEMA: Final = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"

_VERSIONS: Final[Mapping[str, str]] = {
    "ColumnLineageDatasetFacet": "1-2-0",
    "DataQualityAssertionsDatasetFacet": "1-1-0",
    "DataQualityMetricsInputDatasetFacet": "1-0-3",
    "DatasourceDatasetFacet": "1-0-1",
    "DocumentationJobFacet": "1-1-0",
    "ErrorMessageRunFacet": "1-0-1",
    "InputStatisticsInputDatasetFacet": "1-0-0",
    "JobTypeJobFacet": "2-0-4",
    "LifecycleStateChangeDatasetFacet": "1-0-1",
    "OutputStatisticsOutputDatasetFacet": "1-0-2",
    "ParentRunFacet": "1-2-0",
    "ProcessingEngineRunFacet": "1-1-1",
    "SQLJobFacet": "1-1-0",
    "SchemaDatasetFacet": "1-2-0",
}
_PORTS: Final = {"postgres": 5432, "mysql": 3306}

Document = dict[str, Any]


def facet(kind: str, **fields: Any) -> Document:
    """A facet with what all facets carry; fields that are None are left out."""
    url = f"https://openlineage.io/spec/facets/{_VERSIONS[kind]}/{kind}.json#/$defs/{kind}"
    said = {name: value for name, value in fields.items() if value is not None}
    return {"_producer": PRODUCER, "_schemaURL": url, **said}


@dataclass(frozen=True, slots=True)
class Named:
    """A dataset: where it is, and its name there."""

    namespace: str
    name: str

    def described(self, facets: Mapping[str, Document]) -> Document:
        """The dataset with these facets."""
        return {"namespace": self.namespace, "name": self.name, "facets": dict(facets)}


@dataclass(slots=True)
class Seen:
    """What a source has read and judged so far in a run."""

    rows: int = 0
    size: int = 0
    files: int = 0
    rules: dict[str, RuleTally] = field(default_factory=dict)
    sets: dict[str, SetVerdict] = field(default_factory=dict)

    def judged(self, rules: Iterable[RuleTally], sets: Iterable[SetVerdict]) -> None:
        """Add what a load was judged by; of a check over a whole load one that failed counts."""
        for rule in rules:
            before = self.rules.get(rule.name)
            self.rules[rule.name] = (
                RuleTally(
                    rule.name,
                    rule.field,
                    rule.severity,
                    rule.dimension,
                    before.decided + rule.decided,
                    before.failed + rule.failed,
                    before.unknown + rule.unknown,
                )
                if before
                else rule
            )
        for verdict in sets:
            known = self.sets.get(verdict.name)
            self.sets[verdict.name] = known if known and known.passed is not True else verdict


def _server(server: Server) -> str:
    host = server.host if server.host and not server.host.startswith("/") else "localhost"
    return f"{server.kind}://{host}:{server.port or _PORTS[server.kind]}"


def _store(cloud: CloudInput) -> str:
    if cloud.kind == "az" and cloud.account:
        return f"abfss://{cloud.bucket}@{cloud.account}.dfs.core.windows.net"
    return f"sftp://{cloud.host}:{cloud.port}" if cloud.kind == "sftp" else f"{cloud.kind}://{cloud.bucket}"


def _tables(asked: DatabaseInput) -> list[str]:
    """The table that is read, or those of a query; none where the query is not understood."""
    if asked.table:
        return [asked.table]
    import sqlglot  # noqa: PLC0415 - a run has loaded it already
    from sqlglot import exp  # noqa: PLC0415

    try:
        parsed = sqlglot.parse_one(asked.query or "", dialect=asked.server.kind)
    except sqlglot.ParseError:
        return []
    own = {item.alias for item in parsed.find_all(exp.CTE)}
    found = (".".join(part.name for part in item.parts) for item in parsed.find_all(exp.Table))
    return list(dict.fromkeys(name for name in found if name not in own))


def inputs_of(plan: SourcePlan) -> list[Named]:
    """What a source reads: its files under their pattern, its table, the tables of its query, or what it asks for."""
    if plan.api:
        return [
            Named(plan.api.server.origin, f"{urlsplit(plan.api.server.url).path}/{plan.path.lstrip('/')}".lstrip("/"))
        ]
    if plan.cloud:
        return [Named(_store(plan.cloud), f"{plan.cloud.prefix}{plan.path}")]
    if plan.python:
        return [Named("python", plan.python.name)]
    if plan.database is None:
        return [Named("file", str((plan.base / plan.path).resolve()))]
    server = plan.database.server
    if server.kind == "sqlite":
        return [Named(f"sqlite://{server.path.absolute()}", table) for table in _tables(plan.database)]
    there = [server.database, "public"] if server.kind == "postgres" else [server.database]
    named = (table.split(".") for table in _tables(plan.database))
    return [Named(_server(server), ".".join(there[: max(0, len(there) + 1 - len(own))] + own)) for own in named]


def output_of(pipeline: Pipeline, plan: SourcePlan) -> Named:
    """The table that a source is loaded into."""
    dataset, dot, table = plan.table.rpartition(".")
    path = pipeline.destination.path.absolute()
    if pipeline.destination.type == "parquet":
        return Named("file", str(path / dataset / table))
    return Named(f"duckdb://{path}", plan.table if dot else f"main.{table}")


def held_of(pipeline: str, state: Path) -> Named:
    """Where the records are that a pipeline holds."""
    return Named("file", str((state / "quarantine" / pipeline).absolute()))


def _input_name(item: Field) -> str | None:
    """The column of the input that a field comes from, by the first of its names; None if it comes from elsewhere."""
    return None if item.capture or item.expression else item.headers[0]


def input_schema(schema: Schema) -> Document:
    """The columns that a source is expected to have; of text their type is what the text must mean."""
    columns = [(name, item) for item in schema.fields if (name := _input_name(item)) is not None]
    return _columns(columns)


def output_schema(schema: Schema) -> Document:
    """The columns of the table."""
    return _columns([(item.name, item) for item in schema.fields if item.store != "drop"])


def _columns(columns: Iterable[tuple[str, Field]]) -> Document:
    fields = [
        {
            "name": name,
            "type": str(item.type),
            **({"description": item.description} if item.description else {}),
            "ordinal_position": number,
        }
        for number, (name, item) in enumerate(columns, 1)
    ]
    return facet("SchemaDatasetFacet", fields=fields)


def column_lineage(schema: Schema, source: Named) -> Document:
    """Which columns of the input each column of the table comes from."""
    names = {item.name: _input_name(item) for item in schema.fields}
    fields = {}
    for item in schema.fields:
        if item.store == "drop":
            continue
        needed = computed(schema, item).inputs if item.expression else (item.name,)
        hidden = item.store in {"hash", "mask"}
        same = not item.expression and not hidden and item.type.name == "string" and not item.trim
        how = {
            "type": "DIRECT",
            "subtype": "IDENTITY" if same else "TRANSFORMATION",
            "description": item.expression or "",
            "masking": hidden,
        }
        fields[item.name] = {
            "inputFields": [
                {"namespace": source.namespace, "name": source.name, "field": name, "transformations": [how]}
                for name in (names.get(need) for need in needed)
                if name
            ]
        }
    return facet("ColumnLineageDatasetFacet", fields=fields)


def quality(schema: Schema, seen: Seen) -> Mapping[str, Document]:
    """What was read, and how every rule was kept: facets of an input."""
    names = {item.name: _input_name(item) for item in schema.fields}
    nulls = {
        name: {"nullCount": rule.failed}
        for rule in seen.rules.values()
        if rule.field and rule.name == f"{rule.field}.required" and (name := names.get(rule.field))
    }
    counted = {"rowCount": seen.rows, "fileCount": seen.files}
    metrics = {"rowCount": seen.rows, "bytes": seen.size, "fileCount": seen.files, "columnMetrics": nulls}
    found = {
        "inputStatistics": facet("InputStatisticsInputDatasetFacet", **counted, size=seen.size),
        "dataQualityMetrics": facet("DataQualityMetricsInputDatasetFacet", **metrics),
    }
    assertions = [_assertion(rule, names.get(rule.field or "")) for rule in seen.rules.values()]
    assertions += [
        {
            "assertion": item.name,
            "name": item.name,
            "success": item.passed is True,
            "severity": _severity(item.severity),
        }
        for item in seen.sets.values()
    ]
    if assertions:
        found["dataQualityAssertions"] = facet("DataQualityAssertionsDatasetFacet", assertions=assertions)
    return found


def _assertion(rule: RuleTally, column: str | None) -> Document:
    return {
        "assertion": rule.name.rpartition(".")[2],
        "name": rule.name,
        "success": rule.failed == 0,
        "severity": _severity(rule.severity),
        **({"column": column} if column else {}),
        "params": {"checked": rule.decided, "failed": rule.failed, "unknown": rule.unknown},
    }


def _severity(severity: str) -> str:
    """The words of the field: what only warns, and what holds records or stops a load."""
    return "warn" if severity == "warn" else "error"
