"""Documents posted over HTTP by the standard library, for who needs no more of it than that."""

from __future__ import annotations

import base64
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlsplit

from pratique.monitoring.sending import PASSING, Refused
from pratique.secrets import remembered


class Post:
    """Posts documents as JSON.

    It follows no redirect: that would make a GET of it, and take the key to another server.
    """

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url
        self._shown = shown(url)
        self._headers = {"Content-Type": "application/json", **headers}
        self._opener = urllib.request.OpenerDirector()  # not `build_opener`, which reads files too
        for handler in (
            urllib.request.ProxyHandler(),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.UnknownHandler(),
        ):
            self._opener.add_handler(handler)

    def __call__(self, document: dict[str, Any], timeout_seconds: float) -> Refused | None:
        """Post one; taken if the answer is 2xx."""
        body = json.dumps(document).encode()
        try:
            address, user = login(self._url)
            request = urllib.request.Request(address, body, {**user, **self._headers})  # noqa: S310 - the opener knows http alone
            self._opener.open(request, timeout=timeout_seconds).close()
        except urllib.error.HTTPError as error:
            with error:
                told = f"{self._shown} answered {error.code} {HTTPStatus(error.code).phrase}"
                return Refused(told, error.code in PASSING)
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            return Refused(
                f"{self._shown}: {getattr(reason, 'strerror', None) or reason or type(reason).__name__}", True
            )
        return None


def shown(url: str) -> str:
    """The place that an address names, without what may be secret: a name, a password, parameters."""
    return url.rpartition("@")[2].partition("?")[0]


def login(url: str) -> tuple[str, dict[str, str]]:
    """An address without the name and password that stand in it, and the header that says them. ValueError."""
    parts = urlsplit(url)
    if parts.username is None:
        return url, {}
    pair = f"{unquote(parts.username)}:{remembered(unquote(parts.password or ''))}".encode()
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    return bare.geturl(), {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
