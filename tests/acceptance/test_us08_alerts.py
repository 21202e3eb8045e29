"""US-08: people are told what is wrong: where, how grave, what to do; once for a cause, and once when it is over."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from project import pratique
from receivers import Web, mail_server, slack_door, web

from pratique.ingestion import Delivered, deliver_alerts, run_pipeline
from pratique.ledger import open_ledger
from pratique.project import Project

CONFIG = 'connections:\n  warehouse: {url: "duckdb://warehouse.duckdb"}\n'
SCHEMA = "fields:\n  id: {type: integer, required: true}\n  amount: {type: integer, minimum: 0, severity: warn}\n"
PIPELINE = (
    "owner: {team: shop, tier: 2, runbook: wiki/shop}\n"
    "sources:\n  orders: {type: files, path: in/*.csv, schema: orders}\n"
    "destination: {connection: warehouse}\n"
)
GOOD, BAD = "id,amount\n1,5\n2,6\n", "id,amount\nx,5\ny,6\n"


@pytest.fixture
def hook() -> Iterator[Web]:
    """A web server that gets the alerts."""
    with web() as opened:
        yield opened


def project(root: Path, alerts: str, **files: str) -> Path:
    """A project with these alerts in its settings, and one pipeline `shop`."""
    texts = {"config/default.yaml": CONFIG + alerts, "config/dev.yaml": "", "config/prod.yaml": ""}
    texts |= {"schemas/orders.yaml": SCHEMA, "pipelines/shop.yaml": PIPELINE, **files}
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def to(hook: Web, more: str = "") -> str:
    """Settings by which alerts go to a web server."""
    return f"alerts:\n  channels: {{hook: {{url: {hook.url}/in}}}}\n{more}"


def put(root: Path, text: str, name: str = "orders.csv") -> None:
    """A new file for the pipeline."""
    (root / "in").mkdir(exist_ok=True)
    (root / "in" / name).write_text(text)


def deliver(root: Path, environment: str = "dev", **later: float) -> Delivered:
    """What the timer does, so much later."""
    return deliver_alerts(Project(root, environment), clock=lambda: datetime.now(UTC) + timedelta(**later))


def listed(root: Path, *words: str) -> list[dict[str, Any]]:
    """What `pratique alerts list` gives to machines."""
    alerts: list[dict[str, Any]] = json.loads(pratique(root, "alerts", "list", "--json", *words).stdout)["alerts"]
    return alerts


# --- by e-mail, webhook, Slack and the rest; thresholds per environment -------------------------------------------


def test_a_failed_run_is_told_by_mail_webhook_slack_and_others(tmp_path: Path, hook: Web) -> None:
    """One failure reaches a mailbox, a web server as a CloudEvent, Slack's webhook, and a service of Apprise."""
    with mail_server() as (host, mails), slack_door(tmp_path) as slack:
        channels = {
            "hook": f"{{url: {hook.url}/in, headers: {{Authorization: 'Bearer ${{WORD}}'}}}}",
            "mail": f'{{url: "mailto://{host}?from=pratique@shop.example&to=ops@shop.example"}}',
            "slack": '{url: "${SLACK}"}',
            "mattermost": f'{{url: "mmost://{hook.url.removeprefix("http://")}/3ccdd113474722377935511fc85d3dd4"}}',
        }
        text = "alerts:\n  channels:\n" + "".join(f"    {name}: {channel}\n" for name, channel in channels.items())
        root = project(tmp_path / "p", text)
        slack_url = "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
        put(root, BAD)
        done = pratique(root, "run", "shop", SLACK=slack_url, WORD="canary-word-1", **slack.variables)
        assert done.returncode == 1
        waiting = json.loads(pratique(root, "alerts", "list", "--json", SLACK=slack_url, WORD="w-1").stdout)["waiting"]
        assert waiting == []
        event, mattermost = json.loads(hook.bodies[0]), json.loads(hook.bodies[1])
        if "specversion" not in event:
            event, mattermost = mattermost, event
        ((path, posted),) = slack.posted
    (mail,) = mails
    assert event["type"] == "org.example.pratique.quarantine.threshold_exceeded.v1"
    assert "Bearer canary-word-1" in {headers.get("Authorization") for headers in hook.headers}
    assert mail["Subject"] == "CRITICAL: shop.orders (dev)"
    assert mail["To"] == "ops@shop.example"
    words = mail.get_body().get_content()  # type: ignore[attr-defined]
    assert path == "/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
    for text in (words, json.dumps(posted), json.dumps(mattermost)):
        assert "2 of 2 records quarantined" in text
        assert "wiki/shop" in text


