"""Nested JSON into tables of parents and children: every value exact, every account balanced, a document whole."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from nested_project import LINE, ORDER, PIPELINE, Nested, accounts, order
from project import pratique

KINDS = ("duckdb", "parquet")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_an_array_in_each_document_becomes_a_table(tmp_path: Path, kind: str, form: str) -> None:
    """Each document is a row of the first table, each element of its array one of the second, with the parent's key."""
    shop = Nested(tmp_path, kind=kind, format=form)
    shop.give(f"a.{form}", order(1, 2, 3), order(2), {"id": 3, "customer": "bob", "lines": None}, order(4, 9))
    report = shop.run()
    assert report.exit_code == 0
    assert accounts(report) == {"orders": (4, 4, 0, {}), "orders.line": (3, 3, 0, {})}
    assert shop.rows("order", "id, customer, total") == [
        (1, "ann", Decimal("1.10")),
        (2, "ann", Decimal("1.10")),
        (3, "bob", None),
        (4, "ann", Decimal("1.10")),
    ]
    assert shop.rows("line") == [(1, 1, "s1-1", 2), (1, 2, "s1-2", 3), (4, 1, "s4-1", 9)]


def test_a_bad_record_holds_its_whole_document(tmp_path: Path) -> None:
    """Under `unit: document` an order with one bad line is in quarantine with all of its lines, and nothing else is."""
    shop = Nested(tmp_path)
    shop.give("a.json", order(1, 1, 0, 1), order(2, 5))
    report = shop.run()
    assert accounts(report) == {"orders": (2, 1, 1, {}), "orders.line": (4, 1, 3, {})}
    assert shop.rows("order", "id") == [(2,)]
    assert shop.rows("line", "order_id, line_no") == [(2, 1)]
    told = [(item["table"], item["record_number"], [error["rule"] for error in item["errors"]]) for item in shop.held()]
    assert told == [
        ("line", 1, ["document"]),
        ("line", 2, ["pieces.minimum"]),
        ("line", 3, ["document"]),
        ("order", 1, ["document"]),
    ]
    (parent,) = (item for item in shop.held() if item["table"] == "order")
    assert parent["errors"][0]["message"] == "held with orders.line: in/a.json record 2"
    assert json.loads(parent["raw"]) == order(1, 1, 0, 1)


def test_under_rows_a_bad_record_is_held_alone(tmp_path: Path) -> None:
    """Under `unit: row` the order and its other lines are loaded."""
    shop = Nested(tmp_path, unit="row")
    shop.give("a.json", order(1, 1, 0, 1), order(2, 5))
    assert accounts(shop.run()) == {"orders": (2, 2, 0, {}), "orders.line": (4, 3, 1, {})}
    assert shop.rows("line", "order_id, line_no") == [(1, 1), (1, 3), (2, 1)]


@pytest.mark.parametrize("unit", ["document", "row"])
def test_a_held_document_holds_its_records(tmp_path: Path, unit: str) -> None:
    """No line stands in the table without its order, whatever falls together."""
    shop = Nested(tmp_path, unit=unit)
    shop.give("a.json", order(1, 1, 2, customer=None), order(2, 5))
    assert accounts(shop.run()) == {"orders": (2, 1, 1, {}), "orders.line": (3, 1, 2, {})}
    assert {item["errors"][0]["rule"] for item in shop.held()} == {"customer.required", "document"}


