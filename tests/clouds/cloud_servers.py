"""Servers that speak like clouds, written by others, each a process of its own that is gone at the end."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from servers import free_port, install

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # Azurite's own
_TOOLS = Path(tempfile.gettempdir()) / "pratique-tests-tools"


@contextmanager
def started(words: list[str], url: str, **more: object) -> Iterator[str]:
    """A server while the block runs, once it answers anything at all."""
    with tempfile.TemporaryFile() as log, subprocess.Popen(words, stdout=log, stderr=log, **more) as process:
        try:
            deadline = time.monotonic() + 60
            while not _answers(url):
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    pytest.fail(f"{words[0]} does not start: {log.read().decode(errors='replace')}")
                time.sleep(0.1)
            yield url
        finally:
            process.terminate()
            process.wait(30)


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 - a server of ours
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except OSError:
        return False
    return True


@contextmanager
def moto() -> Iterator[str]:
    """The S3 server of moto."""
    port = free_port()
    words = [sys.executable, "-m", "moto.server", "-p", str(port)]
    with started(words, f"http://127.0.0.1:{port}") as url:
        yield url


@contextmanager
def google() -> Iterator[str]:
    """The emulator gcp-storage-emulator of Google's JSON API."""
    port = free_port()
    words = [sys.executable, "-m", "gcp_storage_emulator", "start", "--port", str(port), "--in-memory"]
    with started(words, f"http://127.0.0.1:{port}") as url:
        yield url


@contextmanager
def azurite() -> Iterator[str]:
    """Microsoft's Azurite, installed by npm if it is not there; it checks signatures."""
    program = _TOOLS / "node_modules" / ".bin" / "azurite-blob"
    if not program.exists():
        _install_azurite()
    if not program.exists():
        pytest.fail("the tests of Azure need Azurite: npm install azurite")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        words = [str(program), "--blobPort", str(port), "--location", folder, "--silent", "--skipApiVersionCheck"]
        with started(words, f"http://127.0.0.1:{port}/{ACCOUNT}") as url:
            yield url


def _install_azurite() -> None:
    """Install Azurite where that can be done; one process of the tests at a time."""
    _TOOLS.mkdir(exist_ok=True)
    quiet = {"capture_output": True, "timeout": 600}
    if shutil.which("npm") is None:
        install("npm", "--no-install-recommends")
    with (Path(tempfile.gettempdir()) / "pratique-tests-install.lock").open("a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if shutil.which("npm") and not (_TOOLS / "node_modules" / ".bin" / "azurite-blob").exists():
            subprocess.run(
                ["npm", "install", "--prefix", str(_TOOLS), "--no-save", "azurite@3.37.0"], check=False, **quiet
            )