def test_thresholds_and_rules_belong_to_the_environment(tmp_path: Path, hook: Web) -> None:
    """The same run is told in prod as critical, and in dev not at all, by the thresholds of each."""
    root = project(
        tmp_path,
        to(hook),
        **{
            "config/dev.yaml": "alerts: {rules: {quality: none}}\n",
            "config/prod.yaml": "monitoring: {thresholds: {unhealthy: {quality_score: 99}}}\n",
        },
    )
    put(root, "id,amount\n1,-5\n2,6\n")
    assert pratique(root, "run", "shop", "--env", "dev").returncode == 0
    assert hook.events == []
    put(root, "id,amount\n3,-5\n4,6\n", "more.csv")
    assert pratique(root, "run", "shop", "--env", "prod").returncode == 0
    (event,) = hook.events
    assert (event["type"], event["severity"]) == ("org.example.pratique.quality.breached.v1", "critical")
    assert event["data"]["environment"] == "prod"


def test_team_tier_and_severity_choose_the_channel(tmp_path: Path) -> None:
    """An alert goes where its owner's team, its tier and its severity are wanted, and nowhere else."""
    with web() as team, web() as others, web() as first_tier, web() as warnings:
        root = project(
            tmp_path,
            "alerts:\n  channels:\n"
            f"    team: {{url: {team.url}, teams: [shop, web], severity: critical}}\n"
            f"    others: {{url: {others.url}, teams: [billing]}}\n"
            f"    first_tier: {{url: {first_tier.url}, tiers: [1]}}\n"
            f"    warnings: {{url: {warnings.url}, tiers: [1, 2]}}\n",
        )
        put(root, GOOD)
        put(root, "id,other\n1,2\n", "strange.csv")  # held: a warning
        assert pratique(root, "run", "shop").returncode == 8
        assert [len(channel.events) for channel in (team, others, first_tier, warnings)] == [0, 0, 0, 1]
        put(root, BAD, "bad.csv")
        put(root, BAD + "z,1\n", "worse.csv")
        (root / "in" / "orders.csv").unlink()
        (root / "in" / "strange.csv").unlink()
        assert pratique(root, "run", "shop").returncode == 1
        told = [channel.told for channel in (team, others, first_tier)]
        assert told == [[("raised", "shop.orders")], [], []]


# --- critical at once, quality within five minutes; context, severity, recommended action ---------------------------


def test_a_critical_failure_is_told_when_its_run_ends(tmp_path: Path, hook: Web) -> None:
    """When the command returns the alert has arrived, with severity, context, owner, runbook and what to do."""
    root = project(tmp_path, to(hook))
    put(root, BAD)
    assert pratique(root, "run", "shop").returncode == 1
    (event,) = hook.events
    data = event["data"]
    assert (event["severity"], event["pipelinename"]) == ("critical", "shop")
    assert event["source"] == "/pratique/dev/shop"
    assert data["summary"].startswith("2 of 2 records quarantined")
    assert "correct it, or the schema orders, then run again" in data["action"]
    assert data["context"] == {
        "error": "gate",
        "gravity": "permanent",
        "exit_code": 1,
        "where": "in/orders.csv",
        "rows_read": 2,
        "rows_quarantined": 2,
        "effect": "nothing of it was published",
    }
    assert (data["owner"], data["tier"], data["runbook"]) == ("shop", 2, "wiki/shop")
    assert json.loads(pratique(root, "runs", "show", data["run_id"], "--json").stdout)["exit_code"] == 1


def test_a_pipeline_that_cannot_even_begin_is_told(tmp_path: Path, hook: Web) -> None:
    """A mistake in its file, and a state folder that cannot be used, are told though there is no run."""
    root = project(tmp_path, to(hook))
    (root / "pipelines" / "shop.yaml").write_text(PIPELINE.replace("orders}", "ordes}"))
    assert pratique(root, "run", "shop").returncode == 2
    (root / "pipelines" / "shop.yaml").write_text(PIPELINE)
    put(root, GOOD)
    assert pratique(root, "run", "shop").returncode == 0
    assert [event["data"]["status"] for event in hook.events] == ["raised", "resolved"]
    assert hook.events[0]["data"]["context"]["where"] == "pipelines/shop.yaml:3:49"
    for path in root.glob(".pratique/ledger.sqlite*"):
        path.unlink()
    (root / ".pratique" / "ledger.sqlite").write_text("no ledger at all, but long enough to be looked at" * 99)
    assert pratique(root, "run", "shop").returncode == 5
    assert hook.events[-1]["data"]["context"]["error"] == "state"
    assert "mv " in hook.events[-1]["data"]["action"]