def test_what_is_damaged_costs_itself(tmp_path: Path) -> None:
    """A damaged document, one whose array is something else, and a damaged element: each held with its reason."""
    shop = Nested(tmp_path, unit="row")
    shop.give(
        "a.json",
        order(1, 1),
        '{"id": 2, "customer": "x", "lines": [{"sku": "a", "pieces": 01}]}',
        '{"id": 3, "customer": "x", "lines": {"sku": "a"}}',
        '{"id": 4, "customer": "x", "lines": [{"sku": "a", "pieces": 1}, 7, {"sku": "b", "color": "red"}]}',
        '{"id": 5, "customer": "x", "lines": [{"sku": "a", "pieces": 1, "sku": "b"}]}',
        '{"id": 6, "customer": "x", "lines": [{"sku": "a", "line_no": 9}]}',
        '{"id": 7, "customer": "x", "lines": [], "lines": [{"sku": "a", "pieces": 1}]}',
        '{"id": 8, "customer": {"name": "x"}, "lines": [{"sku": ["a"], "pieces": 1}]}',
    )
    report = shop.run()
    assert accounts(report) == {"orders": (8, 3, 5, {}), "orders.line": (6, 2, 4, {})}
    told = {(item["table"], item["record_number"]): item["errors"][0]["message"] for item in shop.held()}
    assert told == {
        ("line", 3): "not an object but a number",
        ("line", 4): "unknown field 'color'",
        ("line", 5): "the field 'line_no' is added, and stands there, too",
        ("order", 2): "not JSON: Expecting ',' delimiter at character 62",
        ("order", 3): "no array at 'lines'",
        ("order", 5): "the key 'sku' stands twice",
        ("line", 6): "'sku' is an array where a text is declared",
        ("order", 7): "the key 'lines' stands twice",
        ("order", 8): "'customer' is an object where a text is declared",
    }


def test_every_digit_arrives_in_both_tables(tmp_path: Path) -> None:
    """Numbers come as the text that stands there: no digit of a parent's key or a child's value takes a detour."""
    line = LINE.replace("order_id: integer", 'order_id: "decimal(38,0)"').replace(
        "pieces: {type: integer, minimum: 1}", 'pieces: "decimal(38,20)"'
    )
    shop = Nested(tmp_path, order=ORDER.replace("id: integer", 'id: "decimal(38,0)"'), line=line)
    key = "12345678901234567890123456789012345678"
    shop.give(
        "a.json",
        f'{{"id": {key}, "customer": "é\\ud83d\\ude00", "lines": [{{"sku": "\\u00e9", "pieces": 0.10000000000000000001}}]}}',
    )
    shop.run()
    assert shop.rows("order", "id, customer") == [(Decimal(key), "é😀")]
    assert shop.rows("line") == [(Decimal(key), 1, "é", Decimal("0.10000000000000000001"))]


def test_a_held_record_stands_where_it_stands_in_the_file(tmp_path: Path) -> None:
    """File, line, byte offset and text of a nested record lead to it."""
    shop = Nested(tmp_path, unit="row")
    text = '[\n{"id": 1, "customer": "é", "lines": [\n  {"sku": "ä", "pieces": 1},\n  {"sku": "b", "pieces": 0}\n]}]'
    shop.write("in/a.json", text)
    shop.run()
    (item,) = shop.held()
    assert (item["line"], item["raw"]) == (4, '{"sku": "b", "pieces": 0}')
    assert text.encode()[item["offset"] :].startswith(item["raw"].encode())
    assert item["values"] == {"sku": "b", "pieces": "0", "order_id": "1", "line_no": "2"}


def test_what_is_sensitive_in_a_record_is_masked_in_its_document(tmp_path: Path) -> None:
    """The text of a held document holds its records: nobody sees there what is masked in their own table."""
    shop = Nested(tmp_path, line=LINE.replace("sku: {required: true}", "sku: {required: true, sensitive: true}"))
    shop.give("a.json", order(1, 0), order(2, 1, customer=None), order(3, 1))
    assert shop.run().exit_code == 0
    assert any("s2-1" in item["raw"] for item in shop.held())
    seen = pratique(tmp_path, "quarantine", "list").stdout
    seen += "".join(pratique(tmp_path, "quarantine", "show", item["id"]).stdout for item in shop.held())
    assert "customer.required" in seen
    assert "s1-1" not in seen
    assert "s2-1" not in seen


