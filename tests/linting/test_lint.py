"""`pratique lint`: every mistake at its exact place, with a hint that mends it; every form of the output."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pratique.cli.main import program

HERE = Path(__file__).parent
PLAIN = {
    "config/default.yaml": "connections: {warehouse: {url: 'duckdb://w.duckdb'}, inbox: {url: in}}\n",
    "schemas/users.yaml": "primaryKey: id\nfields: {id: integer, name: {required: true}}\n",
    "pipelines/daily.yaml": (
        "sources:\n  users: {connection: inbox, path: users.csv, schema: users}\ndestination: {connection: warehouse}\n"
    ),
}
MARK = re.compile("«(.*?)⇒(.*?)»", re.DOTALL)


@dataclass(frozen=True)
class Mark:
    """What is wrong in a case: line, column and the column behind it, and what mends it."""

    line: int
    column: int
    end: int
    wrong: str
    right: str


@dataclass(frozen=True)
class Case:
    """A file with marked mistakes, and the codes of these."""

    name: str
    file: str
    codes: list[str]
    text: str
    repaired: str
    marks: list[Mark] = field(default_factory=list)


def cases() -> list[Case]:
    """The cases of broken.txt."""
    found = []
    for number, part in enumerate((HERE / "broken.txt").read_text(encoding="utf-8").split("=== ")[1:], 1):
        title, _, body = part.partition("\n")
        file, _, codes = title.partition(": ")
        text, marks, at = "", [], 0
        for match in MARK.finditer(body):
            text += body[at : match.start()]
            line, column = text.count("\n") + 1, len(text) - text.rfind("\n")
            marks.append(Mark(line, column, column + len(match[1]), match[1], match[2]))
            text, at = text + match[1], match.end()
        name = f"{number}-{codes.split(', ')[0]}-{marks[0].wrong[:20]}"
        found.append(Case(name, file, codes.split(", "), text + body[at:], MARK.sub(r"\2", body), marks))
    return found


CASES = cases()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small project without mistakes, which is the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PRATIQUE_ENV", raising=False)
    write(tmp_path, PLAIN)
    return tmp_path


def write(root: Path, files: dict[str, str]) -> None:
    """Write files by their path."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


def lint(*args: str, columns: int = 80) -> Result:
    """Run `pratique lint` in this process; whatever is raised there is raised here."""
    result = CliRunner().invoke(program, ["lint", *args], env={"COLUMNS": str(columns)})
    assert "Traceback" not in result.output
    return result


def found(*args: str) -> list[dict[str, object]]:
    """What lint finds, as JSON."""
    return json.loads(lint("--format", "json", *args).stdout)["mistakes"]  # type: ignore[no-any-return]


def test_there_are_many_cases() -> None:
    """At least 60 broken files, of every code that a single file can have."""
    assert len(CASES) >= 60
    codes = {code for case in CASES for code in case.codes}
    assert codes >= {"unknown-key", "missing-key", "type", "value", "unknown-name", "rule", "pattern", "conflict"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_mistake_is_found_at_its_place_and_mended_by_its_hint(root: Path, case: Case) -> None:
    """Every mistake of a file, and nothing else, at its exact span; what its hint says makes the file clean."""
    write(root, {case.file: case.text})
    told = found()
    places = sorted((item["line"], item["column"], item["end_column"]) for item in told)
    assert [item["file"] for item in told] == [case.file] * len(case.marks)
    starts = [(mark.line, mark.column) for mark in case.marks]
    assert [place[:2] for place in places] == starts, told
    for place, mark in zip(places, case.marks, strict=True):
        first = mark.wrong.splitlines()[0] if mark.wrong.strip() else ""
        assert not first or place[2] == mark.column + len(first) or "rule" in case.codes or ":" in first, told
    assert sorted(str(item["code"]) for item in told) == sorted(case.codes)
    for item, mark in zip(told, case.marks, strict=True):
        assert item["hint"], item
        if item["meant"]:
            assert item["meant"] == mark.right.strip("\"'"), item
    write(root, {case.file: case.repaired})
    assert found() == []


def test_the_messages_read_as_they_should(root: Path) -> None:
    """The text of every case is what stands in expected.txt (PRATIQUE_SNAPSHOTS=write writes it anew)."""
    told = []
    for case in CASES:
        write(root, PLAIN)
        write(root, {case.file: case.text})
        told.append(f"=== {case.name}\n{lint().stdout}")
    text = "\n".join(told)
    path = HERE / "expected.txt"
    if os.environ.get("PRATIQUE_SNAPSHOTS") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
