"""`pratique run` over a REST API against a bare concurrent client that only downloads and loads: whole processes.

The API answers 1,000 pages of 100 records, each after 20 ms, from a process of its own; both ways ask for 16 pages at
once. They take turns, each round gives a ratio, and medians are told. Writes benchmarks/REST.md.
"""

import argparse
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from run import HERE, PRATIQUE, Measured, account, fresh, machine, measure

LIMIT = 1.2
BARE, SMALL = "bare client, then DuckDB", "pratique, limits.memory: 100MB"
FILES = {
    "config/default.yaml": (
        'connections:\n  shop: {{url: "{url}", allowed_networks: [127.0.0.1/32], concurrency: 16}}\n'
        "  warehouse: {{url: duckdb://warehouse.duckdb}}\n"
    ),
    "pipelines/orders.yaml": (
        "sources:\n  orders: {{type: api, connection: shop, get: /orders, paginate: {{page: page, pages: pages}}, "
        'records: "data[*]"}}\ndestination: {{connection: warehouse}}\n'
    ),
    "schemas/orders.yaml": (
        "primaryKey: id\ntimezone: UTC\nfields:\n  id: integer\n  order: {{required: true}}\n"
        "  email: {{format: email}}\n"
        '  amount: {{type: "decimal(12,2)", minimum: 0}}\n  quantity: {{type: integer, minimum: 1}}\n'
        "  status: {{enum: [open, paid, sent, back]}}\n  updated_at: datetime\n  note:\n"
    ),
}


@contextmanager
def api(pages: int) -> Iterator[str]:
    """Give the URL of an API in a process of its own."""
    command = [sys.executable, HERE / "rest_server.py", str(pages)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None:
            sys.exit("the server has no output")
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def pratique(url: str, **settings: str) -> Measured:
    """Run the pipeline in a project of its own, with these settings."""
    project = fresh()
    for name, text in FILES.items():
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text.format(url=url), encoding="utf-8")
    return measure([PRATIQUE, "run", "orders", "--env", "dev", "--json"], project, **settings)


def bare(url: str, pages: int) -> Measured:
    """Download and load, nothing else."""
    return measure([sys.executable, HERE / "bare_rest.py", url, str(pages), "bare.duckdb"], fresh())


RESULTS = """# What was measured of REST APIs

Made by `python benchmarks/rest.py`; do not edit.

{machine}

Pages of 100 records, each after 20 ms, 16 asked for at once; {runs} rounds. The bare client writes pages into files and
has DuckDB load them typed and unchecked. `pratique run` lands pages durably, reads every value exactly, judges 9 rules
and a key, and writes rows and marker. What grows with the rows is DuckDB's buffer, up to `limits.memory` (600MB).

| pages | way | seconds | ratio | range | at most | peak MiB | read = loaded + quarantined + skipped |
|---|---|---:|---:|---:|---:|---:|---|
{rows}
"""


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", default="1000,5000", help="numbers of pages (default: 1000,5000)")
    parser.add_argument("--runs", type=int, default=5, help="rounds (default: 5)")
    parser.add_argument("--output", type=Path, default=HERE / "REST.md")
    asked = parser.parse_args()
    rows = []
    for pages in map(int, asked.pages.split(",")):
        kept: dict[str, list[Measured]] = {BARE: [], "pratique": [], SMALL: []}
        with api(pages) as url:
            for number in range(asked.runs if pages <= 1000 else 1):  # noqa: PLR2004 - the size that has a bound
                for way, measured in kept.items():
                    less = {"PRATIQUE__LIMITS__MEMORY": "100MB"} if way == SMALL else {}
                    measured.append(bare(url, pages) if way == BARE else pratique(url, **less))
                    sys.stderr.write(f"{pages} pages, round {number + 1}: {way} {measured[-1].seconds:.2f} s\n")
        bases = kept[BARE]
        for way, measured in kept.items():
            ratios = [one.seconds / base.seconds for one, base in zip(measured, bases, strict=True)]
            told = "" if way == BARE else account(measured[-1])
            limit = LIMIT if way == "pratique" and pages == 1000 else ""  # noqa: PLR2004 - the size that has a bound
            rows.append(
                f"| {pages:,} | {way} | {statistics.median(one.seconds for one in measured):.2f} "
                f"| {statistics.median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f} | {limit} "
                f"| {max(one.peak_mib for one in measured):,.0f} | {told} |"
            )
    text = RESULTS.format(machine=machine(), runs=asked.runs, rows="\n".join(rows))
    asked.output.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
