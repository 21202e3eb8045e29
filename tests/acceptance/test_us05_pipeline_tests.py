"""US-05: `pratique test` runs a user's own pipeline tests: given these records, expect these loaded and these held."""

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
from click.testing import CliRunner, Result

from pratique.cli.main import program
from pratique.engines.duckdb_late import SKIPS
from pratique.model import SKIP_REASONS
from pratique.testing import run_pipeline_tests

FILES = {
    "config/default.yaml": """
        connections:
          warehouse: {url: "duckdb://${WAREHOUSE_OF_PROD}/w.duckdb"}
          inbox: {url: "${file:/run/secrets/inbox}"}
        """,
    "schemas/customers.yaml": """
        primaryKey: id
        fields:
          id: integer
          email: {format: email, sensitive: true}
          seen_at: datetime
          balance: "decimal(9,2)"
        """,
    "schemas/orders.yaml": """
        primaryKey: order_id
        filter: "status <> 'draft'"
        fields:
          order_id: {from: [Order No, Bestellnr]}
          customer: {type: integer, from: Customer}
          ordered_on: {type: date, from: Date}
          amount: {type: "decimal(9,2)", minimum: 0, from: Amount}
          paid: {type: boolean, from: Paid}
          status: {from: Status}
        checks:
          big: {rule: "amount < 1000", severity: warn}
          some: {rule: "count(*) > 1", scope: set, severity: fail}
        references: {customer: customers.id}
        """,
    "schemas/sales.yaml": """
        dialect: {delimiter: ";", footer: "^Summe;"}
        defaults: {decimalChar: ",", missingValues: ["n/a"]}
        fields:
          sku: {required: true}
          price: "decimal(9,2)"
          partner: {from: path.partner}
          month: {from: path.month, type: date}
        """,
    "schemas/events.yaml": """
        timezone: UTC
        fields: {id: {type: "decimal(20,2)"}, at: datetime, tags: array}
        """,
    "pipelines/shop.yaml": """
        sources:
          orders: {connection: inbox, path: "orders/*.csv", schema: orders, quarantine: {max_share: 0.4}}
          customers: {connection: inbox, path: customers.csv, schema: customers, write: merge, keep: latest(seen_at)}
        destination: {connection: warehouse, dataset: "shop_{env}"}
        """,
    "pipelines/partner.yaml": """
        sources:
          sales: {path: "{partner}/sales_{month:%Y-%m}*.csv", schema: sales,
                  overrides: [{when: {partner: acme}, dialect: {delimiter: "|", encoding: windows-1252}}]}
        destination: {connection: warehouse}
        """,
    "pipelines/web.yaml": """
        sources:
          events: {path: "events.jsonl", schema: events}
        destination: {connection: warehouse}
        """,
}
ANN = '{id: 1, email: "ann@example.org", seen_at: "2026-01-01T10:00:00", balance: 1.50}'
ORDER = '{Order No: "A1", Customer: "1", Date: "2026-11-02", Amount: 12.50, Paid: "true", Status: sent}'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project whose secrets are not there."""
    for name, text in FILES.items():
        write(tmp_path / name, text)
    return tmp_path


def write(path: Path, text: str) -> None:
    """A file of the project, indented as it stands in a test."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")


def pratique(root: Path, *words: str) -> Result:
    """A command on the project."""
    return CliRunner().invoke(program, [*words, "--project", str(root)], env={"COLUMNS": "120"})


def run_tests(root: Path, text: str, *words: str, pipeline: str = "shop") -> Result:
    """Run tests that are written so in the file of a pipeline."""
    write(root / "pipelines" / "tests" / f"{pipeline}.yaml", f"pipeline: {pipeline}\n{textwrap.dedent(text)}")
    return pratique(root, "test", *words)


def one(root: Path, body: str, *words: str, pipeline: str = "shop") -> Result:
    """Run one test."""
    inner = textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")
    return run_tests(root, f"tests:\n  - name: it\n{inner}\n", *words, pipeline=pipeline)


def passes(result: Result) -> None:
    """The test passed, and that is what is told."""
    assert result.exit_code == 0, result.output
    assert "1 passed in " in result.output


def fails(result: Result, *told: str) -> None:
    """The test failed, and the output says each of these, blanks aside."""
    assert result.exit_code == 1, result.output
    assert "1 failed in " in result.output
    flat = " ".join(result.output.split())
    for text in told:
        assert " ".join(text.split()) in flat, result.output


# --- given ------------------------------------------------------------------------------------------------------


