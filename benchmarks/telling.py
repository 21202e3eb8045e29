"""What it costs that a run is told: seconds of processors of whole processes, by turns, one command.

Nobody hears of the run (untold.py), then log, metrics, history and alerts as they are unless said otherwise, then all
that there is: log lines of JSON on stderr, a file for Prometheus, OpenTelemetry and OpenLineage to a receiver. Writes
benchmarks/TELLING.md.
"""

import argparse
import shutil
import statistics
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import inputs
from run import DATA, HERE, PRATIQUE, Measured, fresh, machine, measure

LIMIT = 5.0  # percent


class Receiver(BaseHTTPRequestHandler):
    """Takes whatever is posted."""

    def do_POST(self) -> None:
        """Say that all is well."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def receiver() -> Iterator[str]:
    """Give the URL of a receiver in this process."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def run(program: list[object], **variables: str) -> Measured:
    """Load a million rows in a project of its own."""
    project = fresh() / "project"
    shutil.copytree(HERE / "project", project)
    command = [*map(str, program), "run", "lineitem", "--env", "dev", "--json"]
    return measure(command, project, PRATIQUE__CONNECTIONS__FILES__URL=str(DATA / "clean-1m"), **variables)


RESULTS = """# What telling costs

Made by `python benchmarks/telling.py`; do not edit.

{machine}

`pratique run` of 1 million sound rows, as a whole process; seconds of processors (all cores, user and system), medians
of {runs} rounds. `more` is against the run of the same round that nobody hears of. `at most` is the bound that a
release must keep.

| what is told | seconds | more | range | at most |
|---|---:|---:|---:|---:|
{rows}
"""


def row(name: str, kept: list[Measured], bases: list[Measured]) -> str:
    """One line of the table."""
    more = [100 * (one.cpu_seconds / base.cpu_seconds - 1) for one, base in zip(kept, bases, strict=True)]
    limit = "" if kept is bases else f"{LIMIT:.0f} %"
    seconds = statistics.median(one.cpu_seconds for one in kept)
    told = "" if kept is bases else f"{statistics.median(more):.1f} %"
    between = "" if kept is bases else f"{min(more):.1f} to {max(more):.1f} %"
    return f"| {name} | {seconds:.2f} | {told} | {between} | {limit} |"


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=11)
    runs = parser.parse_args().runs
    inputs.clean(DATA, "1m")
    with receiver() as url:
        everything = {
            "PRATIQUE__LOGGING__FORMAT": "json",
            "PRATIQUE__MONITORING__TEXTFILE": "logs/pratique.prom",
            "PRATIQUE__MONITORING__OPENTELEMETRY__ENDPOINT": url,
            "PRATIQUE__MONITORING__OPENLINEAGE__FILE": "logs/lineage.jsonl",
            "PRATIQUE__MONITORING__OPENLINEAGE__URL": url,
        }
        ways = {
            "nothing": lambda: run([sys.executable, HERE / "untold.py"]),
            "log, metrics, history, alerts": lambda: run([PRATIQUE]),
            "all that, a file for Prometheus, OpenTelemetry, OpenLineage": lambda: run([PRATIQUE], **everything),
        }
        rounds = [{name: way() for name, way in ways.items()} for _ in range(runs)]
    kept = {name: [one[name] for one in rounds] for name in ways}
    rows = [row(name, measured, kept["nothing"]) for name, measured in kept.items()]
    text = RESULTS.format(machine=machine(), runs=runs, rows="\n".join(rows))
    (HERE / "TELLING.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
