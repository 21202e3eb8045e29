"""One server of each cloud for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import cloud_servers
import pytest
from ssh_server import SshServer, ssh_server


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """An S3 server."""
    with cloud_servers.moto() as url:
        yield url


@pytest.fixture(scope="session")
def google_url() -> Iterator[str]:
    """A server of Google's API."""
    with cloud_servers.google() as url:
        yield url


@pytest.fixture(scope="session")
def azurite_url() -> Iterator[str]:
    """An Azure server."""
    with cloud_servers.azurite() as url:
        yield url


@pytest.fixture(scope="session")
def sshd() -> Iterator[SshServer]:
    """An OpenSSH server."""
    with ssh_server() as server:
        yield server
