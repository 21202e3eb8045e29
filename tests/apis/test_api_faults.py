"""A network that does its worst between us and an API: time is lost, pages are not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import fault_proxy
import fault_rig
import pytest
from api_project import NEAR, Crm
from rest_servers import RECORDS

SCHEMA = 'primaryKey: id\nfields: {id: integer, note: {missingValues: []}, amount: "decimal(12,2)", updated: integer}\n'
STYLES = {
    "one after the other": "params: {_page: 1}, paginate: {link_header: next}",
    "side by side": "paginate: {page: _page, size: 10, size_param: _limit}",
}


@pytest.fixture(params=["one after the other", pytest.param("side by side", marks=pytest.mark.nightly)])
def place(request: pytest.FixtureRequest, crm: Crm, rest: Any) -> fault_rig.Place:
    """json-server behind a door; pages of ten records."""
    door = crm.servers.enter_context(fault_proxy.before(urlsplit(rest("json_server")).port or 0))
    crm.write(
        f"http://127.0.0.1:{door.port}",
        f"get: /orders, {STYLES[request.param]}",
        schema=SCHEMA,
        connection=f"{NEAR}, timeout_seconds: 2",
    )
    expected = [(one["id"], one["note"], Decimal(one["amount"]), one["updated"]) for one in RECORDS]
    return fault_rig.Place(crm.root, door, crm.run, "contacts", expected, 1000)


@pytest.mark.parametrize("kind", fault_rig.KINDS)
def test_a_fault_that_passes_costs_time_alone(place: fault_rig.Place, kind: str) -> None:
    """Latency, slow bytes; a connection that ends, is reset or falls silent in a page; nobody who listens."""
    fault_rig.passes(place, kind)


@pytest.mark.parametrize("kind", fault_rig.LASTING)
def test_a_fault_that_stays_ends_the_run(place: fault_rig.Place, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the limit of the connection, with what to do; nothing is half loaded, the next run is whole."""
    fault_rig.lasts(place, kind, monkeypatch)


def test_bytes_that_come_too_slowly_end_the_run(place: fault_rig.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then keeps no request alive for longer than `timeout_seconds`."""
    monkeypatch.setenv("PRATIQUE__LIMITS__RETRIES_MAX", "1")
    place.door.fail(fault_proxy.Fault("slow", seconds=0.3))
    problem = place.timed(3)["problem"]
    assert "did not answer whole within 2 seconds, tried again 1 time" in problem["message"]
    place.door.mend()
    place.timed(0)
    assert place.loaded() == place.expected


def test_the_rig_sees_a_loss(place: fault_rig.Place) -> None:
    """A byte that is another one on the way is seen."""
    fault_rig.notices(place, b'"updated": 1042', b'"updated": 1043')
