"""Where messages go: a CloudEvent by POST to an address of the web, or words by Apprise to whatever it knows."""

from __future__ import annotations

import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pratique.monitoring.alerts.wording import EVENT_TYPE, text_of
from pratique.monitoring.posting import login
from pratique.secrets import hide_secrets, reveal

_WEB: Final = ("https://", "http://")
_REASON: Final = re.compile(r"\s+")
_NAMES: Final = {"warning": "warning", "critical": "failure", "resolved": "success"}  # Apprise's words


class ChannelError(Exception):
    """A channel did not take a message; the text says why, without any secret."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A POST that is sent elsewhere becomes a GET without its body: it is refused instead."""

    def redirect_request(self, *_: Any) -> None:
        """Nowhere."""


_OPENER: Final = urllib.request.build_opener(_NoRedirect)


@dataclass(frozen=True, slots=True)
class Channel:
    """One place that messages go to; `url` and `headers` are `Secret`s."""

    name: str
    url: Any
    headers: Mapping[str, Any] = field(default_factory=dict)

    def send(self, event: Mapping[str, Any], timeout_seconds: float) -> None:
        """Give a CloudEvent to the channel; ChannelError if it does not take it in time."""
        url = str(reveal(self.url))
        known = None if url.startswith("http://") else _by_apprise(url)  # whatever Apprise knows is https or its own
        if known is not None:
            _notify(known, event, timeout_seconds)
        elif url.startswith(_WEB):
            headers = {"Content-Type": f"{EVENT_TYPE}; charset=utf-8", **reveal(self.headers)}
            web(url, timeout_seconds, json.dumps(event, ensure_ascii=False).encode(), headers)
        else:
            raise ChannelError(
                f"{url.partition('://')[0]}:// is no address that Apprise knows, or a part of it is missing"
            )


def web(url: str, timeout_seconds: float, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> None:
    """POST a body, or GET without one; ChannelError unless the answer is of the 200s."""
    try:
        address, user = login(url)
        told = {"User-Agent": "pratique", **user, **(headers or {})}
        request = urllib.request.Request(address, data=body, headers=told)  # noqa: S310 - http and https only
        with _OPENER.open(request, timeout=timeout_seconds):
            return
    except urllib.error.HTTPError as error:
        error.close()
        raise ChannelError(f"it answered {error.code}") from None
    except urllib.error.URLError as error:
        raise ChannelError(f"it cannot be reached: {_told(error.reason)}") from None
    except (ValueError, http.client.InvalidURL):  # its text would quote what is wrong, and that may be secret
        raise ChannelError("its url, or one of its headers, is not one") from None
    except (OSError, http.client.HTTPException) as error:
        raise ChannelError(f"it cannot be reached: {_told(error)}") from None


def _by_apprise(url: str) -> Any:
    """What Apprise makes of a url; None where it knows none, or where Apprise is not there and the web will do."""
    try:
        import apprise  # noqa: PLC0415 - 0.4 s, and an extra: only who tells pays
    except ImportError:
        if url.startswith(_WEB):
            return None
        raise ChannelError("Apprise is not installed: pip install 'pratique[alerts]'") from None
    return apprise.Apprise.instantiate(url, suppress_exceptions=True)


def _notify(service: Any, event: Mapping[str, Any], timeout_seconds: float) -> None:
    import apprise  # noqa: PLC0415 - see above

    for limit in (
        "socket_connect_timeout",
        "socket_read_timeout",
    ):  # else its thread outlives the wait, and the process
        setattr(service, limit, min(getattr(service, limit), timeout_seconds))
    sender = apprise.Apprise()
    sender.add(service)
    title, body = text_of(event)
    status = event["data"]["status"]
    result = sender.notify(
        body,
        title,
        notify_type=_NAMES["resolved" if status == "resolved" else str(event["severity"])],
        body_format=apprise.NotifyFormat.TEXT,
        timeout=timeout_seconds,
    )
    if not result:
        said = [_told(entry.message) for entry in result.logs()]
        raise ChannelError("; ".join(said[:2]) or "it did not take the message")


def _told(error: object) -> str:
    """What went wrong, on one line, without what stands for a secret."""
    return str(hide_secrets(_REASON.sub(" ", str(error)).strip()))
