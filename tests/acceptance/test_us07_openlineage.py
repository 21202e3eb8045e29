"""US-07: runs as OpenLineage events, in a file and at a server: valid by the published types, and always paired."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from collectors import receiver, waited
from project import SECRET, make_project, pratique
from published_types import faults

SETTINGS = """
monitoring: {openlineage: {file: lineage.jsonl, timeout_seconds: 1}}
"""
TWO_SOURCES = """
description: Customers, and what they order
sources:
  customers: {type: files, path: "customers.csv", schema: customers}
  orders: {type: files, path: "{shop}/orders_*.csv", schema: orders, quarantine: {max_share: 0.5}}
destination: {connection: warehouse, dataset: sales, write: replace}
"""
CUSTOMERS = "primaryKey: id\nfields:\n  id: {type: integer}\n  email: {format: email, sensitive: true, store: hash}\n"
ORDERS = """
fields:
  id: {type: integer, from: [Bestellnr], required: true, description: number of the order}
  customer: integer
  amount: {type: "decimal(9,2)", minimum: 0, severity: warn}
  net: {from: "= amount / 1.19", type: "decimal(9,2)", round: half_even}
  shop: {from: path.shop}
  note: {store: drop}
checks:
  some: {rule: "count(*) > 0", scope: set, severity: fail}
references: {customer: customers.id}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project that tells its runs in a file, with two sources of which one refers to the other."""
    make_project(tmp_path)
    files = {
        "config/dev.yaml": SETTINGS,
        "pipelines/shop.yaml": TWO_SOURCES,
        "schemas/customers.yaml": CUSTOMERS,
        "schemas/orders.yaml": ORDERS,
        "customers.csv": "id,email\n1,ann@x.example\n2,bob@x.example\n",
        "east/orders_1.csv": "Bestellnr,customer,amount,note\n1,1,19.90,\n2,2,-1,x\n3,9,5.00,\n4,1,x,\n5,2,1,y\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def events(root: Path) -> list[dict[str, Any]]:
    """All events of the file; each of them valid by the published types."""
    found = [json.loads(line) for line in (root / "lineage.jsonl").read_text().splitlines()]
    assert [fault for event in found for fault in faults(event)] == []
    return found


def told(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """What happened to which job."""
    return [(event["job"]["name"], event["eventType"]) for event in found]


def end_of(found: list[dict[str, Any]], job: str) -> dict[str, Any]:
    """The last event of a job."""
    return [event for event in found if event["job"]["name"] == job][-1]


def assert_paired(found: list[dict[str, Any]]) -> None:
    """Each run began, and ended in one way."""
    ends: dict[str, set[str]] = {}
    for event in found:
        ends.setdefault(event["run"]["runId"], set()).add(event["eventType"])
    for run, kinds in ends.items():
        assert "START" in kinds, (run, kinds)
        assert len(kinds - {"START"}) == 1, (run, kinds)


def test_a_pipeline_is_a_job_and_its_sources_are_jobs_of_it(root: Path) -> None:
    """Each begins and ends once; a source names the pipeline's run as its parent."""
    assert pratique(root, "run", "shop").returncode == 0
    found = events(root)
    assert told(found) == [
        ("shop", "START"),
        ("shop.customers", "START"),
        ("shop.customers", "COMPLETE"),
        ("shop.orders", "START"),
        ("shop.orders", "COMPLETE"),
        ("shop", "COMPLETE"),
    ]
    assert_paired(found)
    parent = end_of(found, "shop.orders")["run"]["facets"]["parent"]
    assert parent["run"]["runId"] == found[0]["run"]["runId"]
    assert parent["job"] == {"namespace": "pratique-dev", "name": "shop"}
    assert found[0]["job"]["facets"]["documentation"]["description"] == "Customers, and what they order"
    assert found[0]["run"]["facets"]["processing_engine"]["name"] == "duckdb"