def test_a_run_that_cannot_use_its_state_is_told_once(tmp_path: Path, hook: Web) -> None:
    """What the run meets after it has opened its ledger is one alert and one error, without a word of who told it."""
    root = project(tmp_path, to(hook))
    put(root, GOOD)
    (root / ".pratique").mkdir()
    (root / ".pratique" / "tmp").write_text("a file where a folder has to be")
    done = pratique(root, "run", "shop")
    assert done.returncode == 5
    assert "cannot be used" in done.stderr
    assert "warning" not in done.stderr
    assert [event["data"]["context"]["error"] for event in hook.events] == ["state"]


def test_a_quality_breach_is_told_at_the_end_of_its_run(tmp_path: Path, hook: Web) -> None:
    """A score below the threshold is told when the run ends, far within five minutes, with value and threshold."""
    root = project(tmp_path, to(hook))
    put(root, "id,amount\n1,-5\n2,-6\n3,1\n")
    began = time.monotonic()
    assert pratique(root, "run", "shop").returncode == 0
    assert time.monotonic() - began < 60
    (event,) = hook.events
    score = event["data"]["context"]["quality_score"]
    assert (event["severity"], score["threshold"]) == ("warning", 90.0)
    assert 70 < score["value"] < 90
    assert event["data"]["action"].startswith("look at which rules fail")


# --- one for a cause, cool-down, one when it is over ----------------------------------------------------------------


def test_what_fails_again_and_again_is_one_alert_and_one_end(tmp_path: Path, hook: Web) -> None:
    """However often it fails: one message, one more when it is over, and the history counts every failure."""
    root = project(tmp_path, to(hook))
    put(root, BAD)
    times = 6
    for _ in range(times):
        assert pratique(root, "run", "shop").returncode == 1
    assert hook.told == [("raised", "shop.orders")]
    put(root, GOOD)
    assert pratique(root, "run", "shop").returncode == 0
    assert hook.told == [("raised", "shop.orders"), ("resolved", "shop.orders")]
    over = hook.events[1]
    assert over["type"] == "org.example.pratique.alert.resolved.v1"
    assert (over["data"]["occurrences"], over["id"] != hook.events[0]["id"]) == (times, True)
    (alert,) = listed(root, "--all")
    assert (alert["occurrences"], bool(alert["resolved_at"])) == (times, True)


def test_what_comes_back_soon_cools_down(tmp_path: Path, hook: Web) -> None:
    """A cause that was over and comes back is told when it has cooled down, and not before."""
    root = project(tmp_path, to(hook, "  cooldown: 30m\n"))
    for text, name in ((BAD, "a.csv"), (GOOD, "a.csv"), (BAD, "b.csv")):
        put(root, text, name)
        pratique(root, "run", "shop")
        (root / "in" / name).unlink()
    assert hook.told == [("raised", "shop.orders"), ("resolved", "shop.orders")]
    deliver(root, minutes=29)
    assert len(hook.told) == 2
    deliver(root, minutes=31)
    assert hook.told[2:] == [("raised", "shop.orders")]


def test_what_lasts_is_told_again_unless_acknowledged(tmp_path: Path, hook: Web) -> None:
    """A cause that lasts is repeated after the time that is set; once somebody looks after it, no more."""
    text = PIPELINE.replace("sources:", "expect: {success_within: 2h}\nsources:")
    root = project(tmp_path, to(hook, "  repeat: 12h\n"), **{"pipelines/shop.yaml": text})
    for hours in (0, 2.1, 3, 14, 14.2, 20):
        deliver(root, hours=hours)
    assert hook.told == [("raised", "shop"), ("again", "shop")]
    (alert,) = listed(root)
    assert pratique(root, "alerts", "ack", alert["alert_id"][:6], "--by", "anna").returncode == 0
    deliver(root, hours=40)
    assert len(hook.told) == 2
    assert "acknowledged by anna" in pratique(root, "alerts", "list").stdout
    put(root, GOOD)
    run_pipeline(Project(root, "dev"), "shop", clock=lambda: datetime.now(UTC) + timedelta(minutes=1))
    assert hook.told[2:] == [("resolved", "shop")]


