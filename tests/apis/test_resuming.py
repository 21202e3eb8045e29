"""A run that is killed goes on behind the last page that landed; a page is asked for once, a record is there once."""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
import signal
import threading
import time
from collections import Counter
from typing import Any

import duckdb
import pytest
from api_project import NEAR, Crm
from http_server import Request, Server, answer

from pratique.failpoints import FAILPOINTS

SEED = int(os.environ.get("PRATIQUE_SEED", "20261127"))
PAGES = 40
CONCURRENCY = 4
STYLES = {
    "page": "page: page, pages: pages",
    "offset": "offset: offset, size: 10, total: total",
    "next": "next: next",
    "cursor": "cursor: after",
}


def script(request: Request) -> bytes:
    """Forty pages of ten records, in every style."""
    query = request.query
    page = int(query.get("page") or int(query.get("offset") or 0) // 10 + 1)
    page = int(query.get("cursor") or page)
    time.sleep(0.01)
    more = page < PAGES
    data = [{"id": page * 10 + number, "note": f"{page}"} for number in range(10)] if page <= PAGES else []
    after = page + 1 if more else None
    following = f"/contacts?page={after}" if more else None
    return answer({"pages": PAGES, "total": PAGES * 10, "data": data, "after": after, "next": following})


def project(crm: Crm, style: str) -> Server:
    """A project that reads the pages in this style."""
    server = crm.serve(script)
    source = f'get: /contacts, paginate: {{{STYLES[style]}}}, records: "data[*]"'
    crm.write(server.url, source, connection=f"{NEAR}, concurrency: {CONCURRENCY}")
    return server


def killed(crm: Crm, server: Server, pages: int) -> None:
    """Start a run and kill it when so many further requests have been made."""
    before = len(server.requests)
    process = crm.start()
    while len(server.requests) < before + pages and process.poll() is None:
        time.sleep(0.001)
    process.kill()
    process.communicate()


def whole(crm: Crm, server: Server, kills: int, style: str, readings: int = 1) -> None:
    """Every record once; in each reading each page asked for once, but for those that were under way at a kill."""
    assert [number for number, _ in crm.rows()] == list(range(10, PAGES * 10 + 10))
    times = Counter(request.target for request in server.requests)
    assert len(times) == PAGES
    under_way = kills * (1 if style in {"next", "cursor"} else CONCURRENCY)
    assert sum(times.values()) - readings * PAGES <= under_way


@pytest.mark.parametrize("style", STYLES)
def test_a_killed_run_goes_on_at_the_next_page(crm: Crm, style: str) -> None:
    """Killed three times in the middle, in every style."""
    server = project(crm, style)
    for _ in range(3):
        killed(crm, server, 8)
    crm.run()
    whole(crm, server, 3, style)
    assert not list((crm.root / ".pratique" / "landed").rglob("pages")), "pages stay on the disk that nobody needs"


def committed(crm: Crm) -> bool:
    """Whether a run has loaded the pages."""
    if not (crm.root / "lake.duckdb").exists():
        return False
    with duckdb.connect(str(crm.root / "lake.duckdb"), read_only=True) as lake:
        markers = "SELECT count(*) FROM duckdb_tables() WHERE table_name = '_pratique_loads'"
        there = lake.execute(markers).fetchall()[0][0]
        return bool(there and lake.execute("SELECT count(*) FROM _pratique_loads").fetchall()[0][0])


@pytest.mark.nightly
@pytest.mark.parametrize("style", STYLES)
def test_fifty_kills_at_random_moments(crm: Crm, style: str) -> None:
    """Killed fifty times, anywhere in a run: while pages land, while they are judged, while they are loaded."""
    chance = random.Random(SEED)  # noqa: S311 - moments, not secrets
    kills = 0
    while kills < 50:
        server = project(crm, style)
        mine, readings = 0, 1
        while mine < 5 and readings == 1:
            process = crm.start()
            time.sleep(chance.uniform(0.2, 1.6))
            mine += process.poll() is None
            process.kill()
            process.communicate()
            readings += committed(crm)  # what is loaded is read anew by the next run
        crm.run()
        whole(crm, server, mine, style, readings)
        kills += mine
        for path in (crm.root / "lake.duckdb", crm.root / "lake.duckdb.wal"):
            path.unlink(missing_ok=True)


@pytest.mark.parametrize("failpoint", [name for name in FAILPOINTS if name not in {"run.begun", "run.finished"}])
def test_pages_survive_a_kill_behind_them(crm: Crm, failpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed at any place behind the landing: no page is asked for again, unless everything was loaded by then."""
    server = project(crm, "page")
    monkeypatch.setenv("PRATIQUE_FAILPOINT", failpoint)
    process = crm.start()
    process.communicate()
    monkeypatch.delenv("PRATIQUE_FAILPOINT")
    unreached = {"quarantine.written", "quarantine.renamed", "destination.created", "alert.sent"}
    assert process.returncode == -9 or failpoint in unreached
    assert len(server.requests) == PAGES
    committed = failpoint in {"load.committed", "ledger.recorded", "alerts.judged"} or process.returncode == 0
    report = crm.run()
    assert [number for number, _ in crm.rows()] == list(range(10, PAGES * 10 + 10))
    assert len(server.requests) == (2 * PAGES if committed else PAGES)
    assert report["sources"][0]["outcome"] == ("unchanged" if committed else "loaded")


def test_a_page_that_a_power_cut_tore_is_asked_for_again(crm: Crm) -> None:
    """A line of the journal that is not whole, or bytes that are not those that it names: that page does not count."""
    for number, damage in enumerate((truncated, flipped, torn_line)):
        server = project(crm, "next")
        killed(crm, server, 20)
        (folder,) = (crm.root / ".pratique" / "landed").rglob("journal")
        kept = damage(folder.parent)
        asked = len(server.requests)
        crm.run()
        assert [row for row, _ in crm.rows()] == list(range(10, PAGES * 10 + 10)), number
        assert len(server.requests) - asked == PAGES - kept
        (crm.root / "lake.duckdb").unlink()


def truncated(folder: Any) -> int:
    """The last page lost its end."""
    pages = folder / "pages"
    lines = (folder / "journal").read_bytes().splitlines()
    os.truncate(pages, sum(int(line.split(b'"size": ')[1].split(b",")[0]) for line in lines) - 5)
    return len(lines) - 1


def flipped(folder: Any) -> int:
    """A bit of the second page is another one."""
    data = bytearray((folder / "pages").read_bytes())
    first = int((folder / "journal").read_bytes().split(b'"size": ')[1].split(b",")[0])
    data[first + 20] ^= 1
    (folder / "pages").write_bytes(data)
    return 1


def torn_line(folder: Any) -> int:
    """The last line of the journal has no end."""
    journal = folder / "journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines)[:-10])
    return len(lines) - 1


def test_old_pages_are_asked_for_again(crm: Crm) -> None:
    """Beyond `landed_hours_max` what a killed run left is no longer what the API says."""
    server = project(crm, "next")
    killed(crm, server, 10)
    (asked,) = (crm.root / ".pratique" / "landed").rglob("asked.json")
    text = asked.read_text()
    began = text.split('"began": ')[1].rstrip("}")
    asked.write_text(text.replace(began, str(float(began) - 25 * 3600)))
    before = len(server.requests)
    crm.run()
    assert len(server.requests) - before == PAGES


def test_pages_of_a_source_that_is_gone_are_cleared_when_nobody_goes_on_with_them(crm: Crm) -> None:
    """A renamed source leaves pages behind: they stay for as long as they count, or somebody reads them, and no longer."""
    server = project(crm, "next")
    killed(crm, server, 10)
    (asked,) = (crm.root / ".pratique" / "landed").rglob("asked.json")
    other = crm.root / ".pratique" / "landed" / "retired" / "orders" / "0f"  # of a pipeline that is gone
    shutil.copytree(asked.parent, other)
    crm.write(server.url, 'get: /contacts, paginate: {next: next}, records: "data[*]"', name="people")
    crm.run()
    assert asked.exists(), "the name may come back"
    for head in (asked, other / "asked.json"):
        text = json.loads(head.read_text())
        head.write_text(json.dumps({**text, "began": text["began"] - 25 * 3600}))
    with (other / "journal").open() as journal:
        fcntl.flock(journal, fcntl.LOCK_SH)  # as a process that reads does
        crm.run()
        assert (asked.parent.exists(), other.exists()) == (False, True)
    crm.run(dry_run=True)
    assert other.exists(), "a dry run leaves everything as it is"
    crm.run()
    assert not other.exists()


def test_a_way_on_that_has_ended_is_begun_anew(crm: Crm) -> None:
    """Cursors end: where the API refuses the one at which a killed run stopped, all is asked again, and that is told."""
    ended = threading.Event()

    def forgetful(request: Request) -> bytes:
        if ended.is_set() and request.query.get("cursor", "") > "2":
            ended.clear()
            return answer({"error": "this cursor has ended"}, "410 Gone")
        return script(request)

    server = crm.serve(forgetful)
    crm.write(server.url, 'get: /contacts, paginate: {cursor: after}, records: "data[*]"')
    killed(crm, server, 9)
    ended.set()
    report = crm.run()
    assert report["notices"] == ["contacts: the API no longer knew where the last run ended: all was asked again"]
    assert [number for number, _ in crm.rows()] == list(range(10, PAGES * 10 + 10))


def test_another_question_does_not_go_on_with_old_pages(crm: Crm) -> None:
    """A changed parameter is another walk."""
    server = project(crm, "next")
    killed(crm, server, 10)
    crm.write(server.url, 'get: /contacts, params: {x: 1}, paginate: {next: next}, records: "data[*]"')
    crm.run()
    assert [number for number, _ in crm.rows()] == list(range(10, PAGES * 10 + 10))
    assert [request.target for request in server.requests].count("/contacts?x=1") == 1


def test_what_the_gate_refuses_is_asked_for_again(crm: Crm) -> None:
    """Bad records are mended where they come from: the next run does not look at the old ones."""
    bad = threading.Event()
    bad.set()
    server = crm.serve(lambda _: answer([{"id": "x" if bad.is_set() else 1}]))
    crm.write(server.url, "get: /x")
    crm.run(1)
    bad.clear()
    crm.run()
    assert crm.rows("SELECT id FROM contacts") == [(1,)]


def test_a_destination_that_fails_costs_no_page(crm: Crm) -> None:
    """What was landed waits for the next run."""
    server = project(crm, "page")
    (crm.root / "lake.duckdb").write_text("no database")
    crm.run(4)
    (crm.root / "lake.duckdb").unlink()
    crm.run()
    assert len(server.requests) == PAGES


def test_children_go_on_where_they_were_killed(crm: Crm) -> None:
    """Whose row is asked for is kept with the pages: none of them is asked for twice, whatever the parent says now."""

    def family(request: Request) -> bytes:
        time.sleep(0.01)
        if request.path == "/orders":
            return answer([{"id": number} for number in range(30)])
        page = int(request.query["page"])
        return answer({"pages": 2, "data": [{"line": page * 10 + number} for number in range(2)]})

    server = crm.serve(family)
    crm.write(
        server.url,
        "get: /orders",
        schema="primaryKey: id\nfields: {id: integer}\n",
        name="orders",
        write="merge",
        connection=f"{NEAR}, concurrency: {CONCURRENCY}",
    )
    text = (crm.root / "pipelines/crm.yaml").read_text()
    child = (
        "  lines: {type: api, connection: crm, get: '/orders/{id}/lines', parent: orders, records: 'data[*]', "
        "paginate: {page: page, pages: pages}, write: merge}\n"
    )
    crm.file("pipelines/crm.yaml", text.replace("destination:", f"{child}destination:"))
    crm.file(
        "schemas/lines.yaml",
        "primaryKey: [order, line]\nfields: {order: {type: integer, from: path.id}, line: integer}\n",
    )
    for _ in range(2):
        killed(crm, server, 15)
    crm.run()
    expected = [(order, line) for order in range(30) for line in (10, 11, 20, 21)]
    assert crm.rows("SELECT * EXCLUDE (_load_id) FROM lines ORDER BY ALL") == expected
    times = Counter(request.target for request in server.requests if request.path != "/orders")
    assert len(times) == 60
    assert sum(times.values()) - 60 <= 2 * CONCURRENCY


@pytest.mark.parametrize("paginate", ["page: page", "offset: offset, size: 10"])
@pytest.mark.parametrize("there", [5, 15, 20])
def test_what_was_the_end_before_a_kill_is_asked_for_again(crm: Crm, paginate: str, there: int) -> None:
    """An API that grows before a killed run goes on leaves no record behind the position, however far it grew."""
    grown = threading.Event()
    killing: list[int] = []

    def growing(request: Request) -> bytes:
        page = int(request.query.get("page") or int(request.query["offset"]) // 10 + 1)
        if page * 10 - 10 >= there and not grown.is_set():
            grown.set()
            os.kill(killing[0], signal.SIGKILL)
        end = there + 13 if grown.is_set() else there
        found = [{"id": at, "at": f"2026-01-01T00:{at:02}:00Z"} for at in range(end)]
        new = [one for one in found if str(one["at"]) >= request.query.get("since", "")]
        return answer({"data": new[page * 10 - 10 : page * 10]})

    server = crm.serve(growing)
    asked = f'get: /x, paginate: {{{paginate}}}, records: "data[*]", params: {{since: "{{cursor}}"}}'
    schema = "primaryKey: id\ntimezone: UTC\nfields: {id: integer, at: datetime}\n"
    crm.write(server.url, f"{asked}, cursor: {{field: at}}", schema=schema, write="merge")
    process = crm.start()
    killing.append(process.pid)
    process.communicate()
    assert process.returncode == -9
    crm.run()
    assert crm.rows("SELECT id FROM contacts ORDER BY id") == [(at,) for at in range(there + 13)]
