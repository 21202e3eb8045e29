"""US-04, US-09: forty planted secrets, in every place and with every character; none stands in anything that is told."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, quote_plus

import forked
import pytest
from collectors import receiver

from pratique.config_manager import ConfigManager
from pratique.logging_config import ErrorTracker, LoggerSetup
from pratique.secrets import hide_secrets, remembered

# Characters that are written otherwise in a URL, in JSON, in a shell or in base64.
ODD = ("", "/", "@+", " %", '"', "\\", "ü", ">>?", ":", "=&")
PLACES = ("dsn", "header", "file", "variable")
SECRETS = {
    f"{place}{number}": f"c4n4ry{odd}{place}{odd}7h3{number}" for place in PLACES for number, odd in enumerate(ODD)
}
PERSONAL = [f"99870{number:02}" for number in range(20)]


def forms(text: str) -> Iterator[str]:
    """A secret as it may be read again: plain, percent-encoded, escaped, in base64 alone and behind a user's name."""
    yield from (text, quote(text), quote(text, safe=""), quote_plus(text), json.dumps(text)[1:-1])
    for before in ("", "u:", "me:", "user:"):
        encoded = base64.b64encode(f"{before}{text}".encode()).decode().rstrip("=")
        yield encoded[-(len(encoded) * 2 // 3) : -1]  # the part that is the secret's alone
        yield base64.urlsafe_b64encode(f"{before}{text}".encode()).decode().rstrip("=")[-(len(encoded) * 2 // 3) : -1]


def seen(data: bytes) -> list[str]:
    """Names of the secrets that stand in the data, in any form; personal values too."""
    found = [name for name, text in SECRETS.items() if any(form.encode() in data for form in forms(text))]
    return found + [value for value in PERSONAL if value.encode() in data]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project in which each secret is used: in addresses of databases, headers, files and variables."""
    for folder in ("config", "pipelines", "schemas", "in", "keys"):
        (tmp_path / folder).mkdir()
    connections, pipelines = ['  warehouse: {url: "duckdb://out.duckdb"}'], []
    for name, text in SECRETS.items():
        if name.startswith("file"):
            (tmp_path / "keys" / name).write_text(f"{text}\n")
            reference = f"${{file:keys/{name}}}"
        else:
            reference = f"${{{name.upper()}}}"
        if name.startswith("dsn"):  # an address holds it percent-encoded
            connections.append(f'  {name}: {{url: "postgres://me:{reference}@127.0.0.1:9/shop"}}')
        else:
            connections.append(f'  {name}: {{url: "mysql://127.0.0.1:9/shop", user: me, password: "{reference}"}}')
        kind = "postgres" if name.startswith("dsn") else "mysql"
        pipelines.append(name)
        (tmp_path / "pipelines" / f"{name}.yaml").write_text(
            f"sources:\n  users: {{type: {kind}, connection: {name}, table: t}}\n"
            "destination: {connection: warehouse, write: replace}\n"
        )
    headers = "".join(f'      x-token-{n}: "Basic ${{HEADER{n}}}"\n' for n in range(len(ODD)) if ODD[n] != "ü")
    (tmp_path / "config" / "default.yaml").write_text(
        "connections:\n" + "\n".join(connections) + "\nmonitoring:\n  textfile: metrics/pratique.prom\n"
        '  opentelemetry:\n    endpoint: "${TOLD}"\n    timeout_seconds: 1\n    headers:\n'
        + headers
        + "  openlineage:\n"
        '    file: lineage.jsonl\n    url: "${TOLD}"\n    api_key: "${HEADER0}"\n    timeout_seconds: 1\n'
    )
    (tmp_path / "schemas" / "users.yaml").write_text(
        "primaryKey: id\nfields:\n  id: {type: integer}\n  ssn: {pattern: '[0-9]+', sensitive: true}\n"
    )
    (tmp_path / "pipelines" / "users.yaml").write_text(
        'sources:\n  users: {type: files, path: "in/*.csv", schema: users, quarantine: {max_share: 1}}\n'
        "destination: {connection: warehouse, table: people, write: append}\n"
    )
    rows = "".join(f"{number},{value}{'x' * (number % 2)}\n" for number, value in enumerate(PERSONAL))
    (tmp_path / "in" / "users.csv").write_text("id,ssn\n" + rows)
    return tmp_path


def pratique(root: Path, told: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    """The command, with all secrets in its environment."""
    environment = {
        name.upper(): quote(text, safe="") if name.startswith("dsn") else text for name, text in SECRETS.items()
    }
    done = forked.pratique(*words, cwd=root, env={**environment, "TOLD": told, "COLUMNS": "300"})
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.encode(), done.stderr.encode())


def test_none_of_forty_secrets_is_told_anywhere(root: Path) -> None:
    """Runs that fail and that do not, all that can be asked about them, the log, other programs, and the state."""
    names = sorted(name for name in SECRETS if name[-1] == "3")  # a server that is not there costs seconds each
    with receiver() as told:
        done = [pratique(root, told.url, "run", "users", "--json")]
        with ThreadPoolExecutor(4) as pool:
            done += pool.map(lambda name: pratique(root, told.url, "run", name), names)
        assert [item.returncode for item in done] == [0] + [3] * len(names)
        asked = (
            "runs",
            "health --json",
            "metrics",
            "metrics --format prometheus",
            "config show",
            "lint",
            "lint --format json",
        )
        asked += ("quarantine list", "quarantine show Q1", "quarantine export", "runs --json", "schema show users")
        done += [pratique(root, told.url, *words.split()) for words in asked]
        done.append(pratique(root, f"{told.url}/{SECRETS['header0']}", "run", "users"))
        sent = [body for _, _, body in told.bodies]
    assert len(sent) > len(names)
    for item in done:
        assert seen(item.stdout) == [], item.stdout.decode()
        assert seen(item.stderr) == [], item.stderr.decode()
    for body in sent:
        assert seen(body) == [], body
    kept = [path for path in root.rglob("*") if path.is_file() and not path.is_relative_to(root / "keys")]
    kept = [
        path for path in kept if path.suffix not in {".zst", ".csv", ".duckdb"}
    ]  # what holds the records themselves
    assert {path.name for path in kept} >= {"ledger.sqlite", "pipeline.log", "lineage.jsonl", "pratique.prom"}
    for path in kept:
        assert seen(path.read_bytes()) == [], path


def test_a_program_of_ones_own_tells_no_secret_in_any_form(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A driver's message that quotes a secret as a URL, in JSON or in a header is masked in log, console and summary."""
    monkeypatch.chdir(root)
    for name, text in SECRETS.items():
        monkeypatch.setenv(name.upper(), quote(text, safe="") if name.startswith("dsn") else text)
    monkeypatch.setenv("TOLD", "http://127.0.0.1:9")
    config = ConfigManager()
    tracker = ErrorTracker(config)
    with LoggerSetup(config) as setup:
        for name, text in SECRETS.items():
            if name.startswith("dsn"):
                remembered(text)  # as the driver that opens the address does
            for form in (text, quote(text, safe=""), quote_plus(text), json.dumps(text)):
                setup.logger.error("cannot open postgres://me:%s@db/x", form, told=form)
                tracker.log_error(ValueError(f"401 for {form}"), "api", {"body": form})
            for before in ("", "u:", "me:"):
                header = base64.b64encode(f"{before}{text}".encode()).decode()
                tracker.log_error(ValueError(f"Authorization: Basic {header}"), "api", {"header": header})
    printed = capsys.readouterr()
    tracker.export("summary.json")
    assert seen((root / "logs" / "pipeline.log").read_bytes()) == []
    assert seen((printed.out + printed.err).encode()) == []
    assert seen((root / "summary.json").read_bytes()) == []


def test_what_only_looks_like_a_secret_stays() -> None:
    """A short value has no form in base64 that is looked for: other text is not garbled."""
    remembered("abcd")
    assert hide_secrets("YWJj abc abcd") == "YWJj abc ***"