def test_records_are_given_by_header_names_and_judged_from_text(root: Path) -> None:
    """Texts, numbers with every digit that is written, booleans and null; what is not given is missing."""
    body = """
        there: {shop_dev.customers: [{id: 1}]}
        given:
          orders:
            - {Bestellnr: A1, Customer: 1, Date: "2026-11-02", Amount: 12.50, Paid: true, Status: "a, \\"b\\"; c"}
            - {Bestellnr: A2, Customer: null, Amount: 12.505}
            - {Bestellnr: A3, Customer: 1, Status: sent}
        expect:
          orders:
            loaded:
              - {order_id: A1, customer: 1, ordered_on: "2026-11-02", amount: 12.5, paid: true, status: "a, \\"b\\"; c"}
              - {order_id: A3, customer: 1, ordered_on: null, amount: null, paid: null, status: sent}
            exact: true
            quarantined: [{Bestellnr: A2, Amount: 12.505, rules: [amount.type]}]
    """
    passes(one(root, body))


def test_text_is_given_as_it_stands_in_a_file(root: Path) -> None:
    """A preamble, a torn record and a footer are read by the dialect of the schema, as in a run."""
    body = """
        given:
          sales:
            csv: |
              sku;price
              a;1,50
              torn
              b;n/a
              Summe;99
            path: {partner: globex, month: "2026-10"}
        expect:
          sales:
            loaded:
              - {sku: a, price: 1.50, partner: globex, month: "2026-10-01"}
              - {sku: b, price: null}
            quarantined: [{line: 3, raw: torn, rules: [malformed]}]
    """
    passes(one(root, body, pipeline="partner"))


def test_captures_of_the_path_choose_the_dialect(root: Path) -> None:
    """`path:` gives the captures; the override for a partner holds for records that are given, too."""
    body = """
        given:
          sales:
            files:
              - {records: [{sku: "süß|a", price: "1,5"}], path: {partner: acme, month: 2026-10}}
              - {records: [{sku: null}, {sku: b}], path: {partner: globex, month: 2026-11}}
        expect:
          sales:
            loaded: [{sku: "süß|a", partner: acme, month: "2026-10-01"}, {sku: b, partner: globex, month: "2026-11-01"}]
            quarantined: [{sku: n/a, rules: [sku.required]}]
    """
    passes(one(root, body, pipeline="partner"))


def test_a_file_of_the_project_is_given(root: Path) -> None:
    """`file:` counts from the project's folder; `path:` may name the whole path under which it is read."""
    (root / "samples").mkdir()
    (root / "samples" / "x.csv").write_text("sku;price\na;1,5\n")
    body = """
        given: {sales: {file: samples/x.csv, path: acme-2/sales_2026-10_b.csv}}
        expect: {sales: {loaded: [{sku: a, price: 1.5, partner: acme-2}]}}
    """
    passes(one(root, body, pipeline="partner"))


def test_json_keeps_types_and_digits(root: Path) -> None:
    """Records of a JSON source keep numbers as written, and nested values."""
    body = """
        given:
          events:
            - {id: 123456789012345678.25, at: "2026-01-01T00:00:00+02:00", tags: [1.50, {a: null}]}
            - {id: 0.123}
        expect:
          events:
            loaded: [{id: 123456789012345678.25, at: "2025-12-31T22:00:00Z", tags: [1.5, {a: null}]}]
            exact: true
            quarantined: [{id: 0.123, rules: [id.type]}]
    """
    passes(one(root, body, pipeline="web"))
    broken = """
        given: {events: {jsonl: "{\\"id\\": 1, \\"at\\": null, \\"tags\\": null}\\n{\\"id\\": \\n"}}
        expect: {events: {loaded: 1, quarantined: [{line: 2, rules: [malformed]}]}}
    """
    passes(one(root, broken, pipeline="web"))


def test_rows_that_are_there_decide_keys_references_and_merges(root: Path) -> None:
    """`there:` holds typed rows of any table that the pipeline writes or refers to."""
    body = f"""
        there:
          shop_dev.customers: [{ANN}, {{id: 2, seen_at: "2026-01-01T10:00:00"}}]
          shop_dev.orders: [{{order_id: A1, customer: 1, amount: 1}}]
        given:
          customers:
            - {{id: "1", email: "new@example.org", seen_at: "2026-02-01 10:00"}}
            - {{id: "1", email: "old@example.org", seen_at: "2026-01-15 10:00"}}
          orders:
            - {{Order No: A1, Customer: "1", Amount: "2", Status: sent}}
            - {{Order No: A2, Customer: "2", Status: sent}}
            - {{Order No: A3, Customer: "3", Status: sent}}
            - {{Order No: A4, Customer: "2", Status: draft}}
        expect:
          customers: {{loaded: 1, skipped: {{superseded: 1}}}}
          orders:
            loaded: [{{order_id: A2}}]
            skipped: {{filter: 1}}
            quarantined:
              - {{order_id: A1, rules: [primaryKey], message: "already in shop_dev.orders"}}
              - {{order_id: A3, rules: [reference.customer]}}
        tables:
          shop_dev.customers: [{{id: 2, email: null}}, {{id: 1, email: "new@example.org", balance: null}}]
          shop_dev.orders: 2
    """
    passes(one(root, body))


