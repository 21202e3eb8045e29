"""`pratique init` on workbooks: what people keep in Excel becomes tables without an edit."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
from pathlib import Path
from typing import Any

import duckdb
import forked
import openpyxl
import pytest


def pratique(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in `folder` as a person would, without a terminal."""
    return forked.pratique(*arguments, cwd=folder)


def workbook(path: Path, **sheets: list[list[Any]]) -> None:
    """Write a workbook, sheet after sheet."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    path.parent.mkdir(exist_ok=True)
    book.save(path)


def begin(folder: Path, *arguments: str) -> dict[str, Any]:
    """Init without running: what it says."""
    done = pratique(folder, "init", *arguments, "--no-run", "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    profile: dict[str, Any] = json.loads(done.stdout)
    return profile


def loaded(folder: Path, pipeline: str, table: str) -> list[tuple[Any, ...]]:
    """Lint, run, and give the rows of a table; nothing is held, nothing is warned of."""
    lint = pratique(folder, "lint", "--strict")
    assert lint.returncode == 0, lint.stdout
    run = pratique(folder, "run", pipeline, "--json", "--strict")
    assert run.returncode == 0, run.stdout + run.stderr
    for source in json.loads(run.stdout)["sources"]:
        assert source["account"]["quarantined"] == 0
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as warehouse:
        return warehouse.execute(f'SELECT * EXCLUDE (_load_id) FROM "{table}" ORDER BY 1').fetchall()


ORDERS: list[list[Any]] = [
    ["Order", "Ordered on", "Amount", "Paid", "Comment"],
    *(
        [n, dt.date(2026, 1, 1) + dt.timedelta(n), n + 0.25, n % 2 == 0, f"text {n}" if n % 3 else None]
        for n in range(1, 40)
    ),
]


def test_a_workbook_is_a_project_at_once(tmp_path: Path) -> None:
    """Numbers, dates, booleans and texts arrive as Excel holds them."""
    workbook(tmp_path / "orders.xlsx", Orders=ORDERS)
    (table,) = begin(tmp_path, "orders.xlsx")["tables"]
    assert table["records"] == 39
    assert {column["header"]: column["type"] for column in table["columns"]} == {
        "Order": "integer",
        "Ordered on": "date",
        "Amount": "decimal(9,2)",
        "Paid": "boolean",
        "Comment": "string",
    }
    rows = loaded(tmp_path, "orders", "orders")
    assert [(n, day, float(amount), paid, text) for n, day, amount, paid, text in rows] == [
        tuple(row) for row in ORDERS[1:]
    ]


def test_titles_above_and_an_empty_column_beside_are_no_trouble(tmp_path: Path) -> None:
    """The header is found below a title, to the right of an empty column; what stands above is told."""
    above = [["Orders of the year"], [], [None, "made by", "Anna"], []]
    workbook(tmp_path / "orders.xlsx", Sheet1=[*above, *([None, *row] for row in ORDERS)])
    (table,) = begin(tmp_path, "orders.xlsx")["tables"]
    assert [column["header"] for column in table["columns"]] == ORDERS[0]
    assert any("row 5" in notice for notice in table["notices"])
    assert len(loaded(tmp_path, "orders", "orders")) == 39


def test_every_visible_sheet_is_a_source(tmp_path: Path) -> None:
    """A workbook with two tables becomes one pipeline with two sources, each of which names its sheet."""
    people = [["Person", "Town"], *([f"p{n}", "Bonn" if n % 2 else "Ulm"] for n in range(30))]
    workbook(tmp_path / "shop.xlsx", Orders=ORDERS, People=people, Empty=[])
    tables = {table["name"]: table for table in begin(tmp_path, "shop.xlsx")["tables"]}
    assert {name: table["records"] for name, table in tables.items()} == {"shop_orders": 39, "shop_people": 30}
    assert len(loaded(tmp_path, "shop", "shop_orders")) == 39
    assert "sheet: Orders" in (tmp_path / "schemas" / "shop_orders.yaml").read_text()


def test_workbooks_of_months_are_one_source(tmp_path: Path) -> None:
    """Workbooks that differ in numbers of their names only are files of one source, as files of text are."""
    for month in (1, 2, 3):
        workbook(
            tmp_path / "in" / f"sales-2026-0{month}.xlsx", Sheet1=[ORDERS[0], *ORDERS[month * 10 : month * 10 + 5]]
        )
    (table,) = begin(tmp_path, "in")["tables"]
    assert (table["name"], table["records"]) == ("sales", 15)


def test_a_sheet_without_header_is_told(tmp_path: Path) -> None:
    """Where the first row holds values the columns are named by number."""
    workbook(tmp_path / "plain.xlsx", Sheet1=ORDERS[1:])
    (table,) = begin(tmp_path, "plain.xlsx")["tables"]
    assert [column["field"] for column in table["columns"]] == [f"column_{n}" for n in range(1, 6)]
    assert len(loaded(tmp_path, "plain", "plain")) == 39


@pytest.mark.parametrize(
    ("make", "told"),
    [
        pytest.param(lambda path: path.write_bytes(b"PK\x03\x04 no zip"), "damaged", id="damaged"),
        pytest.param(lambda path: workbook(path, Sheet1=[]), "holds no data", id="empty"),
        pytest.param(lambda path: workbook(path, Sheet1=[["a", "a"], [1, 2], [3, 4]]), "'a' twice", id="twice"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, make: Any, told: str) -> None:
    """A workbook that is none, or holds no table, is one line that says why; nothing is written."""
    make(tmp_path / "x.xlsx")
    done = pratique(tmp_path, "init", "x.xlsx")
    assert done.returncode != 0
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == ["x.xlsx"]
