"""The house keeps itself tidy: sizes, names, honest tests, quoted SQL, nothing of a machine in the tree."""

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINES_MAX = 500
FUNCTION_LINES_MAX = 60
VAGUE_NAMES = {"utils", "util", "common", "helpers", "helper", "misc"}
SQL = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|CREATE|ATTACH|COPY|PRAGMA|SET|FROM|WHERE)\b")
MACHINE_PATH = re.compile(r"(?<![\w.}])/(?:wor[k]|roo[t]|hom[e]|User[s])/\w")
ADDRESS = re.compile(r"https?://")

Finder = Callable[[str], Iterator[str]]


def tracked(*patterns: str) -> list[Path]:
    """Files of the tree that are committed, or would be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return [ROOT / name for name in sorted(set(listed)) if (ROOT / name).is_file()]


def functions(text: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method in a module."""
    return (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def long_files(text: str) -> Iterator[str]:
    """A file that nobody reads in one go."""
    if (lines := len(text.splitlines())) > LINES_MAX:
        yield f"{lines} lines"


def long_functions(text: str) -> Iterator[str]:
    """A function that does not fit on a page."""
    for function in functions(text):
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        if lines > FUNCTION_LINES_MAX:
            yield f"{function.name}: {lines} lines"


def broad_excepts(text: str) -> Iterator[str]:
    """A handler that swallows what it does not understand; one that tidies up and raises it again is none."""
    for node in ast.walk(ast.parse(text)):
        raised = isinstance(node, ast.ExceptHandler) and ast.unparse(node.body[-1]) == "raise"
        if isinstance(node, ast.ExceptHandler) and not raised:
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            names = {item.id if isinstance(item, ast.Name) else None if item is None else "" for item in caught}
            if names & {None, "Exception", "BaseException"}:
                yield f"line {node.lineno}"


def unfinished(text: str) -> Iterator[str]:
    """Words of work that was not done."""
    for number, line in enumerate(text.splitlines(), 1):
        if re.search(r"\b(TODO|FIXME|XXX|NotImplementedError)\b", line):
            yield f"line {number}: {line.strip()}"


def silent_tests(text: str) -> Iterator[str]:
    """A test that does not say which promise it holds."""
    for function in functions(text):
        if function.name.startswith("test_") and not ast.get_docstring(function):
            yield function.name


def idle_tests(text: str) -> Iterator[str]:
    """A test that cannot fail or does not run, and a test that patches our own code."""
    for node in ast.walk(ast.parse(text)):
        source = ast.unparse(node) if isinstance(node, ast.Assert | ast.Attribute | ast.Import | ast.ImportFrom) else ""
        if isinstance(node, ast.Assert) and isinstance(node.test, ast.Constant) and node.test.value:
            yield f"line {node.lineno}: {source}"
        if re.fullmatch(r"pytest\.(skip|importorskip|mark\.(skip|skipif))|monkeypatch\.setattr", source):
            yield f"line {node.lineno}: {source}"
        if isinstance(node, ast.Import | ast.ImportFrom) and "mock" in source:
            yield f"line {node.lineno}: {source}"


def hand_quoted_sql(text: str) -> Iterator[str]:
    """A value put between quotes in SQL by hand instead of by `schema.sql`."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.JoinedStr):
            continue
        parts = [part.value if isinstance(part, ast.Constant) else None for part in node.values]
        if not SQL.search("".join(str(part or " ") for part in parts)):
            continue
        for before, hole, after in zip(["", *parts], parts, [*parts[1:], ""], strict=False):
            if hole is None and any((before or "").endswith(q) and (after or "").startswith(q) for q in ("'", '"')):
                yield f"line {node.lineno}: {ast.unparse(node)[:80]}"


def machine_paths(text: str) -> Iterator[str]:
    """The folder of somebody's machine."""
    for number, line in enumerate(text.splitlines(), 1):
        if MACHINE_PATH.search(line):
            yield f"line {number}: {line.strip()[:80]}"


def addresses(text: str) -> Iterator[str]:
    """The address of a package registry or mirror."""
    return (f"line {number}" for number, line in enumerate(text.splitlines(), 1) if ADDRESS.search(line))


def found(finder: Finder, files: list[Path]) -> list[str]:
    """Everything that `finder` objects to, as a person wants to read it."""
    assert files
    texts = ((path, path.read_bytes().decode(errors="replace")) for path in files)
    return [f"{path.relative_to(ROOT)}: {what}" for path, text in texts for what in finder(text)]


EVERY_RULE = [
    pytest.param(long_files, ("src/*.py", "tests/*.py", "benchmarks/*.py", "scripts/*.py", "docs/*.py"), id="files"),
    pytest.param(long_functions, ("src/*.py", "benchmarks/*.py", "scripts/*.py", "docs/*.py"), id="functions"),
    pytest.param(unfinished, ("src/*.py",), id="unfinished"),
    pytest.param(silent_tests, ("tests/*test_*.py",), id="silent tests"),
    pytest.param(idle_tests, ("tests/*.py",), id="idle tests"),
    pytest.param(hand_quoted_sql, ("src/*.py", ":!src/pratique/schema/sql.py"), id="hand-quoted SQL"),
    pytest.param(machine_paths, (".",), id="machine paths"),
    pytest.param(addresses, ("requirements",), id="addresses in locks"),
]

CONTROLS = [
    pytest.param(long_files, "x = 1\n" * (LINES_MAX + 1), id="files"),
    pytest.param(long_functions, "def f():\n" + "    x = 1\n" * FUNCTION_LINES_MAX, id="functions"),
    pytest.param(broad_excepts, "try:\n    f()\nexcept (ValueError, Exception):\n    g()\n", id="broad"),
    pytest.param(broad_excepts, "try:\n    f()\nexcept:\n    g()\n", id="bare"),
    pytest.param(unfinished, "x = 1  # TO" + "DO later\n", id="unfinished"),
    pytest.param(silent_tests, "def test_x():\n    assert x\n", id="silent tests"),
    pytest.param(idle_tests, "assert True\n", id="assert true"),
    pytest.param(idle_tests, "@pytest.mark.skipif(x, reason='')\ndef test_x(): ...\n", id="skip"),
    pytest.param(idle_tests, "from unittest import mock\n", id="mock"),
    pytest.param(hand_quoted_sql, "sql = f\"SELECT * FROM t WHERE a = '{value}'\"\n", id="hand-quoted SQL"),
    pytest.param(machine_paths, "see /" + "home/anna/data\n", id="machine paths"),
    pytest.param(addresses, "--index-url https" + "://pypi.example/simple\n", id="addresses in locks"),
]


@pytest.mark.parametrize(("finder", "patterns"), EVERY_RULE)
def test_the_tree_is_tidy(finder: Finder, patterns: tuple[str, ...]) -> None:
    """Nothing in the tree breaks a rule of the house."""
    assert found(finder, tracked(*patterns)) == []


@pytest.mark.parametrize(("finder", "text"), CONTROLS)
def test_each_rule_finds_what_it_is_for(finder: Finder, text: str) -> None:
    """A rule that would let the fault through is no rule."""
    assert list(finder(text))


def test_two_broad_excepts_in_the_package() -> None:
    """Only the event bus may catch everything, for an observer can never fail a run, and who runs a program of others."""
    places = {place.split(":")[0] for place in found(broad_excepts, tracked("src/*.py"))}
    assert places == {"src/pratique/monitoring/bus.py", "src/pratique/sources/python_object.py"}


def test_no_module_has_a_vague_name() -> None:
    """A module is named after what it does; `utils` is where code goes to be forgotten."""
    assert [path for path in tracked("src/*.py", "tests/*.py") if path.stem in VAGUE_NAMES] == []


def test_names_of_test_files_are_unique() -> None:
    """Two test files of one name hide one another in reports."""
    names = [path.name for path in tracked("tests/*test_*.py")]
    assert sorted(names) == sorted(set(names))
