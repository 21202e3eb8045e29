"""REST APIs as a source: every style of pages, exact values, positions, parents."""

from __future__ import annotations

from api_project import Crm
from http_server import Request, answer


def contacts(first: int, behind: int) -> list[dict[str, object]]:
    """Records with these ids."""
    return [{"id": number, "note": f"contact {number}"} for number in range(first, behind)]


def test_pages_by_number_are_read_to_their_end(crm: Crm) -> None:
    """Every record of every page, once; the end is a page without records."""
    server = crm.serve(lambda request: answer({"data": contacts(int(request.query["page"]) * 10, int(request.query["page"]) * 10 + 10) if int(request.query["page"]) < 8 else []}))
    crm.write(server.url, 'get: /contacts, paginate: {page: page}, records: "data[*]"')
    report = crm.run()
    assert report["sources"][0]["account"]["loaded"] == 70
    assert [number for number, _ in crm.rows()] == list(range(10, 80))
