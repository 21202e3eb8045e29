"""One API over HTTP: only addresses that may be reached, credentials for one origin alone, a limit on everything."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urljoin, urlsplit

import aiohttp
import orjson
from yarl import URL

from pratique.apis import ApiServer, origin
from pratique.errors import SourceError, SourceUnreachableError
from pratique.printable import shown as printable
from pratique.secrets import hide_secrets, reveal
from pratique.sources.api.auth import Credentials
from pratique.sources.api.requests import Ask
from pratique.sources.base import ReadLimits

# Limit: redirects that are followed for one page.
REDIRECTS_MAX: Final = 5
# Limit: bytes of an answer that an error shows.
_SHOWN_BYTES: Final = 200
_PIECE_BYTES: Final = 1 << 16
_SKEW_SECONDS: Final = 60
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_OK, _NO_CONTENT, _UNAUTHORIZED = 200, 204, 401
_LATER: Final = "see whether the API runs and lets this machine in; what was read is kept, the next run goes on"
_REFUSED: Final = "look at what the API says; correct the path, `params` or `paginate`"
_REFUSALS: Final = {
    403: "check the rights of these credentials",
    404: "check the url of the connection, and the path",
}
# Possessive throughout: no header, however long, makes it go back.
_VALUE: Final = r'(?:=\s*+(?:"((?:[^"\\]|\\.)*+)"|([^\s,;"]*+)))?+'
_PARAMETER: Final = re.compile(r";\s*+([^\s,;=]++)\s*+" + _VALUE)
_LINK: Final = re.compile(r"<([^<>]*+)>((?:\s*+;\s*+[^\s,;=]++\s*+" + re.sub(r"\((?!\?)", "(?:", _VALUE) + ")*+)")
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered: its headers, and its body, unpacked; an empty one means that there is nothing."""

    url: str
    status: int
    headers: Mapping[str, str]
    link: str  # all Link headers
    body: bytes


