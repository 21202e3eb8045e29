"""An OpenSSH server in a temporary folder, and a client's key that it lets in; both are gone at the end."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from servers import free_port, install

PASSPHRASE = "canary-sftp-5d2e"  # noqa: S105 - of a key that lives for one test run


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as there:
            return there.recv(4) == b"SSH-"
    except OSError:
        return False


@dataclass(frozen=True)
class SshServer:
    """Where it listens, and its folder: `key` (and `key.pub`) is let in, under `PASSPHRASE`; `plain` is so without."""

    port: int
    folder: Path
    user: str

    def known(self, folder: Path, port: int, key: str = "host") -> Path:
        """A file of known hosts that knows this server at a port."""
        text = (self.folder / f"{key}.pub").read_text()
        path = folder / "known_hosts"
        path.write_text(f"[127.0.0.1]:{port} {text}")
        return path

    def let_in(self, *names: str) -> None:
        """Let exactly these keys in."""
        text = "".join((self.folder / f"{name}.pub").read_text() for name in names)
        (self.folder / "authorized_keys").write_text(text)

    @property
    def files(self) -> Path:
        """A folder that it serves, by its absolute path like any other."""
        return self.folder / "files"


@contextmanager
def ssh_server() -> Iterator[SshServer]:
    """OpenSSH's sshd, for the user of the tests alone."""
    program = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ["PATH"])
    if program is None:
        install("openssh-server")
        program = shutil.which("sshd", path="/usr/sbin")
    if program is None:
        pytest.fail("the tests of SFTP need a server: apt-get install openssh-server")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where root's sshd keeps its unprivileged part
    with tempfile.TemporaryDirectory(prefix="pratique-ssh-") as name:
        folder, port = Path(name).resolve(), free_port()
        server = SshServer(port, folder, getpass.getuser())
        server.files.mkdir()
        for key, secret in (("host", ""), ("other_host", ""), ("plain", ""), ("key", PASSPHRASE)):
            words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", secret, "-C", key, "-f", str(folder / key)]
            subprocess.run(words, check=True, timeout=30)
        settings = {
            "Port": port,
            "ListenAddress": "127.0.0.1",
            "HostKey": folder / "host",
            "AuthorizedKeysFile": folder / "authorized_keys",
            "PermitRootLogin": "yes",
            "StrictModes": "no",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "PidFile": "none",
            "Subsystem": "sftp internal-sftp",
            "MaxStartups": "100",
        }
        config = folder / "sshd_config"
        config.write_text("".join(f"{word} {value}\n" for word, value in settings.items()))
        with (
            (folder / "log").open("w") as log,
            subprocess.Popen([program, "-D", "-e", "-f", str(config)], stderr=log) as process,
        ):
            try:
                deadline = time.monotonic() + 60
                while not _answers(port):
                    if process.poll() is not None or time.monotonic() > deadline:
                        pytest.fail(f"sshd does not start: {(folder / 'log').read_text()}")
                    time.sleep(0.1)
                yield server
            finally:
                process.terminate()
                process.wait(30)


@contextmanager
def password_server(server: SshServer, password: str) -> Iterator[int]:
    """A server that asks for a password (which sshd would look up among the accounts of this machine); its port."""
    port = free_port()
    words = [sys.executable, str(Path(__file__).with_name("ssh_passwords.py")), str(port), str(server.folder / "host")]
    with subprocess.Popen([*words, password], cwd=server.files) as process:
        try:
            deadline = time.monotonic() + 60
            while not _answers(port):
                assert process.poll() is None, "it does not start"
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield port
        finally:
            process.terminate()
            process.wait(30)
