"""What came of a file, held against its truth: a list of deviations, empty if all is as it must be."""

import base64
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from drafts import ENCODINGS, LINE_END, Item
from project_run import Seen
from selection import Case

SILENT = "silently wrong"
HELD = "held as a whole"
STOPPED = "stops its load"
STOPS_NEIGHBOURS = "stops its neighbours"
NOT_HELD = "loaded, not held"
GOOD_HELD = "good records quarantined"
REASON = "wrong reason"
PLACE = "wrong place"
RAW = "wrong raw text"
NUMBER = "wrong record number"


def judged(case: Case, seen: Seen) -> list[tuple[str, str]]:
    """(deviation, detail) of one file."""
    found = []
    if case.name in seen.stopping:
        found.append((STOPS_NEIGHBOURS, ""))
    rows = sorted(seen.rows.get(case.name, []))
    records = sorted(seen.quarantined.get(case.name, []), key=lambda record: record["record_number"])
    if case.name in seen.stopped:
        found.append((STOPPED, seen.stopped[case.name]))
        found += [(SILENT, "rows of a load that failed")] if rows else []
        return found
    reason = seen.held.get(case.name)
    if case.kind == "held":
        if reason is None:
            silent = SILENT if rows or not records else NOT_HELD
            return [*found, (silent, f"must be held: {case.held}; {len(rows)} rows, {len(records)} quarantined")]
        wrong = not re.search(case.held, reason, re.IGNORECASE)
        return found + ([(REASON, reason)] if wrong else [])
    if reason is not None:
        found.append((HELD, reason))
        return found + ([(SILENT, "rows of a file that is held")] if rows else [])
    return found + list(_records(case, rows, records))


def _records(
    case: Case, rows: list[tuple[int, tuple[object, ...]]], records: list[dict[str, Any]]
) -> Iterator[tuple[str, str]]:
    """Walk along the truth and what was loaded or quarantined, side by side, in the order of record numbers."""
    line = sorted(
        [(number, values) for number, values in rows] + [(r["record_number"], r) for r in records],
        key=lambda pair: pair[0],
    )
    numbers = [number for number, _ in line]
    if numbers and (numbers[0] < 2 or any(right - left != 1 for left, right in pairwise(numbers))):
        yield NUMBER, f"{numbers[:20]}"
    at = 0
    for item in case.items:
        if at >= len(line):
            yield SILENT, f"lost: line {item.line} {item.text[:80]!r}"
            return
        _, there = line[at]
        at += 1
        if item.values is not None:
            if isinstance(there, dict):
                yield GOOD_HELD, f"line {item.line}: {_told(there)}"
            elif there != item.values:
                yield SILENT, f"line {item.line}: {there} instead of {item.values}"
                return
            continue
        if not isinstance(there, dict):
            yield (SILENT, f"line {item.line} loaded as {there}: {item.text[:80]!r}")
            continue
        group = [there]
        rest = _after(case, item.text, there)
        while rest and at < len(line) and isinstance(line[at][1], dict):
            group.append(line[at][1])
            rest = _after(case, rest, line[at][1])
            at += 1
        yield from _record(item, group, rest)
    if at < len(line):
        yield SILENT, f"a record that no file holds: {line[at]}"


def _record(item: Item, group: list[dict[str, Any]], rest: str | None) -> Iterator[tuple[str, str]]:
    if rest is None or rest:
        yield RAW, f"{[record['raw'] for record in group]} of {item.text[:200]!r}"
    if group[0]["line"] not in (item.line, item.line_by_newlines):
        yield PLACE, f"line {group[0]['line']} instead of {item.line}"
    if "offset" in group[0] and item.offset is not None and group[0]["offset"] != item.offset:
        yield PLACE, f"offset {group[0]['offset']} instead of {item.offset}"
    told = [text for record in group for text in _told(record)]
    for reason in item.reasons:
        if not any(re.search(reason, text, re.IGNORECASE) for text in told):
            yield REASON, f"{told} instead of {reason}"


def _told(record: dict[str, Any]) -> list[str]:
    return [f"{error['rule']}: {error['message']}" for error in record["errors"]]


def _after(case: Case, text: str, record: dict[str, Any]) -> str | None:
    """What follows the record in the text of the damage; None if it does not stand there."""
    for raw in _raws(case, record):
        if text.startswith(raw):
            return LINE_END.sub("", text[len(raw) :], count=1) if LINE_END.match(text, len(raw)) else text[len(raw) :]
    return None


def _raws(case: Case, record: dict[str, Any]) -> Iterator[str]:
    if record["raw"] is not None:
        yield record["raw"]
        return
    data = base64.b64decode(record["raw_base64"])
    codec = ENCODINGS[case.axes[1]][1]
    for name, errors in (
        (codec, "surrogatepass" if "16" in codec else "surrogateescape"),
        ("utf-8", "surrogateescape"),
        ("utf-8", "surrogatepass"),
    ):
        try:
            yield data.decode(name, errors)
        except UnicodeDecodeError:
            continue
