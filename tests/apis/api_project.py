"""A project that reads from an API of the tests' own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
from http_server import Request, Server, answer, serving

from pratique.ingestion import run_pipeline
from pratique.project import Project

SECRET = "canary/secret+of the-API"  # noqa: S105 - with characters that a URL writes otherwise
NEAR = "allowed_networks: [127.0.0.1/32]"
BEARER = f'{NEAR}, auth: {{type: bearer, token: "${{CRM_SECRET}}"}}'
PAGES = 'get: /contacts, paginate: {page: page}, records: "data[*]"'
LINKS = 'get: /contacts, paginate: {next: next}, records: "data[*]"'
SCHEMA = "primaryKey: id\nfields: {id: integer, note: {missingValues: []}}\n"


@dataclass
class Crm:
    """A project with one pipeline over an API."""

    root: Path
    servers: ExitStack

    def serve(self, script: Callable[[Request], Any], **words: Any) -> Server:
        """A server that does what the script says, until the test ends."""
        return self.servers.enter_context(serving(script, **words))

    def write(
        self,
        url: str,
        source: str,
        *,
        schema: str = SCHEMA,
        connection: str = NEAR,
        write: str = "append",
        more: str = "",
        settings: str = "",
        name: str = "contacts",
    ) -> None:
        """Write the project: the source `contacts`, its schema, the destination `contacts` in a DuckDB file."""
        texts = {
            "config/default.yaml": (
                f'connections:\n  crm: {{url: "{url}", {connection}}}\n  lake: {{url: duckdb://lake.duckdb}}\n{settings}'
            ),
            "pipelines/crm.yaml": (
                f"sources:\n  {name}: {{type: api, connection: crm, {source}, schema: {name}, write: {write}}}\n"
                f"{more}destination: {{connection: lake}}\n"
            ),
            f"schemas/{name}.yaml": schema,
        }
        for path, text in texts.items():
            self.file(path, text)

    def file(self, name: str, text: str) -> None:
        """Write one file of the project."""
        (self.root / name).parent.mkdir(exist_ok=True)
        (self.root / name).write_text(text)

    def run(self, code: int = 0, *, dry_run: bool = False) -> dict[str, Any]:
        """Run the pipeline in this process; its report as plain values. No byte of it is the secret."""
        report = run_pipeline(Project(self.root, "dev"), "crm", dry_run=dry_run)
        plain: dict[str, Any] = json.loads(json.dumps(asdict(report)))
        assert SECRET not in json.dumps(plain)
        assert report.exit_code == code, plain
        return plain

    def problem(self) -> dict[str, Any]:
        """Run the pipeline, whose source fails; the problem that it tells."""
        found: dict[str, Any] = self.run(3)["sources"][0]["problem"]
        return found

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Run the pipeline by the command line, in a process of its own."""
        command = [sys.executable, "-m", "pratique", "run", "crm", "--project", str(self.root), *words]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def command(self, *words: str, code: int = 0) -> str:
        """Run the pipeline by the command line; every byte that is printed, of which none is the secret."""
        process = self.start(*words)
        printed, _ = process.communicate(timeout=120)
        assert process.returncode == code, printed
        assert SECRET not in printed
        return printed

    def rows(self, sql: str = "SELECT id, note FROM contacts ORDER BY ALL") -> list[Any]:
        """What the destination holds."""
        with duckdb.connect(str(self.root / "lake.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()


def page_of(request: Request, pages: int = 3) -> bytes:
    """Ten records on each page."""
    page = int(request.query.get("page", 1))
    return answer({"data": rows(page) if page <= pages else []})


def rows(page: int) -> list[dict[str, object]]:
    """The records of a page."""
    return [{"id": page * 10 + number, "note": "x"} for number in range(10)]


def whole(crm: Crm, server: Server, pages: int = 3) -> None:
    """Every record is in the destination, once, and every request had the credential."""
    assert [number for number, _ in crm.rows()] == [page * 10 + at for page in range(1, pages + 1) for at in range(10)]
    assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {SECRET}"}
