"""Pages that are odd inside a record: that record's matter, in a run and in a probe."""

from __future__ import annotations

import pytest
from api_project import Crm
from http_server import answer

from pratique.project import Project
from pratique.sources import open_source


def test_one_letter_that_is_no_utf_8_holds_one_record(crm: Crm) -> None:
    """An API that writes Latin-1: what has a letter of it is held, everything else is loaded."""
    server = crm.serve(lambda _: answer('{"data": [{"id": 1, "note": "Köln"}, {"id": 2, "note": "Bonn"}]}'.encode("latin-1")))  # fmt: skip
    crm.write(server.url, 'get: /x, records: "data[*]", quarantine: {max_share: 1}')
    account = crm.run()["sources"][0]["account"]
    assert (account["read"], account["loaded"], account["quarantined"]) == (2, 1, 1)
    assert crm.rows() == [(2, "Bonn")]


@pytest.mark.parametrize(
    ("page", "told", "shown"),
    [
        (answer('{"data": [{"id": 1, "note": "Köln"}]}'.encode("latin-1")), "1 records", [{"id": 1, "note": "K\udcf6ln"}]),
        (answer(b'{"data": [{"id": 1, "note": "a\tb"}]}'), "1 records", [{"id": 1, "note": "a\tb"}]),
        (answer(b'{"data": [{"id": %s}, {"id": 1.10}]}' % (b"9" * 5000)), "2 records", [{"id": "9" * 5000}, {"id": "1.10"}]),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "answers 204: there are no records", []),
    ],
    ids=["latin-1", "tab", "5,000 digits", "204"],
)  # fmt: skip
def test_a_probe_shows_what_a_run_can_read(crm: Crm, page: bytes, told: str, shown: list[dict[str, object]]) -> None:
    """Whatever is wrong inside a record is no error of its page: the probe shows it, and the run judges it."""
    server = crm.serve(lambda _: page)
    crm.write(server.url, 'get: /x, records: "data[*]", quarantine: {max_share: 1}')
    (plan,) = Project(crm.root, "dev").pipeline("crm").sources
    found = open_source("contacts", path="", base=crm.root, format="", schema=plan.schema, api=plan.api).probe()
    assert (found.reachable, list(found.records)) == (True, shown)
    assert told in found.detail
    crm.run(0 if "204" in told else 1)  # it reads them all, and holds each: nothing is left to load
