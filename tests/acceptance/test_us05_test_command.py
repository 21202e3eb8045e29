"""US-05, the command: what `pratique test` prints and writes, its exit codes, and that it touches nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from project_tests import FILES, fails, one, passes, pratique, run_tests, write

from pratique.engines.duckdb_late import SKIPS
from pratique.model import SKIP_REASONS
from pratique.testing import run_pipeline_tests


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project whose secrets are not there."""
    for name, text in FILES.items():
        write(tmp_path / name, text)
    return tmp_path


# --- the command ------------------------------------------------------------------------------------------------

TWO = """
    tests:
      - name: sound
        given: {customers: [{id: 1}]}
        expect: {customers: {loaded: 1}}
      - name: wrong
        given: {customers: [{id: 1}]}
        expect: {customers: {loaded: 2}}
"""


def test_one_line_per_test_and_a_summary(root: Path) -> None:
    """What passed, what failed and where its expectation stands; pipelines, files and names choose."""
    result = run_tests(root, TWO)
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines[0].startswith("✓ shop: sound")
    assert lines[1].startswith("✗ shop: wrong")
    assert "pipelines/tests/shop.yaml:9:26" in lines[2]
    assert lines[-1].startswith("1 passed, 1 failed in ")
    assert run_tests(root, TWO, "--only", "sound").exit_code == 0
    assert run_tests(root, TWO, "--only", "s*").exit_code == 0
    assert run_tests(root, TWO, "shop", "--only", "wrong").exit_code == 1
    assert run_tests(root, TWO, str(root / "pipelines" / "tests" / "shop.yaml")).exit_code == 1
    write(
        root / "pipelines" / "tests" / "web.yaml",
        "tests: [{name: w, given: {events: [{id: 1}]}, expect: {events: {loaded: 1}}}]",
    )
    only = run_tests(root, TWO, "web")
    assert (only.exit_code, only.output.count("✓")) == (0, 1)


def test_no_tests_are_no_success(root: Path) -> None:
    """Where nothing is found, that is told with a hint, and the exit code is 2."""
    for words in ((), ("shop",)):
        result = pratique(root, "test", *words)
        assert result.exit_code == 2
        assert "no tests" in result.output
        assert "do: write pipelines/tests/" in result.output
    for words, hint in ((("--only", "sond"), 'did you mean "sound"?'), (("shp",), 'did you mean "shop"?')):
        result = run_tests(root, TWO, *words)
        assert result.exit_code == 2
        assert hint in result.output
    assert run_tests(root, TWO, "pipelines/tests/none.yaml").exit_code == 2


BROKEN = {  # what is wrong -> place and hint
    "tests:\n  - name: a\n    given: {custmers: [{id: 1}]}\n    expect: {customers: {}}\n": (
        "4:13",
        'did you mean "customers"?',
    ),
    "tests:\n  - name: a\n    given: {customers: [{idd: 1}]}\n    expect: {customers: {}}\n": (
        "4:26",
        'did you mean "id"?',
    ),
    "tests:\n  - name: a\n    given: {orders: [{amount: 1}]}\n    expect: {orders: {}}\n": (
        "4:23",
        'did you mean "Amount"?',
    ),
    "tests:\n  - name: a\n    given: {customers: []}\n    expect: {customers: {laoded: 1}}\n": (
        "5:26",
        'did you mean "loaded"?',
    ),
    "tests:\n  - name: a\n    given: {customers: []}\n    expect: {customers: {loaded: -1}}\n": ("5:34", "such as 2"),
    "tests:\n  - name: a\n    given: {customers: []}\n    expect: {customers: {loaded: [{id: '1'}]}}\n": (
        "5:40",
        "without quotes",
    ),
    "tests:\n  - name: a\n    given: {customers: []}\n    expect: {customers: {quarantined: [{rules: [id.tpe]}]}}\n": (
        "5:49",
        'did you mean "id.type"?',
    ),
    "tests:\n  - name: a\n    given: {customers: []}\n    tables: {shop_dev.customer: 1}\n": (
        "5:14",
        "shop_dev.customers",
    ),
    "tests:\n  - name: a\n    given: {customers: []}\n": ("3:11", "add expect:"),
    "tests: []\n": ("2:8", "at least one entry"),
    "pipelne: shop\n": ("2:1", 'did you mean "pipeline"?'),
    "tests:\n  - name: a\n    there: {shop_dev.customers: [{balance: 1.005}]}\n    given: {customers: []}\n    tables: {}\n": (
        "4:44",
        "what the table can hold",
    ),
}


