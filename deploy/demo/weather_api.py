"""A REST API over the example's weather, for the demo: pages, a token, a time from which on.

GET /observations?since=2013-01-01T06:00:00Z&page=1&per_page=1000      with `Authorization: Bearer …`
"""

import csv
import hmac
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

TOKEN = Path("/run/secrets/weather_token").read_text(encoding="utf-8").strip()
TEXTS = {"origin", "time_hour"}
PER_PAGE_MAX = 1000  # Limit: of an answer


def record(row: dict[str, str]) -> str:
    """One observation as JSON, each number with the digits that it was written with."""
    values = (
        (name, "null" if text == "NA" else json.dumps(text) if name in TEXTS else text) for name, text in row.items()
    )
    return "{" + ", ".join(f"{json.dumps(name)}: {value}" for name, value in values) + "}"


with Path("/data/weather.csv").open(encoding="utf-8", newline="") as file:
    OBSERVATIONS = [record(row) for row in csv.DictReader(file)]


class Weather(BaseHTTPRequestHandler):
    """Answers about the weather."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Give one page, or say why not."""
        asked = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(asked.query).items()}
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if asked.path == "/healthz":
            self._answer(200, "{}")
        elif not hmac.compare_digest(given.encode(), TOKEN.encode()):
            self._answer(401, '{"error": "who are you?"}')
        elif asked.path != "/observations":
            self._answer(404, '{"error": "only /observations is here"}')
        else:
            size = min(int(query.get("per_page", PER_PAGE_MAX)), PER_PAGE_MAX)
            first = (int(query.get("page", 1)) - 1) * size
            page = ",\n".join(OBSERVATIONS[first : first + size])
            self._answer(200, f'{{"total": {len(OBSERVATIONS)}, "data": [{page}]}}')

    def _answer(self, status: int, body: str) -> None:
        content = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


if __name__ == "__main__":
    ThreadingHTTPServer(("", 8080), Weather).serve_forever()
