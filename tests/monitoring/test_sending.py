"""What is told to other programs: in order, again after a passing failure, never longer than its limit."""

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pratique.apis import ApiInput, ApiServer
from pratique.databases import DatabaseInput, DatabaseKind, Server
from pratique.inputs import CloudInput, PythonInput
from pratique.model import RuleTally, SetVerdict
from pratique.monitoring.lineage_facets import Seen, inputs_of
from pratique.monitoring.posting import Post
from pratique.monitoring.sending import Refused, Sender
from pratique.planning import SourcePlan
from pratique.schema import Schema


def test_a_receiver_that_comes_back_while_the_run_is_at_work_gets_everything_in_order() -> None:
    """Two failures in passing hold the first thing back; then it is taken, and those behind it."""
    taken: list[int] = []
    attempts = threading.Semaphore(0)

    def send(item: int, _: float) -> Refused | None:
        attempts.release()
        if not taken and down:
            return Refused("restarting", passing=True)
        taken.append(item)
        return None

    down = True
    sender = Sender("receiver", send, 5)
    for number in range(3):
        sender.put(number)
    assert attempts.acquire(timeout=5)
    assert attempts.acquire(timeout=5)
    down = False
    while not taken:
        time.sleep(0.01)
    sender.end()
    assert sender.untold() == (0, "")
    assert taken == [0, 1, 2]


def test_what_is_refused_for_good_is_not_tried_again() -> None:
    """It is counted, with the first reason; the others are sent."""
    asked: list[int] = []

    def send(item: int, _: float) -> Refused | None:
        asked.append(item)
        return Refused(f"{item} is odd") if item % 2 else None

    sender = Sender("receiver", send, 5)
    for number in range(4):
        sender.put(number)
    sender.end()
    assert sender.untold() == (2, "receiver: 1 is odd")
    assert asked == [0, 1, 2, 3]


def test_a_receiver_that_is_down_at_the_end_is_asked_once_more_for_each() -> None:
    """No pause is made any more: the run does not wait for a receiver that says no at once."""
    sender: Sender[int] = Sender("receiver", lambda _, __: Refused("down", passing=True), 30)
    began = time.monotonic()
    for number in range(3):
        sender.put(number)
    sender.end()
    assert sender.untold() == (3, "receiver: down")
    assert time.monotonic() - began < 5


def test_what_waits_has_a_limit() -> None:
    """Beyond ten thousand things nothing more is kept; what was left out is counted."""
    taken: list[int] = []
    go_on = threading.Event()

    def send(item: int, _: float) -> Refused | None:
        go_on.wait(10)
        taken.append(item)
        return None

    sender = Sender("receiver", send, 10)
    for number in range(10_100):
        sender.put(number)
    go_on.set()
    sender.end()
    lost, reason = sender.untold()
    assert 90 <= lost <= 100
    assert len(taken) == 10_100 - lost
    assert reason == "receiver: more than 10,000 wait to be sent"


def test_an_address_that_is_none_is_a_reason_not_an_error() -> None:
    """A host that cannot be, a port that nobody listens at: said, and worth another attempt."""
    refused = Post("http://127.0.0.1:9/api", {})({}, 1)
    assert refused is not None
    assert "Connection refused" in refused.reason
    assert refused.passing
    for address in ("http://[half/api", "file:///etc/passwd", "nothing"):
        assert Post(address, {})({}, 1) is not None


def plan(kind: DatabaseKind, **words: str | int | None) -> SourcePlan:
    """A source that reads a table of a server."""
    asked = {name: words.pop(name, None) for name in ("table", "query")}
    server = Server(kind, "db", database="shop", **words)  # type: ignore[arg-type]
    database = DatabaseInput(server, **asked)  # type: ignore[arg-type]
    schema = Schema("orders", 1, ())
    return SourcePlan(
        name="orders",
        path="orders",
        base=Path(),
        format="csv",
        schema=schema,
        table="orders",
        write="append",
        keep=None,
        on_new_version=None,
        overrides=(),
        max_share=0.1,
        parents=(),
        reference_tables={},
        database=database,
    )


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            plan("postgres", host="db.example", port=5433, table="sales.orders"),
            ["postgres://db.example:5433 shop.sales.orders"],
        ),
        (plan("postgres", host="/run/postgresql", table="orders"), ["postgres://localhost:5432 shop.public.orders"]),
        (plan("mysql", host="db.example", table="orders"), ["mysql://db.example:3306 shop.orders"]),
        (
            plan("mysql", query="SELECT * FROM orders JOIN other.towns USING (id) JOIN orders b USING (id)"),
            ["mysql://localhost:3306 shop.orders", "mysql://localhost:3306 other.towns"],
        ),
        (plan("postgres", query="SELECT ) FROM"), []),
    ],
    ids=["postgres", "socket", "mysql", "query", "not understood"],
)
def test_tables_have_the_names_of_the_field(source: SourcePlan, expected: list[str]) -> None:
    """Host and port as the namespace, database and table as the name: what others call them too."""
    assert [f"{item.namespace} {item.name}" for item in inputs_of(source)] == expected


API = ApiInput(ApiServer("crm", "https://api.example:8443/v2"), "/contacts")


@pytest.mark.parametrize(
    ("input_", "path", "expected"),
    [
        ({"cloud": CloudInput("s3", "sales", "in/")}, "{shop}/*.csv", "s3://sales in/{shop}/*.csv"),
        ({"cloud": CloudInput("gs", "sales")}, "a.csv", "gs://sales a.csv"),
        (
            {"cloud": CloudInput("az", "box", account="acme")},
            "a.csv",
            "abfss://box@acme.dfs.core.windows.net a.csv",
        ),
        ({"cloud": CloudInput("az", "box")}, "a.csv", "az://box a.csv"),
        ({"api": API}, "/contacts", "https://api.example:8443 v2/contacts"),
        ({"python": PythonInput("sources/crm.py:contacts", "contacts")}, "", "python sources/crm.py:contacts"),
    ],
    ids=["s3", "gcs", "azure", "azure without account", "api", "python"],
)
def test_other_inputs_have_names_that_say_where_they_are(input_: dict[str, Any], path: str, expected: str) -> None:
    """A bucket and the objects in it, a server and what is asked of it, a program."""
    source = replace(plan("sqlite", table="t"), database=None, path=path, **input_)
    [named] = inputs_of(source)
    assert f"{named.namespace} {named.name}" == expected


def test_what_loads_were_judged_by_adds_up() -> None:
    """Numbers of a rule are summed over the loads of a run; a check over a load that failed once has failed."""
    seen = Seen()
    seen.judged([RuleTally("a", None, "warn", "validity", 5, 1)], [SetVerdict("some", "fail", True)])
    seen.judged([RuleTally("a", None, "warn", "validity", 7, 2, 1)], [SetVerdict("some", "fail", False)])
    seen.judged([], [SetVerdict("some", "fail", True)])
    assert seen.rules["a"] == RuleTally("a", None, "warn", "validity", 12, 3, 1)
    assert seen.sets["some"].passed is False