def test_tables_have_columns_counts_and_where_they_come_from(root: Path) -> None:
    """The input with every rule and its numbers; the table, its columns and their origin; what is held, with its count."""
    assert pratique(root, "run", "shop").returncode == 0
    event = end_of(events(root), "shop.orders")
    [read] = event["inputs"]
    assert (read["namespace"], read["name"]) == ("file", f"{root}/{{shop}}/orders_*.csv")
    assert [column["name"] for column in read["facets"]["schema"]["fields"]] == [
        "Bestellnr",
        "customer",
        "amount",
        "note",
    ]
    facets = read["inputFacets"]
    size = (root / "east/orders_1.csv").stat().st_size
    statistics = {name: facets["inputStatistics"][name] for name in ("rowCount", "fileCount", "size")}
    assert statistics == {"rowCount": 5, "fileCount": 1, "size": size}
    rules = {item["name"]: item for item in facets["dataQualityAssertions"]["assertions"]}
    assert (rules["id.required"]["success"], rules["id.required"]["column"]) == (True, "Bestellnr")
    assert (rules["amount.type"]["success"], rules["amount.type"]["params"]["failed"]) == (False, 1)
    assert (rules["amount.minimum"]["success"], rules["amount.minimum"]["severity"]) == (False, "warn")
    assert (rules["some"]["success"], rules["reference.customer"]["params"]["failed"]) == (True, 1)
    assert facets["dataQualityMetrics"]["columnMetrics"] == {"Bestellnr": {"nullCount": 0}}
    table, held = event["outputs"]
    assert (table["namespace"], table["name"]) == (f"duckdb://{root}/warehouse.duckdb", "sales.orders")
    columns = {column["name"]: column for column in table["facets"]["schema"]["fields"]}
    assert list(columns) == ["id", "customer", "amount", "net", "shop"]
    assert columns["id"]["description"] == "number of the order"
    assert columns["net"] == {"name": "net", "type": "decimal(9,2)", "ordinal_position": 4}
    lineage = table["facets"]["columnLineage"]["fields"]
    assert {name: [item["field"] for item in found["inputFields"]] for name, found in lineage.items()} == {
        "id": ["Bestellnr"],
        "customer": ["customer"],
        "amount": ["amount"],
        "net": ["amount"],
        "shop": [],
    }
    assert table["facets"]["lifecycleStateChange"]["lifecycleStateChange"] == "OVERWRITE"
    assert table["outputFacets"]["outputStatistics"]["rowCount"] == 3
    assert (held["namespace"], held["name"]) == ("file", f"{root}/.pratique/quarantine/shop")
    assert held["outputFacets"]["outputStatistics"]["rowCount"] == 2
    masked = end_of(events(root), "shop.customers")["outputs"][0]["facets"]["columnLineage"]["fields"]["email"]
    assert masked["inputFields"][0]["transformations"][0]["masking"] is True


def test_failures_say_why(root: Path) -> None:
    """A source that fails is FAIL with its error; one that its parent stops is not told; the pipeline is FAIL."""
    (root / "customers.csv").write_text("nothing,like,it\n1,2,3\n")
    assert pratique(root, "run", "shop").returncode == 3
    found = events(root)
    assert told(found) == [
        ("shop", "START"),
        ("shop.customers", "START"),
        ("shop.customers", "FAIL"),
        ("shop", "FAIL"),
    ]
    assert_paired(found)
    error = found[2]["run"]["facets"]["errorMessage"]
    assert "customers.csv" in error["message"]
    assert "Traceback" in error["stackTrace"]
    assert found[3]["run"]["facets"]["errorMessage"]["message"] == "failed: customers, orders"


def test_a_gate_that_fails_is_a_failure_with_its_evidence(root: Path) -> None:
    """Nothing is loaded; the assertions say which rules failed."""
    (root / "east/orders_1.csv").write_text("Bestellnr,customer,amount,note\nx,1,1,\ny,1,1,\n")
    assert pratique(root, "run", "shop").returncode == 8
    event = end_of(events(root), "shop.orders")
    assert event["eventType"] == "FAIL"
    rules = {item["name"]: item for item in event["inputs"][0]["inputFacets"]["dataQualityAssertions"]["assertions"]}
    assert rules["id.type"]["params"] == {"checked": 2, "failed": 2, "unknown": 0}
    assert "outputFacets" not in event["outputs"][0]
    assert end_of(events(root), "shop")["eventType"] == "FAIL"


