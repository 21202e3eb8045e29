"""What may pass is tried again: so often for one request, so often for a whole run, and always counted."""

from __future__ import annotations

from collections import Counter

import pytest
from api_project import BEARER, PAGES, Crm, page_of, rows, whole
from http_server import Request, answer

SECOND = '  people: {type: api, connection: crm, get: /people, paginate: {page: page, pages: pages}, records: "data[*]", schema: contacts, write: append}\n'  # fmt: skip


@pytest.mark.parametrize("most", [0, 2])
def test_one_request_is_tried_again_so_often(crm: Crm, most: int) -> None:
    """`limits.retries_max` is exact: what passes with the last try is loaded, one answer more ends the run."""
    left = Counter({"2": most})

    def script(request: Request) -> bytes:
        page = request.query["page"]
        if left[page]:
            left[page] -= 1
            return answer(b"", "503 Busy", {"Retry-After": "0"})
        return page_of(request)

    server = crm.serve(script)
    crm.write(server.url, PAGES, connection=BEARER, settings=f"limits: {{retries_max: {most}}}\n")
    report = crm.run()
    assert report["sources"][0]["retries"] == most
    assert server.asked().count("2") == most + 1
    whole(crm, server)
    (crm.root / "lake.duckdb").unlink()
    left["2"] = most + 1
    server.requests.clear()
    problem = crm.problem()
    assert server.asked().count("2") == most + 1
    assert problem["gravity"] == "transient"
    assert (f", tried again {most} time" in problem["message"]) == (most > 0)


def test_a_run_tries_again_so_often_and_no_more(crm: Crm) -> None:
    """`limits.retries_per_run_max` holds over all sources; what was read is kept, and the next run completes it."""
    asked: Counter[str] = Counter()
    broken = [True]

    def script(request: Request) -> bytes:
        asked[request.target] += 1
        if broken and asked[request.target] == 1:
            return answer(b"", "503 Busy", {"Retry-After": "0"})
        return answer({"pages": 4, "data": rows(int(request.query["page"]) + 10 * (request.path == "/people"))})

    server = crm.serve(script)
    source = PAGES.replace("page: page", "page: page, pages: pages")
    settings = "limits: {retries_per_run_max: 6}\nmonitoring: {textfile: run.prom}\n"
    crm.write(server.url, source, connection=f"{BEARER}, concurrency: 1", more=SECOND, settings=settings)
    report = crm.run(8)
    contacts, people = report["sources"]
    assert (contacts["outcome"], contacts["retries"]) == ("loaded", 4)
    assert (people["outcome"], people["retries"]) == ("failed", 2)
    assert people["problem"]["code"] == "source_unreachable"
    assert people["problem"]["message"].endswith("503 Busy; the 6 retries of this run are used up")
    assert sum(asked.values()) == 8 + 4 + 1
    assert report["notices"] == ["contacts: tried again 4 times", "people: tried again 2 times"]
    measured = (crm.root / "run.prom").read_text()
    assert 'pratique_http_retries_total{pipeline="crm",status_class="5xx"} 6' in measured
    assert 'pratique_source_retries_total{pipeline="crm",source_type="api"} 6' in measured
    broken.clear()
    before = asked.copy()
    crm.run()
    again = {target: more - before[target] for target, more in asked.items() if more > before[target]}
    assert {target: more for target, more in again.items() if "/people" in target} == {
        "/people?page=3": 1,
        "/people?page=4": 1,
    }
    assert crm.rows("SELECT count(*), count(DISTINCT id) FROM contacts") == [(80, 80)]


def test_what_gave_no_answer_is_counted_as_such(crm: Crm) -> None:
    """The log tells of retries by what was answered, also where nothing was; nothing else is counted."""
    down = [True]

    def script(request: Request) -> object:
        if request.query["page"] == "1" and down:
            down.clear()
            return lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{}")
        return page_of(request)

    server = crm.serve(script)
    crm.write(server.url, PAGES, connection=BEARER, settings="monitoring: {textfile: run.prom}\n")
    crm.command()
    measured = (crm.root / "run.prom").read_text()
    assert 'pratique_http_retries_total{pipeline="crm",status_class="none"} 1' in measured
    assert "tried again 1 time" in (crm.root / "logs" / "pipeline.log").read_text()
