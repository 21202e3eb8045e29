"""A network that does its worst between us and a database: time is lost, rows are not."""

from __future__ import annotations

from collections.abc import Iterator

import fault_proxy
import fault_rig
import pytest

ROWS = [(number, f"row {number} of the table, long enough") for number in range(1, 2001)]


@pytest.fixture(params=["postgres", "mariadb"])
def place(request: pytest.FixtureRequest) -> Iterator[fault_rig.Place]:
    """A table of 80 KB behind a door."""
    shop = request.getfixturevalue(request.param)
    shop.sql("CREATE TABLE orders (id int PRIMARY KEY, note varchar(60))")
    values = ", ".join(f"({number}, '{note}')" for number, note in ROWS)
    shop.sql(f"INSERT INTO orders VALUES {values}")
    port = int(shop.url.rpartition("/")[0].rpartition(":")[2])
    with fault_proxy.before(port) as door:
        shop.url = shop.url.replace(f":{port}/", f":{door.port}/")
        shop.options = ", statement_timeout_seconds: 1, connect_timeout_seconds: 2"
        shop.write("table: orders", "primaryKey: id\nfields: {id: integer, note: {}}\n")
        yield fault_rig.Place(shop.root, door, shop.run, "orders", ROWS, 40_000)


@pytest.mark.parametrize("kind", fault_rig.KINDS)
def test_a_fault_that_passes_costs_time_alone(place: fault_rig.Place, kind: str) -> None:
    """Latency, slow bytes; a connection that ends, is reset or falls silent while rows come; nobody who listens."""
    fault_rig.passes(place, kind)


@pytest.mark.parametrize("kind", fault_rig.LASTING)
def test_a_fault_that_stays_ends_the_run(place: fault_rig.Place, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the limit of the connection, with what to do; nothing is half loaded, the next run is whole."""
    fault_rig.lasts(place, kind, monkeypatch)


def test_a_server_that_is_silent_from_the_beginning_ends_the_run(
    place: fault_rig.Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It accepts and says nothing: `connect_timeout_seconds` is the limit of the greeting, too."""
    place.middle = 0
    fault_rig.lasts(place, "silence", monkeypatch)


def test_a_server_that_falls_silent_before_rows_come_ends_the_run(
    place: fault_rig.Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between greeting and rows, where types are asked for."""
    place.middle = 700
    fault_rig.lasts(place, "silence", monkeypatch)


def test_the_rig_sees_a_loss(place: fault_rig.Place) -> None:
    """A byte that is another one on the way is seen."""
    fault_rig.notices(place, b"row 1234 of", b"row 1235 of")
