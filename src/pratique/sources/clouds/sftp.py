"""Files of a server that speaks SFTP. A version is a size and a time; both are looked at again when all has come."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import asyncssh

from pratique.errors import PratiqueError, SourceError
from pratique.inputs import CloudInput
from pratique.sources.clouds.base import PIECE_BYTES, Body, Bucket, StoredObject, changed, secret, unreachable

T = TypeVar("T")

_KNOWN_HOSTS: Final = (Path("~/.ssh/known_hosts"), Path("/etc/ssh/ssh_known_hosts"))
_PASSING: Final = (
    asyncssh.DisconnectError,
    asyncssh.ChannelOpenError,
    asyncssh.SFTPConnectionLost,
    asyncssh.SFTPNoConnection,
    asyncssh.SFTPEOFError,
    OSError,
    TimeoutError,
)
_GONE: Final = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath)
logging.getLogger("asyncssh").setLevel(logging.WARNING)  # it tells of each connection, and to whom


class SftpServer(Bucket):
    """A folder of a server. Who we are: the connection's key or password, else the agent and the keys of `~/.ssh`.

    Everything goes over one connection, made when it is first needed and anew when it broke. `leads` says of a folder,
    relative to the connection's, whether a file that is wanted can stand below it: no other one is looked into.
    """

    def __init__(self, asked: CloudInput, leads: Callable[[str], bool]) -> None:
        super().__init__(asked)
        self._leads = leads
        self._line = _Line(asked)
        self._loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._loop.run_forever, name="pratique-sftp", daemon=True)
        thread.start()
        weakref.finalize(self, _end, self._loop, thread, self._line)

    def _ask(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _listed(self, prefix: str) -> Iterator[StoredObject]:
        """Of links those to files are files; one to a folder is looked into where the pattern names it."""
        yield from self._ask(self._walk(prefix))

    async def _walk(self, prefix: str) -> list[StoredObject]:
        found: list[StoredObject] = []
        base = self._asked.prefix
        await self._line.stat(base)
        waiting = [prefix.rpartition("/")[0] + "/" if "/" in prefix else ""]
        while waiting:
            folder = waiting.pop()
            async for name, attributes in self._line.entries(folder):
                key = folder + name
                if stat.S_ISDIR(attributes.permissions or 0):
                    below = key + "/"
                    near = below.startswith(prefix) or prefix.startswith(below)
                    if near and self._leads(key.removeprefix(base)):
                        waiting.append(below)
                elif key.startswith(prefix) and stat.S_ISREG(attributes.permissions or stat.S_IFREG):
                    found.append(StoredObject(key, attributes.size or 0, _tag(attributes)))
        return found

    def _version(self, item: StoredObject) -> Body:
        return Body(self._read(item, self._ask(self._line.open(item))))

    def _read(self, item: StoredObject, file: asyncssh.SFTPClientFile) -> Iterator[bytes]:
        try:
            while piece := self._ask(self._line.piece(file)):
                yield piece
            self._ask(self._line.check(item, file))
        finally:
            self._ask(self._line.close_file(file))

    def _meant(self, error: Exception, key: str) -> PratiqueError | None:
        where = self._asked.shown
        if isinstance(error, asyncssh.HostKeyNotVerifiable):
            return self._stranger(error)
        if isinstance(error, asyncssh.PermissionDenied):
            hint = "check user and password or private_key, and whether the server lets this user in"
            facts = {"code": "AuthenticationFailed"}
            return SourceError(f"the server {where} lets nobody in who says so: {error.reason}", hint=hint, facts=facts)
        if isinstance(error, _PASSING):
            return unreachable(f"{where}: {type(error).__name__}: {error}")
        if isinstance(error, _GONE):
            if key:
                return changed("removed or replaced")
            return SourceError(f"there is no folder {where}", hint="check the url of the connection")
        if isinstance(error, asyncssh.SFTPError):
            what = f"{where}: {key}" if key else where
            facts = {"status": 403} if isinstance(error, asyncssh.SFTPPermissionDenied) else {}
            hint = "give the user the right to list and to read there"
            return SourceError(f"the server refuses {what}: {error.reason}", hint=hint, facts=facts)
        return None
