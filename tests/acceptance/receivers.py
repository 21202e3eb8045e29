"""Who gets alerts in tests: a web server, a mail server, and Slack's door, each a real server on this machine."""

from __future__ import annotations

import contextlib
import email.policy
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from email.message import EmailMessage, Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from cloudevents.core.bindings.http import HTTPMessage, from_http_event


class Web:
    """A web server that keeps what is posted and asked; `status` is its answer, after `pause` seconds."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.asked: list[str] = []
        self.status = 200
        self.pause = 0.0
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                time.sleep(web.pause)
                if web.status < 300:
                    web.headers.append(dict(self.headers.items()))
                    web.bodies.append(body)
                self.send_response(web.status)
                if web.status in {301, 302, 307}:
                    self.send_header("Location", f"{web.url}/elsewhere")
                self.end_headers()

            def do_GET(self) -> None:
                web.asked.append(self.path)
                self.send_response(web.status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def events(self) -> list[dict[str, Any]]:
        """What was posted, each body as a CloudEvent that the SDK of CloudEvents takes."""
        for headers, body in zip(self.headers, self.bodies, strict=True):
            from_http_event(HTTPMessage({name.lower(): value for name, value in headers.items()}, body))
        return [json.loads(body) for body in self.bodies]

    @property
    def told(self) -> list[tuple[str, str]]:
        """Of each event its status and its subject."""
        return [(event["data"]["status"], event["subject"]) for event in self.events]


@contextlib.contextmanager
def web() -> Iterator[Web]:
    """A web server while the block runs."""
    opened = Web()
    try:
        yield opened
    finally:
        opened.server.shutdown()
        opened.server.server_close()


class _Mailbox:
    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.messages.append(email.message_from_bytes(envelope.content, EmailMessage, policy=email.policy.default))  # type: ignore[arg-type]
        return "250 OK"


@contextlib.contextmanager
def mail_server() -> Iterator[tuple[str, list[Message]]]:
    """A mail server while the block runs: its host and port, and the mails that came."""
    box = _Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield f"127.0.0.1:{port}", box.messages
    finally:
        controller.stop()


class SlackDoor:
    """A proxy whose every way leads to a server with the certificate of hooks.slack.com, which keeps what is posted."""

    def __init__(self, folder: Path) -> None:
        self.certificate, key = folder / "slack.pem", folder / "slack.key"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=slack"]
        command += ["-addext", "subjectAltName=DNS:hooks.slack.com", "-keyout", str(key), "-out", str(self.certificate)]
        subprocess.run(command, check=True, capture_output=True)
        self.posted: list[tuple[str, dict[str, Any]]] = []
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.certificate, key)
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_CONNECT(self) -> None:
                self.send_response(200)
                self.end_headers()
                with tls.wrap_socket(self.connection, server_side=True) as inside:
                    _Inside(inside, ("", 0), door)  # type: ignore[arg-type]
                self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.variables = {
            "HTTPS_PROXY": f"http://127.0.0.1:{self.server.server_port}",
            "REQUESTS_CA_BUNDLE": str(self.certificate),
            "NO_PROXY": "127.0.0.1",
        }


class _Inside(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.posted.append((self.path, body))  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def slack_door(folder: Path) -> Iterator[SlackDoor]:
    """Slack's door while the block runs."""
    door = SlackDoor(folder)
    try:
        yield door
    finally:
        door.server.shutdown()
        door.server.server_close()
