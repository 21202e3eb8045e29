"""An Excel file goes through the command line like any other file: good rows loaded, bad ones held with their cell."""

from __future__ import annotations

import json
import subprocess
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path

import duckdb
import forked
import openpyxl
import pytest

SCHEMA = """
schema: orders
version: 1
primaryKey: id
defaults: {decimalChar: ",", groupChar: "."}
fields:
  id: integer
  ordered: date
  at: datetime
  due: time
  amount: {type: "decimal(12,3)", minimum: 0}
  paid: boolean
  code: {type: string, pattern: "[0-9]{5}"}
"""
HEADER = ["id", "ordered", "at", "due", "amount", "paid", "code"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project that reads workbooks."""
    for folder in ("config", "pipelines", "schemas", "in"):
        (tmp_path / folder).mkdir()
    (tmp_path / "config" / "default.yaml").write_text(
        'connections: {target: {url: "duckdb://out.duckdb"}}\nquarantine: {max_share: 1}\n'
    )
    (tmp_path / "schemas" / "orders.yaml").write_text(SCHEMA)
    (tmp_path / "pipelines" / "orders.yaml").write_text(
        'sources: {orders: {type: files, path: "in/*.xlsx", schema: orders}}\n'
        "destination: {connection: target}\nlineage: [_file, _row_number]\n"
    )
    return tmp_path


def pratique(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    return forked.pratique(*words, "--project", root)


def row(number: int, **other: object) -> list[object]:
    """A good row, but for what is said otherwise."""
    day = date(2024, 2, 29)
    good = {
        "id": number,
        "ordered": day,
        "at": datetime(2024, 2, 29, 12, 30),  # noqa: DTZ001 - Excel has no zones
        "due": time(8, 15),
        "amount": 1.234,
        "paid": True,
        "code": "00123",
    }
    return list({**good, **other}.values())


def test_a_workbook_is_loaded_and_its_bad_rows_are_held_with_their_cells(root: Path) -> None:
    """What Excel shows is what is loaded, whatever the schema says of text; the account balances; places are told."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Orders"
    for values in (
        HEADER,
        row(1),
        row(2, amount="#DIV/0!"),
        row(3, amount=-5),
        row(4, code=123),
        [],
        row(5, amount="1.234,5"),
        row(6, amount="=1+1"),
        row(6),
        row(1),
    ):
        sheet.append(values)
    sheet["E3"].data_type = "e"
    book.save(root / "in" / "a.xlsx")
    done = pratique(root, "run", "orders", "--env", "dev", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    account = json.loads(done.stdout)["sources"][0]["account"]
    assert (account["read"], account["loaded"], account["quarantined"]) == (8, 3, 4)  # one is there already
    with duckdb.connect(str(root / "out.duckdb"), read_only=True) as connection:
        rows = connection.execute("SELECT * EXCLUDE (_file) FROM orders ORDER BY id").fetchall()
    common = (date(2024, 2, 29), datetime(2024, 2, 29, 12, 30), time(8, 15))  # noqa: DTZ001 - Excel has no zones
    assert rows == [
        (1, *common, Decimal("1.234"), True, "00123", 2),
        (5, *common, Decimal("1234.500"), True, "00123", 6),
        (6, *common, Decimal("1.234"), True, "00123", 8),
    ]
    exported = pratique(root, "quarantine", "export")
    held = [json.loads(line) for line in exported.stdout.splitlines()]
    assert [(item["file"], item["sheet"], item["line"], item["errors"][0]["message"]) for item in held] == [
        ("in/a.xlsx", "Orders", 3, "Orders!E3: it holds the error #DIV/0!"),
        ("in/a.xlsx", "Orders", 4, held[1]["errors"][0]["message"]),
        ("in/a.xlsx", "Orders", 5, held[2]["errors"][0]["message"]),
        ("in/a.xlsx", "Orders", 8, "Orders!E8: its formula was not computed: open the workbook in Excel, and save it"),
    ]
    assert [(item["errors"][0]["rule"], item["values"]["id"]) for item in held] == [
        ("malformed", "2"),
        ("amount.minimum", "3"),
        ("code.pattern", "4"),
        ("malformed", "6"),
    ]
    assert held[1]["values"]["amount"] == "-5"


def test_a_second_run_knows_the_file(root: Path) -> None:
    """A workbook that is loaded is not loaded again."""
    book = openpyxl.Workbook()
    for values in (HEADER, row(1)):
        book.active.append(values)
    book.save(root / "in" / "a.xlsx")
    for loaded in (1, 0):
        done = pratique(root, "run", "orders", "--env", "dev", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        account = json.loads(done.stdout)["sources"][0]["account"]
        assert (account or {"loaded": 0})["loaded"] == loaded


def test_what_is_no_workbook_is_told_without_a_traceback(root: Path) -> None:
    """A CSV under the name of a workbook: exit 3, what it is, what to do, and nothing loaded or left behind."""
    (root / "in" / "a.xlsx").write_text("id,amount\n1,2\n")
    done = pratique(root, "run", "orders", "--env", "dev")
    assert done.returncode == 3
    assert "begins with 'id,amount'" in done.stdout + done.stderr
    assert "format: csv" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not list(root.rglob("scratch-*"))
