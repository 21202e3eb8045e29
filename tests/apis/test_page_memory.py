"""How much memory pages take: what is under way, and not what has landed."""

from __future__ import annotations

import json
import subprocess
import sys

from api_project import Crm
from http_server import Request, answer

PAGES, RECORDS = 120, 1000
# Reads all records by the public class; says how many, and the most memory when all had landed and at the end, in KiB.
READER = """
import resource
from pratique.config_manager import ConfigManager
from pratique.ingestion import APIDataSource

def grown():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

source = APIDataSource(ConfigManager(), "crm", get="/x", paginate={"page": "page", "pages": "pages"}, records="data[*]")
asked = source.ingest()
count, first = 0, None
for count, record in enumerate(asked, 1):
    if count == 1:
        first = grown()
print(count, first, grown())
"""


def test_pages_are_not_kept_in_memory(crm: Crm) -> None:
    """30 MB of pages, landed side by side and read again, take no more memory than a few of them."""
    body = {"pages": PAGES, "data": [{"id": number, "note": "x" * 220} for number in range(RECORDS)]}
    whole = json.dumps(body).encode()
    size = PAGES * len(whole)
    assert size > 27 << 20

    def page(request: Request) -> bytes:
        return answer(whole.replace(b'"id": 0,', b'"id": -%d,' % int(request.query["page"]), 1))

    server = crm.serve(page)
    crm.write(server.url, "get: /x")
    done = subprocess.run(
        [sys.executable, "-c", READER], cwd=crm.root, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    count, landed, read = map(int, done.stdout.split())
    assert count == PAGES * RECORDS
    base = bare(crm)
    assert (landed - base) << 10 < size // 2, "landing keeps pages"
    assert (read - landed) << 10 < size // 2, "reading keeps pages"


def bare(crm: Crm) -> int:
    """What a process takes that has the same modules and reads one page, in KiB."""
    server = crm.serve(lambda _: answer([{"id": 1}]))
    crm.write(server.url, "get: /x")
    small = READER.replace(', paginate={"page": "page", "pages": "pages"}, records="data[*]"', "")
    done = subprocess.run(
        [sys.executable, "-c", small], cwd=crm.root, capture_output=True, text=True, timeout=120, check=True
    )
    return int(done.stdout.split()[2])
