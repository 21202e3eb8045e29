"""Other programs that are told of runs: who they are, by the settings and by the variables that their field knows."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pratique.config_manager import ConfigManager
from pratique.documents import load_document
from pratique.errors import ConfigurationError
from pratique.events import Event
from pratique.measures import Sample
from pratique.mistakes import Mistakes
from pratique.monitoring.sending import Refused, Sender, Teller
from pratique.planning import Pipeline
from pratique.reports import RunReport
from pratique.secrets import remembered

if TYPE_CHECKING:
    from pratique.specs.settings import OpenLineageSpec

Measured = Callable[[], tuple[list[Sample], RunReport | None]]
"""All that was measured so far, and the first run of the ledger that remembers it."""

_OTLP_VARIABLES: Final = tuple(f"OTEL_EXPORTER_OTLP_{part}ENDPOINT" for part in ("", "TRACES_", "METRICS_"))


def tellers(config: ConfigManager, pipeline: Pipeline, state: Path, measured: Measured) -> Iterator[Teller]:
    """Everybody else who is told of this run."""
    settings = config.settings.monitoring
    if _is_on(settings.opentelemetry.endpoint, "OTEL_SDK_DISABLED", _OTLP_VARIABLES):
        try:
            from pratique.monitoring.otlp import OpenTelemetry  # noqa: PLC0415 - 0.1 s, and an extra

            yield OpenTelemetry(settings.opentelemetry, pipeline.environment, measured)
        except ImportError:
            yield Missing("OpenTelemetry", "not installed: python -m pip install 'pratique[otel]'")
    lineage = settings.openlineage
    if _is_on(lineage.file or lineage.url, "OPENLINEAGE_DISABLED", ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG")):
        from pratique.monitoring.lineage import OpenLineage  # noqa: PLC0415 - only who is told pays

        namespace = lineage.namespace or os.environ.get("OPENLINEAGE_NAMESPACE") or f"pratique-{pipeline.environment}"
        try:
            target = _target(lineage, config.root)
        except ConfigurationError as error:
            yield Missing("OpenLineage", f"{error.where or 'OPENLINEAGE_CONFIG'}: {error.message}; {error.hint}")
        else:
            yield OpenLineage(pipeline, state, namespace, list(target.senders(lineage.timeout_seconds)))


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


@dataclass(frozen=True, slots=True)
class _Target:
    """Where events of OpenLineage go: to a file, to a server, or to both."""

    file: Path | None = None
    url: str = ""
    endpoint: str = "api/v1/lineage"
    key: str = ""

    def senders(self, timeout_seconds: float) -> Iterator[Sender[dict[str, Any]]]:
        """One for each."""
        if self.file:
            yield Sender("OpenLineage file", Lines(self.file), timeout_seconds)
        if self.url:
            from pratique.monitoring.posting import Post  # noqa: PLC0415 - 0.03 s that a file does without

            headers = {"Authorization": f"Bearer {remembered(self.key)}"} if self.key else {}
            post = Post(f"{self.url.rstrip('/')}/{self.endpoint.lstrip('/')}", headers)
            yield Sender("OpenLineage", post, timeout_seconds)


def _target(settings: OpenLineageSpec, root: Path) -> _Target:
    """By the settings; where they name no server, by OPENLINEAGE_URL, or by the file that OPENLINEAGE_CONFIG names."""
    file = root / settings.file if settings.file else None
    key = settings.api_key or os.environ.get("OPENLINEAGE_API_KEY", "")
    if settings.url:
        return _Target(file, settings.url, settings.endpoint, key)
    if url := os.environ.get("OPENLINEAGE_URL"):
        return _Target(file, url, os.environ.get("OPENLINEAGE_ENDPOINT") or settings.endpoint, key)
    if path := os.environ.get("OPENLINEAGE_CONFIG"):
        named = _configured(Path(path))
        return replace(named, file=named.file or file)
    return _Target(file)


def _configured(path: Path) -> _Target:
    """What a configuration of OpenLineage's own client says; ConfigurationError if we cannot do it."""
    found = load_document(path, Mistakes()).value
    transport = found.get("transport") if isinstance(found, dict) else None
    words = transport if isinstance(transport, dict) else {}
    kind, auth = words.get("type"), words.get("auth")
    if kind == "file" and words.get("log_file_path"):
        return _Target(Path(words["log_file_path"]))
    if kind == "http" and words.get("url"):
        keys = auth if isinstance(auth, dict) else {}
        key = keys.get("apiKey") or keys.get("api_key") or ""
        return _Target(None, words["url"], words.get("endpoint") or "api/v1/lineage", key)
    raise ConfigurationError(
        f"a transport of type {kind} is not served", hint="served: http with url, file with log_file_path"
    )


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
