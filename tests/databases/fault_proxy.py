"""A door before a server that counts who comes in, and breaks connections when a test asks for it."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Self

_PIECE_BYTES = 1 << 16


@dataclass
class FaultProxy:
    """Passes bytes between clients and one server on this machine, in threads that end with it."""

    target: int
    connections: int = 0
    broken: int = 0  # so many of the next connections are reset
    port: int = 0
    alter: Callable[[bytes], bytes | None] = lambda data: data  # what the server says; None ends the connection
    alter_request: Callable[[bytes], bytes | None] = lambda data: data
    _listener: socket.socket = field(default_factory=socket.socket)
    _open: set[socket.socket] = field(default_factory=set)

    def __enter__(self) -> Self:
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(64)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in [*self._open]:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def disturb(self, times: int) -> None:
        """Break so many of the next connections."""
        self.broken = times

    def _altered(self, data: bytes) -> bytes | None:
        return self.alter(data)  # a connection that is open hears of it when a test changes it

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                if self.broken:
                    self.broken -= 1
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    client.close()
                    continue
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self.target)) as server:
            self._open |= {client, server}
            back = threading.Thread(target=_pass, args=(server, client, self._altered), daemon=True)
            back.start()
            _pass(client, server, self.alter_request)
            back.join()
            self._open -= {client, server}


def _pass(here: socket.socket, there: socket.socket, alter: Callable[[bytes], bytes | None]) -> None:
    altered: bytes | None = b""
    with contextlib.suppress(OSError):
        while data := here.recv(_PIECE_BYTES):
            altered = alter(data)
            if altered is None:
                break
            there.sendall(altered)
    with contextlib.suppress(OSError):
        there.shutdown(socket.SHUT_RDWR if altered is None else socket.SHUT_WR)


@contextlib.contextmanager
def before(target: int) -> Iterator[FaultProxy]:
    """A proxy before the server at this port."""
    with FaultProxy(target) as proxy:
        yield proxy
