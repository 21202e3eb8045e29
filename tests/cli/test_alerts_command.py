"""`pratique alerts`: what it lists, acknowledges, silences, tests and delivers, and what it says to a slip."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from receivers import Web, web

from pratique.cli.main import program

FILES = {
    "config/prod.yaml": "logging: {level: WARNING}\n",
    "schemas/orders.yaml": "fields: {id: {type: integer, required: true}}\n",
    "pipelines/shop.yaml": "sources: {orders: {path: 'in/*.csv', schema: orders}}\ndestination: {connection: warehouse}\n",
    "in/orders.csv": "id\nx\n",
}


@pytest.fixture
def hook() -> Iterator[Web]:
    """A web server that gets the alerts."""
    with web() as opened:
        yield opened


@pytest.fixture
def root(tmp_path: Path, hook: Web, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a channel, in which one run has failed."""
    config = f"connections: {{warehouse: {{url: 'duckdb://w.duckdb'}}}}\nalerts: {{channels: {{ops: {{url: '{hook.url}/${{TOKEN}}'}}}}}}\n"
    for name, text in {**FILES, "config/default.yaml": config}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOKEN", "canary-token-31ca")
    assert alerts_of("run", "shop").exit_code == 1
    return tmp_path


def alerts_of(*words: str) -> Result:
    """Run the program in this process, 100 columns wide."""
    return CliRunner().invoke(program, list(words), env={"COLUMNS": "100"})


def first(*words: str) -> str:
    """The id of the first alert."""
    found: str = json.loads(alerts_of("alerts", "list", "--json", *words).stdout)["alerts"][0]["alert_id"]
    return found


def test_acknowledge(root: Path) -> None:
    """By the first digits of its id; who did is listed, and an alert that is over, or that there is not, is a slip."""
    short = first()[:6]
    assert alerts_of("alerts", "ack", short, "--by", "anna").stdout == f"{short} acknowledged by anna\n"
    assert "acknowledged by anna" in alerts_of("alerts", "list").stdout
    document = json.loads(alerts_of("alerts", "ack", short, "--json").stdout)
    assert document["acknowledged_by"]
    (root / "in" / "orders.csv").write_text("id\n1\n")
    assert alerts_of("run", "shop").exit_code == 0
    over = alerts_of("alerts", "ack", short)
    assert (over.exit_code, "is over since" in over.stderr) == (2, True)
    assert alerts_of("alerts", "ack", "ffff").exit_code == 2


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    "until", ["8h", "2999-01-01", "2999-01-01 08:00", "2999-01-01T08:00:00Z", "2999-01-01 08:00+01:00"]
)
def test_silence(until: str) -> None:
    """A pipeline or an alert, for so long or until a time; `now` ends it."""
    for name in ("shop", first()[:8]):
        done = alerts_of("alerts", "silence", name, "--until", until)
        assert (done.exit_code, done.stdout.startswith(f"{name} is silenced until ")) == (0, True), done.stderr
    shown = alerts_of("alerts", "list").stdout
    assert shown.count("silenced until") == 2
    assert ", silenced" in shown
    assert json.loads(alerts_of("alerts", "silence", "shop", "--until", "now", "--json").stdout)["target"] == "shop"
    assert alerts_of("alerts", "silence", first(), "--until", "now").stdout == f"{first()} is not silenced\n"
    assert "silenced" not in alerts_of("alerts", "list").stdout


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("until", ["soon", "2026-13-01", "8 weeks", "99999999999d"])
def test_a_time_that_is_none(until: str) -> None:
    """A mistake that shows how to write one."""
    done = alerts_of("alerts", "silence", "shop", "--until", until)
    assert done.exit_code == 2
    assert "--until 8h" in done.stderr


def test_test_says_of_each_channel_whether_it_works(root: Path, hook: Web) -> None:
    """Exit code 1 if one does not; nothing of it is kept; a channel that there is not is a slip."""
    assert alerts_of("alerts", "test").stdout == "✓ ops\n"
    assert hook.events[-1]["type"] == "org.example.pratique.test.v1"
    hook.status = 500
    failed = alerts_of("alerts", "test", "ops")
    assert (failed.exit_code, failed.stdout) == (1, "✗ ops: it answered 500\n")
    document = json.loads(alerts_of("alerts", "test", "--json").stdout)
    assert document == {"ops": {"delivered": False, "error": "it answered 500"}}
    slip = alerts_of("alerts", "test", "opps")
    assert (slip.exit_code, 'did you mean "ops"?' in slip.stderr) == (2, True)
    assert json.loads(alerts_of("alerts", "list", "--json").stdout)["waiting"] == []
    (root / "config" / "default.yaml").write_text("connections: {warehouse: {url: 'duckdb://w.duckdb'}}\n")
    none = alerts_of("alerts", "test")
    assert (none.exit_code, "environment dev has no channel" in none.stderr) == (2, True)


