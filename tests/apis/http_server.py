"""A server of HTTP/1.1 on a real socket that does what a script says, well or badly, and remembers what it was asked."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Request:
    """What was asked."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """Without parameters."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The parameters; of two of one name the last."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def text(self) -> str:
        """Every byte of it."""
        return f"{self.target}\n{self.headers}\n{self.body!r}"


Answer = Callable[[Request, socket.socket], bool | None]


def answer(
    value: Any, status: str = "200 OK", headers: Mapping[str, str] | None = None, *, kind: str = "application/json"
) -> bytes:
    """A whole response: bytes as they are, else JSON."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    lines = {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}
    head = "".join(f"{name}: {text}\r\n" for name, text in lines.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


@dataclass
class Server:
    """Where it is, and every request so far."""

    script: Callable[[Request], Any]
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._open: set[socket.socket] = set()
        self._threads[0].start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    def asked(self, name: str = "page") -> list[str]:
        """The values of a parameter, in the order in which they were asked for."""
        return [request.query.get(name, "") for request in self.requests]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            self._open.add(connection)
            with connection, connection.makefile("rb") as lines:
                while request := read(lines):
                    with self._lock:
                        self.requests.append(request)
                    made = self.script(request)
                    if callable(made):  # it speaks to the socket by itself
                        made(connection)
                        return
                    connection.sendall(made)
        self._open.discard(connection)

    def stop(self) -> None:
        """End every connection and every thread."""
        if self.stopping.is_set():
            return
        self.stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)


def read(lines: Any) -> Request | None:
    """The next request on a connection."""
    first = lines.readline().decode("latin-1").split()
    if len(first) != 3:
        return None
    headers = {}
    while line := lines.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return Request(first[0], first[1], headers, lines.read(int(headers.get("content-length", 0))))


@contextlib.contextmanager
def serving(script: Callable[[Request], Any], tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """A server while the context is open."""
    server = Server(script, tls)
    try:
        yield server
    finally:
        server.stop()