def test_a_source_with_nothing_new_is_complete(root: Path) -> None:
    """Its input has no rows, its table got none."""
    assert pratique(root, "run", "users").returncode == 0
    assert pratique(root, "run", "users").returncode == 0
    event = end_of(events(root), "users.users")
    assert event["eventType"] == "COMPLETE"
    assert event["inputs"][0]["inputFacets"]["inputStatistics"]["rowCount"] == 0
    assert event["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 0


@pytest.mark.parametrize(
    ("failpoint", "end"),
    [
        ("run.begun", "ABORT"),
        ("source.landed", "ABORT"),
        ("rows.staged", "ABORT"),
        ("quarantine.renamed", "ABORT"),
        ("load.written", "ABORT"),
        ("load.committed", "COMPLETE"),
        ("ledger.recorded", "COMPLETE"),
        ("run.finished", "COMPLETE"),
    ],
)
def test_a_run_that_was_killed_is_ended_by_the_next(root: Path, failpoint: str, end: str) -> None:
    """What it had begun is aborted, or complete if it was committed, as the ledger has it; nothing stays open."""
    assert pratique(root, "run", "users", PRATIQUE_FAILPOINT=failpoint).returncode == -9
    assert pratique(root, "run", "users").returncode == 0
    found = events(root)
    assert_paired(found)
    runs = [json.loads(line)["run_id"] for line in pratique(root, "runs", "--json").stdout.splitlines()]
    killed = [event for event in found if event["run"]["runId"].replace("-", "") == runs[-1]]
    assert killed[-1]["eventType"] == end
    assert len({event["run"]["runId"] for event in found}) == 4


def test_a_run_that_is_told_to_stop_is_aborted(root: Path) -> None:
    """Ctrl-C or SIGTERM ends every run that it told of."""
    (root / "in" / "more.csv").write_text("id,name,SSN\n" + "".join(f"{n},Ann,1\n" for n in range(10, 400_000)))
    command, environment = [sys.executable, "-m", "pratique", "run", "users"], {**os.environ, "GONE": "x"}
    process = subprocess.Popen(command, cwd=root, env=environment, stderr=subprocess.PIPE)
    assert process.stderr is not None
    for line in process.stderr:
        if b"landed" in line:
            process.send_signal(signal.SIGTERM)
            break
    process.communicate(timeout=60)
    assert process.returncode == 7
    found = events(root)
    assert_paired(found)
    assert {end_of(found, job)["eventType"] for job in ("users", "users.users")} == {"ABORT"}


def test_a_server_gets_the_same_events_with_the_key(root: Path) -> None:
    """By settings or by the variables of OpenLineage; the key is a bearer token."""
    with receiver(201) as server:
        variables = {"OPENLINEAGE_URL": f"{server.url}/", "OPENLINEAGE_API_KEY": "key-12345"}
        assert pratique(root, "run", "shop", **variables).returncode == 0
        assert server.events == events(root)
        assert {headers["authorization"] for _, headers, _ in server.bodies} == {"Bearer key-12345"}
        count = len(server.bodies)
        assert pratique(root, "run", "shop", OPENLINEAGE_DISABLED="true", **variables).returncode == 0
        assert len(server.bodies) == count
        assert len(events(root)) == count


def test_a_name_and_a_password_in_an_address_are_a_login_and_stand_nowhere(root: Path) -> None:
    """In a variable or by reference: the server gets them in a header, and no output has them if it cannot be asked."""
    with receiver(201) as server:
        address = server.url.replace("://", "://me:canary%2F77@")
        assert pratique(root, "run", "users", OPENLINEAGE_URL=address).returncode == 0
        assert {headers["authorization"] for _, headers, _ in server.bodies} == {"Basic bWU6Y2FuYXJ5Lzc3"}
    (root / "config/prod.yaml").write_text("monitoring: {opentelemetry: {endpoint: '${TOLD}'}}\n")
    done = pratique(root, "run", "users", "--env", "prod", OPENLINEAGE_URL=address, TOLD=f"{address}/x?k=canary")
    assert done.returncode == 0
    assert "events could not be told" in done.stdout
    assert "canary" not in done.stdout + done.stderr
    assert not [path for path in root.rglob("*") if path.is_file() and b"canary" in path.read_bytes()]


def test_a_server_of_the_settings_comes_before_the_variables(root: Path) -> None:
    """Address, place and key by the settings, the key by reference; what a variable names is not asked."""
    (root / "config/prod.yaml").write_text(
        "monitoring: {openlineage: {url: '${TOLD}', endpoint: lineage, api_key: '${KEY}', namespace: mine}}\n"
    )
    with receiver(201) as server, receiver() as other:
        variables = {"TOLD": server.url, "KEY": "k-4567890", "OPENLINEAGE_URL": other.url}
        assert pratique(root, "run", "users", "--env", "prod", **variables).returncode == 0
        assert other.bodies == []
        sent = {(path, headers["authorization"]) for path, headers, _ in server.bodies}
        assert sent == {("/lineage", "Bearer k-4567890")}
        assert {json.loads(body)["job"]["namespace"] for _, _, body in server.bodies} == {"mine"}


def test_an_orchestrators_run_is_the_parent(root: Path) -> None:
    """OPENLINEAGE_PARENT_ID as Airflow and others give it: NAMESPACE/JOB/RUN; the root is theirs too."""
    run = "0190a0b0-0000-7000-8000-000000000001"
    variables = {"OPENLINEAGE_PARENT_ID": f"airflow/daily.load/{run}", "OPENLINEAGE_NAMESPACE": "warehouse"}
    assert pratique(root, "run", "users", **variables).returncode == 0
    found = events(root)
    parent = {"run": {"runId": run}, "job": {"namespace": "airflow", "name": "daily.load"}}
    facet = found[0]["run"]["facets"]["parent"]
    assert {name: facet[name] for name in ("run", "job", "root")} == {**parent, "root": parent}
    below = end_of(found, "users.users")["run"]["facets"]["parent"]
    assert (below["job"]["name"], below["root"]) == ("users", parent)
    assert found[0]["job"]["namespace"] == "warehouse"


def test_a_table_of_a_database_and_the_tables_of_a_query(root: Path) -> None:
    """A source that reads a database names its table; one with a SELECT all tables in it, and the SELECT."""
    database = sqlite3.connect(root / "shop.sqlite")
    database.execute("CREATE TABLE customers (id INTEGER, email TEXT)")
    database.execute("CREATE TABLE towns (id INTEGER)")
    database.execute("INSERT INTO customers VALUES (1, 'ann@x.example')")
    database.commit()
    database.close()
    (root / "config" / "prod.yaml").write_text("connections: {old: {url: 'sqlite://shop.sqlite'}}\n" + SETTINGS)
    query = "WITH t AS (SELECT * FROM customers) SELECT t.* FROM t LEFT JOIN towns USING (id)"
    (root / "pipelines" / "old.yaml").write_text(
        "sources:\n  customers: {type: sqlite, connection: old, table: customers}\n"
        f"  joined: {{type: sqlite, connection: old, schema: customers, query: '{query}'}}\n"
        "destination: {connection: warehouse, write: merge}\n"
    )
    done = pratique(root, "run", "old", "--env", "prod")
    assert done.returncode == 0, done.stderr
    found = events(root)
    space = f"sqlite://{root}/shop.sqlite"
    table = end_of(found, "old.customers")["inputs"]
    assert [(item["namespace"], item["name"]) for item in table] == [(space, "customers")]
    assert table[0]["inputFacets"]["inputStatistics"]["rowCount"] == 1
    joined = end_of(found, "old.joined")
    assert sorted(item["name"] for item in joined["inputs"]) == ["customers", "towns"]
    assert joined["job"]["facets"]["sql"]["query"] == query


def untold(root: Path) -> str:
    """The notice of the last run that something could not be told."""
    notices = json.loads(pratique(root, "runs", "--limit", "1", "--json").stdout)["notices"]
    return next((notice for notice in notices if "could not be told" in notice), "")


def test_a_server_that_hangs_costs_its_limit_and_the_file_has_everything(root: Path) -> None:
    """The run is done; the report says how many events the server did not take."""
    with receiver(hanging=True) as server:
        variables = {"OPENLINEAGE_URL": server.url, "PRATIQUE__LOGGING__FORMAT": "json"}
        done = pratique(root, "run", "users", **variables)
    assert done.returncode == 0
    assert waited(done.stderr) < 3
    assert "4 events could not be told" in untold(root)
    assert re.search("OpenLineage: (no answer within 1 s|.* timed out)", untold(root))
    assert len(events(root)) == 4


@pytest.mark.parametrize(("status", "says"), [(400, "400 Bad Request"), (302, "302 Found"), (503, "503 Service")])
def test_a_server_that_refuses_is_told_in_the_report(root: Path, status: int, says: str) -> None:
    """What it answered stands there; a redirect is not followed, for it would lose the event and show the key."""
    with receiver(status) as server:
        assert pratique(root, "run", "users", OPENLINEAGE_URL=server.url).returncode == 0
        assert {path for path, _, _ in server.bodies} == {"/api/v1/lineage"}
    assert says in untold(root)


def test_a_file_that_cannot_be_written_is_told_in_the_report(root: Path) -> None:
    """The run is done all the same."""
    (root / "config/dev.yaml").write_text("monitoring: {openlineage: {file: /proc/nowhere/lineage.jsonl}}\n")
    assert pratique(root, "run", "users").returncode == 0
    assert "OpenLineage file: cannot write /proc/nowhere/lineage.jsonl" in untold(root)


def test_no_secret_is_in_any_event(root: Path) -> None:
    """A destination whose path is secret, an error that names it, values of sensitive fields: none of it is told."""
    pratique(root, "run", "lost")
    pratique(root, "run", "users")
    text = (root / "lineage.jsonl").read_text()
    assert '"FAIL"' in text
    assert SECRET not in text
    assert "99870" not in text


def test_a_key_in_plain_text_is_refused_at_its_place(root: Path) -> None:
    """A secret comes by reference only; a variable may hold it."""
    (root / "config/prod.yaml").write_text("monitoring:\n  openlineage:\n    api_key: abc-12345\n")
    refused = pratique(root, "run", "users", "--env", "prod")
    assert refused.returncode == 2
    assert "config/prod.yaml:3" in refused.stderr
    assert "plain text" in refused.stderr
    variable = {"PRATIQUE__MONITORING__OPENLINEAGE__API_KEY": "abc-12345"}
    assert pratique(root, "run", "users", **variable).returncode == 0


def test_a_dry_run_tells_nobody(root: Path) -> None:
    """It leaves no trace."""
    assert pratique(root, "run", "users", "--dry-run").returncode == 0
    assert not (root / "lineage.jsonl").exists()


def test_the_judge_of_events_finds_faults() -> None:
    """The check itself works: a facet of a version that is not published, a wrong type, a missing and an unknown field."""
    facet = {"_producer": "urn:x", "_schemaURL": "https://openlineage.io/spec/facets/9-9-9/SchemaDatasetFacet.json"}
    broken = {
        "eventType": "DONE",
        "eventTime": "2026-01-01T00:00:00Z",
        "producer": "urn:x",
        "run": {"runId": "0190a0b0-0000-7000-8000-000000000001"},
        "job": {"namespace": "n", "name": 1},
        "inputs": [{"namespace": "n", "name": "t", "facets": {"schema": facet}}],
        "extra": 1,
    }
    found: Iterator[str] = iter(faults(broken))
    assert {fault.partition(": ")[0] for fault in found} == {
        "event.eventType",
        "event.job.name",
        "event.inputs[0].facets.schema",
        "event.extra",
        "event.schemaURL",
        "schemaURL",
    }


@pytest.mark.parametrize("kind", ["http", "file", "kafka", "none"])
def test_a_configuration_of_the_fields_client_is_understood(root: Path, kind: str) -> None:
    """OPENLINEAGE_CONFIG names a file with a transport: a server or a file; another kind is told in the report."""
    with receiver(201) as server:
        transports = {
            "http": f"{{type: http, url: '{server.url}', endpoint: in, auth: {{type: api_key, apiKey: k-98765}}}}",
            "file": f"{{type: file, log_file_path: '{root}/theirs.jsonl', append: true}}",
            "kafka": "{type: kafka, topic: x}",
            "none": "[",
        }
        (root / "openlineage.yml").write_text(f"transport: {transports[kind]}\n")
        done = pratique(root, "run", "users", OPENLINEAGE_CONFIG=str(root / "openlineage.yml"))
        assert done.returncode == 0
        sent = [(path, headers["authorization"]) for path, headers, _ in server.bodies]
    assert sent == ([("/in", "Bearer k-98765")] * 4 if kind == "http" else [])
    assert (root / "theirs.jsonl").exists() == (kind == "file")
    assert bool(untold(root)) == (kind in {"kafka", "none"})
    if kind == "kafka":
        assert "OpenLineage: OPENLINEAGE_CONFIG: a transport of type kafka is not served" in untold(root)
