"""Other programs that are told of runs: who they are, by the settings and by the variables that their field knows."""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pratique.config_manager import ConfigManager
from pratique.events import Event
from pratique.measures import Sample
from pratique.model import RunReport
from pratique.monitoring.sending import Refused, Sender, Teller
from pratique.planning import Pipeline
from pratique.secrets import remembered

if TYPE_CHECKING:
    from pratique.specs.settings import OpenLineageSpec

Measured = Callable[[], tuple[list[Sample], RunReport | None]]
"""All that was measured so far, and the first run of the ledger that remembers it."""

_OTLP_VARIABLES: Final = tuple(f"OTEL_EXPORTER_OTLP_{part}ENDPOINT" for part in ("", "TRACES_", "METRICS_"))
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})  # another attempt may succeed


def tellers(config: ConfigManager, pipeline: Pipeline, state: Path, measured: Measured) -> Iterator[Teller]:
    """Everybody else who is told of this run."""
    settings = config.settings.monitoring
    if _is_on(settings.opentelemetry.endpoint, "OTEL_SDK_DISABLED", _OTLP_VARIABLES):
        try:
            from pratique.monitoring.otlp import OpenTelemetry  # noqa: PLC0415 - 0.1 s, and an extra

            yield OpenTelemetry(settings.opentelemetry, pipeline.environment, measured)
        except ImportError:
            yield Missing("OpenTelemetry", "not installed: python -m pip install 'pratique[otel]'")
    if _is_on(settings.openlineage.file or settings.openlineage.url, "OPENLINEAGE_DISABLED", ("OPENLINEAGE_URL",)):
        from pratique.monitoring.lineage import OpenLineage  # noqa: PLC0415 - only who is told pays

        namespace = settings.openlineage.namespace or os.environ.get("OPENLINEAGE_NAMESPACE")
        senders = list(_lineage_senders(settings.openlineage, config.root))
        yield OpenLineage(pipeline, state, namespace or f"pratique-{pipeline.environment}", senders)


def _is_on(written: str | None, off: str, on: tuple[str, ...]) -> bool:
    """Whether the settings or a variable say where to, and no variable says not to."""
    if os.environ.get(off, "").lower() == "true":
        return False
    return bool(written) or any(os.environ.get(name) for name in on)


class Missing:
    """Keeps `Teller` for a program whose library is not there: the run is whole, and says what is missing."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self._reason = reason

    def __call__(self, event: Event) -> None:
        """See `Teller`."""

    def end(self) -> None:
        """See `Teller.end`."""

    def untold(self) -> tuple[int, str]:
        """See `Teller.untold`: the run as a whole."""
        return 1, f"{self.name}: {self._reason}"


def _lineage_senders(settings: OpenLineageSpec, root: Path) -> Iterator[Sender[dict[str, Any]]]:
    if settings.file:
        yield Sender("OpenLineage file", Lines(root / settings.file), settings.timeout_seconds)
    if url := settings.url or os.environ.get("OPENLINEAGE_URL"):
        endpoint = settings.endpoint
        if not settings.url:
            endpoint = os.environ.get("OPENLINEAGE_ENDPOINT") or endpoint
        key = settings.api_key or os.environ.get("OPENLINEAGE_API_KEY", "")
        headers = {"Authorization": f"Bearer {remembered(key)}"} if key else {}
        post = Post(f"{url.rstrip('/')}/{endpoint.lstrip('/')}", headers)
        yield Sender("OpenLineage", post, settings.timeout_seconds)


class Lines:
    """Adds documents to a file, each a line of JSON in one write, so that processes do not disturb each other."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, document: dict[str, Any], _: float) -> Refused | None:
        """Add one; missing folders are made."""
        line = json.dumps(document).encode() + b"\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                whole = os.write(descriptor, line) == len(line)
            finally:
                os.close(descriptor)
        except OSError as error:
            return Refused(f"cannot write {self._path}: {error.strerror}")
        return None if whole else Refused(f"cannot write {self._path}: no space left")


class _Unmoved(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: of a POST it would make a GET, and take the key to another server."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """None: the answer itself is the error."""


class Post:
    """Posts documents as JSON."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url
        self._headers = {"Content-Type": "application/json", **headers}
        self._opener = urllib.request.build_opener(_Unmoved)

    def __call__(self, document: dict[str, Any], timeout_seconds: float) -> Refused | None:
        """Post one; taken if the answer is 2xx."""
        body = json.dumps(document).encode()
        request = urllib.request.Request(self._url, body, self._headers)  # noqa: S310 - the settings take http(s) only
        try:
            self._opener.open(request, timeout=timeout_seconds).close()
        except urllib.error.HTTPError as error:
            with error:
                told = f"{self._url} answered {error.code} {HTTPStatus(error.code).phrase}"
                return Refused(told, error.code in _PASSING)
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            return Refused(f"{self._url}: {getattr(reason, 'strerror', None) or reason or type(reason).__name__}", True)
        return None
