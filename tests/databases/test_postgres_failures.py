"""What goes wrong between us and a server: who has to act is told, what may pass is tried again, nothing is half loaded."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time

import psycopg
import pytest
import servers

SCHEMA = "primaryKey: id\nfields: {id: integer, note: string}\n"
SOURCE = "table: orders"


def _orders(postgres, rows: int = 3) -> None:
    postgres.sql("CREATE TABLE orders (id int PRIMARY KEY, note text)")
    postgres.sql("INSERT INTO orders SELECT n, 'x' || n FROM generate_series(1, %s) n", (rows,))


def _problem(postgres, source: str, schema: str = SCHEMA) -> dict[str, str]:
    postgres.write(source, schema)
    problem: dict[str, str] = postgres.run(3)["sources"][0]["problem"]
    return problem


def test_a_table_that_is_not_there_is_told_with_the_nearest_names(postgres) -> None:
    """No such table: permanent, with what was probably meant; rows are never looked for elsewhere."""
    _orders(postgres)
    problem = _problem(postgres, "table: ordres")
    assert (problem["code"], problem["hint"]) == ("source", "did you mean orders?")
    assert problem["message"].startswith("there is no table ordres in ")
    assert _problem(postgres, "table: nowhere.orders")["hint"] == "did you mean public.orders?"


def test_columns_that_do_not_fit_hold_the_input(postgres) -> None:
    """One held input with the difference and near names, not n rows; named columns must exist."""
    _orders(postgres)
    postgres.sql("ALTER TABLE orders RENAME note TO notes")
    problem = _problem(postgres, SOURCE)
    assert "missing: note (perhaps notes); not in the schema: notes" in problem["message"]
    assert problem["hint"] == "is notes the field note? then add it to its `from`"
    problem = _problem(postgres, f"{SOURCE}, columns: [id, nothing]")
    assert (problem["message"], problem["hint"]) == ("it has no column nothing", "there are id, notes")
    problem = _problem(postgres, f"{SOURCE}, columns: [id], cursor: {{field: at}}", "fields: {id: integer}")
    assert "no column at, which is its cursor" in problem["message"]
    problem = _problem(postgres, f"{SOURCE}, cursor: {{field: notes}}", "fields: {id: integer, notes: {}}")
    assert "notes is text, which does not tell new rows" in problem["message"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("delete from orders returning id, note", "syntax error"),
        ("with d as (delete from orders returning *) select * from d", "data-modifying"),
        ("select 1; delete from orders", "multiple commands"),
        ("select 1) as q; commit; delete from orders; select * from (select 1", "syntax error"),
        ("select nextval('s')::int as id, 'x' as note", "read-only transaction"),
        ("select id, note from orders where pg_sleep(9) is null", "statement timeout"),
        ("select id, note / 0 from orders", "operator does not exist"),
    ],
)
def test_a_query_reads_only_and_is_one(postgres, query: str, message: str) -> None:
    """The server's own transaction keeps a query from writing; several statements are none."""
    _orders(postgres)
    postgres.sql("CREATE SEQUENCE s")
    postgres.options = ", statement_timeout_seconds: 1"
    problem = _problem(postgres, f'query: "{query}"')
    assert message in problem["message"]
    assert problem["code"] == "source"
    assert postgres.sql("SELECT count(*) FROM orders") == [(3,)]


def test_missing_rights_and_wrong_passwords_are_told_at_once(postgres, monkeypatch) -> None:
    """Both are somebody's to mend: no retry, a hint, and no password in anything that is printed or kept."""
    _orders(postgres)
    postgres.sql(f"DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN PASSWORD '{servers.PASSWORD}'")
    postgres.url = postgres.url.replace("owner@", "reader@")
    problem = _problem(postgres, SOURCE)
    assert "permission denied for table orders" in problem["message"]
    assert "GRANT SELECT" in problem["hint"]
    wrong = "canary-wrong-77"
    monkeypatch.setenv("SHOP_PASSWORD", wrong)
    started = time.monotonic()
    printed = postgres.command("--json", code=3)
    assert "password authentication failed" in printed
    assert "check user and password of the connection" in printed
    assert time.monotonic() - started < 20
    kept = [path.read_bytes() for path in (postgres.root / ".pratique").rglob("*") if path.is_file()]
    assert not [
        data for data in [printed.encode(), *kept] if wrong.encode() in data or servers.PASSWORD.encode() in data
    ]


def test_a_connection_that_breaks_while_rows_are_read_is_tried_again(postgres) -> None:
    """A server that ends our session in the middle costs one retry; every row is loaded once."""
    _orders(postgres, 20_000)
    slow = "select id, note from orders where id % 4000 <> 0 or pg_sleep(0.3) is not null"
    postgres.write(f'query: "{slow}"', SCHEMA)
    ended = []

    def end_it() -> None:
        deadline = time.monotonic() + 20
        with psycopg.connect(postgres.url, password=servers.PASSWORD, autocommit=True) as connection:
            while not ended and time.monotonic() < deadline:
                found = connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pratique' "
                    "AND datname = current_database() AND query LIKE 'COPY%' AND state = 'active'"
                ).fetchall()
                ended.extend(found)
                time.sleep(0.05)

    thread = threading.Thread(target=end_it)
    thread.start()
    report = postgres.run()
    thread.join()
    assert ended == [(True,)], "the session was ended while it copied"
    assert report["sources"][0]["account"]["loaded"] == 20_000


