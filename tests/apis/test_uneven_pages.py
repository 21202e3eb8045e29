"""Pages that are not as long as was asked for, and an API that grows: no record is lost, or the run says what to do."""

from __future__ import annotations

import json

import pytest
from api_project import NEAR, PAGES, Crm
from http_server import Request, answer


@pytest.mark.parametrize("there", [95, 15])
@pytest.mark.parametrize("told", ["", ", total: total"])
def test_a_server_that_gives_fewer_than_asked_for_is_seen(crm: Crm, there: int, told: str) -> None:
    """By offsets of 20, a server that never gives more than 10 would lose records, also the last ones: the run says so."""

    def script(request: Request) -> bytes:
        offset = int(request.query["offset"])
        data = [{"id": number} for number in range(offset, min(offset + 10, there))]
        return answer({"data": data, "total": there})

    server = crm.serve(script)
    paginate = f"{{offset: offset, size: 20, size_param: limit{told}}}"
    crm.write(server.url, f'get: /x, paginate: {paginate}, records: "data[*]"')
    assert "write size: 10" in json.dumps(crm.problem())


@pytest.mark.parametrize("missing", ["empty", "404"])
def test_records_that_an_api_keeps_to_itself_are_no_sign_of_short_pages(crm: Crm, missing: str) -> None:
    """Where the last page is short because the API leaves records out of it, all that it gives is loaded."""

    def script(request: Request) -> bytes:
        offset = int(request.query["offset"])
        data = [{"id": number} for number in range(offset, min(offset + 20, 35)) if number % 10 or number < 30]
        none = not data and missing == "404"
        return answer({"data": data, "total": 35}, "404 Not Found" if none else "200 OK")

    server = crm.serve(script)
    told = ", total: total" if missing == "404" else ""  # whoever refuses what is behind the end says where that is
    crm.write(
        server.url, f'get: /x, paginate: {{offset: offset, size: 20, size_param: limit{told}}}, records: "data[*]"'
    )
    assert crm.run()["notices"] == (["contacts: /x tells of 35 records and gave 34"] if told else [])
    assert len(crm.rows()) == 34


def test_records_that_are_added_meanwhile_are_no_sign_of_short_pages(crm: Crm) -> None:
    """An API that grows while its last page is read is read to that page, and the rest by the next run."""
    there = [95]

    def script(request: Request) -> bytes:
        offset = int(request.query["offset"])
        data = [{"id": number} for number in range(offset, min(offset + 20, there[0]))]
        there[0] = 97 if offset >= 80 else there[0]
        return answer({"data": data})

    server = crm.serve(script)
    paged = 'get: /x, paginate: {offset: offset, size: 20, size_param: limit}, records: "data[*]"'
    for found in (95, 97):
        crm.write(server.url, paged, write="merge")
        crm.run()
        assert len(crm.rows()) == found


@pytest.mark.parametrize("paginate", ["page: page", "offset: offset, size: 10"])
def test_a_short_page_that_fills_up_meanwhile_is_read_again(crm: Crm, paginate: str) -> None:
    """Records that an API adds to its last page, and behind it, before it is asked for more are loaded too."""
    there = [15]

    def script(request: Request) -> bytes:
        page = int(request.query.get("page") or int(request.query["offset"]) // 10 + 1)
        there[0] = 33 if page == 3 else there[0]
        return answer({"data": [{"id": number} for number in range(page * 10 - 10, min(page * 10, there[0]))]})

    server = crm.serve(script)
    crm.write(
        server.url, f'get: /x, paginate: {{{paginate}}}, records: "data[*]"', connection=f"{NEAR}, concurrency: 1"
    )
    crm.run()
    assert len(crm.rows()) == 33


@pytest.mark.parametrize("total", [35, 0, 25])
def test_a_total_and_a_size_do_not_end_a_walk_before_its_end(crm: Crm, total: int) -> None:
    """Pages of 10 where 100 were asked for, a total that is none or too small: every record is loaded."""

    def script(request: Request) -> bytes:
        first = int(request.query["page"]) * 10
        return answer({"n": total, "data": [{"id": number} for number in range(first, min(first + 10, 45))]})

    server = crm.serve(script)
    crm.write(server.url, PAGES.replace("page: page", "page: page, total: n, size: 100, size_param: limit"))
    crm.run()
    assert [number for number, _ in crm.rows()] == list(range(10, 45))
