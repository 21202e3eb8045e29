"""`pratique run` over a table of PostgreSQL against `COPY … TO STDOUT` piped bare into DuckDB: whole processes.

A private server holds lineitem with 1 million rows (and 6, once, for the memory). Both ways take turns, each round
gives a ratio, and medians are told. Writes benchmarks/POSTGRES.md.
"""

import argparse
import statistics
import sys
from pathlib import Path

import inputs
import psycopg
from bare import COLUMNS
from run import DATA, HERE, PRATIQUE, Measured, account, fresh, machine, measure

sys.path.insert(0, str(HERE.parent / "tests" / "databases"))
import servers

LIMIT = 1.3
SCHEMA = (HERE / "project" / "schemas" / "lineitem.yaml").read_text(encoding="utf-8")
FILES = {
    "config/default.yaml": (
        'connections:\n  shop: {{url: "{url}", password: "${{SHOP_PASSWORD}}"}}\n'
        "  warehouse: {{url: duckdb://warehouse.duckdb}}\n"
    ),
    "pipelines/lineitem.yaml": (
        "sources:\n  lineitem: {{type: postgres, connection: shop, table: lineitem, schema: lineitem}}\n"
        "destination: {{connection: warehouse, write: append}}\n"
    ),
}


def fill(url: str, size: str) -> None:
    """Load the clean file into the server's table."""
    kinds = {"BIGINT": "bigint", "DECIMAL(12,2)": "numeric(12,2)", "VARCHAR": "text", "DATE": "date"}
    columns = ", ".join(f"{name} {kinds[kind]}" for name, kind in COLUMNS.items())
    with psycopg.connect(url, password=servers.PASSWORD, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS lineitem")
        connection.execute(f"CREATE TABLE lineitem ({columns})".encode())
        with connection.cursor().copy("COPY lineitem FROM STDIN (FORMAT csv, HEADER)") as copy:
            for path in sorted(inputs.clean(DATA, size).glob("*.csv")):
                with path.open("rb") as file:
                    while piece := file.read(1 << 20):
                        copy.write(piece)
        connection.execute("VACUUM ANALYZE lineitem")


def pratique(url: str) -> Measured:
    """Run the pipeline in a project of its own."""
    project = fresh()
    for name, text in FILES.items():
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text.format(url=url), encoding="utf-8")
    (project / "schemas").mkdir()
    (project / "schemas" / "lineitem.yaml").write_text(SCHEMA, encoding="utf-8")
    command = [PRATIQUE, "run", "lineitem", "--env", "dev", "--json"]
    return measure(command, project, SHOP_PASSWORD=servers.PASSWORD)


def bare(url: str) -> Measured:
    """Copy and load, nothing else."""
    command = [HERE / "bare_postgres.sh", "psql", url, sys.executable, HERE / "bare.py", "bare.duckdb"]
    return measure(command, fresh(), PGPASSWORD=servers.PASSWORD)


RESULTS = """# What was measured of PostgreSQL

Made by `python benchmarks/postgres.py`; do not edit.

{machine}

A server on the same machine, {runs} rounds; 6m is measured once, for its memory. The bare way pipes
`COPY … TO STDOUT` into a DuckDB process that loads it typed and unchecked (its peak is that process's).
`pratique run` lands the rows out of one snapshot, reads every value exactly, judges 12 rules and a unique key of two
fields, writes rows and marker.

| rows | way | seconds | ratio | range | at most | peak MiB | read = loaded + quarantined + skipped |
|---|---|---:|---:|---:|---:|---:|---|
{rows}
"""


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="1m,6m", help="sizes: 1m, 6m (default: both)")
    parser.add_argument("--runs", type=int, default=5, help="rounds (default: 5)")
    parser.add_argument("--output", type=Path, default=HERE / "POSTGRES.md")
    asked = parser.parse_args()
    rows = []
    with servers.postgres() as server:
        url = server.url("postgres")
        for size in asked.rows.split(","):
            fill(url, size)
            kept: dict[str, list[Measured]] = {"bare COPY into DuckDB": [], "pratique": []}
            for number in range(asked.runs if size == "1m" else 1):
                for way, measured in kept.items():
                    measured.append(pratique(url) if way == "pratique" else bare(url))
                    sys.stderr.write(f"{size} round {number + 1}: {way} {measured[-1].seconds:.2f} s\n")
            bases = kept["bare COPY into DuckDB"]
            for way, measured in kept.items():
                ratios = [one.seconds / base.seconds for one, base in zip(measured, bases, strict=True)]
                seconds = statistics.median(one.seconds for one in measured)
                bound = LIMIT if way == "pratique" and size == "1m" else ""
                peak = max(one.peak_mib for one in measured)
                told = account(measured[-1]) if way == "pratique" else ""
                rows.append(
                    f"| {size} | {way} | {seconds:.2f} | {statistics.median(ratios):.2f} | {min(ratios):.2f} to "
                    f"{max(ratios):.2f} | {bound} | {peak:,.0f} | {told} |"
                )
    text = RESULTS.format(machine=machine(), runs=asked.runs, rows="\n".join(rows))
    asked.output.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