def test_deliver_says_what_waits(root: Path, hook: Web) -> None:
    """Exit code 0 if nothing does, 1 if a channel refuses; as JSON too."""
    assert alerts_of("alerts", "deliver").stdout == "0 messages delivered, 1 alert open, heartbeat: none\n"
    hook.status = 500
    (root / "in" / "orders.csv").write_text("id\n1\n")
    assert alerts_of("run", "shop").exit_code == 0
    refused = alerts_of("alerts", "deliver")
    assert refused.exit_code == 1
    assert refused.stdout.splitlines()[0] == "0 messages delivered, 0 alerts open, heartbeat: none"
    assert "! ops has not taken 1 message since" in refused.stdout
    assert "1 try: it answered 500" in refused.stdout
    document = json.loads(alerts_of("alerts", "deliver", "--json").stdout)
    assert (document["messages"], document["waiting"][0]["channel"]) == (0, "ops")


def test_nothing_of_an_address_is_shown_or_kept(root: Path, hook: Web) -> None:
    """Neither by a command, nor in the log, nor in the ledger; `config show` has the reference."""
    hook.status = 500
    said = [alerts_of("alerts", *words) for words in (("test",), ("list", "--all"), ("list", "--json"), ("deliver",))]
    said += [alerts_of("config", "show"), alerts_of("lint"), alerts_of("--debug", "run", "shop")]
    port = hook.url.rpartition(":")[2]
    for result in said:
        assert "canary-token-31ca" not in result.stdout + result.stderr
    assert f"{port}/${{TOKEN}}" in said[4].stdout
    for path in (item for item in root.rglob("*") if item.is_file()):
        assert b"canary-token-31ca" not in path.read_bytes(), path


def test_an_address_written_out_is_hidden_too(root: Path, hook: Web) -> None:
    """Who writes a secret into the file itself does not see it printed again."""
    text = f"connections: {{warehouse: {{url: 'duckdb://w.duckdb'}}}}\nalerts: {{channels: {{ops: {{url: '{hook.url}/in/T0/B0/canary-plain-5e'}}}}}}\n"
    (root / "config" / "default.yaml").write_text(text)
    shown = alerts_of("config", "show").stdout
    assert "canary-plain-5e" not in shown
    assert "http://***" in shown


@pytest.mark.parametrize(
    ("alerts", "told"),
    [
        ("{channels: {ops: {url: nowhere}}}", "such as https://alerts.example/in, mailtos://…, slack://…"),
        ("{channels: {ops: {url: 1}}}", "expected a url"),
        ("{channels: {ops: {url: 'https://x', headers: {A: ''}}}}", "expected text on one line"),
        ("{channels: {web: {}}}", '"url" is missing'),
        ("{channels: {ops: {url: 'https://x', severty: critical}}}", 'did you mean "severity"?'),
        ("{channels: {ops: {url: 'https://x', severity: grave}}}", "is not one of warning, critical"),
        ("{rules: {qualty: none}}", 'did you mean "quality"?'),
        ("{rules: {quality: silent}}", "auto, warning, critical, none"),
        ("{cooldown: soon}", "expected a time such as 10m, 1h or 2d"),
        ("{heartbeat: 'ftp://x'}", "expected a url of the web"),
    ],
)
def test_what_is_wrong_in_the_settings_is_told(root: Path, alerts: str, told: str) -> None:
    """At its place, with what is meant."""
    (root / "config" / "prod.yaml").write_text(f"alerts: {alerts}\n")
    done = alerts_of("lint", "--env", "prod")
    assert done.exit_code == 2
    assert told in " ".join(done.stdout.split())
    assert "config/prod.yaml:1:" in done.stdout


def test_references_that_are_not_set_are_one_warning(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lint needs no secrets: it says which are missing, and nothing that follows from it."""
    monkeypatch.delenv("TOKEN")
    (root / "config" / "prod.yaml").write_text('alerts: {heartbeat: "${BEAT}", channels: {b: {url: "${SLACK}"}}}\n')
    done = alerts_of("lint", "--env", "prod")
    assert done.exit_code == 0, done.stdout
    assert done.stdout.count("is not set") == 3


@pytest.mark.usefixtures("root")
def test_a_shell_completes_alerts_and_channels() -> None:
    """Ids of open alerts, names of pipelines, names of channels."""

    def offered(words: str) -> str:
        env = {"_PRATIQUE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()))}
        return CliRunner().invoke(program, [], prog_name="pratique", env={**os.environ, **env}).stdout

    assert first()[:6] in offered("pratique alerts ack ")
    assert {"shop", first()[:6]} <= {line.split(",")[-1] for line in offered("pratique alerts silence ").splitlines()}
    assert "ops" in offered("pratique alerts test ")