def test_a_source_that_is_not_given_has_nothing_new(root: Path) -> None:
    """The other sources of the pipeline are not read, and no file of theirs is missed."""
    passes(one(root, 'given: {customers: [{id: "1"}]}\nexpect: {customers: {loaded: 1}}'))


# --- expect -----------------------------------------------------------------------------------------------------


def test_the_gate_is_asked_where_a_test_says_so(root: Path) -> None:
    """`gate: failed` with its reasons; records of a load that was refused are told all the same, and nothing is there."""
    given = f"""
        there: {{shop_dev.customers: [{ANN}]}}
        given: {{orders: [{ORDER}, {{Order No: A2, Customer: "9", Status: sent}}]}}
        """
    refused = """
        expect:
          orders:
            gate: failed
            reasons: ["1 of 2 records quarantined", some failed]
            loaded: [{order_id: A1}]
            quarantined: [{order_id: A2, rules: [reference.customer]}]
        tables: {shop_dev.orders: 0}
        """
    passes(one(root, textwrap.dedent(given) + textwrap.dedent(refused)))
    let_through = "expect: {orders: {loaded: 1, quarantined: 1}}\ntables: {shop_dev.orders: 1}"
    passes(one(root, textwrap.dedent(given) + let_through))
    passed = "expect: {customers: {gate: passed}}\ngiven: {customers: [{id: 1}]}"
    passes(one(root, passed))


def test_quality_and_warnings_are_compared(root: Path) -> None:
    """The score and the rules that warned, by name or with their numbers."""
    records = '[{Order No: A1, Amount: "5000", Status: sent}, {Order No: A2, Amount: "x", Status: sent}]'
    given = f"given: {{orders: {records}}}\n"
    expect = "expect: {{orders: {{loaded: 1, quarantined: 1, warnings: {}, quality: {}}}}}\n"
    passes(one(root, given + expect.format("[big]", "{at_least: 50}")))
    passes(one(root, given + expect.format("{big: 1}", "{at_least: 50}")))
    fails(one(root, given + expect.format("{big: 2}", "{at_least: 50}")), "expected {big: 2} got {big: 1}")
    fails(one(root, given + expect.format("[]", "{at_least: 99.9}")), "at least 99.9", "expected none got big")


def test_files_that_are_held_are_told(root: Path) -> None:
    """A header that does not fit holds its file: `held` says so, with a part of the reason."""
    body = """
        given: {orders: {csv: "Order No,Amonut\\n1,2\\n"}}
        expect: {orders: {held: [{reason: its header does not fit}]}}
    """
    passes(one(root, body))
    fails(one(root, body.replace("does not fit", "is empty")), "orders.held", "missing 'customer'")
    fails(one(root, body.replace("held: [{reason: its header does not fit}]", "loaded: 0")), "got failed", "header")


def test_a_parent_that_should_fail_stops_its_children(root: Path) -> None:
    """How a source ended can be expected, too."""
    body = """
        given:
          customers: {csv: "x\\n"}
          orders: [{Order No: A1, Status: sent}]
        expect: {customers: {held: 1}, orders: {outcome: not run}}
    """
    passes(one(root, body))
    fails(one(root, body.replace("not run", "loaded")), "orders.outcome", "expected loaded got not run")


def test_what_a_test_does_not_say_must_not_happen(root: Path) -> None:
    """A record that is held, skipped or a source that fails beside what a test speaks of makes it fail."""
    held = """
        given: {customers: [{id: "1"}, {id: x}]}
        expect: {customers: {loaded: 1}}
    """
    fails(one(root, held), "customers.quarantined", "expected 0 records got 1 record", "id.type: not integer")
    skipped = """
        given: {orders: [{Order No: A1, Status: draft}]}
        expect: {orders: {}}
    """
    fails(one(root, skipped), "orders.skipped", "got {filter: 1}")
    beside = """
        given: {customers: [{id: x}], orders: [{Order No: A1, Status: sent}]}
        expect: {orders: {loaded: 1}}
    """
    fails(one(root, beside), "customers.quarantined")


