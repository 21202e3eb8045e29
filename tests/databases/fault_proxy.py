"""A door before a server: it counts who comes in and what is asked for, and does to connections what networks do."""

from __future__ import annotations

import contextlib
import math
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, Self

_PIECE_BYTES = 1 << 16
_REQUEST = re.compile(rb"^(?:GET|POST) (\S+) HTTP/1\.1\r$", re.MULTILINE)


@dataclass(frozen=True)
class Fault:
    """What happens to a connection when `after` bytes of answers have passed; `seconds` stand before each piece.

    latency, slow (pieces of 64 bytes); cut (an orderly end), reset, silence (nothing more, and no end); refuse: nobody
    listens.
    """

    kind: Literal["latency", "slow", "cut", "reset", "silence", "refuse"]
    after: int = 0
    seconds: float = 0.0


@dataclass
class FaultProxy:
    """Passes bytes between clients and one server on this machine, in threads that end with it."""

    target: int
    connections: int = 0
    broken: int = 0  # so many of the next connections are reset
    port: int = 0
    alter: Callable[[bytes], bytes | None] = lambda data: data  # what the server says; None ends the connection
    alter_request: Callable[[bytes], bytes | None] = lambda data: data
    _heard: list[bytearray] = field(default_factory=list)
    _fault: Fault | None = None
    _times: float = 0
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _mended: threading.Event = field(default_factory=threading.Event)
    _listener: socket.socket = field(init=False)
    _open: set[socket.socket] = field(default_factory=set)

    def __enter__(self) -> Self:
        self._listen()
        return self

    def __exit__(self, *_: object) -> None:
        self._mended.set()
        self._deafen()
        for connection in [*self._open]:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def requests(self) -> list[str]:
        """What was asked for over HTTP, in the order in which connections came."""
        return [found.decode() for heard in self._heard for found in _REQUEST.findall(heard)]

    def disturb(self, times: int) -> None:
        """Break so many of the next connections."""
        self.broken = times

    def fail(self, fault: Fault, times: float = math.inf) -> None:
        """Do this so many times, to connections that come from now on; what is slow, and `refuse`, until it is mended."""
        self._mended = threading.Event()
        self._fault, self._times = fault, times
        if fault.kind == "refuse":
            self._deafen()

    def mend(self) -> None:
        """Do nothing to connections from now on, and end those that something was done to."""
        self._times = 0
        if self._fault and self._fault.kind == "refuse":
            self._listen()
        self._fault = None
        self._mended.set()

    def _listen(self) -> None:
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self.port))
        self._listener.listen(64)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _deafen(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                self.connections += 1
                if self.broken:
                    self.broken -= 1
                    _reset(client)
                    continue
                threading.Thread(target=self._serve, args=(client, self._fault), daemon=True).start()

    def _serve(self, client: socket.socket, fault: Fault | None) -> None:
        heard = bytearray()
        self._heard.append(heard)

        def asked(data: bytes) -> bytes | None:
            heard.extend(data)
            return self.alter_request(data)

        with client, socket.create_connection(("127.0.0.1", self.target)) as server:
            self._open |= {client, server}
            struck: list[Fault] = []
            told = (server, client, fault, self._mended, struck)
            back = threading.Thread(target=self._answer, args=told, daemon=True)
            back.start()
            _pass(client, server, asked)
            back.join()
            if struck and struck[0].kind == "reset":
                _reset(client)
            self._open -= {client, server}

    def _strikes(self) -> bool:
        """Whether the fault is still to happen, which is then counted."""
        with self._turn:
            self._times -= 1
            return self._times >= 0

    def _answer(
        self,
        server: socket.socket,
        client: socket.socket,
        fault: Fault | None,
        mended: threading.Event,
        struck: list[Fault],
    ) -> None:
        """Pass what the server says, as the fault lets it."""
        passed = 0

        def faulty(data: bytes) -> bytes | None:
            nonlocal passed
            altered = self.alter(data)
            if altered is None or fault is None:
                return altered
            if fault.kind == "latency":
                mended.wait(fault.seconds)
            elif fault.kind == "slow":
                for at in range(0, len(altered), 64):
                    client.sendall(altered[at : at + 64])
                    mended.wait(fault.seconds)
                return b""
            elif passed + len(altered) > fault.after and self._strikes():
                struck.append(fault)
                client.sendall(altered[: fault.after - passed])
                if fault.kind == "silence":
                    mended.wait()
                return None
            passed += len(altered)
            return altered

        _pass(server, client, faulty, to_end=socket.SHUT_RD if fault and fault.kind == "reset" else socket.SHUT_RDWR)


def _pass(
    here: socket.socket,
    there: socket.socket,
    alter: Callable[[bytes], bytes | None],
    to_end: int = socket.SHUT_RDWR,
) -> None:
    altered: bytes | None = b""
    with contextlib.suppress(OSError):
        while data := here.recv(_PIECE_BYTES):
            altered = alter(data)
            if altered is None:
                break
            there.sendall(altered)
    with contextlib.suppress(OSError):
        there.shutdown(to_end if altered is None else socket.SHUT_WR)


def _reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@contextlib.contextmanager
def before(target: int) -> Iterator[FaultProxy]:
    """A proxy before the server at this port."""
    with FaultProxy(target) as proxy:
        yield proxy
