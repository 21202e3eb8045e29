"""No damaged file is loaded silently wrong: thousands of files of known truth, through the whole product."""

from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest
from defects import DEFECTS
from judging import judged
from plain_readers import python_csv, silently_wrong, sniffing_duckdb
from project_run import ProjectRun
from selection import POSITIONS, Case, cases


@cache
def few() -> list[Case]:
    """What the normal suite has time for: every damage, in five files."""
    return cases(per_defect=5, several=24)


@cache
def many() -> list[Case]:
    """Every damage in every line end, encoding, position and packing."""
    return cases(per_defect=40, several=160)


def deviations(made: list[Case], root: Path) -> list[str]:
    """Push files through the product: what came out otherwise than it must. Books and errors are checked here."""
    seen = ProjectRun(root, made).run()
    assert seen.tracebacks == []
    assert seen.unbalanced == []
    assert all(record["offset"] is not None for records in seen.quarantined.values() for record in records)
    return [
        f"{case.name} {case.called} {case.group} {case.axes}: {what}: {detail}"
        for case in made
        for what, detail in judged(case, seen)
    ]


def test_every_damage_once(tmp_path):
    """A few files of every damage: each comes out as it must."""
    assert deviations(few(), tmp_path / "project") == []


@pytest.mark.nightly
def test_more_than_three_thousand_files(tmp_path):
    """Every damage in every encoding, line end, position and packing comes out as it must."""
    made = many()
    assert len(made) >= 3000
    assert deviations(made, tmp_path / "project") == []


def test_plain_readers_are_found_out():
    """The same truth shows that readers as people use them load many of these files silently wrong."""
    made = [case for case in few() if case.axes[3] == "none"]
    assert len(silently_wrong(python_csv, made)) > len(made) / 4
    utf8 = [case for case in made if case.axes[1].startswith("utf-8")]
    assert len(silently_wrong(sniffing_duckdb, utf8)) > len(utf8) / 4


def test_a_sound_reader_of_the_truth_is_not_found_out():
    """The control has a control: whoever reads exactly what stands there, and holds the rest, is never called wrong."""
    made = cases(per_defect=1, several=4)
    assert silently_wrong(lambda case: [item.fields for item in case.items if item.fields], made) == []


@pytest.mark.nightly
def test_the_selection_covers_every_pair():
    """Every damage occurs with every line end, encoding, position and packing that it can have."""
    pairs = {(case.defects[0], axis, value) for case in many() for axis, value in enumerate(case.axes)}
    wanted = {
        (name, axis, value)
        for name, defect in DEFECTS.items()
        for axis, values in enumerate((defect.line_ends, defect.encodings, POSITIONS, set(defect.packings)))
        for value in values
    }
    assert wanted - pairs == set()


def kinds(made: list[Case]) -> dict[str, set[str]]:
    """What comes of the files of each damage."""
    found = defaultdict(set)
    for case in made:
        if case.called in DEFECTS:
            found[case.called].add(case.kind)
    return found


def test_the_outcomes_are_those_of_the_table():
    """The truth of the files is what the table of damages promises."""
    found = kinds(few())
    assert {name: kind for name, kind in found.items() if not kind <= set(DEFECTS[name].outcomes)} == {}
    assert found.keys() == DEFECTS.keys()


@pytest.mark.nightly
def test_every_outcome_of_the_table_occurs():
    """What the table of damages promises is seen, each promise of it."""
    assert kinds(many()) == {name: set(defect.outcomes) for name, defect in DEFECTS.items()}


def test_the_same_seed_gives_the_same_files():
    """A file that failed can be made again."""
    one, two = cases(per_defect=1, several=2), cases(per_defect=1, several=2)
    assert [(case.name, case.data) for case in one] == [(case.name, case.data) for case in two]
