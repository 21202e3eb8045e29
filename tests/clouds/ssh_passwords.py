"""An SFTP server whose only user is `partner`, by a password: `ssh_passwords.py PORT HOST_KEY PASSWORD`."""

from __future__ import annotations

import asyncio
import sys

import asyncssh


class Door(asyncssh.SSHServer):
    """Lets in who knows the password."""

    def begin_auth(self, username: str) -> bool:
        """Everybody is asked."""
        return username != ""

    def password_auth_supported(self) -> bool:
        """By a password."""
        return True

    def validate_password(self, username: str, password: str) -> bool:
        """Whether this is the one."""
        return (username, password) == ("partner", sys.argv[3])


async def serve() -> None:
    """Serve until the process is ended."""
    words = {"server_factory": Door, "server_host_keys": [sys.argv[2]], "sftp_factory": True}
    await (await asyncssh.listen("127.0.0.1", int(sys.argv[1]), **words)).wait_closed()


asyncio.run(serve())
