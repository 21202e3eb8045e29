"""A REST API keeps every promise of a source, read whole and by a cursor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import forked
import pytest
from http_server import Request, answer, serving

from pratique.testing import SourcePlace, SourceSuite
from pratique.testing.landing_suite import Record, texts

SECRET = "canary/suite+of the-API"  # noqa: S105 - with characters that a URL writes otherwise
SIZE = 100
WHOLE: dict[str, Any] = {"get": "/records", "paginate": {"page": "page"}, "records": "data[*]"}
GROWING: dict[str, Any] = {**WHOLE, "params": {"since": "{cursor}"}, "cursor": {"field": "id"}}


class TestAPI(SourceSuite):
    """Pages behind a bearer token."""

    @pytest.fixture(params=[WHOLE, GROWING], ids=["whole", "growing"])
    def place(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SourcePlace]:
        """A server that gives a hundred records a page."""
        there: list[dict[str, Any]] = []
        faults = {"passing": 0, "lasting": False}

        def script(asked: Request) -> bytes:
            if faults["passing"]:
                faults["passing"] -= 1
                return answer({}, "503 Service Unavailable")
            if faults["lasting"] or asked.headers.get("authorization") != f"Bearer {SECRET}":
                return answer({"error": f"not with {SECRET}"}, "403 Forbidden")
            since = int(asked.query.get("since") or -(2**63))
            found = [record for record in there if int(record["id"]) >= since]
            first = (int(asked.query["page"]) - 1) * SIZE
            return answer({"data": found[first : first + SIZE]})

        def put(records: Sequence[Record]) -> None:
            there.extend({**texts(record), "id": record["id"]} for record in records)

        with serving(script) as server:
            yield SourcePlace(
                tmp_path,
                {"type": "api", "connection": "crm", **request.param},
                put,
                connections={
                    "crm": {
                        "url": server.url,
                        "allowed_networks": ["127.0.0.1/32"],
                        "auth": {"type": "bearer", "token": "${CRM_SECRET}"},
                    }
                },
                secrets={"CRM_SECRET": SECRET},
                limits=("response_bytes_max",),
                attempts=lambda: len(server.requests),
                disturb=lambda times: faults.update(passing=times),
                refuse=lambda: faults.update(lasting=True),
                program=[forked.program()],
            )
