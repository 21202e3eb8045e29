"""US-10, the image: small, without a root, without a compiler; it ends cleanly, and is as well as its latest run."""

from __future__ import annotations

import csv
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from containers import HARDENED, ROOT, Engine, until

pytestmark = pytest.mark.container

MEBIBYTE = 1_000_000
ROWS = 1_500_000
PROJECT = {
    "config/default.yaml": 'connections: {warehouse: {url: "duckdb://data/warehouse.duckdb"}}\n',
    "schemas/orders.yaml": 'primaryKey: id\nfields: {id: integer, amount: "decimal(9,2)", note: {maxLength: 80}}\n',
    "pipelines/orders.yaml": (
        'sources: {orders: {type: files, path: "in/*.csv", schema: orders}}\n'
        "destination: {connection: warehouse, write: append}\n"
    ),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a file that takes some seconds to load; every tenth amount has too many digits."""
    root = tmp_path_factory.mktemp("project")
    for name, text in PROJECT.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (root / "in").mkdir()
    with (root / "in" / "orders.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "amount", "note"])
        writer.writerows([n, f"{n % 977}.{5 if n % 20 else 555}", f"order number {n}"] for n in range(ROWS))
    for path in (root, *root.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return root


@pytest.fixture
def volume(docker: Engine) -> Iterator[str]:
    """An empty volume for data and state."""
    name = docker.docker("volume", "create").strip()
    yield name
    docker.docker("volume", "rm", "--force", name)


def mounts(project: Path, volume: str, inputs: Path | None = None) -> list[str]:
    """The project read-only, with other inputs if they are named, and a volume for what it writes."""
    folders = {name: project / name for name in ("config", "pipelines", "schemas", "in")} | (
        {"in": inputs} if inputs else {}
    )
    own = [f"{folder}:/app/{name}:ro" for name, folder in folders.items()]
    return [word for mount in (*own, f"{volume}:/app/data") for word in ("--volume", mount)]


def tables(docker: Engine, image: str, volume: str) -> list[int]:
    """Rows in the warehouse: all, and different ones."""
    program = "import duckdb; print(*duckdb.connect('data/warehouse.duckdb', read_only=True).execute('select count(*), count(distinct id) from orders').fetchone())"
    told = docker.docker(
        "run", "--rm", "--volume", f"{volume}:/app/data", "--entrypoint", "python", image, "-c", program
    )
    return [int(number) for number in told.split()]


def test_the_image_is_small(docker: Engine, image: str) -> None:
    """Less than 500 MB, with databases, APIs, clouds and every other extra."""
    size = docker.inspect(image, "image")["Size"]
    base = docker.inspect("python:3.12-slim", "image")["Size"]
    print(f"\nimage: {size / MEBIBYTE:.0f} MB, of it {base / MEBIBYTE:.0f} MB are its base")  # noqa: T201 - a figure for people
    assert size < 500 * MEBIBYTE


def test_the_image_says_what_it_is(docker: Engine, image: str) -> None:
    """A user without rights, a check of health every 30 s, SIGTERM as its end, labels with title, licence and version."""
    config = docker.inspect(image, "image")["Config"]
    assert config["User"] == "10001:0"
    assert config["Healthcheck"]["Test"] == ["CMD", "pratique", "health"]
    assert config["Healthcheck"]["Interval"] == 30 * 10**9
    assert config.get("StopSignal", "SIGTERM") == "SIGTERM"
    labels = {name.removeprefix("org.opencontainers.image.") for name in config["Labels"]}
    assert {"title", "description", "licenses", "version", "revision"} <= labels
    assert (
        docker.docker("run", "--rm", "--entrypoint", "id", image).strip()
        == "uid=10001(pipeline) gid=0(root) groups=0(root)"
    )


def test_nothing_is_left_of_the_build(docker: Engine, image: str) -> None:
    """No compiler, no package cache, no file of a user's secret or data; nothing but /app may be written."""
    look = (
        "ls /root/.cache /build /var/lib/apt/lists/* 2>/dev/null; command -v gcc cc make git; ls -A /app; "
        "find / -xdev -writable -not -type l -not -path '/proc/*' -not -path '/tmp*' -not -path '/var/tmp*' "
        "-not -path '/dev/*' -not -path '/run/lock*' 2>/dev/null"
    )
    told = docker.docker("run", "--rm", "--entrypoint", "sh", image, "-c", look, check=False).split()
    folders = ["config", "data", "logs", "pipelines", "schemas"]
    assert sorted(told) == sorted([*folders, "/app", *(f"/app/{name}" for name in folders)])


def test_every_extra_is_there(docker: Engine, image: str) -> None:
    """Each package of the lock for containers is installed, in the version that is locked, and can be imported."""
    lock = (ROOT / "requirements" / "container.txt").read_text()
    locked = {
        line.split("==")[0]: line.split("==")[1].split()[0]
        for line in lock.splitlines()
        if "==" in line and "sys_platform" not in line and "< '3.1" not in line
    }
    program = (
        "import json, importlib.metadata as m; "
        "print(json.dumps({d.name.lower().replace('_', '-').replace('.', '-'): d.version for d in m.distributions()}))"
    )
    installed = json.loads(docker.docker("run", "--rm", "--entrypoint", "python", image, "-c", program))
    assert {name: version for name, version in locked.items() if installed.get(name) != version} == {}
    drivers = (
        "import aiohttp, apprise, azure.identity, azure.storage.blob, boto3, duckdb, google.cloud.storage, numpy, psycopg; "
        "import opentelemetry.exporter.otlp.proto.http, opentelemetry.sdk.trace, pyarrow.compute, pyarrow.parquet, pymysql; "
        "[boto3.client(name, region_name='x') for name in ('s3', 'sts', 'sso', 'sso-oidc')]"
    )
    docker.docker("run", "--rm", "--entrypoint", "python", image, "-c", drivers)


def test_the_bill_of_materials_names_everything(docker: Engine, image: str, tmp_path: Path) -> None:
    """The SBOM is CycloneDX and has every locked package and the base's; one that lacks them is refused."""
    program = ROOT / ".venv-security" / "bin" / "python"

    def sbom(of: str, target: Path) -> subprocess.CompletedProcess[str]:
        command = [program, ROOT / "scripts" / "sbom.py", of, target]
        return subprocess.run(command, env=dict(docker.environment), check=False, capture_output=True, text=True)

    done = sbom(image, tmp_path / "image.cdx.json")
    assert done.returncode == 0, done.stderr
    print(f"\n{done.stdout.strip()}")  # noqa: T201 - a figure for people
    bill = json.loads((tmp_path / "image.cdx.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    assert {"duckdb", "pyarrow", "psycopg", "libc6"} <= {part["name"] for part in bill["components"]}
    empty = sbom("python:3.12-slim", tmp_path / "base.cdx.json")
    assert empty.returncode == 1
    assert "duckdb==" in empty.stderr


def test_two_builds_hold_the_same(docker: Engine, image: str) -> None:
    """Whoever builds again from the same tree gets the same files, byte by byte."""
    other = "pratique:built-again"
    docker.docker("build", "--no-cache", "--tag", other, ".", cwd=ROOT, timeout=900)
    program = "find /opt /app /usr/local/bin /etc/passwd -type f -print0 | sort -z | xargs -0 sha256sum"
    look = ("run", "--rm", "--user", "0", "--entrypoint", "sh")
    first, second = (docker.docker(*look, name, "-c", program) for name in (image, other))
    assert len(first.splitlines()) > 1000
    assert sorted(set(first.splitlines()) ^ set(second.splitlines())) == []


@pytest.mark.parametrize("user", ["10001:0", "4242", "65534:0"])
def test_it_runs_hardened_as_any_user(docker: Engine, image: str, project: Path, user: str, tmp_path: Path) -> None:
    """Root file system read-only, no capability, no new privileges, whatever the user id: the account balances."""
    small = tmp_path / "small.csv"
    small.write_text("id,amount,note\n1,1.50,a\n2,1.239,b\n")
    small.chmod(0o644)
    words = [
        word for name in ("config", "pipelines", "schemas") for word in ("--volume", f"{project / name}:/app/{name}:ro")
    ]
    done = docker.ask(
        "run", "--rm", *HARDENED, "--user", user, "--pids-limit", "256", "--memory", "1g", *words,
        *("--volume", f"{small}:/app/in/orders.csv:ro", "--env", "PRATIQUE__QUARANTINE__MAX_SHARE=0.5"),
        image, "run", "orders", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    account = json.loads(done.stdout)["sources"][0]["account"]
    assert account == {"read": 2, "loaded": 1, "quarantined": 1, "skipped": {}}


def test_a_stop_in_a_run_is_clean_and_resumed_exactly(docker: Engine, image: str, project: Path, volume: str) -> None:
    """SIGTERM to the first process ends a run within 10 s with exit code 7; the same command then loads each row once."""
    command = (*HARDENED, *mounts(project, volume), image, "run", "orders")
    name = docker.docker("run", "--detach", *command).strip()
    until(lambda: "landed" in docker.docker("logs", name), 60, lambda: docker.docker("logs", name))
    began = time.monotonic()
    docker.docker("stop", "--time", "10", name)
    took = time.monotonic() - began
    state = docker.inspect(name)["State"]
    assert (state["ExitCode"], state["OOMKilled"]) == (7, False), docker.docker("logs", name)
    assert took < 10
    docker.docker("rm", "--volumes", name)
    report = json.loads(docker.ask("run", "--rm", *command, "--json").stdout)
    held = len(range(0, ROWS, 20))
    account = report["sources"][0]["account"]
    assert (report["exit_code"], account) == (
        0,
        {"read": ROWS, "loaded": ROWS - held, "quarantined": held, "skipped": {}},
    )
    assert tables(docker, image, volume) == [ROWS - held, ROWS - held]
    print(f"\nstopped in a run after {took:.1f} s")  # noqa: T201 - a figure for people


@pytest.mark.parametrize("entrypoint", [(), ("--entrypoint", "run-every")], ids=["pratique", "run-every"])
def test_a_stop_while_python_is_loaded_is_clean(
    docker: Engine, image: str, project: Path, volume: str, tmp_path: Path, entrypoint: tuple[str, ...]
) -> None:
    """SIGTERM that comes before the program listens, here seconds before it, is not lost: exit code 7, nothing done."""
    (tmp_path / "sitecustomize.py").write_text("import time\ntime.sleep(4)\n")
    tmp_path.chmod(0o755)
    slow = ("--volume", f"{tmp_path}:/slow:ro", "--env", "PYTHONPATH=/slow")
    words = ("60", "orders") if entrypoint else ("run", "orders")
    command = (*HARDENED, *mounts(project, volume), *slow, *entrypoint, image, *words)
    name = docker.docker("run", "--detach", *command).strip()
    try:
        time.sleep(1)
        docker.docker("stop", "--time", "30", name)
        told = docker.docker("logs", name)
        assert docker.inspect(name)["State"]["ExitCode"] == 7, told
        assert "started" not in told
    finally:
        docker.docker("rm", "--force", "--volumes", name)


def test_a_pause_ends_at_once(docker: Engine, image: str, project: Path, volume: str, tmp_path: Path) -> None:
    """A container that stays runs its pipelines again and again; a stop in the pause is clean: exit code 0."""
    (tmp_path / "one.csv").write_text("id,amount,note\n1,1.50,a\n")
    tmp_path.chmod(0o755)
    words = (*HARDENED, *mounts(project, volume, tmp_path), "--entrypoint", "run-every")
    name = docker.docker("run", "--detach", *words, image, "1", "orders", "--quiet").strip()
    try:
        until(lambda: docker.docker("logs", name).count("DONE · exit 0") > 1, 60, lambda: docker.docker("logs", name))
        began = time.monotonic()
        docker.docker("stop", "--time", "10", name)
        assert time.monotonic() - began < 5
        assert docker.inspect(name)["State"]["ExitCode"] in {0, 7}
    finally:
        docker.docker("rm", "--force", "--volumes", name)


def test_a_mistake_ends_a_container_that_stays(docker: Engine, image: str, project: Path, volume: str) -> None:
    """What no waiting can mend is not tried for ever: exit code 2, with the mistake on the log."""
    words = (*mounts(project, volume), "--env", "PRATIQUE__LOGGING__LEVEL=LOUD", "--entrypoint", "run-every")
    done = docker.ask("run", "--rm", *words, image, "60")
    assert done.returncode == 2
    assert "LOUD" in done.stderr