def test_a_server_that_does_not_answer_is_tried_again_and_stops_its_own_source(postgres) -> None:
    """Connection refused may pass: three retries with growing pauses, then another code; the other source is loaded."""
    _orders(postgres)
    postgres.write(SOURCE, SCHEMA)
    for name in ("config/default.yaml", "pipelines/shop.yaml"):
        path = postgres.root / name
        text = path.read_text()
        if name.startswith("config"):
            text += f'  gone: {{url: "postgres://owner@127.0.0.1:{servers.free_port()}/x"}}\n'
        else:
            text = text.replace(
                "sources:\n", "sources:\n  lost: {type: postgres, connection: gone, table: t, schema: lost}\n"
            )
        path.write_text(text)
    (postgres.root / "schemas" / "lost.yaml").write_text("fields: {id: integer}\n")
    started = time.monotonic()
    report = postgres.run(8)
    assert 1 < time.monotonic() - started < 30
    assert [source["outcome"] for source in report["sources"]] == ["failed", "loaded"]
    problem = report["sources"][0]["problem"]
    assert problem["code"] == "source_unreachable"
    assert "cannot be reached" in problem["message"]
    assert "failed: Connection refused, tried again 3 times" in problem["message"], "it says why"


def test_a_signal_ends_a_run_that_waits_for_the_database(postgres) -> None:
    """SIGTERM while the server computes: the run is interrupted at once, exit 7, and the server's query ended."""
    _orders(postgres)
    postgres.write('query: "select id, note from orders where pg_sleep(30) is not null"', SCHEMA)
    words = [sys.executable, "-m", "pratique", "run", "shop", "--project", str(postgres.root)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        busy = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pratique' AND query LIKE 'COPY%' AND datname = current_database() AND state = 'active'"
        deadline = time.monotonic() + 20
        while postgres.sql(busy) == [(0,)] and time.monotonic() < deadline:
            time.sleep(0.05)
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 7
        assert time.monotonic() - started < 10
    assert postgres.sql(busy) == [(0,)]


@pytest.mark.parametrize(
    "place", ["source.landed", "load.written", "marker.written", "load.committed", "ledger.recorded"]
)
def test_a_run_that_is_killed_loses_and_doubles_nothing(postgres, place: str) -> None:
    """Killed anywhere, with rows that change before the next run: at the end the destination equals the source."""
    postgres.sql("CREATE TABLE orders (id int PRIMARY KEY, note text, moved bigint)")
    postgres.sql("INSERT INTO orders SELECT n, 'x', n FROM generate_series(1, 50) n")
    postgres.write(
        "table: orders, cursor: {field: moved, lookback: 5}",
        "primaryKey: id\nfields: {id: integer, note: {}, moved: integer}",
        "merge",
    )
    child = os.fork()
    if child == 0:
        os.environ["PRATIQUE_FAILPOINT"] = place
        try:
            postgres.run()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    postgres.sql("INSERT INTO orders VALUES (51, 'new', 51); UPDATE orders SET note = 'y', moved = 52 WHERE id = 7")
    assert postgres.run()["outcome"] == "done"
    assert postgres.rows("SELECT id, note, moved FROM orders ORDER BY id") == postgres.sql(
        "SELECT * FROM orders ORDER BY id"
    )
    assert list((postgres.root / ".pratique" / "tmp").iterdir()) == []


def _diary(postgres, lookback: int, seed: int) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """Rounds of inserts and updates, some of them committed only after the run; both tables at the end."""
    dice = random.Random(seed)  # noqa: S311 - repeatable, no secret
    postgres.sql("DROP TABLE IF EXISTS orders; CREATE TABLE orders (id int PRIMARY KEY, note text, moved bigint)")
    for name in ("lake.duckdb", "lake.duckdb.wal"):
        (postgres.root / name).unlink(missing_ok=True)
    source = f"table: orders, cursor: {{field: moved, lookback: {lookback}}}"
    postgres.write(source, "primaryKey: id\nfields: {id: integer, note: {}, moved: integer}", "merge")
    clock = 0
    upsert = "INSERT INTO orders VALUES (%s, %s, %s) ON CONFLICT (id) DO UPDATE SET note = excluded.note, moved = excluded.moved"
    for _ in range(3):
        late = psycopg.connect(postgres.url, password=servers.PASSWORD)
        locked: set[int] = set()
        for _ in range(dice.randint(2, 8)):
            clock += dice.choice((0, 1))
            number = dice.randint(1, 12)
            if dice.random() < 0.4:
                locked.add(number)
                late.execute(upsert, (number, f"late {clock}", clock))
            elif number not in locked:
                postgres.sql(upsert, (number, f"at once {clock}", clock))
        postgres.run()
        late.commit()
        late.close()
    postgres.run()
    there = postgres.sql("SELECT id, note, moved FROM orders ORDER BY id")
    return there, postgres.rows("SELECT id, note, moved FROM orders ORDER BY id")


def test_rows_that_are_committed_late_are_found_by_the_look_back(postgres) -> None:
    """Random inserts and updates, transactions open during the run, ties: at the end both tables are equal."""
    for seed in range(2):
        there, here = _diary(postgres, 50, seed)
        assert there == here, f"seed {seed}"


def test_without_a_look_back_a_late_row_is_lost_and_this_is_seen(postgres) -> None:
    """The negative control: the same diary with a look-back of 0 must be seen to miss rows, or it proves nothing."""
    results = (_diary(postgres, 0, seed) for seed in range(4))
    assert any(there != here for there, here in results)