@pytest.mark.parametrize(("text", "told"), BROKEN.items(), ids=range(len(BROKEN)))
def test_a_broken_file_is_told_as_lint_tells_it(root: Path, text: str, told: tuple[str, str]) -> None:
    """Exit code 2 with file, line, column, the part underlined, and what was meant; `pratique lint` says the same."""
    for name in ("WAREHOUSE_OF_PROD", "inbox"):
        assert name not in os.environ
    result = run_tests(root, text)
    assert result.exit_code == 2, result.output
    place, hint = told
    assert f"pipelines/tests/shop.yaml:{place}: error" in result.output
    assert "^" in result.output
    assert hint in " ".join(result.output.split())
    linted = pratique(root, "lint")
    assert linted.exit_code == 2
    assert f"pipelines/tests/shop.yaml:{place}: error" in linted.output


def test_what_cannot_be_given_is_an_error_not_a_failure(root: Path) -> None:
    """A test that cannot be run says so at its place, the others run on, and the exit code is 2."""
    text = """
    tests:
      - name: twice
        given: {sales: {files: [{csv: "a", path: x/a.csv}, {csv: "b", path: x/a.csv}]}}
        expect: {sales: {}}
      - name: sound
        given: {sales: {csv: "sku;price\\na;1\\n", path: {partner: p, month: 2026-01}}}
        expect: {sales: {loaded: 1}}
    """
    result = run_tests(root, text, pipeline="partner")
    assert result.exit_code == 2
    assert "could not be run: two files of sales have the name x/a.csv" in result.output
    assert "✓ partner: sound" in result.output


def test_json_says_everything(root: Path) -> None:
    """One object with each test, its place, its differences."""
    report = json.loads(run_tests(root, TWO, "--json").stdout)
    assert (report["passed"], report["failed"], report["errors"]) == (1, 1, 0)
    assert [test["status"] for test in report["tests"]] == ["passed", "failed"]
    (difference,) = report["tests"][1]["differences"]
    assert (difference["what"], difference["expected"], difference["got"]) == (
        "customers.loaded",
        "2 records",
        "1 record",
    )


def test_junit_is_what_build_servers_read(root: Path, tmp_path: Path) -> None:
    """Suites, cases, failures and errors as the usual readers want them (no package carries their schema: by structure)."""
    target = tmp_path / "build" / "tests.xml"
    text = TWO.replace("name: wrong", 'name: "wr\\x01ong <&>"') + (
        "      - name: error\n        given: {customers: {files: [{csv: a, path: a.csv}, {csv: b, path: a.csv}]}}\n"
        "        expect: {customers: {}}\n"
    )
    assert run_tests(root, text, "--junit", str(target)).exit_code == 2
    top = ET.fromstring(target.read_text(encoding="utf-8"))  # noqa: S314 - our own file
    assert top.tag == "testsuites"
    (suite,) = top
    for element in (top, suite):
        numbers = {word: element.get(word) for word in ("tests", "failures", "errors", "skipped")}
        assert numbers == {"tests": "3", "failures": "1", "errors": "1", "skipped": "0"}
        assert float(element.get("time", "")) > 0
    assert (suite.tag, suite.get("name")) == ("testsuite", "shop")
    assert time.strptime(suite.get("timestamp", ""), "%Y-%m-%dT%H:%M:%S")
    assert suite.get("hostname")
    sound, wrong, error = suite
    assert [case.tag for case in suite] == ["testcase"] * 3
    assert (sound.get("classname"), sound.get("name"), len(sound)) == ("shop", "sound", 0)
    assert wrong.get("name") == "wr\\u0001ong <&>"
    assert (wrong[0].tag, wrong[0].get("type")) == ("failure", "difference")
    assert "customers.loaded" in (wrong[0].get("message") or "")
    assert "expected" in (wrong[0].text or "")
    assert (error[0].tag, error[0].get("type")) == ("error", "configuration")


