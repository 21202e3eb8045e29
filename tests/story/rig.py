"""A project on disk, runs in forked processes that may be killed, and a judge that knows nothing of the product."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
from coverage import Coverage

from pratique.project import Project

# Imported before the first fork, so that a child spends its life in the run and not in imports.
for _module in (
    "numpy",
    "pyarrow.parquet",
    "sqlglot",
    "pratique.cli.main",
    "pratique.destinations.duckdb_file",
    "pratique.destinations.parquet_folder",
    "pratique.engines.duckdb_engine",
    "pratique.ingestion",
    "pratique.ledger.sqlite",
    "pratique.sources.files.csv_file",
    "pratique.specs.pipeline_files",
    "pratique.specs.schema_files",
):
    importlib.import_module(_module)

SCHEMA = """
schema: orders
version: 1
{key}fields:
  id: {{type: integer, required: true}}
  amount: {{type: "decimal(9,2)", minimum: 0}}
  note: string
"""

PIPELINE = """
sources:
  orders: {{type: files, path: "in/*.csv", schema: orders, write: {write}, quarantine: {{max_share: 0.5}}}}
destination: {{connection: target, table: orders}}
"""


@dataclass
class Rig:
    """One project: files with known good and bad records, one destination."""

    root: Path
    kind: str = "duckdb"
    write: str = "append"
    key: bool = True
    good: dict[int, str] = field(default_factory=dict)
    bad: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for folder in ("config", "pipelines", "schemas", "in"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        url = "duckdb://out.duckdb" if self.kind == "duckdb" else "parquet://out"
        (self.root / "config" / "default.yaml").write_text(f'connections:\n  target: {{url: "{url}"}}\n')
        (self.root / "schemas" / "orders.yaml").write_text(SCHEMA.format(key="primaryKey: id\n" if self.key else ""))
        (self.root / "pipelines" / "orders.yaml").write_text(PIPELINE.format(write=self.write))

    def add_file(self, name: str, rows: int = 200, bad_each: int = 20) -> None:
        """Write a file whose every `bad_each`th record has an amount that is no number."""
        start = 100_000 * (len(list((self.root / "in").iterdir())) + 1)
        lines = ["id,amount,note"]
        for number in range(start, start + rows):
            if number % bad_each == 0:
                lines.append(f"{number},many,{name}")
                self.bad[f"{number},many,{name}"] += 1
            else:
                lines.append(f'{number},{number % 97}.25,"{name}, quoted"')
                self.good[number] = f"{name}, quoted"
        (self.root / "in" / name).write_text("\n".join(lines) + "\n")

    def run(self, during: Callable[[], object] = lambda: None, *, kill_after: float | None = None) -> int:
        """Run the pipeline in a forked process; its exit code, or -9 if it was killed.

        `during` is called in the child before the run (to arm a failpoint, to swap the destination).
        """
        child = os.fork()
        if child == 0:
            self._child(during, measured=kill_after is None)
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status)

    def _child(self, during: Callable[[], object], *, measured: bool) -> None:
        code = 99
        coverage = Coverage.current()
        if coverage and not measured:
            coverage.stop()  # a kill while its data are written would leave a broken file
        try:
            from pratique.ingestion import run_pipeline  # noqa: PLC0415 imported once in the parent, too

            replacement = during()
            destination = replacement if hasattr(replacement, "begin") else None
            report = run_pipeline(Project(self.root, "dev"), "orders", destination=destination)
            code = report.exit_code
            if report.problem or any(source.problem for source in report.sources):
                sys.stderr.write(f"{report}\n")
        except BaseException:  # noqa: BLE001 a child of fork must not go on into the parent's code
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            if coverage and measured:
                coverage.save()
            os._exit(code)

    def run_command(self) -> int:
        """Run the pipeline by the command line, as another process; its exit code."""
        command = [sys.executable, "-m", "pratique", "run", "orders", "--env", "dev", "--project", str(self.root)]
        return subprocess.run(command, capture_output=True, check=False).returncode

    def rows(self) -> list[tuple[int, str]]:
        """Every row that a reader sees now, by means of DuckDB alone."""
        connection = duckdb.connect()
        try:
            if self.kind == "duckdb":
                path = self.root / "out.duckdb"
                if not path.exists():
                    return []
                connection.execute(f"ATTACH '{path}' AS out")
                known = connection.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'out'")
                if ("orders",) not in known.fetchall():
                    return []
                return connection.execute("SELECT id, note FROM out.orders").fetchall()
            files = live_files(self.root / "out")
            if not files:
                return []
            return connection.execute("SELECT id, note FROM read_parquet(?)", [files]).fetchall()
        finally:
            connection.close()

    def held(self) -> Counter[str]:
        """The raw text of every quarantined record that a person can see."""
        from pratique.ledger import open_ledger  # noqa: PLC0415 after the fork
        from pratique.quarantine import Quarantine  # noqa: PLC0415

        state = self.root / ".pratique"
        quarantine = Quarantine(state / "quarantine", open_ledger(state / "ledger.sqlite"))
        return Counter(record["raw"] for record in quarantine.records(reveal=True))

    def check(self) -> list[str]:
        """What is wrong: rows lost, doubled or changed, quarantine incomplete; empty if all is well."""
        wrong: list[str] = []
        rows = self.rows()
        counts = Counter(number for number, _ in rows)
        doubled = [number for number, times in counts.items() if times > 1]
        lost = [number for number in self.good if number not in counts]
        alien = [row for row in rows if self.good.get(row[0]) != row[1]]
        if doubled:
            wrong.append(f"{len(doubled)} rows doubled")
        if lost:
            wrong.append(f"{len(lost)} rows lost")
        if alien:
            wrong.append(f"{len(alien)} rows that no file holds: {alien[:3]}")
        if self.held() != self.bad:
            wrong.append(f"quarantine holds {sum(self.held().values())} of {sum(self.bad.values())}")
        return wrong


def live_files(folder: Path) -> list[str]:
    """The Parquet files of the newest manifest, found as a foreign reader would: by reading the manifest's JSON."""
    manifests = sorted((folder / "_manifest").glob("[0-9]*.json"))
    if not manifests:
        return []
    names: list[str] = []

    def walk(value: object) -> None:
        if isinstance(value, dict):
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)
        elif isinstance(value, str) and value.endswith(".parquet"):
            names.append(value)

    walk(json.loads(manifests[-1].read_text())["state"]["tables"])
    return [str(next(folder.rglob(Path(name).name))) for name in names]
