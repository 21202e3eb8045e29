"""Real database servers for tests: private, in a temporary folder, not as root, gone at the end."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PASSWORD = "canary-db-4f1c"  # noqa: S105 - the secret of a server that lives for one test run
_ACCOUNT = "nobody"


def _as_other() -> dict[str, str]:
    """Servers refuse to run as root: whoever is root starts them as somebody else."""
    return {"user": _ACCOUNT} if os.getuid() == 0 else {}


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(*words: object, **more: object) -> None:
    done = subprocess.run(
        [*map(str, words)], capture_output=True, text=True, timeout=90, check=False, **_as_other(), **more
    )
    assert done.returncode == 0, f"{words[0]}: {done.stdout}{done.stderr}"


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="pratique-db-", dir="/tmp"))
    if _as_other():
        shutil.chown(folder, _ACCOUNT)
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Server:
    """Where a server listens; its administrator has the password `PASSWORD`."""

    port: int
    folder: Path
    scheme: str
    user: str

    def url(self, database: str, user: str | None = None) -> str:
        """The URL of a connection, without a password."""
        return f"{self.scheme}://{user or self.user}@127.0.0.1:{self.port}/{database}"


def install(package: str, *options: str) -> None:
    """Install a package that tests need where that can be done; one process of the tests at a time."""
    if os.getuid() == 0 and shutil.which("apt-get"):
        quiet = {"env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, "capture_output": True, "timeout": 300}
        with (Path(tempfile.gettempdir()) / "pratique-tests-install.lock").open("a") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            for words in (["apt-get", "update"], ["apt-get", "install", "-y", *options, package]):
                subprocess.run(words, check=False, **quiet)


def _postgres_programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[4]))
    beside = shutil.which("initdb")
    return found[-1].parent if found else Path(beside).parent if beside else None


@contextmanager
def postgres() -> Iterator[Server]:
    """A private PostgreSQL cluster, asking for passwords."""
    if _postgres_programs() is None:
        install("postgresql")
    programs = _postgres_programs()
    if programs is None:
        pytest.fail("the tests of PostgreSQL need its server: apt-get install postgresql")
    with _folder() as folder:
        port, data, secret = free_port(), folder / "data", folder / "secret"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        _run(
            programs / "initdb",
            "-D",
            data,
            "-U",
            "owner",
            "-A",
            "scram-sha-256",
            "--pwfile",
            secret,
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        )
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=20"
        _run(programs / "pg_ctl", "-D", data, "-o", options, "-l", folder / "log", "-w", "start")
        try:
            yield Server(port, folder, "postgres", "owner")
        finally:
            _run(programs / "pg_ctl", "-D", data, "-m", "immediate", "stop")


@contextmanager
def mariadb() -> Iterator[Server]:
    """A private MariaDB server, asking for passwords."""
    if shutil.which("mariadbd") is None:
        install("mariadb-server")
    if shutil.which("mariadbd") is None:
        pytest.fail("the tests of MariaDB need its server: apt-get install mariadb-server")
    with _folder() as folder:
        port, data = free_port(), folder / "data"
        _run(
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={data}",
            f"--tmpdir={folder}",  # a server that starts clears it, whoever uses it
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        )
        script = folder / "init.sql"
        script.write_text(
            f"CREATE USER owner@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\nGRANT ALL ON *.* TO owner@'127.0.0.1' WITH GRANT OPTION;\nCREATE DATABASE test;\n"
        )
        words = ["mariadbd", "--no-defaults", f"--datadir={data}", f"--tmpdir={folder}", f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder}/socket", f"--init-file={script}", "--skip-name-resolve", f"--pid-file={folder}/pid", f"--log-error={folder}/log", "--innodb-flush-log-at-trx-commit=0", "--max-allowed-packet=64M"]  # fmt: skip
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **_as_other()) as process:
            try:
                deadline = time.monotonic() + 60
                while process.poll() is None and time.monotonic() < deadline and not (folder / "socket").exists():
                    time.sleep(0.1)
                assert process.poll() is None, (folder / "log").read_text()
                yield Server(port, folder, "mysql", "owner")
            finally:
                process.terminate()
                process.wait(30)
