"""`pratique run` against a bare DuckDB load of the same clean file: whole processes, side by side, one command.

Bare, clean and dirty take turns in every round, and each round gives a ratio; medians are told. Every run has a fresh
folder. Writes benchmarks/RESULTS.md.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import inputs

HERE = Path(__file__).resolve().parent
DATA = HERE / "data"
WORK = HERE / "work"
PRATIQUE = Path(sys.executable).with_name("pratique")
LIMITS = {"1m": 2.0, "6m": 2.4}
BROKEN_LIMIT = 1.5  # of the time that sound records take
SMALL = {"five records, `pratique run`": 0.7, "`pratique --help`": 0.25, "`import pratique`": None}


@dataclass(frozen=True)
class Measured:
    """One whole process: wall-clock seconds, peak resident memory in MiB, what it printed, seconds of processors."""

    seconds: float
    peak_mib: float
    output: str = ""
    cpu_seconds: float = 0.0


def measure(command: Sequence[str | Path], folder: Path, **variables: str) -> Measured:
    """Run a process to its end; what earlier runs still have to write to disk is written before."""
    os.sync()
    output = folder / "output.txt"
    with output.open("wb") as stdout:
        begin = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, stdout=stdout, stderr=subprocess.STDOUT, env=os.environ | variables
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    text = output.read_text(encoding="utf-8", errors="replace")
    if process.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with exit code {process.returncode}:\n{text}")
    return Measured(seconds, usage.ru_maxrss / 1024, text, usage.ru_utime + usage.ru_stime)


def fresh() -> Path:
    """Give an empty work folder."""
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    return WORK


def bare(files: Path) -> Measured:
    """Load clean files with DuckDB alone."""
    return measure([sys.executable, HERE / "bare.py", str(files / "*.csv"), "bare.duckdb"], fresh())


def pratique(files: Path) -> Measured:
    """Run the pipeline over the files in a project of its own."""
    project = fresh() / "project"
    shutil.copytree(HERE / "project", project)
    command = [PRATIQUE, "run", "lineitem", "--env", "dev", "--json"]
    return measure(command, project, PRATIQUE__CONNECTIONS__FILES__URL=str(files))


def account(measured: Measured) -> str:
    """Say what became of the records, out of the run's own report."""
    source = json.loads(measured.output)["sources"][0]
    numbers = source["account"]
    skipped = sum(numbers["skipped"].values())
    return f"{numbers['read']:,} = {numbers['loaded']:,} + {numbers['quarantined']:,} + {skipped:,}"


def size_rows(size: str, runs: int) -> list[str]:
    """Measure one size in rounds of each way; a table row for each, and one for broken records against sound ones."""
    folders = {"clean": inputs.clean, "1 % dirty": inputs.dirty, "1 % broken": inputs.broken}
    files = {kind: make(DATA, size) for kind, make in folders.items()}
    ways = ["bare DuckDB, clean", *(f"pratique, {kind}" for kind in files)]
    rounds: dict[str, list[Measured]] = {way: [] for way in ways}
    for number in range(runs):
        for way, kept in rounds.items():
            kept.append(bare(files["clean"]) if "bare" in way else pratique(files[way.removeprefix("pratique, ")]))
            sys.stderr.write(f"{size} round {number + 1}/{runs}: {way} {kept[-1].seconds:.2f} s\n")
    bases = rounds["bare DuckDB, clean"]
    limits = {way: LIMITS.get(size) for way in ("pratique, clean", "pratique, 1 % dirty")}
    rows = [size_row(size, way, kept, bases, limits.get(way)) for way, kept in rounds.items()]
    sound = rounds["pratique, clean"]
    return [*rows, size_row(size, "1 % broken by clean", rounds["pratique, 1 % broken"], sound, BROKEN_LIMIT)]


def size_row(size: str, way: str, kept: list[Measured], bases: list[Measured], limit: float | None) -> str:
    """Fold the rounds of one way into a table row."""
    ratios = [one.seconds / base.seconds for one, base in zip(kept, bases, strict=True)]
    seconds = statistics.median(one.seconds for one in kept)
    told = account(kept[-1]) if "pratique" in way else ""
    return (
        f"| {size} | {way} | {seconds:.2f} | {statistics.median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f} "
        f"| {limit or ''} | {max(one.peak_mib for one in kept):,.0f} | {told} |"
    )


def small_rows(runs: int) -> list[str]:
    """Measure what a person waits for when there is nothing to do."""
    five = inputs.clean(DATA, "5")
    ways = {
        "five records, `pratique run`": lambda: pratique(five),
        "`pratique --help`": lambda: measure([PRATIQUE, "--help"], fresh()),
        "`import pratique`": lambda: measure([sys.executable, "-c", "import pratique"], fresh()),
    }
    rows = []
    for name, way in ways.items():
        kept = [way() for _ in range(runs)]
        seconds = statistics.median(one.seconds for one in kept)
        limit = SMALL[name]
        rows.append(f"| {name} | {seconds:.2f} | {limit or ''} | {max(one.peak_mib for one in kept):,.0f} |")
    return rows


def machine() -> str:
    """Say on what this was measured."""
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "pyarrow", "sqlglot", "tpchgen-cli"))
    return (
        f"{cpu}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB of memory, {platform.system()} "
        f"{platform.release()}; Python {platform.python_version()}, {packages}; {datetime.now(UTC):%Y-%m-%d}."
    )


RESULTS = """# What was measured

Made by `make bench`; do not edit.

{machine}

`bare DuckDB` loads the clean file typed and unchecked into a database file. `pratique run` reads every value exactly,
judges 12 rules and a unique key of two fields, writes quarantine, rows and marker. Both are whole processes, from
start to exit; they take turns, each round gives one ratio, and medians are told. {runs} rounds; 24m is measured once,
for its memory. `at most` is the bound that a release must keep.

| rows | way | seconds | ratio | range | at most | peak MiB | read = loaded + quarantined + skipped |
|---|---|---:|---:|---:|---:|---:|---|
{sizes}

| whole process | seconds | at most | peak MiB |
|---|---:|---:|---:|
{small}

Dirty records are made by a fixed seed in seven ways: not a number, negative, impossible date, unknown word, too many
decimals, no key, a key used twice (both records are held). Broken records are made in ten ways: delimiters missing or
too many, stray and unclosed quotes, a byte that is not UTF-8, a NUL; "by clean" compares them with the sound file.
"""


def main() -> None:
    """Measure the sizes asked for and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="1m,6m,24m", help="sizes: 1m, 6m, 24m (default: all)")
    parser.add_argument("--runs", type=int, default=5, help="rounds (default: 5)")
    parser.add_argument("--output", type=Path, default=HERE / "RESULTS.md")
    asked = parser.parse_args()
    small = small_rows(max(asked.runs, 5))
    sizes = [row for size in asked.rows.split(",") for row in size_rows(size, 1 if size == "24m" else asked.runs)]
    shutil.rmtree(WORK, ignore_errors=True)
    text = RESULTS.format(machine=machine(), runs=asked.runs, sizes="\n".join(sizes), small="\n".join(small))
    asked.output.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
