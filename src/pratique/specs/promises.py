"""What a pipeline promises, as people write it: `owner`, and `expect` of a pipeline or of a source."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import time
from typing import TYPE_CHECKING, Annotated, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field

from pratique.alerts import Owner
from pratique.documents import Document, KeyPath
from pratique.expectations import Arrival, Period, Promise
from pratique.mistakes import Mistake, Mistakes
from pratique.specs.base import Duration, Spec, nearest, seconds_of
from pratique.specs.schema import Zone

if TYPE_CHECKING:
    from pratique.specs.pipeline import PipelineSpec

_CAPTURE: Final = re.compile(r"\{([a-z][a-z0-9_]*)(?::([^{}]+))?\}")
_BY: Final = re.compile(r"(?:day ([1-9][0-9]?) )?([01][0-9]|2[0-3]):([0-5][0-9])")
_UNITS: Final[tuple[tuple[str, Period], ...]] = (("dj", "day"), ("mbB", "month"), ("Yy", "year"))
_HINT: Final = "such as {period:%Y-%m} in path and period in each; without periods: success_within, at the top"


def _team(value: Any) -> Any:
    return {"team": value} if isinstance(value, str) else value


class OwnerSpec(Spec):
    """Whose pipeline it is: it routes alerts."""

    team: str = ""
    tier: int | None = Field(None, ge=1, le=9)
    runbook: str = ""


OwnerWord = Annotated[OwnerSpec, BeforeValidator(_team, json_schema_input_type=str | OwnerSpec)]


class PipelineExpectSpec(Spec):
    """What is promised of a whole pipeline."""

    success_within: Duration


def _by(text: str) -> str:
    if not _BY.fullmatch(text):
        raise ValueError("expected a time such as 09:00 or day 5 09:00", "the day counts from the end of the period")
    return text


class SourceExpectSpec(Spec):
    """A file for each period by a time."""

    each: Annotated[list[str], Field(min_length=1)]
    by: Annotated[str, AfterValidator(_by)]
    timezone: Zone | None = None


def promise_of(name: str, spec: PipelineSpec, document: Document, found: Mistakes) -> Promise:
    """What a pipeline promises, as far as it is right; mistakes are put into `found`."""
    arrivals: dict[str, Arrival] = {}
    for source, said in spec.sources.items():
        if said.expect is None:
            continue
        path = said.path if said.type == "files" else None
        mistakes = list(_mistakes(path, said.expect, ("sources", source, "expect"), document))
        found.add(mistakes)
        if not mistakes and path is not None:
            arrivals[source] = _arrival(path, said.expect, said.expect.timezone or _timezone(spec.schedule))
    owner = Owner(spec.owner.team, spec.owner.tier, spec.owner.runbook) if spec.owner else Owner()
    return Promise(name, owner, seconds_of(spec.expect.success_within) if spec.expect else None, arrivals)


def _mistakes(path: str | None, said: SourceExpectSpec, at: KeyPath, document: Document) -> Iterator[Mistake]:
    shown = ".".join(map(str, at))
    if path is None:
        hint = "promise a success instead: expect: {success_within: 2h} at the top"
        yield Mistake(document.key_where(at), f"{shown}: this source reads no files", hint, "conflict")
        return
    if path.startswith("/"):
        hint = "name a connection whose url is the folder, and write the rest here"
        yield Mistake(document.where((*at[:-1], "path")), f"{shown}: the path is not relative", hint, "conflict")
    captures = dict(_CAPTURE.findall(path))
    unknown = [(index, name) for index, name in enumerate(said.each) if name not in captures]
    for index, name in unknown:
        message = f"{shown}.each: the path has no part {{{name}}}"
        yield Mistake(document.where((*at, "each", index)), message, nearest(name, captures, "parts"), "unknown-name")
    if not unknown and len([name for name in said.each if captures[name] and _unit(captures[name])]) != 1:
        message = f"{shown}.each names no part of the path, or more than one, that is a day, a month or a year"
        yield Mistake(document.where((*at, "each")), message, _HINT, "conflict")


def _unit(form: str) -> Period | None:
    """The shortest part of a date that a form says; None for a time of day, or nothing of a date."""
    if re.search("%[HMS]", form):
        return None
    return next((unit for letters, unit in _UNITS if re.search(f"%[{letters}]", form)), None)


def _arrival(path: str, said: SourceExpectSpec, timezone: str) -> Arrival:
    captures = dict(_CAPTURE.findall(path))
    period, unit = next((name, unit) for name in said.each if (unit := _unit(captures[name])))
    by = _BY.fullmatch(said.by)
    assert by is not None  # noqa: S101 - it was checked when it was read
    others = tuple(name for name in said.each if name != period)
    return Arrival(path, period, others, unit, int(by[1] or 1), time(int(by[2]), int(by[3])), timezone)


def _timezone(schedule: Any) -> str:
    """The time zone of a schedule, else UTC."""
    zone = schedule.get("timezone") if isinstance(schedule, dict) else None
    try:
        return ZoneInfo(zone).key if isinstance(zone, str) else "UTC"
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "UTC"