def test_sensitive_values_are_masked_everywhere(root: Path, tmp_path: Path) -> None:
    """Neither side of a difference shows a value of a sensitive field: on the terminal, in JSON, in JUnit."""
    body = """
        given: {customers: [{id: 1, email: canary-one@example.org}, {id: 2, email: canary two}]}
        expect:
          customers:
            loaded: [{id: 1, email: "canary-three@example.org"}, {id: 3, email: canary-four@example.org}]
            quarantined: [{email: canary five, rules: [email.format], message: canary six, raw: "canary seven"}]
    """
    target = tmp_path / "j.xml"
    shown = one(root, body, "--junit", str(target))
    fails(shown, "***", "email.format")
    for text in (shown.output, one(root, body, "--json").output, target.read_text(encoding="utf-8")):
        assert "canary" not in text


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder, with its time and content."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
    }


def test_nothing_but_a_temporary_folder_is_touched(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No file of the project, its state or its destinations changes, no secret is needed, nothing is left behind."""
    write(root / "pipelines" / "tests" / "shop.yaml", "pipeline: shop\n" + textwrap.dedent(TWO))
    scratch, home = tmp_path_factory.mktemp("scratch"), tmp_path_factory.mktemp("home")
    before = snapshot(root)
    environ = {**os.environ, "TMPDIR": str(scratch), "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pratique", "test"], cwd=root, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "1 passed, 1 failed" in done.stdout
    assert snapshot(root) == before
    assert list(scratch.iterdir()) == []
    assert list(home.iterdir()) == []


def test_tests_do_not_see_each_other(root: Path) -> None:
    """The same record is new in each test: no row, no file and no key of one is there in the next."""
    test = "  - {{name: t{}, given: {{customers: [{{id: 1}}]}}, expect: {{customers: {{loaded: 1}}}}, tables: {{shop_dev.customers: 1}}}}\n"
    result = run_tests(root, "tests:\n" + "".join(test.format(number) for number in range(3)))
    assert result.exit_code == 0, result.output


def test_the_environment_decides(root: Path) -> None:
    """`--env` is the one of a run: the dataset has its name."""
    body = "given: {customers: [{id: 1}]}\ntables: {shop_prod.customers: 1}"
    passes(one(root, body, "--env", "prod"))
    assert one(root, body).exit_code == 2


def test_python_runs_them_too(root: Path) -> None:
    """`pratique.testing.run_pipeline_tests` gives the same results as values."""
    run_tests(root, TWO)
    report = run_pipeline_tests(root, "shop")
    assert [(result.name, result.status) for result in report.results] == [("sound", "passed"), ("wrong", "failed")]
    assert report.exit_code == 1
    assert report.results[1].differences[0].expected == "2 records"


def test_the_reasons_of_skips_are_those_of_the_engine() -> None:
    """What `skipped:` may name is what accounts name."""
    assert set(SKIP_REASONS) == {*SKIPS.values(), "filter", "held before"}


def test_the_demo_has_tests_and_they_pass() -> None:
    """What stands in `pipelines/tests/` of this repository holds."""
    result = pratique(Path(__file__).resolve().parents[2], "test")
    assert result.exit_code == 0, result.output
    assert result.output.count("✓ nycflights13: ") >= 8


def test_twenty_tests_take_a_few_seconds(root: Path) -> None:
    """Tests are run while people write: twenty small ones in about 3 s of a quiet machine, and never in many."""
    test = (
        "  - {{name: t{}, given: {{customers: [{{id: 1}}, {{id: x}}]}}, expect: {{customers: {{quarantined: 1}}}}}}\n"
    )
    began = time.process_time()
    result = run_tests(root, "tests:\n" + "".join(test.format(number) for number in range(20)))
    assert result.exit_code == 0, result.output
    assert time.process_time() - began < 12  # Limit: of a machine that does much else at the same time
