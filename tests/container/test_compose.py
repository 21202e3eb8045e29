"""US-10, compose: the example is ingested out of PostgreSQL, an API and files, whole; what was loaded outlives the containers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from containers import ROOT, Engine, until

pytestmark = pytest.mark.container

PATIENCE = 180  # seconds: a run of the demo takes 5, and much longer on a machine that is busy
READ = {"airlines": 16, "airports": 1_458, "weather": 26_115, "planes": 3_322, "flights": 336_776}


@dataclass(frozen=True)
class Compose:
    """A project of compose with a name of its own, started from this tree."""

    engine: Engine
    environment: dict[str, str]

    def __call__(self, *words: str, check: bool = True, timeout: float = 300) -> str:
        """What `docker compose WORDS` prints."""
        files = ("--file", "docker-compose.yml", "--file", "tests/container/quick.yml", "--profile", "demo")
        return self.engine.docker(
            *("compose", "--project-name", "pratique-test", *files, *words),
            cwd=ROOT, check=check, timeout=timeout, environment=self.environment,
        )  # fmt: skip

    def up(self) -> None:
        """Start everything, until it is healthy."""
        self("up", "--detach", "--no-build", "--wait", "--wait-timeout", str(PATIENCE))

    def health(self, service: str) -> dict[str, Any]:
        """What the engine knows of a service's health: starting, healthy or unhealthy, and what the last checks said."""
        (name,) = self("ps", "--quiet", service).split()
        return dict(self.engine.inspect(name)["State"]["Health"])

    def until_health(self, status: str) -> None:
        """Wait until the demo has this health."""
        until(
            lambda: self.health("demo")["Status"] == status,
            PATIENCE,
            lambda: f"{self.health('demo')}\n{self('logs', '--tail', '40', 'demo')}",
        )

    def runs(self) -> list[dict[str, Any]]:
        """Runs of the demo that have ended, the newest first."""
        told = self("exec", "-T", "demo", "pratique", "runs", "--json")
        return [run for run in map(json.loads, told.splitlines()) if run["outcome"] != "running"]

    def tables(self) -> dict[str, int]:
        """Rows in the demo's warehouse; asked again while a run writes it."""
        program = (
            "import duckdb; w = duckdb.connect('data/warehouse.duckdb', read_only=True); "
            f"print(*(w.execute(f'select count(*) from {{name}}').fetchone()[0] for name in {list(READ)}))"
        )
        asked: list[str] = []

        def told() -> bool:
            asked[:] = [self("exec", "-T", "demo", "python", "-c", program, check=False)]
            return asked[0].split()[0].isdigit()

        until(told, 30, lambda: asked[0])
        return dict(zip(READ, map(int, asked[0].split()), strict=True))


