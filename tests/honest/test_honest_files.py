"""No damaged file is loaded silently wrong: thousands of files of known truth, through the whole product."""

from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest
from defects import DEFECTS
from judging import REASON, SILENT, judged
from not_yet import NO_OFFSET, NOT_YET, OFFSET, ONLY_NIGHTLY, ends_the_run, entry
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


def deviations(made: list[Case], root: Path) -> dict[str, dict[str, list[str]]]:
    """Push files through the product: entry -> deviation -> files with details. Books and errors are checked here."""
    suspects = [case.name for case in made if ends_the_run(case)]
    seen = ProjectRun(root, made, suspects).run()
    assert seen.tracebacks == []
    assert seen.unbalanced == []
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    without = [record for records in seen.quarantined.values() for record in records if "offset" not in record]
    if without:
        found[OFFSET][NO_OFFSET] = [str(without[0])]
    for case in made:
        name = entry(case)
        for what, detail in judged(case, seen):
            if not (name != case.called and case.kind == "held" and what == REASON):  # held it is
                found[name][what].append(f"{case.name} {case.called} {case.group} {case.axes} {detail}")
    return found


def unlisted(found: dict[str, dict[str, list[str]]]) -> list[str]:
    """Deviations that no entry of NOT_YET tells of."""
    return [
        f"{name}: {what}: {files[:3]}"
        for name, whats in found.items()
        for what, files in whats.items()
        if what not in NOT_YET.get(name, ())
    ]


def test_every_damage_once(tmp_path):
    """A few files of every damage: each comes out as it must, or as NOT_YET says, which says nothing needlessly."""
    found = deviations(few(), tmp_path / "project")
    assert unlisted(found) == []
    assert {name for name in NOT_YET if name not in found} <= ONLY_NIGHTLY


@pytest.mark.nightly
def test_more_than_three_thousand_files(tmp_path):
    """Every damage in every encoding, line end, position and packing: exactly what NOT_YET says is missing."""
    made = many()
    assert len(made) >= 3000
    found = deviations(made, tmp_path / "project")
    assert unlisted(found) == []
    assert {name: set(whats) for name, whats in found.items()} == NOT_YET


def test_nothing_is_silently_wrong_beyond_the_list():
    """Silent damage is listed by name; the list is short, and each entry is a fault that somebody mends."""
    assert {name for name, whats in NOT_YET.items() if SILENT in whats} <= {
        "missing delimiter",
        "stray quote inside a field",
        "stray quote at the end of a field",
        "space before an opening quote",
        "two records in one line",
        "a header again",
        "two or three of these, far apart",
    }


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