class Client:
    """Asks one API. Open while the context is; what may pass is tried again, by the one retry policy."""

    def __init__(self, server: ApiServer, limits: ReadLimits) -> None:
        self.server = server
        self.notices: dict[str, None] = {}
        self._retries = limits.retries
        self._body_bytes_max = limits.response_bytes_max
        self._credentials = Credentials(server.auth)
        self._origin = server.origin
        self._allowed = frozenset({self._origin, *server.allowed_origins})
        self._slots = asyncio.Semaphore(server.concurrency)
        self._free_at = 0.0  # on the monotonic clock: no request before
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            limit=self.server.concurrency, ssl=self._tls(), socket_factory=self._socket, ttl_dns_cache=60
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self.server.connect_timeout_seconds),
            headers={"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "pratique"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def fetch(self, ask: Ask) -> Answer:
        """The answer to a request.

        Raises SourceUnreachableError, after the last retry, for what may pass by itself, and SourceError at once for
        what does not: the API refuses, leads elsewhere, answers too much, or something that is no answer.
        """
        return await self._retries.of_async(lambda: self._authorised(ask))

    async def _authorised(self, ask: Ask) -> Answer:
        """With credentials; once more with a new token where the one in hand is no longer accepted."""
        token = await self._credentials.token(self)
        try:
            return await self._answered(ask)
        except _UnauthorizedError as error:
            if not await self._credentials.renewed(self, token):
                raise SourceError(error.message, hint="check the `auth` of the connection") from None
        try:
            return await self._answered(ask)
        except _UnauthorizedError as error:
            hint = "its new token is refused too: check the rights of the client, and `scope`"
            raise SourceError(error.message, hint=hint) from None

    async def _answered(self, ask: Ask) -> Answer:
        """Follow redirects, each looked at before."""
        for _ in range(REDIRECTS_MAX + 1):
            found = await self._once(ask)
            if isinstance(found, Answer):
                return found
            ask = self._redirected(ask, found)
        raise SourceError(
            f"{shown(ask.url)} redirects more than {REDIRECTS_MAX} times", hint="correct `get`, or the url"
        )

    def _redirected(self, ask: Ask, target: str) -> Ask:
        url = joined(ask.url, target)
        self.check(url, "a redirect", came_from=ask.url)
        if ask.method != "GET":
            hint = "correct the url of the connection, or `post`"
            raise SourceError(f"{shown(ask.url)} redirects a post to {shown(url)}", hint=hint)
        return Ask(url)

    def check(self, url: str, what: str, *, came_from: str) -> None:
        """Raise SourceError for a URL that an answer gives and that leads out of the allowed origins."""
        try:
            target = origin(url)
        except ValueError:
            target = ""
        if target not in self._allowed:
            raise SourceError(
                f"{what} of {shown(came_from)} leads to {shown(url)}, which is not {self._origin}",
                hint="if it is meant, list its origin in allowed_origins of the connection; it gets no credentials",
            )
        if came_from.startswith("https:") and url.startswith("http:"):
            raise SourceError(f"{what} of {shown(came_from)} leads from https to http", hint="have the API repaired")

    async def _once(self, ask: Ask) -> Answer | str:
        """One request: its answer, or where it redirects to."""
        headers: dict[str, str] = {}
        params = list(ask.params)
        if origin(ask.url) == self._origin:
            headers.update(reveal(dict(self.server.headers)))
            params = self._credentials.apply(headers, params, ask.url)
        body = orjson.dumps(ask.body) if ask.body is not None else None
        if body is not None:
            headers["Content-Type"] = "application/json"
        return await self.send(ask.method, ask.url, params, headers, body)

    async def send(
        self, method: str, url: str, params: list[tuple[str, str]], headers: dict[str, str], body: bytes | None
    ) -> Answer | str:
        """Send one request within all limits; a redirect is not followed, only told."""
        async with self._slots:
            await self._paced()
            with self._told(url):
                async with (
                    asyncio.timeout(self.server.timeout_seconds),
                    self._session.request(
                        method, _url(url).extend_query(params), headers=headers, data=body, allow_redirects=False
                    ) as response,
                ):
                    if response.status in _REDIRECTS:
                        return response.headers.get("Location", "")
                    data = await self._body(response, url)
                    self._look_at_clock(response)
                    self._check_status(response, url, data)
                    link = ", ".join(response.headers.getall("Link", ()))
                    return Answer(str(response.url), response.status, response.headers, link, data)

    async def _body(self, response: aiohttp.ClientResponse, url: str) -> bytes:
        """The whole body, unpacked in bounded steps. SourceError beyond the limit."""
        packing = response.headers.get("Content-Encoding", "").lower()
        if packing not in {"", "identity", "gzip", "x-gzip"}:
            raise SourceError(
                f"{shown(url)} answers packed as {packing}, which was not asked for", hint="have it repaired"
            )
        unpack = zlib.decompressobj(31) if "gzip" in packing else None
        parts: list[bytes] = []
        size = 0
        async for piece in response.content.iter_chunked(_PIECE_BYTES):
            made = unpack.decompress(piece, self._body_bytes_max - size + 1) if unpack else piece
            size += len(made)
            if size > self._body_bytes_max:
                raise SourceError(
                    f"{shown(url)} answers with more than {self._body_bytes_max:,} bytes",
                    hint="ask for smaller pages, or raise limits.response_bytes_max",
                )
            parts.append(made)
        if unpack and unpack.unused_data:
            raise SourceError(f"{shown(url)} answers with something behind what is packed", hint="have it repaired")
        if unpack and size and not unpack.eof:
            raise SourceUnreachableError(f"{shown(url)} broke off: its packed answer has no end", hint=_LATER)
        return b"".join(parts)

    def _check_status(self, response: aiohttp.ClientResponse, url: str, data: bytes) -> None:
        status = response.status
        if status in {_OK, _NO_CONTENT}:
            return
        told = f"{shown(url)} answers {status} {printable(response.reason or '')}".rstrip()
        if status == _UNAUTHORIZED:
            raise _UnauthorizedError(told)
        if status in _PASSING:
            self._pause(response.headers.get("Retry-After", ""), told)
            raise SourceUnreachableError(told, hint=_LATER, facts={"status": status})
        excerpt = f": {head(data)}" if data else ""
        raise SourceError(f"{told}{excerpt}", hint=_REFUSALS.get(status, _REFUSED), facts={"status": status})

    def _pause(self, text: str, told: str) -> None:
        """Send nothing for as long as the API asks to wait, if that means anything; SourceError if it is too long."""
        if re.fullmatch(r"[0-9]{1,18}", text.strip()):
            pause = float(text)
        else:
            try:
                pause = parsedate_to_datetime(text).timestamp() - time.time()
            except (ValueError, TypeError, OverflowError):
                return
        most = self.server.retry_after_seconds_max
        if pause > most:
            raise SourceError(
                f"{told} and asks to wait {pause:,.0f} seconds, more than {most:,.0f}",
                hint="what was read is kept: run again later, or raise retry_after_seconds_max of the connection",
            )
        self._free_at = max(self._free_at, time.monotonic() + pause)

    async def _paced(self) -> None:
        """Wait for this request's turn: no faster than the rate, and not while the API asks to wait."""
        while True:
            now = time.monotonic()
            if now >= self._free_at:
                self._free_at = max(self._free_at, now) + (1 / self.server.rate if self.server.rate else 0)
                return
            await asyncio.sleep(self._free_at - now)

    def _look_at_clock(self, response: aiohttp.ClientResponse) -> None:
        try:
            there = parsedate_to_datetime(response.headers.get("Date", "")).timestamp()
        except (ValueError, TypeError, OverflowError):
            return
        skew = there - time.time()
        if abs(skew) > _SKEW_SECONDS:
            how = "ahead of" if skew > 0 else "behind"
            told = f"the clock of {self._origin} is more than a minute {how} this machine's"
            self.notices[f"{told}: choose a look-back above that"] = None

    # --- connections ------------------------------------------------------------------------------------------------

    def _tls(self) -> ssl.SSLContext | bool:
        """How certificates are checked; True: by the authorities that this machine trusts."""
        if self.server.tls_ca is None:
            return True
        try:
            return ssl.create_default_context(cafile=self.server.tls_ca)
        except (OSError, ssl.SSLError) as error:
            raise SourceError(
                f"{self.server.tls_ca} holds no certificates", hint="correct tls_ca of the connection"
            ) from error

    def _socket(self, found: Any) -> socket.socket:
        """A socket for this address, which is the one that it connects to: so every address is looked at here."""
        family, kind, protocol, _, address = found
        try:
            self._check_address(address[0])
        except SourceError as error:
            raise _RefusedAddressError(error) from error
        return socket.socket(family=family, type=kind, proto=protocol)

    def _check_address(self, text: str) -> None:
        address = ipaddress.ip_address(text.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address):
            inner = address.ipv4_mapped or address.sixtofour
            if address in _NAT64:
                inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
            address = inner or address
        if any(address in network for network in self.server.allowed_networks):
            return
        if not address.is_global or address.is_multicast:
            raise SourceError(
                f"{address} is an address of this machine or of a private network, and is not connected to",
                hint=f"if it is meant, write allowed_networks: [{address}/{address.max_prefixlen}] at the connection",
            )

    @contextmanager
    def _told(self, url: str) -> Iterator[None]:
        """Errors of the HTTP library as ours."""
        try:
            yield
        except aiohttp.ConnectionTimeoutError as error:
            told = f"{shown(url)} gave no connection within {self.server.connect_timeout_seconds:g} seconds"
            raise SourceUnreachableError(told, hint=_LATER) from error
        except TimeoutError as error:
            limit = f"{self.server.timeout_seconds:g} seconds"
            hint = "ask for smaller pages, or raise timeout_seconds of the connection"
            raise SourceUnreachableError(f"{shown(url)} did not answer whole within {limit}", hint=hint) from error
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError, ssl.SSLError) as error:
            raise SourceError(
                f"{shown(url)} has no certificate that can be trusted: {_reason(error)}",
                hint="have it renewed; for an authority of your own name its file in tls_ca of the connection",
            ) from error
        except zlib.error as error:
            raise SourceUnreachableError(f"{shown(url)} answers with a damaged packing", hint=_LATER) from error
        except aiohttp.InvalidURL as error:
            raise SourceError(
                f"{shown(url)} is no URL that can be asked", hint="correct the url, or the path"
            ) from error
        except ValueError as error:  # what the library makes of a URL or a header that is none
            raise SourceError(f"{shown(url)} cannot be asked, or answers no HTTP", hint="correct the path") from error
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, _RefusedAddressError):
                raise error.os_error.refusal from error
            told = f"{shown(url)} cannot be reached, or broke off: {_reason(error)}"
            raise SourceUnreachableError(told, hint=_LATER) from error