def test_a_silence_keeps_quiet_until_its_end(tmp_path: Path, hook: Web) -> None:
    """During a silence nothing is told; what still is wrong at its end is told then."""
    root = project(tmp_path, to(hook))
    assert pratique(root, "alerts", "silence", "shop", "--until", "8h").returncode == 0
    put(root, BAD)
    assert pratique(root, "run", "shop").returncode == 1
    deliver(root, hours=7)
    assert hook.events == []
    assert "silenced" in pratique(root, "alerts", "list").stdout
    deliver(root, hours=9)
    assert hook.told == [("raised", "shop.orders")]


def test_the_history_can_be_looked_at(tmp_path: Path, hook: Web) -> None:
    """What was wrong, since when, until when and who was told stays listed after it is over, for 90 days."""
    root = project(tmp_path, to(hook))
    put(root, BAD)
    assert pratique(root, "run", "shop").returncode == 1
    shown = pratique(root, "alerts", "list").stdout
    assert "critical  shop.orders  gate_failed  since " in shown
    assert "do: " in shown
    put(root, GOOD)
    assert pratique(root, "run", "shop").returncode == 0
    assert pratique(root, "alerts", "list").stdout == "no alert is open in dev\n"
    assert "over since " in pratique(root, "alerts", "list", "--all").stdout
    deliver(root, days=89)
    assert len(listed(root, "--all")) == 1
    deliver(root, days=91)
    assert listed(root, "--all") == []


# --- a channel that is down -----------------------------------------------------------------------------------------


def test_a_channel_that_is_down_for_an_hour_loses_nothing_and_stops_no_run(tmp_path: Path, hook: Web) -> None:
    """Runs end as ever, what waits is shown and counted; when the channel is there again all arrives, once, in order."""
    root = project(tmp_path, to(hook))
    hook.status = 503
    put(root, BAD)
    assert pratique(root, "run", "shop").returncode == 1
    put(root, GOOD)
    assert pratique(root, "run", "shop").returncode == 0
    for minutes in range(1, 60, 4):
        waits = deliver(root, minutes=minutes).waiting
        assert [(item.channel, item.messages) for item in waits] == [("hook", 2)]
    assert "hook has not taken 2 messages" in pratique(root, "alerts", "list").stdout
    metrics = pratique(root, "metrics", "--format", "prometheus").stdout
    assert 'pratique_alerts_undelivered{channel="hook"} 2.0' in metrics
    hook.status = 200
    deliver(root, minutes=80)
    assert hook.told == [("raised", "shop.orders"), ("resolved", "shop.orders")]
    deliver(root, minutes=100)
    assert len(hook.told) == 2
    assert "pratique_alerts_undelivered" not in pratique(root, "metrics", "--format", "prometheus").stdout


