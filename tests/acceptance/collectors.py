"""Real receivers of what runs tell: an OTLP receiver and an OpenLineage server, over HTTP, well or ill behaved."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def waited(log: str) -> float:
    """Seconds between a run's end and the word that something could not be told, by its log of JSON lines."""
    at = {}
    for line in log.splitlines():
        if line.startswith("{"):
            entry = json.loads(line)
            at[entry.get("event.action")] = datetime.fromisoformat(entry["@timestamp"])
    return (at["observer.fail"] - at["run.complete"]).total_seconds()


@dataclass
class Receiver:
    """What was received; `status` is the answer, and a `hanging` one never answers."""

    url: str = ""
    status: int = 200
    hanging: bool = False
    bodies: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Posted documents of JSON."""
        return [json.loads(body) for path, _, body in self.bodies if path == "/api/v1/lineage"]

    @property
    def spans(self) -> list[Any]:
        """Spans, as the published protobuf definition reads them."""
        requests = [ExportTraceServiceRequest.FromString(body) for path, _, body in self.bodies if path == "/v1/traces"]
        return [
            span
            for request in requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def metrics(self) -> list[Any]:
        """Requests of metrics, likewise, each as its only resource."""
        found = [ExportMetricsServiceRequest.FromString(body) for path, _, body in self.bodies if path == "/v1/metrics"]
        return [request.resource_metrics[0] for request in found]


@contextmanager
def receiver(status: int = 200, *, hanging: bool = False) -> Iterator[Receiver]:
    """A server at a free port of this machine."""
    told = Receiver(status=status, hanging=hanging)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Keep what is posted, and answer; the names of headers in small letters."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if told.hanging:
                told.over.wait(60)
                return
            told.bodies.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(told.status)
            if told.status in {301, 302, 307}:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield told
    finally:
        told.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
