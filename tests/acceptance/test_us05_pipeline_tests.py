"""US-05: `pratique test` runs a user's own pipeline tests: given these records, expect these loaded and these held."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from project_tests import ANN, FILES, ORDER, fails, one, passes, write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project whose secrets are not there."""
    for name, text in FILES.items():
        write(tmp_path / name, text)
    return tmp_path


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


def test_what_an_earlier_run_read_is_known(root: Path) -> None:
    """`before:` is an earlier run: the same file is known then, a corrected one meets what `on_new_version` says."""
    path = root / "pipelines" / "web.yaml"
    path.write_text(path.read_text().replace("schema: events}", "schema: events, on_new_version: replace}"))
    body = """
        before: {events: [{id: 1}, {id: 2}, {id: x}]}
        given: {events: [{id: 1}, {id: 3}]}
        expect: {events: {loaded: [{id: 1}, {id: 3}], exact: true}}
        tables: {events: [{id: 1}, {id: 3}]}
    """
    passes(one(root, body, pipeline="web"))
    same = """
        before: {events: [{id: 1}]}
        given: {events: [{id: 1}]}
        expect: {events: {outcome: unchanged, loaded: 0}}
        tables: {events: 1}
    """
    passes(one(root, same, pipeline="web"))
    broken = one(root, body.replace("before: {events: [", 'before: {events: {jsonl: ""}} # ['), pipeline="web")
    assert broken.exit_code == 2
    assert "the earlier run of events failed: it is empty" in broken.output


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


def test_records_that_say_little_take_none_from_those_that_say_more(root: Path) -> None:
    """Lists are compared in any order, whatever each record says: a test fails only if no pairing fits."""
    given = 'given: {customers: [{id: 1}, {id: 2}, {id: x, balance: "1"}, {id: y, balance: "1"}]}\n'
    expect = (
        "expect:\n  customers:\n    loaded: [{balance: null}, {id: 1}]\n"
        "    quarantined: [{balance: 1}, {rules: [id.type]}]\n"
    )
    passes(one(root, given + expect))
    passes(one(root, given + expect.replace("{balance: null}, {id: 1}", "{balance: null}, {id: 2}")))
    fails(
        one(root, given + expect.replace("{balance: null}, {id: 1}", "{id: 1}, {id: 1}")),
        "expected {id: 1} got no such record",
    )
    fails(one(root, given + expect.replace("{balance: null}, ", "")), "expected no such record")


@pytest.mark.parametrize("word", ["loaded", "quarantined", "skipped"])
def test_a_wrong_number_fails(root: Path, word: str) -> None:
    """Numbers are compared, each with the account beside it or with what holds the records."""
    body = (
        f"given: {{customers: [{{id: 1}}, {{id: 2}}, {{id: x}}]}}\nexpect: {{customers: {{quarantined: 1, {word}: 3}}}}"
    )
    result = one(root, body.replace("quarantined: 1, quarantined", "quarantined"))
    fails(result, f"customers.{word}", "expected 3 records")
