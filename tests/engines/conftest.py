"""A load on real files: texts in, a staged load out, and rows that are already there in a real DuckDB file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pratique.engines import open_engine
from pratique.engines.duckdb_staged import DuckRows, DuckStaged
from pratique.model import Column, CsvForm, DuckQuery, FileVersion, Landed, LandedFile, Part, Rows, Stamp, Target
from pratique.schema import Schema
from pratique.schema.sql import literal

STAMP = Stamp("sales", "a" * 32, "b" * 32, datetime(2026, 1, 2, tzinfo=UTC))


@dataclass
class ThereLookup:
    """Rows of tables in a DuckDB file, attached read-only on the engine's connection; or as Arrow."""

    path: Path
    as_arrow: bool = False
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    @contextmanager
    def existing(self, table: str, columns: tuple[str, ...], keys: DuckQuery | None) -> Iterator[Rows | None]:
        """Give the table's rows while attached."""
        assert keys is not None
        self.asked.append((table, columns))
        connection = keys.connection
        connection.execute(f"ATTACH {literal(str(self.path))} AS there (READ_ONLY)")
        try:
            known = connection.execute(
                "SELECT table_name FROM duckdb_tables() WHERE database_name = 'there'"
            ).fetchall()
            if (table,) not in known:
                yield None
                return
            connection.execute(keys.sql).fetchall()
            sql = f"SELECT {', '.join(columns)} FROM there.{table}"
            rows = DuckRows(tuple(Column(name, "string") for name in columns), -1, None, DuckQuery(connection, sql))
            yield ArrowRows(rows.columns, connection.sql(sql).to_arrow_table()) if self.as_arrow else rows
        finally:
            connection.execute("DETACH there")


@dataclass
class ArrowRows:
    """Rows without a query."""

    columns: tuple[Column, ...]
    table: Any
    count: int = -1
    duckdb: None = None

    def batches(self) -> Iterator[Any]:
        """Yield them."""
        return iter(self.table.to_batches())


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Callable[..., DuckStaged]]:
    """Stage CSV texts (each with a header line) and close everything afterwards."""
    opened: list[DuckStaged] = []

    def staged(
        texts: str | bytes | list[str],
        schema: Schema,
        *,
        target: Target | None = None,
        lookup: Any = None,
        captures: list[Mapping[str, str]] | None = None,
        **form: Any,
    ) -> DuckStaged:
        texts = texts if isinstance(texts, list) else [texts]
        files = []
        for number, text in enumerate(texts):
            path = tmp_path / f"in{number}.csv"
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
            version = FileVersion(path.name, "0" * 64, 1)
            files.append(LandedFile(path, version, -1, 2, captures[number] if captures else {}))
        first = texts[0] if isinstance(texts[0], str) else texts[0].decode("utf-8", "replace")
        header = tuple(first.split("\n", 1)[0].split(","))
        landed = Landed("sales", (Part(CsvForm(header, **form), tuple(files)),), None)
        paths = (lookup.path, lookup.path.with_name(lookup.path.name + ".wal")) if lookup else ()
        engine = open_engine(tmp_path / "tmp", paths=paths)
        key = schema.primary_key
        opened.append(engine.stage(landed, schema, target or Target("sales", "replace", key), STAMP, lookup))
        return opened[-1]

    yield staged
    for item in opened:
        item.close()
    assert not list((tmp_path / "tmp").iterdir()) if (tmp_path / "tmp").exists() else True


@pytest.fixture
def there(tmp_path: Path) -> Callable[..., ThereLookup]:
    """Make a DuckDB file by these statements and give the lookup into it."""

    def made(*statements: str, as_arrow: bool = False) -> ThereLookup:
        import duckdb

        path = tmp_path / "there.duckdb"
        with duckdb.connect(path) as connection:
            for statement in statements:
                connection.execute(statement)
        return ThereLookup(path, as_arrow)

    return made


@pytest.fixture
def good() -> Callable[[DuckStaged], list[tuple[Any, ...]]]:
    """The rows to load, as tuples."""
    return lambda staged: [tuple(row.values()) for batch in staged.good().batches() for row in batch.to_pylist()]


@pytest.fixture
def held() -> Callable[[DuckStaged], list[tuple[Any, ...]]]:
    """Quarantined records as (file, number, rules)."""
    return lambda staged: [(h.file, h.number, [f.rule for f in h.failures]) for h in staged.quarantined()]