class _RefusedAddressError(OSError):
    """An address that is not connected to. Upstream: of a name with several, only an OSError comes out."""

    def __init__(self, refusal: SourceError) -> None:
        super().__init__("refused")  # the same for all of them, or the library makes a new error out of their texts
        self.refusal = refusal


class _UnauthorizedError(SourceError):
    """401: perhaps a token has ended."""


def _reason(error: BaseException) -> str:
    """What a library says in one line, without what an answer holds."""
    inner = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    told = getattr(inner, "strerror", None) or getattr(inner, "verify_message", None) or type(error).__name__
    return printable(str(told))


def shown(url: str) -> str:
    """A URL as people may read it: without parameters, which may hold secrets."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return printable(url.partition("?")[0].rpartition("@")[2][:300])
    return printable(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:300])


def joined(base: str, target: str) -> str:
    """A URL that an answer gives, whole; one that means nothing stays as it is, to be refused by `check`."""
    try:
        return urljoin(base, target)
    except ValueError:
        return target


def linked(header: str, relation: str) -> str:
    """What a Link header (RFC 8288) says of a relation, whatever its case; empty without one.

    Upstream: `links` of aiohttp knows neither `REL=`, nor `Next`, nor several relations of one link.
    """
    for url, rest in _LINK.findall(header):
        relations = (quoted or plain for name, quoted, plain in _PARAMETER.findall(rest) if name.lower() == "rel")
        if relation.lower() in next(relations, "").lower().split():
            return str(url).strip()
    return ""


def _url(text: str) -> URL:
    """A URL as it was given, byte by byte, where that can be."""
    return URL(text, encoded=text.isascii() and text.isprintable() and " " not in text)


def head(data: bytes) -> str:
    """The beginning of an answer, harmless to a terminal."""
    text = hide_secrets(printable(data[:_SHOWN_BYTES].decode("utf-8", "backslashreplace")))
    return f'"{text}{"…" if len(data) > _SHOWN_BYTES else ""}"'