def test_documents_deeper_down_packed_and_many(tmp_path: Path) -> None:
    """A path of several keys leads to the array; packed files are read, and many documents stay in order."""
    pipeline = PIPELINE.replace("lines[*]", "body.items[*]")
    shop = Nested(tmp_path, format="jsonl", pipeline=pipeline, order=ORDER + "  body: json\n", unit="row")
    documents = [
        json.dumps({"id": at, "customer": "x", "body": {"items": [{"sku": f"{at}", "pieces": at % 7}] * (at % 4)}})
        for at in range(10_000)
    ]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl.gz").write_bytes(gzip.compress("\n".join(documents).encode()))
    report = shop.run()
    total = sum(at % 4 for at in range(10_000))
    bad = sum(at % 4 for at in range(10_000) if at % 7 == 0)
    assert accounts(report) == {"orders": (10_000, 10_000, 0, {}), "orders.line": (total, total - bad, bad, {})}
    assert shop.rows("line", "count(*), count(DISTINCT order_id), sum(pieces)") == [
        (
            total - bad,
            sum(1 for at in range(10_000) if at % 4 and at % 7),
            sum(at % 7 * (at % 4) for at in range(10_000)),
        )
    ]
    assert all(json.loads(item["raw"])["sku"] == item["values"]["order_id"] for item in shop.held())


def test_a_file_is_loaded_once_and_a_known_document_brings_its_new_records(tmp_path: Path) -> None:
    """The same file again is nothing new; the same order in another file is skipped, and a line that it gained loaded."""
    shop = Nested(tmp_path)
    shop.give("a.json", order(1, 1))
    shop.run()
    assert [source.outcome for source in shop.run().sources] == ["unchanged", "unchanged"]
    shop.give("b.json", order(1, 1, 2))
    report = shop.run()
    known = {"loaded before": 1}
    assert accounts(report) == {"orders": (1, 0, 0, known), "orders.line": (2, 1, 0, known)}
    assert shop.rows("line", "order_id, line_no") == [(1, 1), (1, 2)]


@pytest.mark.parametrize("kind", KINDS)
def test_what_nobody_asked_for_takes_its_records_along(tmp_path: Path, kind: str) -> None:
    """Lines of an order that the filter leaves out, or of which a later version comes, are skipped with it."""
    pipeline = PIPELINE.replace("write: WRITE}", "write: merge, keep: latest(total)}")
    shop = Nested(tmp_path, kind=kind, order=ORDER + "filter: id > 0\n", pipeline=pipeline)
    old, new = order(1, 1, 1), order(1, 2)
    shop.give("a.json", old, {**new, "total": 2}, order(0, 3))
    assert accounts(shop.run()) == {
        "orders": (3, 1, 0, {"superseded": 1, "filter": 1}),
        "orders.line": (4, 1, 0, {"superseded": 2, "filter": 1}),
    }
    assert shop.rows("line") == [(1, 1, "s1-1", 2)]


@pytest.mark.parametrize("kind", KINDS)
def test_replace_and_corrected_files(tmp_path: Path, kind: str) -> None:
    """`replace` leaves the newest files' rows in both tables; under append a corrected file replaces its own in both."""
    shop = Nested(tmp_path / "replace", kind=kind, write="replace")
    shop.give("a.json", order(1, 1, 1))
    shop.run()
    shop.give("a.json", order(1, 2))
    shop.run()
    assert (shop.rows("order", "id"), shop.rows("line", "pieces")) == ([(1,)], [(2,)])
    pipeline = PIPELINE.replace("    unit: UNIT\n", "    on_new_version: replace\n")
    shop = Nested(tmp_path / "append", kind=kind, pipeline=pipeline)
    shop.give("a.json", order(1, 1, 1))
    shop.give("b.json", order(2, 7))
    shop.run()
    shop.give("a.json", order(1, 2))
    shop.run()
    assert (shop.rows("order", "id"), shop.rows("line", "order_id, pieces")) == ([(1,), (2,)], [(1, 2), (2, 7)])


