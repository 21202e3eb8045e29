"""US-06: the audit of dependencies counts only where it is shown that it ran."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-security" / "bin" / "python"
LOCK = "click==8.5.1\nrich==15.0.0 ; python_version < '4'\ncolorama==0.4.6 ; sys_platform == 'nowhere'\n"

pytestmark = pytest.mark.security


class Database(BaseHTTPRequestHandler):
    """A stand-in for the database of vulnerabilities: it speaks the one request of OSV that the audit makes."""

    known: ClassVar[dict[str, list[str]]] = {}

    def do_POST(self) -> None:
        """Answer about one package in one version."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        found = self.known.get(f"{asked['package']['name']}=={asked['version']}", [])
        affected = [{"package": asked["package"], "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]}]
        body = json.dumps(
            {"vulns": [{"id": name, "summary": "x", "affected": affected} for name in found]} if found else {}
        )
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def database(known: dict[str, list[str]]) -> Iterator[str]:
    """The address of a database that knows just this."""
    handler = type("Known", (Database,), {"known": known})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()


def audit(url: str, lock: Path) -> subprocess.CompletedProcess[str]:
    """The audit of one lock against one database."""
    command = [PYTHON, ROOT / "scripts" / "audit.py", "--osv-url", url, lock]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """A lock of three packages, of which two are for this machine."""
    path = tmp_path / "lock.txt"
    path.write_text(LOCK)
    return path


def test_what_has_no_vulnerability_passes(lock: Path) -> None:
    """Every package for this machine was looked up, and the database is shown to answer."""
    with database({"jinja2==2.4.1": ["PYSEC-2014-8"]}) as url:
        done = audit(url, lock)
    assert done.returncode == 0, done.stderr
    assert "lock.txt: 2 of 2 packages looked up, 0 vulnerable" in done.stdout


def test_a_vulnerable_package_fails_it(lock: Path) -> None:
    """A locked package with a known vulnerability is named, with the vulnerability."""
    with database({"jinja2==2.4.1": ["PYSEC-2014-8"], "rich==15.0.0": ["PYSEC-2026-1"]}) as url:
        done = audit(url, lock)
    assert done.returncode == 1
    assert "rich==15.0.0: PYSEC-2026-1" in done.stdout


def test_a_database_that_knows_nothing_is_no_proof(lock: Path) -> None:
    """A database that has nothing against a package known to be vulnerable makes the audit fail."""
    with database({}) as url:
        done = audit(url, lock)
    assert done.returncode == 1
    assert "nothing was audited" in done.stderr


def test_a_database_that_is_away_is_no_proof(lock: Path) -> None:
    """Where nothing answers, the audit fails and says that nothing was audited."""
    done = audit("http://127.0.0.1:9/v1/query", lock)
    assert done.returncode == 1
    assert "nothing was audited" in done.stderr
