"""The table of a run's account: one line per source, and the line that says whether all of it balances. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from pratique.cli.text import coloured, columns, hanging, left, middle, right, shown
from pratique.model import Account
from pratique.reports import RunReport, SourceReport

_LOUD: Final[frozenset[str]] = frozenset({"failed", "gated"})
_NONE: Final = "–"  # noqa: RUF001 - the dash that tables use
_SIGNS: Final[tuple[str, ...]] = ("=", "+", "+")
_NAME_COLUMNS_MIN: Final[int] = 4  # Limit: a source's name is not shortened below this, nor is one shown longer than 40
_NAME_COLUMNS_MAX: Final[int] = 40


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of the table; `tail` holds share, newest data and remark, which leave the line first if it is long."""

    name: str
    outcome: str
    numbers: tuple[str, str, str, str]
    signs: tuple[str, ...]
    tail: tuple[str, str, str]
    colour: str = ""


def count(number: int) -> str:
    """Give a number with its thousands parted: `1,234,567`."""
    return f"{number:,}"


def rows(number: int) -> str:
    """Give a number of rows with its noun: `1 row`, `1,234 rows`."""
    return "1 row" if number == 1 else f"{count(number)} rows"


def percent(part: int, whole: int) -> str:
    """Give a share with two decimals; one that is not 0 or all is never shown as such."""
    if not whole:
        return _NONE
    share = 100 * part / whole
    if 0 < share < 0.01:  # noqa: PLR2004 - what two decimals can show
        return "<0.01 %"
    if 99.99 < share < 100:  # noqa: PLR2004 - likewise
        return ">99.99 %"
    return f"{share:.2f} %"


def moment(text: str, now: datetime) -> str:
    """Give a date or time of the data as people read it: `2026-10-31`, `2026-10-31 06:58`, `06:58 today`.

    A time that says its zone is told in the zone of `now`, as every time of a report. Other text stays as it is.
    """
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        return shown(text)
    if len(text) == len("2026-10-31"):
        return text
    if told.tzinfo is not None:
        told = told.astimezone(now.tzinfo)
    return f"{told:%H:%M} today" if told.date() == now.date() else f"{told.date()} {told:%H:%M}"


def account_table(report: RunReport, width: int, *, color: bool, now: datetime) -> list[str]:
    """Lay the sources out under a header; numbers stand under each other, and no line is wider than `width`.

    Where that needs it, first the remark, then newest data, then the share move to a line of their own, and names lose
    their middle. Sums cover what took effect: not what a gate refused, whose numbers stand without `=` and `+`.
    """
    loaded = "would load" if report.dry_run else "loaded"
    header = _Line(
        "source", "outcome", ("read", loaded, "quarantined", "skipped"), (" ",) * 3, ("share", "newest data", "")
    )
    lines = [_line(source, now) for source in report.sources]
    total = _total(report.sources)
    broken = "" if total.balances() else _broken(total)
    if not broken and any(source.account for source in report.sources):
        lines.append(_Line("account", "balances", _numbers(total), _SIGNS, ("", "", "")))
    rendered = _laid_out(header, lines, width, color=color)
    return [*rendered, coloured(broken, "red", on=color)] if broken else rendered


def _line(source: SourceReport, now: datetime) -> _Line:
    loud = source.outcome in _LOUD
    outcome = source.outcome.upper() if loud else source.outcome
    newest = moment(source.newest, now) if source.newest else ""
    account = source.account or source.judged
    if account is None:
        numbers, tail = (_NONE, _NONE, _NONE, _NONE), (_NONE, newest, "")
        return _Line(shown(source.source), outcome, numbers, (" ",) * 3, tail, "red" if loud else "")
    numbers = _numbers(account)
    signs = _SIGNS
    if source.account is None:  # the gate refused it
        numbers, signs = (numbers[0], "0", *numbers[2:]), (" ",) * 3
    share = percent(account.quarantined, account.read)
    return _Line(shown(source.source), outcome, numbers, signs, (share, newest, _merged(source)), "red" if loud else "")


