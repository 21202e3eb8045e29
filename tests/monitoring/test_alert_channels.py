"""Channels: what a server, Apprise or the network refuse is said without secrets, and nothing is taken for delivered."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from receivers import Web, web

from pratique.alerts import Alert, Finding, Owner
from pratique.monitoring.alerts import Channel, ChannelError, trial_event
from pratique.monitoring.alerts import web as ask
from pratique.monitoring.alerts.wording import about, text_of
from pratique.secrets import Secret, hide_secrets, remembered

NOW = "2026-11-01T08:00:00.000+00:00"
EVENT = trial_event("dev", NOW)


@pytest.fixture
def hook() -> Iterator[Web]:
    """A web server."""
    with web() as opened:
        yield opened


def refusal(url: Any, seconds: float = 5, headers: dict[str, Any] | None = None) -> str:
    """Why a channel did not take a message."""
    with pytest.raises(ChannelError) as caught:
        Channel("ops", url, headers or {}).send(EVENT, seconds)
    return str(caught.value)


def test_a_cloud_event_is_posted(hook: Web) -> None:
    """The body is the event in structured mode, with the headers that the channel has."""
    Channel("ops", Secret(f"{hook.url}/in?a=b"), {"Authorization": Secret("Bearer x")}).send(EVENT, 5)
    assert hook.events == [EVENT]
    assert hook.headers[0]["Content-Type"] == "application/cloudevents+json; charset=utf-8"
    assert hook.headers[0]["Authorization"] == "Bearer x"


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 429, 500])
def test_only_an_answer_of_the_200s_is_a_delivery(hook: Web, status: int) -> None:
    """A redirect is not followed: as a GET it would lose the event."""
    hook.status = status
    assert refusal(f"{hook.url}/in") == f"it answered {status}"
    assert hook.asked == []


def test_what_cannot_be_reached_is_said_without_its_address() -> None:
    """No server, no such name, no url, a header that is none: each is a refusal with a reason."""
    token = remembered("canary-token-77c1")
    assert "Connection refused" in refusal(Secret(f"http://127.0.0.1:9/{token}"))
    assert refusal(Secret(f"http://no.such.host.example/{token}")).startswith("it cannot be reached: ")
    for url in (f"http://127.0.0.1:x{token}/", f"http://[{token}/"):
        assert refusal(Secret(url)) == "its url, or one of its headers, is not one"
    assert refusal("http://127.0.0.1:9/", headers={"X": "a\r\nb"}) == "its url, or one of its headers, is not one"


def test_a_name_and_a_password_in_an_address_are_a_login(hook: Web) -> None:
    """They are sent as basic authentication, and stand in no address."""
    Channel("ops", Secret(hook.url.replace("://", "://me:p%40ss@") + "/in")).send(EVENT, 5)
    assert hook.headers[0]["Authorization"] == "Basic bWU6cEBzcw=="
    assert "@" not in hook.headers[0]["Host"]


def test_a_server_that_never_answers_is_given_up(hook: Web) -> None:
    """After the time that it is given."""
    hook.pause = 5
    began = time.monotonic()
    assert "timed out" in refusal(f"{hook.url}/in", seconds=0.3)
    assert time.monotonic() - began < 3


def test_an_answer_that_is_no_http_is_a_refusal() -> None:
    """Whatever speaks another language on that port."""
    import socket  # noqa: PLC0415

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def talk() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(10)
                connection.sendall(b"220 mail.example ESMTP\r\n")

        thread = threading.Thread(target=talk)
        thread.start()
        assert refusal(f"http://127.0.0.1:{port}/").startswith("it cannot be reached: ")
        thread.join()


def test_services_of_apprise_say_why_they_refuse() -> None:
    """A mail server that is not there; a scheme that there is not; a url that lacks a part."""
    secret = remembered("canary-pass-90ab")
    told = refusal(Secret(f"mailto://me:{secret}@127.0.0.1:9?from=a@b.example&to=c@d.example"))
    assert told
    assert secret not in told
    assert refusal("nosuch://x") == "nosuch:// is no address that Apprise knows, or a part of it is missing"
    assert refusal("slack://") == "slack:// is no address that Apprise knows, or a part of it is missing"


def test_a_service_of_apprise_gets_title_and_text(hook: Web) -> None:
    """Its json:// service posts what it was given."""
    Channel("ops", f"json://{hook.url.removeprefix('http://')}/in").send(EVENT, 5)
    assert b"TEST WARNING: test (dev)" in hook.bodies[0]


def test_without_apprise_the_web_still_works(hook: Web) -> None:
    """Its address of the web gets events; any other says what to install."""
    program = (
        "import sys; sys.modules['apprise'] = None\n"
        "from pratique.monitoring.alerts import Channel, ChannelError, trial_event\n"
        "event = trial_event('dev', '2026-11-01T08:00:00.000+00:00')\n"
        f"Channel('a', '{hook.url}/in').send(event, 5)\n"
        "for url in ('https://127.0.0.1:9/', 'mailto://x'):\n"
        "    try: Channel('a', url).send(event, 5)\n"
        "    except ChannelError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert [line[:22] for line in done.stdout.splitlines()] == ["it cannot be reached: ", "Apprise is not install"]
    assert len(hook.events) == 1


def test_a_heartbeat_is_asked_for(hook: Web) -> None:
    """By GET, without a body."""
    ask(f"{hook.url}/beat", 5)
    assert hook.asked == ["/beat"]


def test_words_for_people_have_all_of_it_and_steer_nothing() -> None:
    """Title and text name what, how grave, since when, what to do, owner and runbook; data cannot break a line."""
    finding = Finding(
        "run_failed",
        "shop",
        "orders",
        "source",
        summary="a\r\nBcc: x@y.example \x1b[31m",
        action="look",
        context={"rows_read": 3, "missing": ["a", "b"], "score": {"value": 1, "threshold": 2}},
        run_id="7f3a91" + "0" * 26,
        owner=Owner("web", 1, "wiki/x"),
    )
    alert = Alert("3f9a2c" + "0" * 26, "prod", finding, NOW, NOW, occurrences=3, messages=1)
    title, text = text_of(about(alert, "raised", NOW))
    assert title == "CRITICAL: shop.orders (prod)"
    assert text.splitlines() == [
        r"a run, or a source of it, failed: a\r\nBcc: x@y.example \x1b[31m",
        "do: look",
        "since 2026-11-01 08:00 UTC, 3 times",
        "runbook: wiki/x",
        "owner: web, tier 1",
        "rows read: 3",
        "missing: a, b",
        "score: value 1, threshold 2",
        "run: pratique runs show 7f3a91",
        "seen: pratique alerts ack 3f9a2c",
    ]
    over = Alert(
        "3f9a2c" + "0" * 26, "prod", Finding("late", "shop"), NOW, NOW, resolved_at=NOW, acknowledged_by="anna"
    )
    event = about(over, "resolved", NOW)
    assert text_of(event) == (
        "RESOLVED CRITICAL: shop (prod)",
        "what `expect` promises is not there in time: \nsince 2026-11-01 08:00 UTC, over at 2026-11-01 08:00 UTC",
    )
    assert (event["data"]["acknowledged_by"], event["data"]["resolved_at"]) == ("anna", NOW)


def test_a_secret_is_hidden_as_a_url_writes_it() -> None:
    """What a service quotes of an address is hidden, whether it is encoded there or not."""
    remembered("canary%40word/1")
    remembered("canary word&2")
    told = "canary%40word/1 canary@word/1 canary%2540word%2F1 canary word&2 canary%20word%262"
    assert hide_secrets(told) == "*** *** *** *** ***"
