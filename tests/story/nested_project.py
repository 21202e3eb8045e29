"""A project whose documents hold records for a table of their own, and readers that know nothing of the product."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import duckdb

from pratique.ingestion import run_pipeline
from pratique.project import Project
from pratique.reports import RunReport

ORDER = """
primaryKey: id
fields:
  id: integer
  customer: {required: true}
  total: "decimal(12,2)"
"""

LINE = """
primaryKey: [order_id, line_no]
fields:
  order_id: integer
  line_no: integer
  sku: {required: true}
  pieces: {type: integer, minimum: 1}
"""

PIPELINE = """
sources:
  orders:
    type: files
    path: "in/*"
    format: FORMAT
    unit: UNIT
    tables:
      order: {schema: order}
      line:  {schema: line, unnest: "lines[*]", add: {order_id: parent.id, line_no: position}}
destination: {connection: warehouse, write: WRITE}
quarantine: {max_share: 1}
"""

Json = dict[str, Any]


class Nested:
    """The project in a folder."""

    def __init__(
        self,
        root: Path,
        *,
        unit: str = "document",
        write: str = "append",
        format: str = "json",  # noqa: A002 - the word of the language
        kind: str = "duckdb",
        order: str = ORDER,
        line: str = LINE,
        pipeline: str = PIPELINE,
    ) -> None:
        self.root, self.kind = root, kind
        url = "duckdb://out.duckdb" if kind == "duckdb" else "parquet://out"
        self.write("config/default.yaml", f'connections:\n  warehouse: {{url: "{url}"}}\n')
        self.write("schemas/order.yaml", order)
        self.write("schemas/line.yaml", line)
        text = pipeline.replace("FORMAT", format).replace("UNIT", unit).replace("WRITE", write)
        self.write("pipelines/orders.yaml", text)

    def write(self, name: str, text: str) -> None:
        """Write a file of the project."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def give(self, name: str, *documents: Json | str) -> None:
        """Write a file of documents: objects, or their text as it is to stand there."""
        texts = [text if isinstance(text, str) else json.dumps(text) for text in documents]
        self.write(f"in/{name}", "[" + ",\n".join(texts) + "]" if name.endswith("json") else "\n".join(texts) + "\n")

    def run(self, *, dry_run: bool = False) -> RunReport:
        """Run it in this process."""
        return run_pipeline(Project(self.root, "dev"), "orders", dry_run=dry_run)

    def run_killed(self, failpoint: str) -> int:
        """Run it in a forked process that dies at a failpoint; its exit code, -9 if it was killed."""
        child = os.fork()
        if child == 0:
            os.environ["PRATIQUE_FAILPOINT"] = failpoint
            try:
                os._exit(self.run().exit_code)
            finally:
                os._exit(99)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def rows(self, table: str, columns: str = "* EXCLUDE (_load_id)") -> list[tuple[Any, ...]]:
        """Every row of a table as a reader sees it, sorted; none if there is no table."""
        with duckdb.connect() as connection:
            if self.kind == "duckdb":
                path = self.root / "out.duckdb"
                if not path.exists():
                    return []
                connection.execute(f"ATTACH '{path}' AS out (READ_ONLY)")
                known = connection.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'out'")
                if (table,) not in known.fetchall():
                    return []
                return connection.execute(f'SELECT {columns} FROM out."{table}" ORDER BY ALL').fetchall()
            manifests = sorted((self.root / "out" / "_manifest").glob("[0-9]*.json"))
            tables = json.loads(manifests[-1].read_text())["state"]["tables"] if manifests else {}
            files = [str(self.root / "out" / file["name"]) for file in tables.get(table, {"files": []})["files"]]
            if not files:
                return []
            return connection.execute(f"SELECT {columns} FROM read_parquet(?) ORDER BY ALL", [files]).fetchall()

    def held(self) -> list[Json]:
        """Every quarantined record that a person can see, by table and place."""
        from pratique.ledger import open_ledger  # noqa: PLC0415 - after a fork
        from pratique.quarantine import Quarantine  # noqa: PLC0415 - the same

        state = self.root / ".pratique"
        quarantine = Quarantine(state / "quarantine", open_ledger(state / "ledger.sqlite"))
        return sorted(quarantine.records(reveal=True), key=lambda record: (record["table"], record["record_number"]))


def order(number: int, *pieces: int, customer: str | None = "ann") -> Json:
    """An order with a line for each number of pieces."""
    lines = [{"sku": f"s{number}-{at}", "pieces": count} for at, count in enumerate(pieces, 1)]
    return {"id": number, "customer": customer, "total": 1.10, "lines": lines}


def accounts(report: RunReport) -> dict[str, tuple[int, int, int, dict[str, int]]]:
    """Read, loaded, quarantined and skipped of each table."""
    found = {}
    for source in report.sources:
        assert source.account is not None, source.problem
        assert source.account.balances()
        skipped = dict(source.account.skipped)
        found[source.source] = (source.account.read, source.account.loaded, source.account.quarantined, skipped)
    return found
