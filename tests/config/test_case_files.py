"""Files of tests beside pipelines, as loaders read them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pratique.case_files import read_cases
from pratique.cases import RECORD_WORDS
from pratique.errors import ConfigurationError
from pratique.mistakes import Mistakes
from pratique.project import Project

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """The demo, without its data."""
    for folder in ("config", "pipelines", "schemas"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return Project(tmp_path, "dev")


def test_no_damage_of_a_file_ends_in_a_traceback(project: Project) -> None:
    """Lines of the demo's tests taken away, doubled, cut, opened or shouted: always tests, or mistakes at their places."""
    (file,) = project.test_files()
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    told = 0
    for at, line in enumerate(lines):
        damage = ("", line * 2, line[: len(line) // 2] + "\n", line.replace(":", ": [", 1), line.upper())[at % 5]
        file.write_text("".join([*lines[:at], damage, *lines[at + 1 :]]), encoding="utf-8")
        found = Mistakes()
        with found.caught():
            read_cases(project, file, found)
        told += bool(found.errors)
        assert all(mistake.line and mistake.hint for mistake in found.errors), damage
    assert told > len(lines) // 3


def test_fields_that_are_called_like_a_word_stand_under_record(project: Project) -> None:
    """`record: {…}` names fields that would else be words of the test."""
    schema = "fields: {" + ", ".join(f"{word}: integer" for word in RECORD_WORDS) + "}\n"
    (project.root / "schemas" / "words.yaml").write_text(schema, encoding="utf-8")
    pipeline = "sources: {words: {path: w.csv, schema: words}}\ndestination: {connection: warehouse}\n"
    (project.root / "pipelines" / "words.yaml").write_text(pipeline, encoding="utf-8")
    path = project.root / "pipelines" / "tests" / "words.yaml"
    held = "[{record: {rules: 1, record: 2}, rules: [rules.type, record.type], line: 3}]"
    path.write_text(
        f"tests: [{{name: a, given: {{words: [{{rules: 1}}]}}, expect: {{words: {{quarantined: {held}}}}}}}]\n",
        encoding="utf-8",
    )
    found = Mistakes()
    (case,) = read_cases(project, path, found)
    assert not list(found)
    records = case.expect["words"].quarantined
    assert isinstance(records, tuple)
    assert records[0].values == {"rules": "1", "record": "2"}
    assert records[0].rules == ("rules.type", "record.type")
    path.write_text(
        path.read_text(encoding="utf-8").replace("rules: [rules.type", "ruls: [rules.type"), encoding="utf-8"
    )
    assert read_cases(project, path, found) == ()
    assert [mistake.hint for mistake in found] == ['did you mean "rules"?']


def test_a_file_that_is_no_list_of_tests_is_refused(project: Project) -> None:
    """An empty file, a list, a pipeline: each is told at its place."""
    path = project.root / "pipelines" / "tests" / "nycflights13.yaml"
    for text in ("", "- a\n", "tests: 5\n", "sources: {}\n", "tests: [1, 2]\n"):
        path.write_text(text, encoding="utf-8")
        found = Mistakes()
        with found.caught():
            read_cases(project, path, found)
        assert found.errors, text
        with pytest.raises(ConfigurationError):
            found.refuse()