@pytest.fixture(scope="module")
def compose(docker: Engine, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    """The example, started as its users do, and its first run ended; everything of it is gone at the end."""
    subprocess.run([sys.executable, ROOT / "scripts" / "fetch_demo_data.py"], check=True, stdout=subprocess.DEVNULL)
    secrets = tmp_path_factory.mktemp("secrets")
    subprocess.run(["make", "secrets", f"SECRETS={secrets}"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    started = Compose(docker, {"PRATIQUE_IMAGE": image, "PRATIQUE_SECRETS": str(secrets)})
    try:
        started.up()
        until(started.runs, PATIENCE, lambda: started("logs", "demo", "demo-data"))
        yield started
    finally:
        started("down", "--volumes", "--timeout", "10")


def test_the_example_is_ingested_with_a_balanced_account(compose: Compose) -> None:
    """Files, pages of an API and tables of PostgreSQL, one run, each record loaded or quarantined; the warehouse holds what was loaded."""
    first = compose.runs()[-1]
    accounts = {source["source"]: source["account"] for source in first["sources"]}
    assert (first["exit_code"], first["environment"]) == (0, "prod")
    assert {name: account["read"] for name, account in accounts.items()} == READ
    for account in accounts.values():
        assert account["read"] == account["loaded"] + account["quarantined"] + sum(account["skipped"].values())
    assert sum(account["quarantined"] for account in accounts.values()) > 0
    assert compose.tables() == {name: account["loaded"] for name, account in accounts.items()}


def test_python_in_the_container_has_the_configuration(compose: Compose) -> None:
    """`docker compose exec pipeline python` can use the public names, in the project's folder."""
    program = "from pratique.config_manager import ConfigManager; print(ConfigManager(environment='prod').get('logging.level'))"
    assert compose("exec", "-T", "pipeline", "python", "-c", program).strip() == "WARNING"


def test_nothing_more_is_allowed_than_is_needed(compose: Compose) -> None:
    """No capability, no new privileges, root file system and configuration read-only, limits, no port open to anybody."""
    for service in ("pipeline", "demo", "postgres", "weather-api"):
        (name,) = compose("ps", "--quiet", service).split()
        host = compose.engine.inspect(name)["HostConfig"]
        assert (host["ReadonlyRootfs"], host["CapDrop"], host["Privileged"]) == (True, ["ALL"], False)
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
        assert host["Memory"] > 0
        assert host["PidsLimit"] > 0
        assert host["NanoCpus"] > 0
        assert not host["PortBindings"]
        assert host["RestartPolicy"]["Name"] == "unless-stopped"
    status = compose("exec", "-T", "demo", "cat", "/proc/1/status")
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert "Uid:\t10001" in status
    for place in ("/x", "/app/config/x", "/app/pipelines/x", "/app/schemas/x", "/app/in/x"):
        assert "Read-only file system" in compose("exec", "-T", "demo", "touch", place, check=False)


def test_passwords_stand_in_files_alone(compose: Compose) -> None:
    """No password in the environment or the command of a container, in its log, or in what settings show."""
    folder = Path(compose.environment["PRATIQUE_SECRETS"])
    passwords = {path.read_text() for path in folder.iterdir()}
    assert len(passwords) == 3
    names = compose("ps", "--quiet", "--all").split()
    told = compose.engine.docker("inspect", *names) + compose("logs")
    told += compose("exec", "-T", "demo", "pratique", "config", "show") + compose(
        "exec", "-T", "demo", "cat", "logs/pipeline.log"
    )
    assert [password for password in passwords if password in told] == []


def test_the_user_of_the_pipelines_can_only_read(compose: Compose) -> None:
    """A pipeline that is told to write into its source is refused by the database."""
    program = (
        "import psycopg; db = psycopg.connect(host='postgres', user='reader', dbname='shop', "
        "password=open('/run/secrets/reader_password').read()); print(db.execute('select count(*) from planes').fetchone()); "
        "db.execute('delete from planes')"
    )
    told = compose("exec", "-T", "demo", "python", "-c", program, check=False)
    assert "(3322,)" in told
    assert "InsufficientPrivilege" in told


def test_health_follows_the_database(compose: Compose) -> None:
    """The container turns unhealthy when the database goes, says why, and is healthy again when it is back."""
    compose.until_health("healthy")
    compose("stop", "--timeout", "5", "postgres")
    compose.until_health("unhealthy")
    said = compose("exec", "-T", "demo", "pratique", "health", check=False)
    assert "ingestion_success_rate_percent" in said
    compose("start", "postgres")
    compose.until_health("healthy")
    assert compose.tables()["flights"] > 300_000


def test_what_was_loaded_outlives_the_containers(compose: Compose) -> None:
    """`down` and `up`: tables, runs and quarantine are there, and nothing is loaded twice."""
    before, known = compose.tables(), {run["run_id"] for run in compose.runs()}
    compose("down", "--timeout", "10")
    compose.up()
    until(lambda: {run["run_id"] for run in compose.runs()} - known, PATIENCE, lambda: compose("logs", "demo"))
    assert compose.tables() == before
    assert known <= {run["run_id"] for run in compose.runs()}
    assert "airports.lat.maximum" in compose("exec", "-T", "demo", "pratique", "quarantine", "list")
