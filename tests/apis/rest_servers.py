"""REST servers that others wrote, each a process of its own that is gone at the end, in environments of their own.

They are installed once for all processes of a test run: pinned, with hashes, beside the environment of the tests, whose
packages know nothing of them. What cannot be installed fails the tests that need it, and says why.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import urllib.request
import venv
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from cloud_servers import started
from servers import free_port, install

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements"
SECRET = "canary/rest+secret of-theirs"  # noqa: S105 - of servers that live for one test run
RECORDS = [
    {"id": number, "note": f'"{number}" é 😀\n\\', "amount": f"{number}.1{number % 10}", "updated": 1000 + number}
    for number in range(1, 96)
]


def _environment(lock: Path, made: Callable[[Path], subprocess.CompletedProcess[str]]) -> Path:
    """The folder in which a lock is installed, by whichever process comes first; a broken one is made anew."""
    version = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"pratique-tests-rest-{os.getuid()}-{lock.parent.name}-{version}"
    ready = folder / ".ready"
    with folder.with_suffix(".lock").open("a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not ready.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            done = made(folder)
            if done.returncode:
                told = f"{done.stdout}{done.stderr}".strip()[-2000:]
                pytest.fail(f"not run: {lock.relative_to(REQUIREMENTS.parent)} cannot be installed: {told}")
            ready.touch()
    return folder


def _called(*words: object, **more: Any) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [*map(str, words)],
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
            stdin=subprocess.DEVNULL,
            **more,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(words, 1, "", f"{words[0]}: {error}")


def _python(program: str) -> str:
    """A program of the servers that are written in Python."""
    lock = REQUIREMENTS / "rest_servers.txt"

    def made(folder: Path) -> subprocess.CompletedProcess[str]:
        venv.create(folder, with_pip=False, symlinks=True)
        own = folder / "bin" / "python"
        words = ["--python", own, "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile"]
        return _called(sys.executable, "-m", "pip", *words, "--require-hashes", "-r", lock)

    return str(_environment(lock, made) / "bin" / program)


def _node(program: str) -> list[str]:
    """The words that start a program of the npm packages."""
    if shutil.which("npm") is None:
        install("npm")
    lock = REQUIREMENTS / "json-server" / "package-lock.json"

    def made(folder: Path) -> subprocess.CompletedProcess[str]:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(lock.parent / name, folder)
        return _called("npm", "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder)

    return ["node", str(_environment(lock, made) / "node_modules" / ".bin" / program)]


@contextmanager
def datasette() -> Iterator[str]:
    """Datasette over a table `orders`; it wants the token as a bearer or as the parameter `_auth_token`."""
    port = free_port()
    with tempfile.TemporaryDirectory() as scratch:
        with closing(sqlite3.connect(f"{scratch}/shop.db")) as shop, shop:
            shop.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT, amount TEXT, updated INTEGER)")
            shop.executemany("INSERT INTO orders VALUES (:id, :note, :amount, :updated)", RECORDS)
        tokens = {"tokens": [{"token": {"$env": "TOKEN"}, "actor": {"bot_id": "reader"}}], "param": "_auth_token"}
        Path(scratch, "metadata.json").write_text(
            json.dumps({"allow": {"bot_id": "reader"}, "plugins": {"datasette-auth-tokens": tokens}})
        )
        words = [_python("datasette"), "serve", "shop.db", "-m", "metadata.json", "-p", str(port)]
        environ = {**os.environ, "TOKEN": SECRET}
        with started(words, f"http://127.0.0.1:{port}", cwd=scratch, env=environ) as url:
            yield url


@contextmanager
def json_server() -> Iterator[str]:
    """json-server over `orders` and `changing`; it knows nobody and lets everybody in."""
    port = free_port()
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch, "db.json").write_text(json.dumps({"orders": RECORDS, "changing": RECORDS}))
        words = [*_node("json-server"), "--host", "127.0.0.1", "--port", str(port), "--quiet", "db.json"]
        with started(words, f"http://127.0.0.1:{port}/orders/1", cwd=scratch) as url:
            yield url.removesuffix("/orders/1")


@contextmanager
def httpbin() -> Iterator[str]:
    """httpbin, which answers as its URLs ask."""
    port = free_port()
    words = [_python("waitress-serve"), f"--listen=127.0.0.1:{port}", "httpbin:app"]
    with started(words, f"http://127.0.0.1:{port}/uuid") as url:
        yield url.removesuffix("/uuid")


@contextmanager
def kinto() -> Iterator[str]:
    """Kinto with the collections `orders` and `changing` of the user `reader`, by basic auth."""
    port = free_port()
    with tempfile.TemporaryDirectory() as scratch:
        words = [_python("kinto"), "init", "--backend", "memory", "--cache-backend", "memory"]
        made = _called(*words, "--host", "127.0.0.1", "--ini", f"{scratch}/kinto.ini")
        assert made.returncode == 0, made.stdout + made.stderr
        words = [_python("kinto"), "start", "--ini", f"{scratch}/kinto.ini", "--port", str(port)]
        with started(words, f"http://127.0.0.1:{port}/v1/") as url:
            send(f"{url}accounts/reader", {"data": {"password": SECRET}})
            for name in ("orders", "changing"):
                asked = [
                    {
                        "method": "PUT",
                        "path": f"/{KINTO}/{name}/records/{record['id']}",
                        "body": {"data": {key: value for key, value in record.items() if key != "id"}},
                    }
                    for record in RECORDS
                ]
                for at in range(0, len(asked), 25):  # as many as it takes at once
                    send(f"{url}batch", {"requests": asked[at : at + 25]}, "POST", "reader")
            yield url.removesuffix("/")


KINTO = "buckets/default/collections"


def send(url: str, body: dict[str, Any], method: str = "PUT", user: str = "") -> None:
    """Put an object there; Kinto stamps it with the moment of its change."""
    headers = {"Content-Type": "application/json"}
    if user:
        headers["Authorization"] = "Basic " + b64encode(f"{user}:{SECRET}".encode()).decode()
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method=method)  # noqa: S310 - ours
    urllib.request.urlopen(request, timeout=30).close()  # noqa: S310 - the same