SOUND = f"""
    there: {{shop_dev.customers: [{ANN}]}}
    given:
      orders: [{ORDER}, {{Order No: A2, Customer: "9", Status: sent}}, {{Order No: A3, Status: draft}}]
    expect:
      orders:
        loaded: [{{order_id: A1, ordered_on: "2026-11-02", amount: 12.50, paid: true}}]
        quarantined: [{{order_id: A2, rules: [reference.customer], message: not in customers.id, line: 3}}]
        skipped: {{filter: 1}}
        warnings: []
    tables: {{shop_dev.orders: [{{order_id: A1, customer: 1}}]}}
"""
WRONG = {  # what is written instead -> what the difference must say
    ("amount: 12.50", "amount: 12.51"): ("≠ amount 12.51 12.50",),
    ("paid: true", "paid: false"): ("≠ paid false true",),
    ('loaded: [{order_id: A1, ordered_on: "2026-11-02"', 'loaded: [{order_id: A1, ordered_on: "2026-11-03"'): (
        '≠ ordered_on "2026-11-03" "2026-11-02"',
    ),
    ("loaded: [{order_id: A1,", "loaded: [{order_id: A2}, {order_id: A1,"): (
        'expected {order_id: "A2"} got no such record',
        "quarantined: line 3: reference.customer: customer not in customers.id",
    ),
    ("rules: [reference.customer]", "rules: [customer.type]"): ("≠ rules customer.type reference.customer",),
    ("rules: [reference.customer]", "rules: [reference.customer, paid.type]"): (
        "≠ rules paid.type, reference.customer reference.customer",
    ),
    ("rules: [reference.customer]", "rules: []"): ("≠ rules none reference.customer",),
    ("message: not in customers.id", "message: below"): ("≠ message", "not in customers.id"),
    ("line: 3", "line: 2"): ("≠ line 2 3",),
    ("[{order_id: A2, rules", "[{order_id: A1, rules"): ("≠ Order No", '"A1"', '"A2"'),
    (
        "quarantined: [{order_id: A2, rules: [reference.customer], message: not in customers.id, line: 3}]",
        "quarantined: []",
    ): (
        "expected no such record",
        "rules: [reference.customer]",
    ),
    ("skipped: {filter: 1}", "skipped: {filter: 2}"): ("expected {filter: 2} got {filter: 1}",),
    ("skipped: {filter: 1}", "skipped: {identical: 1}"): ("got {filter: 1}",),
    ("skipped: {filter: 1}", "skipped: 0"): ("got {filter: 1}",),
    ("warnings: []", "warnings: [big]"): ("expected big got none",),
    ("warnings: []", "gate: passed"): ("expected passed got failed", "some failed"),
    ("warnings: []", "held: 1"): ("expected 1 file got 0 files",),
    ("warnings: []", "quality: 12"): ("expected 12.0 got",),
    ("[{order_id: A1, customer: 1}]", "[{order_id: A1, customer: 2}]"): ("table shop_dev.orders", "≠ customer 2 1"),
    ("[{order_id: A1, customer: 1}]", "2"): ("expected 2 rows got 1 row",),
    ("[{order_id: A1, customer: 1}]", "[]"): ("expected no such record",),
    ("warnings: []", "exact: true"): ("≠ status null",),
}


def test_the_sound_test_passes(root: Path) -> None:
    """The test that the next one spoils is right."""
    passes(one(root, SOUND))


@pytest.mark.parametrize(("change", "told"), WRONG.items(), ids=[change[1][:40] for change in WRONG])
def test_a_wrong_expectation_fails_with_its_difference(
    root: Path, change: tuple[str, str], told: tuple[str, ...]
) -> None:
    """A runner of tests that cannot fail is the worst defect: each word that is wrong is told, and only that."""
    spoilt = SOUND.replace(*change)
    assert spoilt != SOUND
    result = one(root, spoilt)
    fails(result, *told)
    lines = [line for line in result.output.splitlines() if "pipelines/tests/shop.yaml:" in line]
    assert len(lines) == 1, result.output


@pytest.mark.parametrize("word", ["loaded", "quarantined", "skipped"])
def test_a_wrong_number_fails(root: Path, word: str) -> None:
    """Numbers are compared, each with the account beside it or with what holds the records."""
    body = (
        f"given: {{customers: [{{id: 1}}, {{id: 2}}, {{id: x}}]}}\nexpect: {{customers: {{quarantined: 1, {word}: 3}}}}"
    )
    result = one(root, body.replace("quarantined: 1, quarantined", "quarantined"))
    fails(result, f"customers.{word}", "expected 3 records")


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
    assert set(SKIP_REASONS) == {*SKIPS.values(), "filter"}


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
