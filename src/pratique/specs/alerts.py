"""Whom to tell, of what, and how often: the word `alerts` of the settings."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from pratique.alerts import Severity
from pratique.secrets import Secret, remembered, reveal
from pratique.specs.base import Duration, Name, Spec

RuleWord = Literal["auto", "warning", "critical", "none"]


def _secret(value: Any) -> Secret:
    """A text as a secret, by reference or not: hidden from here on, wherever it is told."""
    text = reveal(value)
    if not isinstance(text, str) or not text or "\n" in text:
        raise ValueError("expected text on one line", "write it, or a reference to it: ${NAME}")
    return Secret(text if "${" in text else remembered(text))  # lint leaves references that it does not know


def _url(value: Any) -> Secret:
    text = reveal(value)
    if not isinstance(text, str) or not ("://" in text or text.startswith("${")):
        raise ValueError("expected a url", "such as https://alerts.example/in, mailtos://…, slack://…")
    return _secret(value)


def _web(value: Any) -> Secret | None:
    text = reveal(value)
    if value is not None and not (isinstance(text, str) and text.startswith(("https://", "http://", "${"))):
        raise ValueError("expected a url of the web", "such as https://watch.example/ping/7f3a")
    return None if value is None else _secret(value)


class ChannelSpec(Spec):
    """Where alerts go, and which of them."""

    url: Annotated[Any, BeforeValidator(_url, json_schema_input_type=str)]
    headers: dict[str, Annotated[Any, BeforeValidator(_secret, json_schema_input_type=str)]] = Field(
        default_factory=dict
    )
    severity: Severity = "warning"
    teams: list[str] = Field(default_factory=list)
    tiers: list[int] = Field(default_factory=list)


class RulesSpec(Spec):
    """How grave each thing is that can be found; `auto`: as grave as what was found."""

    run_failed: RuleWord = "auto"
    gate_failed: RuleWord = "auto"
    file_held: RuleWord = "auto"
    quality: RuleWord = "auto"
    slow: RuleWord = "auto"
    late: RuleWord = "auto"


class AlertsSpec(Spec):
    """Whom to tell, of what, and how often."""

    channels: dict[Name, ChannelSpec] = Field(default_factory=dict)
    rules: RulesSpec = RulesSpec()
    cooldown: Duration = "30m"
    repeat: Duration = "12h"
    heartbeat: Annotated[Any, BeforeValidator(_web, json_schema_input_type=str | None)] = None
