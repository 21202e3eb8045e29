"""The judge passes a product that does everything right, and finds each way of doing it wrong."""

from collections.abc import Callable
from functools import cache

import pytest
from judging import (
    GOOD_HELD,
    HELD,
    NUMBER,
    PLACE,
    RAW,
    REASON,
    SILENT,
    STOPPED,
    judged,
)
from project_run import Seen
from selection import Case, cases

# A text that every pattern for the reason of a malformed record finds something in.
EVERY_REASON = "a quote; expected 4 fields, found 5; a byte is not UTF-8; NUL; the header; the byte order mark"


@cache
def some() -> list[Case]:
    """A file of each damage, and some with several."""
    return cases(per_defect=2, several=12)


def perfect(case: Case) -> Seen:
    """What a product that does everything right would do with one file."""
    seen = Seen()
    if case.kind == "held":
        seen.held[case.name] = "no record in it; longer than the limit; the header, NUL, the delimiter"
        return seen
    for number, item in enumerate(case.items, 2):
        if item.values is not None:
            seen.rows[case.name].append((number, item.values))
            continue
        rules = [reason.removeprefix("^").partition("\\.type")[0] for reason in item.reasons if r"^" in reason]
        errors = [{"rule": f"{rule}.type", "message": "no value"} for rule in rules if "malformed" not in rule]
        errors.append({"rule": "malformed", "message": EVERY_REASON})
        seen.quarantined[case.name].append(
            {
                "record_number": number,
                "line": item.line,
                "offset": item.offset if item.offset is not None else 0,
                "raw": item.text,
                "errors": errors,
            }
        )
    return seen


def test_what_is_right_passes():
    """No file of the truth is judged wrong, so all that is demanded can be reached."""
    assert [
        (case.name, case.called, judged(case, perfect(case))) for case in some() if judged(case, perfect(case))
    ] == []


def lose_a_row(case: Case, seen: Seen) -> None:
    """Take the last row away."""
    seen.rows[case.name].pop()


def invent_a_row(case: Case, seen: Seen) -> None:
    """Add a row."""
    rows = seen.rows[case.name]
    rows.append((len(case.items) + 2, rows[-1][1]))


def change_a_value(case: Case, seen: Seen) -> None:
    """Change one value of a row."""
    number, values = seen.rows[case.name][0]
    seen.rows[case.name][0] = (number, (*values[:-1], "changed"))


def load_what_is_bad(case: Case, seen: Seen) -> None:
    """Load a damaged record as if it were good."""
    record = seen.quarantined[case.name].pop(0)
    seen.rows[case.name].append((record["record_number"], seen.rows[case.name][0][1]))


def quarantine_what_is_good(case: Case, seen: Seen) -> None:
    """Quarantine a good record."""
    number, _ = seen.rows[case.name].pop(0)
    errors = [{"rule": "malformed", "message": "neighbour"}]
    seen.quarantined[case.name].append({"record_number": number, "line": 2, "raw": "", "errors": errors})


def forget_a_record(case: Case, seen: Seen) -> None:
    """Take a quarantined record away."""
    seen.quarantined[case.name].pop(0)


def hold_the_file(case: Case, seen: Seen) -> None:
    """Hold the whole file."""
    seen.rows.clear()
    seen.quarantined.clear()
    seen.held[case.name] = "for no reason"


def load_nothing(case: Case, seen: Seen) -> None:
    """Leave a file out and say nothing."""
    seen.rows.pop(case.name)
    seen.quarantined.pop(case.name)


def stop(case: Case, seen: Seen) -> None:
    """Fail the load."""
    seen.stopped[case.name] = "failed"
    seen.rows.clear()


def other(key: str, value: object) -> Callable[[Case, Seen], None]:
    """Say something else about a quarantined record."""

    def change(case: Case, seen: Seen) -> None:
        seen.quarantined[case.name][0][key] = value

    return change


def shift_numbers(case: Case, seen: Seen) -> None:
    """Number the last row as if one stood before it that is nowhere."""
    number, values = seen.rows[case.name].pop()
    seen.rows[case.name].append((number + 1, values))


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        (lose_a_row, SILENT),
        (invent_a_row, SILENT),
        (change_a_value, SILENT),
        (load_what_is_bad, SILENT),
        (quarantine_what_is_good, GOOD_HELD),
        (forget_a_record, SILENT),
        (hold_the_file, HELD),
        (load_nothing, SILENT),
        (stop, STOPPED),
        (shift_numbers, NUMBER),
        (other("line", 999), PLACE),
        (other("offset", 999_999), PLACE),
        (other("raw", "something else"), RAW),
        (other("errors", [{"rule": "malformed", "message": "?"}]), REASON),
    ],
)
def test_what_is_wrong_is_found(wrong, found):
    """Each fault is found in every file in which it is made."""
    chosen = [case for case in some() if case.called in {"missing delimiter", "surplus delimiter"}]
    for case in chosen:
        seen = perfect(case)
        wrong(case, seen)
        assert found in {what for what, _ in judged(case, seen)}, case.name
    assert len(chosen) == 4


def test_a_file_that_must_be_held_is_not_loaded():
    """Rows of a file that must be held are silently wrong; so is such a file of which nothing is said."""
    for case in [case for case in some() if case.kind == "held"]:
        seen = Seen()
        assert {what for what, _ in judged(case, seen)} == {SILENT}
        seen.rows[case.name].append((2, ("x",)))
        assert {what for what, _ in judged(case, seen)} == {SILENT}
