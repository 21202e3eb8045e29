"""An API for benchmarks: pages of records after a fixed latency, as fast as a server in one process can be."""

import asyncio
import json
import sys
from urllib.parse import parse_qs, urlsplit

LATENCY_SECONDS = 0.02
PER_PAGE = 100


def record(number: int) -> dict[str, object]:
    """One record, as a shop might keep it."""
    return {
        "id": number,
        "order": f"O-{number:08}",
        "email": f"user{number % 5000}@example.com",
        "amount": number % 100_000 / 100,
        "quantity": number % 7 + 1,
        "status": ("open", "paid", "sent", "back")[number % 4],
        "updated_at": f"2026-10-{number % 28 + 1:02}T{number % 24:02}:{number % 60:02}:00Z",
        "note": "a text of the usual length, with nothing in it that is worth mentioning",
    }


class Pages(asyncio.Protocol):
    """HTTP/1.1 as far as clients of one kind need it: GET with keep-alive."""

    bodies: dict[int, bytes] = {}  # noqa: RUF012 - one server in this process

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self.transport = transport
        self.data = b""

    def data_received(self, data: bytes) -> None:
        """Answer every whole request after the latency."""
        self.data += data
        while b"\r\n\r\n" in self.data:
            request, _, self.data = self.data.partition(b"\r\n\r\n")
            target = request.split(b" ", 2)[1].decode()
            page = int(parse_qs(urlsplit(target).query).get("page", ["1"])[0])
            asyncio.get_running_loop().call_later(LATENCY_SECONDS, self.answer, page)

    def answer(self, page: int) -> None:
        """Send one page."""
        body = self.bodies.get(page, self.bodies[0])
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        self.transport.write(head + body)  # type: ignore[attr-defined]


async def serve(pages: int) -> None:
    """Serve so many pages on a free port, which is printed, until the process is ended."""
    for page in range(1, pages + 1):
        records = [record(number) for number in range((page - 1) * PER_PAGE, page * PER_PAGE)]
        Pages.bodies[page] = json.dumps({"pages": pages, "data": records}).encode()
    Pages.bodies[0] = json.dumps({"pages": pages, "data": []}).encode()
    server = await asyncio.get_running_loop().create_server(Pages, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
