"""Documents posted over HTTP by the standard library, for who needs no more of it than that."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from pratique.monitoring.sending import PASSING, Refused


class Post:
    """Posts documents as JSON.

    It follows no redirect: that would make a GET of it, and take the key to another server.
    """

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url
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
            request = urllib.request.Request(self._url, body, self._headers)  # noqa: S310 - the opener knows http alone
            self._opener.open(request, timeout=timeout_seconds).close()
        except urllib.error.HTTPError as error:
            with error:
                told = f"{self._url} answered {error.code} {HTTPStatus(error.code).phrase}"
                return Refused(told, error.code in PASSING)
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            return Refused(f"{self._url}: {getattr(reason, 'strerror', None) or reason or type(reason).__name__}", True)
        return None
