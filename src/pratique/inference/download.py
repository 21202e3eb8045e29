"""A file out of the network, once, into a folder: a limit on its size, no address inside of a network unasked."""

from __future__ import annotations

import http.client
import ipaddress
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Final

from pratique.errors import ConfigurationError, SourceError

DOWNLOAD_BYTES_MAX: Final = 1 << 30  # Limit: larger files are fetched by other means, and given as a path
_PIECE_BYTES: Final = 1 << 20
_SECONDS: Final = 30  # without a byte


def is_url(text: str) -> bool:
    """Whether something is meant as an address and not as a path."""
    return re.match("[a-zA-Z][a-zA-Z0-9+.-]*://", text) is not None


def file_of(url: str) -> str:
    """The name that the file of an address will have. ConfigurationError if the address is none that is served."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError(f"{url} cannot be fetched", hint="http:// and https:// addresses of a file are")
    name = urllib.parse.unquote(parts.path).rpartition("/")[2]
    return re.sub(r"[^\w.-]+", "_", name).lstrip(".") or "download"


def download(url: str, target: Path, *, private: bool, most: int = DOWNLOAD_BYTES_MAX) -> int:
    """Fetch a file; it appears under `target` only when it is whole. The number of its bytes.

    SourceError says why not. `private`: addresses of the own network (and this machine) are allowed.
    """
    handlers = [] if private else [_PublicHttp(), _PublicHttps()]
    opener = urllib.request.build_opener(*handlers)
    part = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with opener.open(url, timeout=_SECONDS) as answer, part.open("wb") as file:
            size = _copied(answer, file, most)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except urllib.error.HTTPError as error:
        raise SourceError(f"{url} answers {error.code} {error.reason}", hint="open it in a browser") from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, SourceError):
            raise error.reason from None
        raise SourceError(
            f"{url} cannot be reached: {error.reason}", hint="check the address and the network"
        ) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise SourceError(
            f"{url} cannot be fetched: {error}", hint="check the address, the network and the disk"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return size


def _copied(answer: Any, file: Any, most: int) -> int:
    announced = int(answer.headers.get("Content-Length") or 0)
    size = 0
    while size <= most and announced <= most and (piece := answer.read(_PIECE_BYTES)):
        size += len(piece)
        file.write(piece)
    if max(size, announced) > most:
        raise SourceError(f"it has more than {most:,} bytes", hint="fetch it by other means, and give its path")
    if announced and size != announced:
        raise SourceError(f"only {size:,} of {announced:,} bytes came", hint="try again")
    return size


def _refuse_private(connection: Any) -> None:
    """Look at the address that was reached, not at the name: a name may lead elsewhere a moment later."""
    address = ipaddress.ip_address(connection.sock.getpeername()[0].partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None) or address
    if not mapped.is_global or mapped.is_multicast:
        connection.close()
        raise SourceError(
            f"{connection.host} is {mapped}, an address inside of a network",
            hint="if you mean it: --allow-private-address",
        )


class _PublicConnection(http.client.HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _refuse_private(self)


class _PublicSecureConnection(http.client.HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _refuse_private(self)


class _PublicHttp(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_PublicConnection, req)


class _PublicHttps(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_PublicSecureConnection, req)