def _numbers(account: Account) -> tuple[str, str, str, str]:
    numbers = (account.read, account.loaded, account.quarantined, sum(account.skipped.values()))
    return count(numbers[0]), count(numbers[1]), count(numbers[2]), count(numbers[3])


def _merged(source: SourceReport) -> str:
    written = source.written
    if written is None or not (source.disposition == "merge" or written.updated or written.unchanged):
        return ""
    return f"{count(written.inserted)} new, {count(written.updated)} changed, {count(written.unchanged)} same"


def _total(sources: tuple[SourceReport, ...]) -> Account:
    accounts = [source.account for source in sources if source.account]
    return Account(
        read=sum(account.read for account in accounts),
        loaded=sum(account.loaded for account in accounts),
        quarantined=sum(account.quarantined for account in accounts),
        skipped={"": sum(sum(account.skipped.values()) for account in accounts)},
    )


def _broken(total: Account) -> str:
    read, loaded, quarantined, skipped = _numbers(total)
    found = count(total.loaded + total.quarantined + sum(total.skipped.values()))
    return f"  account  DOES NOT BALANCE: {read} read, but {loaded} + {quarantined} + {skipped} = {found}"


def _laid_out(header: _Line, lines: list[_Line], width: int, *, color: bool) -> list[str]:
    """Draw the lines with as much of their tail beside them as the width allows."""
    every = [header, *lines]
    if 2 + _NAME_COLUMNS_MIN + 2 + max(columns(line.outcome) for line in every) + 2 + _room(every) > width:
        every = [replace(line, numbers=_unparted(line.numbers)) for line in every]
    names = min(max(columns(line.name) for line in every), _NAME_COLUMNS_MAX)
    outcomes = max(columns(line.outcome) for line in every)
    sizes = [max(columns(line.numbers[place]) for line in every) for place in range(4)]
    tails = [max(columns(line.tail[place]) for line in every) for place in range(3)]
    if not any(line.tail[1] for line in lines):
        tails[1] = 0  # nobody knows how new the data is: no column for it
    fixed = 2 + names + 2 + outcomes + 2 + sum(sizes) + 9
    beside = 3
    while beside and fixed + sum(2 + size for size in tails[:beside] if size) > width:
        beside -= 1
    names = max(min(names, names + width - fixed), _NAME_COLUMNS_MIN) if not beside else names
    drawn = []
    for line in every:
        text = _start(line, names, outcomes, sizes, color=color and line is not every[0])
        text += "".join(f"  {_cell(line.tail[place], tails[place], place)}" for place in range(beside) if tails[place])
        drawn.append(text.rstrip())
        below = [_named(header, line, place) for place in range(beside, 3) if line.tail[place].strip(_NONE)]
        if below and line is not every[0]:
            drawn += hanging("    ", " · ".join(below), width)
    return drawn


def _room(lines: list[_Line]) -> int:
    """The columns that the numbers take, with the signs between them."""
    return sum(max(columns(line.numbers[place]) for line in lines) for place in range(4)) + 9


def _unparted(numbers: tuple[str, str, str, str]) -> tuple[str, str, str, str]:
    read, loaded, quarantined, skipped = (number.replace(",", "") for number in numbers)
    return read, loaded, quarantined, skipped


def _start(line: _Line, names: int, outcomes: int, sizes: list[int], *, color: bool) -> str:
    outcome = left(line.outcome, outcomes)
    text = f"  {left(middle(line.name, names), names)}  "
    text += coloured(outcome, line.colour, on=color and bool(line.colour)) + "  "
    text += right(line.numbers[0], sizes[0])
    for sign, number, size in zip(line.signs, line.numbers[1:], sizes[1:], strict=True):
        text += f" {sign} {right(number, size)}"
    return text


def _cell(text: str, size: int, place: int) -> str:
    return right(text, size) if place == 0 else left(text, size)


def _named(header: _Line, line: _Line, place: int) -> str:
    if place == 0:
        return f"{line.tail[0]} quarantined"
    return f"{header.tail[place]} {line.tail[place]}".strip()