@pytest.mark.parametrize("kind", KINDS)
def test_a_reference_leads_to_what_comes_with_it_and_to_what_is_there(tmp_path: Path, kind: str) -> None:
    """A line may refer to an order of its own load, or of an earlier one; to no other."""
    line = LINE.replace("  sku:", "  first_id: {type: integer}\n  sku:") + "references: {first_id: order.id}\n"
    shop = Nested(tmp_path, kind=kind, line=line, unit="row")
    refer = [{"sku": "a", "pieces": 1, "first_id": number} for number in (1, 2, 3)]
    shop.give("a.json", order(1), {"id": 2, "customer": "x", "lines": refer})
    assert accounts(shop.run()) == {"orders": (2, 2, 0, {}), "orders.line": (3, 2, 1, {})}
    shop.give("b.json", order(3), {"id": 4, "customer": "x", "lines": refer})
    assert accounts(shop.run()) == {"orders": (2, 2, 0, {}), "orders.line": (3, 3, 0, {})}


def test_a_reference_to_a_document_that_falls_falls_with_it(tmp_path: Path) -> None:
    """An order is held by its bad line; a line of another order that refers to it falls, and its order with it."""
    line = LINE.replace("  sku:", "  first_id: {type: integer}\n  sku:") + "references: {first_id: order.id}\n"
    shop = Nested(tmp_path, line=line)
    refers = {"id": 2, "customer": "x", "lines": [{"sku": "a", "pieces": 1, "first_id": 1}]}
    also = {"id": 3, "customer": "x", "lines": [{"sku": "a", "pieces": 1, "first_id": 2}]}
    shop.give("a.json", also, refers, order(1, 0), order(4, 1))
    assert accounts(shop.run()) == {"orders": (4, 1, 3, {}), "orders.line": (4, 1, 3, {})}
    assert shop.rows("order", "id") == [(4,)]


def test_the_gate_of_a_table_stops_all_of_the_load(tmp_path: Path) -> None:
    """Too many bad lines, and neither lines nor orders are loaded; both keep their evidence."""
    shop = Nested(tmp_path, unit="row", pipeline=PIPELINE.replace("max_share: 1", "max_share: 0.5"))
    shop.give("a.json", order(1, 0, 0, 1))
    report = shop.run()
    assert (report.exit_code, [source.outcome for source in report.sources]) == (1, ["gated", "gated"])
    assert [source.judged.quarantined for source in report.sources if source.judged] == [0, 2]
    assert report.sources[0].problem is not None
    assert "orders.line: " in report.sources[0].problem.message
    assert (shop.rows("order"), shop.rows("line")) == ([], [])


def test_a_source_that_fails_stops_its_records(tmp_path: Path) -> None:
    """Where the documents cannot be read, their records are not run; they are not quarantined."""
    shop = Nested(tmp_path)
    shop.write("in/a.json", "[{]")
    report = shop.run()
    assert [(source.source, source.outcome) for source in report.sources] == [
        ("orders", "failed"),
        ("orders.line", "not run"),
    ]
    assert report.sources[1].problem is not None
    assert report.sources[1].problem.message == "its parent orders failed"
    assert shop.held() == []


def test_a_dry_run_judges_both_tables_and_leaves_no_trace(tmp_path: Path) -> None:
    """`--dry-run` says what a run would do to both."""
    shop = Nested(tmp_path, line=LINE + "references: {order_id: order.id}\n")
    shop.give("a.json", order(1, 1), order(2, 0, 1))
    report = shop.run(dry_run=True)
    assert accounts(report) == {"orders": (2, 1, 1, {}), "orders.line": (3, 1, 2, {})}
    assert shop.rows("order") == []