@pytest.mark.parametrize("url", ["http://{}/in", "mailto://{}?from=a@b.example&to=c@d.example"], ids=["web", "mail"])
def test_a_channel_that_hangs_holds_a_run_up_for_seconds_once(tmp_path: Path, url: str) -> None:
    """A server that takes the call and never answers costs one run five seconds, and the next ones nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = url.format(f"127.0.0.1:{silent.getsockname()[1]}")
        root = project(tmp_path, f'alerts: {{channels: {{ops: {{url: "{address}"}}}}}}\n')
        put(root, BAD)
        took = []
        for _ in range(2):
            began = time.monotonic()
            assert pratique(root, "run", "shop").returncode == 1
            took.append(time.monotonic() - began)
    assert 5 < took[0] < 13
    assert took[1] < 5


@pytest.mark.parametrize("failpoint", ["run.finished", "alerts.judged", "alert.sent"])
@pytest.mark.parametrize("again", ["the next run", "the timer"])
def test_a_kill_between_effect_and_delivery_loses_no_alert(
    tmp_path: Path, hook: Web, failpoint: str, again: str
) -> None:
    """Killed before it is judged, before it is sent, or before its delivery is known: it arrives, with one id."""
    root = project(tmp_path, to(hook))
    put(root, BAD)
    assert pratique(root, "run", "shop", PRATIQUE_FAILPOINT=failpoint).returncode == -9
    if again == "the next run":
        assert pratique(root, "run", "shop").returncode == 1
    deliver(root, minutes=2)  # a message that the killed process had in hand is free after a minute
    assert {event["subject"] for event in hook.events} == {"shop.orders"}
    assert len({event["id"] for event in hook.events}) == 1
    assert len(hook.events) == (2 if failpoint == "alert.sent" else 1)
    assert listed(root)[0]["occurrences"] == (2 if again == "the next run" else 1)


# --- by the clock ---------------------------------------------------------------------------------------------------


def test_a_pipeline_that_never_runs_or_hangs_is_told_by_the_clock(tmp_path: Path, hook: Web) -> None:
    """Without a success within the time that is promised the timer tells it, whether nothing ran or a run hangs."""
    text = PIPELINE.replace("sources:", "expect: {success_within: 2h}\nsources:")
    root = project(tmp_path, to(hook, f"  heartbeat: {hook.url}/beat\n"), **{"pipelines/shop.yaml": text})
    assert deliver(root).heartbeat == "sent"
    deliver(root, hours=1, minutes=59)
    assert hook.events == []
    with closing(open_ledger(root / ".pratique" / "ledger.sqlite")) as ledger, ledger.begin("shop", "dev"):
        deliver(root, hours=2, minutes=1)  # a run is at work, and hangs
    (event,) = hook.events
    assert event["type"] == "org.example.pratique.freshness.breached.v1"
    assert event["data"]["summary"] == "no success within 2 h: there was none yet"
    assert hook.asked == ["/beat"] * 3


def test_a_file_for_each_period_is_waited_for(tmp_path: Path, hook: Web) -> None:
    """A partner whose file of a month is not loaded by day 5, 09:00 of the next is named; its file ends the alert."""
    text = (
        'schedule: {cron: "0 7 * * *", timezone: Europe/Berlin}\n'
        'sources:\n  orders: {type: files, path: "in/{partner}_{period:%Y-%m}.csv", schema: orders,'
        ' expect: {each: [partner, period], by: "day 5 09:00"}}\n'
        "destination: {connection: warehouse}\n"
    )
    root = project(tmp_path, to(hook), **{"pipelines/shop.yaml": text})

    def at(month: int, day: int, hour: int = 0, minute: int = 0, *, run: bool = False) -> None:
        now = datetime(2026, month, day, hour, minute, tzinfo=UTC)
        if run:
            assert run_pipeline(Project(root, "dev"), "shop", clock=lambda: now).exit_code == 0
        deliver_alerts(Project(root, "dev"), clock=lambda: now)

    at(8, 6)
    for number, partner in enumerate(("acme", "globex")):
        put(root, GOOD + f"9,{number}\n", f"{partner}_2026-08.csv")
    at(9, 1, run=True)
    put(root, GOOD.replace("5", "7"), "acme_2026-09.csv")
    at(10, 1, run=True)
    at(10, 5, 6, 59)  # 08:59 in Berlin
    assert hook.events == []
    at(10, 5, 7, 0)
    (event,) = hook.events
    assert event["data"]["context"]["missing"] == ["globex"]
    assert event["data"]["summary"] == ("no file of 2026-09 from globex is loaded; promised by 2026-10-05 07:00 UTC")
    put(root, GOOD.replace("5", "8"), "globex_2026-09.csv")
    at(10, 5, 8, 0, run=True)
    assert hook.told == [("raised", "shop.orders"), ("resolved", "shop.orders")]


def test_a_transient_failure_pages_only_when_its_deadline_is_near(tmp_path: Path, hook: Web) -> None:
    """What may pass by itself waits until three quarters of the promised time are gone; if it passes, nobody hears."""
    text = PIPELINE.replace("sources:", "expect: {success_within: 2h}\nsources:")
    limits = "limits: {lock_timeout_seconds: 0}\n"
    root = project(tmp_path, limits + to(hook), **{"pipelines/shop.yaml": text})
    put(root, GOOD)
    with locked(root / "warehouse.duckdb"):
        assert pratique(root, "run", "shop").returncode == 4
    deliver(root, hours=1)
    assert hook.events == []
    assert "told from " in pratique(root, "alerts", "list").stdout
    deliver(root, hours=1, minutes=31)
    assert hook.told == [("raised", "shop")]
    assert hook.events[0]["severity"] == "critical"
    assert hook.events[0]["data"]["context"]["gravity"] == "transient"


def test_a_transient_failure_without_a_deadline_is_a_warning(tmp_path: Path, hook: Web) -> None:
    """Where nothing is promised it is told at once, but as a warning, and its end as well."""
    root = project(tmp_path, "limits: {lock_timeout_seconds: 0}\n" + to(hook))
    put(root, GOOD)
    with locked(root / "warehouse.duckdb"):
        assert pratique(root, "run", "shop").returncode == 4
    assert (hook.told, hook.events[0]["severity"]) == ([("raised", "shop")], "warning")
    assert pratique(root, "run", "shop").returncode == 0
    assert hook.told[1:] == [("resolved", "shop")]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process holds this DuckDB file while the block runs."""
    code = f"import duckdb; c = duckdb.connect({str(path)!r}); print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        try:
            yield
        finally:
            holder.communicate("\n")
