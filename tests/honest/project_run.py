"""A real project with a source per kind of file, run by the command line; what came of every file, seen from outside."""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from base_tables import TABLES
from drafts import ENCODINGS
from selection import Case, group_of, sound_case

RECORD_BYTES_MAX = 65_536
TIMEOUT_SECONDS = 300
ROUNDS_MAX = 40


class EndedAtOnceError(Exception):
    """A run that ended without a report on its sources."""


@dataclass
class Seen:
    """What the product did, by the name of the file."""

    rows: dict[str, list[tuple[int, tuple[object, ...]]]] = field(default_factory=lambda: defaultdict(list))
    quarantined: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    held: dict[str, str] = field(default_factory=dict)
    stopped: dict[str, str] = field(default_factory=dict)  # why its source failed though it was alone there
    stopping: set[str] = field(default_factory=set)  # named as the reason why a whole source failed
    unbalanced: list[str] = field(default_factory=list)
    tracebacks: list[str] = field(default_factory=list)


class ProjectRun:
    """Files pushed through `pratique run`. A file that stops the load of its neighbours is run again alone."""

    def __init__(self, root: Path, cases: Iterable[Case]) -> None:
        self.root = root
        self.cases = {case.name: case for case in cases}
        self.seen = Seen()
        self.alone: list[str] = []
        self.companions = 0
        self.read: dict[str, int] = defaultdict(int)

    def run(self) -> Seen:
        """Run all files; what came of each."""
        self._lay_out()
        groups = sorted(folder.name for folder in (self.root / "in").iterdir() if any(folder.iterdir()))
        for _ in range(ROUNDS_MAX):
            self._pipeline("honest", {group: (group, f"in/{group}/*") for group in groups})
            failed = self._run("honest")
            if not failed:
                break
            for source, problem in failed:
                self._set_aside(source, problem)
            groups = [source for source, _ in failed]
        else:
            raise AssertionError(f"there is no end of stops: {failed}")
        alone = {name.partition(".")[0]: self.cases[name] for name in self.alone}
        if alone:
            self._pipeline("alone", {f"s_{stem}": (case.group, f"alone/{stem}/*") for stem, case in alone.items()})
            for source, problem in self._run("alone"):
                self.seen.stopped[alone[source.removeprefix("s_")].name] = problem["message"]
        self._collect()
        return self.seen

    def _lay_out(self) -> None:
        for folder in ("config", "pipelines", "schemas", "alone"):
            (self.root / folder).mkdir(parents=True)
        (self.root / "config" / "default.yaml").write_text(
            'connections:\n  target: {url: "duckdb://out.duckdb"}\n'
            f"limits: {{record_bytes_max: {RECORD_BYTES_MAX}}}\nquarantine: {{max_share: 1}}\n"
        )
        for table in TABLES.values():
            for encoding, (declared, _, _) in ENCODINGS.items():
                dialect = {} if table.delimiter == "," else {"delimiter": table.delimiter}
                dialect |= {} if declared == "utf-8" else {"encoding": declared}
                spec = {"schema": group_of(table.name, encoding), "version": 1, "dialect": dialect}
                spec["fields"] = {name: {"type": kind} for name, kind in table.types.items()}
                (self.root / "schemas" / f"{spec['schema']}.json").write_text(json.dumps(spec))
        for case in self.cases.values():
            folder = self.root / "in" / case.group
            folder.mkdir(parents=True, exist_ok=True)
            (folder / case.name).write_bytes(case.data)

    def _pipeline(self, name: str, sources: dict[str, tuple[str, str]]) -> None:
        """Sources: name -> (schema, path)."""
        spec = {
            "sources": {
                source: {"type": "files", "path": path, "format": "csv", "schema": schema, "write": "append"}
                for source, (schema, path) in sources.items()
            },
            "destination": {"connection": "target"},
            "lineage": ["_file", "_row_number"],
        }
        (self.root / "pipelines" / f"{name}.json").write_text(json.dumps(spec))

    def _run(self, pipeline: str) -> list[tuple[str, dict[str, Any]]]:
        """Run a pipeline; the sources that failed, with their problems. A hang ends in TimeoutExpired."""
        command = [sys.executable, "-m", "pratique", "run", pipeline, "--env", "dev", "--project", str(self.root)]
        done = subprocess.run(
            [*command, "--json"], capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
        if "Traceback" in done.stderr:
            self.seen.tracebacks.append(done.stderr[-2000:])
        report = json.loads(done.stdout)
        if not report.get("sources"):
            raise EndedAtOnceError(f"{pipeline} ended at once: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        failed = []
        for source in report["sources"]:
            for held in source["held"]:
                self.seen.held[Path(held["version"]["name"]).name] = held["reason"]
            if account := source["account"]:
                skipped = sum(account["skipped"].values())
                if account["read"] != account["loaded"] + account["quarantined"] + skipped:
                    self.seen.unbalanced.append(f"{source['source']}: {account}")
                self.read[source["source"]] += account["loaded"] + account["quarantined"]
            if source["outcome"] not in ("loaded", "unchanged"):
                failed.append((source["source"], source["problem"] or {"message": source["outcome"], "where": ""}))
        return failed

    def _set_aside(self, source: str, problem: dict[str, Any]) -> None:
        """Move the file that stopped its source, and those of the same defect, out of the way."""
        waiting = {path.name: path for path in (self.root / "in" / source).iterdir()}
        told = f"{problem['where']} {problem['message']}"
        guilty = [self.cases[name] for name in waiting if name in told]
        self.seen.stopping |= {case.name for case in guilty}
        like = {case.called for case in guilty or (self.cases[name] for name in waiting)}
        for name in waiting:
            if self.cases[name].called in like:
                self._put_alone(name)
                self.alone.append(name)

    def _put_alone(self, name: str) -> None:
        """Move a file into a folder of its own, beside a sound one: a load of which nothing is good is no load."""
        case = self.cases[name]
        folder = self.root / "alone" / name.partition(".")[0]
        folder.mkdir()
        (self.root / "in" / case.group / name).rename(folder / name)
        self.companions += 1
        sound = sound_case(case, len(self.cases) + self.companions)
        (folder / "sound.csv").write_bytes(sound.data)

    def _collect(self) -> None:
        connection = duckdb.connect(str(self.root / "out.duckdb"), read_only=True)
        by_source: dict[str, int] = defaultdict(int)
        try:
            tables = connection.execute(
                "SELECT table_name FROM duckdb_tables() WHERE table_name NOT LIKE '\\_%' ESCAPE '\\'"
            )
            for (table,) in tables.fetchall():
                if table not in {case.group for case in self.cases.values()}:
                    continue
                header = TABLES[table.split("_")[0]].header
                columns = ", ".join(f'"{name}"' for name in header)
                sql = f'SELECT "_file", "_row_number", {columns} FROM "{table}"'
                for file, number, *values in connection.execute(sql).fetchall():
                    self.seen.rows[Path(file).name].append((number, tuple(values)))
                    by_source[table] += 1
        finally:
            connection.close()
        self._collect_quarantine(by_source)
        told, found = sum(self.read.values()), sum(by_source.values())
        if told != found:
            self.seen.unbalanced.append(f"the accounts tell of {told} records, {found} are found")

    def _collect_quarantine(self, by_source: dict[str, int]) -> None:
        from pratique.ledger import open_ledger  # noqa: PLC0415 - as a user of the package, after the runs
        from pratique.quarantine import Quarantine  # noqa: PLC0415

        state = self.root / ".pratique"
        for record in Quarantine(state / "quarantine", open_ledger(state / "ledger.sqlite")).records(reveal=True):
            self.seen.quarantined[Path(record["file"]).name].append(record)
            by_source[record["source"]] += 1