def test_people_see_both_tables(tmp_path: Path) -> None:
    """The terminal shows an account for each table, and the quarantine by table."""
    shop = Nested(tmp_path)
    shop.give("a.json", order(1, 1), order(2, 0, 1))
    done = pratique(tmp_path, "run", "orders")
    assert done.returncode == 0
    assert "orders.line  loaded       3 =      1 +           2 +       0" in done.stdout
    assert "account      balances     5 =      2 +           3 +       0" in done.stdout


def test_records_of_documents_deeper_down(tmp_path: Path) -> None:
    """`records` leads to the documents of a JSON file, whose arrays go into tables as ever."""
    shop = Nested(tmp_path, pipeline=PIPELINE.replace("    unit:", '    records: "result.orders[*]"\n    unit:'))
    page = {"next": 2, "result": {"orders": [order(1, 1), order(2, 0)], "lines": [{"sku": "no"}]}}
    shop.write("in/a.json", json.dumps(page, indent=1))
    assert accounts(shop.run()) == {"orders": (2, 1, 1, {}), "orders.line": (2, 1, 1, {})}
    assert shop.rows("line") == [(1, 1, "s1-1", 1)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"format": "jsonl"}, "records is for JSON files"),
        ({"records": "orders"}, 'records: "orders" is not understood'),
    ],
)
def test_records_that_mean_nothing_are_refused(tmp_path: Path, words: dict[str, str], message: str) -> None:
    """`records` is a path to an array, in files of JSON."""
    text = PIPELINE.replace("    unit:", f'    records: "{words.get("records", "orders[*]")}"\n    unit:')
    Nested(tmp_path, format=words.get("format", "json"), pipeline=text)
    done = pratique(tmp_path, "run", "orders")
    assert done.returncode == 2
    assert message in " ".join(done.stderr.replace("\n", " ").split())


def test_what_people_look_at_beforehand_names_the_source_once(tmp_path: Path) -> None:
    """`probe` shows documents, and `config show` what is written: a table of nested records is no source of its own."""
    shop = Nested(tmp_path)
    shop.give("a.json", order(1, 1))
    probed = pratique(tmp_path, "probe", "orders")
    assert probed.returncode == 0
    assert "ann" in probed.stdout
    shown = pratique(tmp_path, "config", "show", "orders")
    assert "order_id: parent.id" in shown.stdout
    assert "orders.line" not in probed.stdout + shown.stdout


def test_a_bad_record_is_found_however_many_good_ones_stand_before_it(tmp_path: Path) -> None:
    """Thousands of good records before a bad one, or between two, are passed over: the run ends, and holds these two."""
    shop = Nested(tmp_path, unit="row")
    pieces = {3: [1] * 6000, 4: [*[1] * 4999, 0], 900: [1, 0]}
    shop.give("a.json", *(order(number, *pieces.get(number, [1] * 10)) for number in range(1, 1001)))
    command = [sys.executable, "-m", "pratique", "run", "orders", "--project", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    held = [(record["values"]["order_id"], record["values"]["line_no"], record["line"]) for record in shop.held()]
    assert held == [("4", "5000", 4), ("900", "2", 900)]


def test_many_bad_records_of_one_document_are_held_with_their_places(tmp_path: Path) -> None:
    """Each of thousands of records of one document stands in quarantine with the line and the byte where it begins."""
    shop = Nested(tmp_path, unit="row")
    lines = ",\n".join(f'{{"sku": "ä{at}", "pieces": {at % 3 and 1}}}' for at in range(1, 15_001))
    text = f'{{"id": 1, "customer": "ann", "total": 1,\n"lines": [{lines}]}}'
    shop.give("a.json", text)
    shop.run()
    content = (tmp_path / "in" / "a.json").read_bytes()
    held = shop.held()
    assert len(held) == 5_000
    for record in held:
        position = int(record["values"]["line_no"])
        raw = record["raw"].encode()
        assert record["raw"] == f'{{"sku": "ä{position}", "pieces": 0}}'
        assert content[record["offset"] : record["offset"] + len(raw)] == raw
        assert record["line"] == position + 1
