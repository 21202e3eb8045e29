"""Files of a server that speaks SFTP. A version is a size and a time; both are looked at again when all has come."""

from __future__ import annotations

import asyncio
import stat
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import asyncssh

from pratique.errors import ConfigurationError, SourceError
from pratique.inputs import CloudInput
from pratique.sources.clouds.base import (
    PIECE_BYTES,
    Body,
    Bucket,
    StoredObject,
    changed,
    no_credentials,
    secret,
    unreachable,
)

T = TypeVar("T")

_KNOWN_HOSTS: Final = ("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")
_GONE: Final = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath)
_STRANGERS: Final = (asyncssh.KeyExchangeFailed, asyncssh.ProtocolNotSupported, asyncssh.IllegalUserName)
_PASSING: Final = (
    asyncssh.DisconnectError,
    asyncssh.ChannelOpenError,
    asyncssh.SFTPConnectionLost,
    asyncssh.SFTPNoConnection,
    asyncssh.SFTPEOFError,
    OSError,
)


class SftpServer(Bucket):
    """A folder of a server, over one connection that is made when it is needed, and anew when it broke.

    `leads(folder, link)` says whether a file that is wanted can stand in a folder (relative to the connection's) or
    below it: no other one is looked into.
    """

    errors = (asyncssh.Error, OSError, ValueError)

    def __init__(self, asked: CloudInput, leads: Callable[[str, bool], bool]) -> None:
        super().__init__(asked)
        self._leads = leads
        self._line = _Line(asked)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=_serve, args=(self._loop,), name="pratique-sftp", daemon=True).start()
        weakref.finalize(self, _end, self._line, self._loop)

    def _ask(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _listed(self, prefix: str) -> Iterator[StoredObject]:
        """A link counts as what it leads to; what is neither a file nor a folder is none."""
        yield from self._ask(self._walk(prefix))

    async def _walk(self, prefix: str) -> list[StoredObject]:
        base, found = self._asked.prefix, list[StoredObject]()
        await self._line.stat(base)
        waiting = [prefix[: prefix.rfind("/") + 1]]
        while waiting:
            folder = waiting.pop()
            for key, link, seen in await self._line.entries(folder):
                mode = seen.permissions or stat.S_IFREG
                below = key + "/"
                if stat.S_ISDIR(mode):
                    near = below.startswith(prefix) or prefix.startswith(below)
                    if near and self._leads(key.removeprefix(base), link):
                        waiting.append(below)
                elif key.startswith(prefix) and (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
                    found.append(StoredObject(key, seen.size or 0, _tag(seen)))
        return found

    def _version(self, item: StoredObject) -> Body:
        return Body(self._read(self._ask(self._line.open(item)), item))

    def _read(self, file: asyncssh.SFTPClientFile, item: StoredObject) -> Iterator[bytes]:
        try:
            left = item.size
            while left and (piece := self._ask(self._line.piece(file, left))):
                left -= len(piece)
                yield piece
            self._ask(self._line.check(file, item))
        finally:
            self._ask(self._line.leave(file))

    def _meant(self, error: Exception, key: str) -> SourceError:
        where = self._asked.shown
        if isinstance(error, asyncssh.HostKeyNotVerifiable):
            return self._unknown_host()
        if isinstance(error, asyncssh.PermissionDenied):
            hint = "check the user, its password or private_key, and that the server lets it in"
            facts = {"code": "AuthenticationFailed"}
            return SourceError(f"the server of {where} does not let this user in", hint=hint, facts=facts)
        if isinstance(error, _STRANGERS):
            hint = "ask whoever runs the server which versions and algorithms it speaks"
            return SourceError(f"the server of {where} cannot be spoken with: {error.reason}", hint=hint)
        if isinstance(error, _PASSING):
            return unreachable(f"{where}: {type(error).__name__}: {str(error) or 'no answer in time'}")
        return _answer(error, where, key)

    def _unknown_host(self) -> SourceError:
        host, port = self._asked.host, self._asked.port
        keys = asyncssh.match_known_hosts(_known_hosts(self._asked), host, "", port if port != _PORT else None)
        facts = {"host": host, "port": port}
        if any(keys[:3]):
            return SourceError(
                f"the server {host} shows another host key than the one that is known",
                hint="ask whoever runs it whether its key was changed: else somebody stands between; if it was, remove "
                f"the old one (ssh-keygen -R '{host if port == _PORT else f'[{host}]:{port}'}') and add the new one",
                facts=facts,
            )
        file = self._asked.known_hosts or _KNOWN_HOSTS[0]
        return SourceError(
            f"the host key of the server {host} is not known",
            hint=f"ask whoever runs it for its key, compare that with what `ssh-keyscan -p {port} {host}` prints, and "
            f"add the line to {file}",
            facts=facts,
        )


_PORT: Final = 22


class _Line:
    """What goes over the connection; within the loop of its thread only, each step within its time."""

    def __init__(self, asked: CloudInput) -> None:
        self._asked = asked
        self._turn = asyncio.Lock()
        self._connection: asyncssh.SSHClientConnection | None = None
        self._sftp: asyncssh.SFTPClient | None = None

    async def _client(self) -> asyncssh.SFTPClient:
        async with self._turn:
            if self._sftp is None or self._connection is None or self._connection.is_closed():
                await self.end()
                async with asyncio.timeout(self._asked.connect_timeout_seconds):
                    self._connection = await asyncssh.connect(**_words(self._asked))
                    # A name that is not UTF-8 stops no listing: its bytes come as they are.
                    self._sftp = await self._connection.start_sftp_client(path_errors="surrogateescape")
            return self._sftp

    async def end(self) -> None:
        """Hang up."""
        connection, self._connection, self._sftp = self._connection, None, None
        if connection is not None:
            connection.abort()
            await connection.wait_closed()

    @asynccontextmanager
    async def _within(self) -> AsyncIterator[None]:
        """The time of one step. A connection on which nothing comes is given up, so that the next try has another."""
        seconds = self._asked.read_timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError as error:
            await self.end()
            raise TimeoutError(f"no answer within {seconds} s") from error

    async def stat(self, key: str) -> asyncssh.SFTPAttrs:
        """What stands there, links followed."""
        client = await self._client()
        async with self._within():
            return await client.stat(_path(key))

    async def entries(self, folder: str) -> list[tuple[str, bool, asyncssh.SFTPAttrs]]:
        """Key, whether it is a link, and what it is: of all that stands in a folder; nothing where there is none."""
        client = await self._client()
        try:
            async with self._within():
                names = await client.readdir(_path(folder))
        except _GONE:
            return []
        except asyncssh.SFTPPermissionDenied as error:
            raise _refused(f"the folder /{folder}", error) from error
        found = []
        for entry in names:
            if (name := str(entry.filename)) not in {".", ".."}:
                seen, link = entry.attrs, stat.S_ISLNK(entry.attrs.permissions or 0)
                if link:
                    with suppress(asyncssh.SFTPError):  # a link to nothing: reading it will tell
                        seen = await self.stat(folder + name)
                found.append((folder + name, link, seen))
        return found

    async def open(self, item: StoredObject) -> asyncssh.SFTPClientFile:
        """The file, if it is the version that was listed."""
        client = await self._client()
        async with self._within():
            file = await client.open(_path(item.key), "rb")
            seen = await file.stat()
        if (seen.size, _tag(seen)) != (item.size, item.tag):
            await self.leave(file)
            raise changed("changed")
        return file

    async def check(self, file: asyncssh.SFTPClientFile, item: StoredObject) -> None:
        """Raise SourceError unless the open file, and what has its name now, are the version that was listed."""
        async with self._within():
            both = await asyncio.gather(file.stat(), self.stat(item.key))
        if any((seen.size, _tag(seen)) != (item.size, item.tag) for seen in both):
            raise changed("changed")

    async def piece(self, file: asyncssh.SFTPClientFile, left: int) -> bytes:
        """The next bytes, of so many that are left; none at the end. They are asked for side by side."""
        async with self._within():
            piece: bytes = await file.read(min(PIECE_BYTES, left))
            return piece

    async def leave(self, file: asyncssh.SFTPClientFile) -> None:
        """Close the file; a connection that broke has closed it."""
        with suppress(asyncssh.SFTPError, OSError):
            async with self._within():
                await file.close()


def _words(asked: CloudInput) -> dict[str, Any]:
    """How the connection is made: as the project says, not as ~/.ssh/config does; never to a host that is not known."""
    words: dict[str, Any] = {
        "host": asked.host,
        "port": asked.port,
        "username": asked.account,
        "known_hosts": _known_hosts(asked),
        "config": None,
        "login_timeout": asked.connect_timeout_seconds,
        "gss_host": None,
        "x509_trusted_certs": None,
    }
    password, key = secret(asked, "password"), secret(asked, "private_key")
    if key:
        words |= {"client_keys": [_key(key, secret(asked, "private_key_passphrase"))], "agent_path": None}
    elif password:
        words |= {"client_keys": None, "agent_path": None}
    return words | ({"password": password} if password else {})


def _key(text: str, passphrase: str | None) -> asyncssh.SSHKey:
    try:
        return asyncssh.import_private_key(text.rstrip() + "\n", passphrase)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        raise no_credentials(
            "private_key is no private key, or private_key_passphrase is not the one of it",
            "write private_key: ${file:PATH}, with a key as ssh-keygen makes it",
        ) from error


def _known_hosts(asked: CloudInput) -> asyncssh.SSHKnownHosts:
    """The keys of hosts that are known: of the connection's file, else of this user and this machine."""
    if asked.known_hosts is not None:
        wanted = [asked.known_hosts]
    else:
        wanted = [path for name in _KNOWN_HOSTS if (path := Path(name).expanduser()).is_file()]
    try:
        return asyncssh.import_known_hosts("\n".join(path.read_text(errors="replace") for path in wanted))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"the known hosts of {asked.shown} cannot be read: {error}",
            hint="known_hosts names a file as ssh keeps it; `ssh-keyscan HOST` prints lines for it",
        ) from error


def _path(key: str) -> str:
    """Where a key stands: from the root of the server, or from the user's home under `~/`."""
    return (key.removeprefix("~/") or ".") if key.startswith("~/") else f"/{key}"


def _tag(seen: asyncssh.SFTPAttrs) -> str:
    """What names a version; empty where the server tells no time: such a file is read to be known."""
    return "" if seen.mtime is None else f"{seen.size}-{seen.mtime}"


def _answer(error: Exception, where: str, key: str) -> SourceError:
    if not isinstance(error, asyncssh.SFTPError):  # as where the user of this process has no name at all
        return SourceError(f"{where} cannot be read: {error}", hint="see the connection, and the environment")
    if not isinstance(error, _GONE):
        return _refused(f"{where}: {key}" if key else where, error)
    if key:
        return changed("was removed or replaced")
    return SourceError(f"there is no folder {where}", hint="check the url of the connection")


def _refused(what: str, error: asyncssh.SFTPError) -> SourceError:
    denied = isinstance(error, asyncssh.SFTPPermissionDenied)
    hint = "give the user the right to list and to read there"
    return SourceError(f"the server refuses {what}: {error.reason}", hint=hint, facts={"status": 403} if denied else {})


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


def _end(line: _Line, loop: asyncio.AbstractEventLoop) -> None:
    """Have the connection hung up, and its thread ended; waits for neither."""

    async def hang_up() -> None:
        try:
            await line.end()
        finally:
            loop.stop()

    asyncio.run_coroutine_threadsafe(hang_up(), loop)
