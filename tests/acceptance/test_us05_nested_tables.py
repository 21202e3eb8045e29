"""`pratique test` for nested JSON: documents are given, and each table is expected."""

from __future__ import annotations

from pathlib import Path

import pytest
from nested_project import Nested
from project import pratique

TESTS = """
tests:
  - name: whole orders
    given:
      orders:
        - {id: 1, customer: ann, total: 1.10, lines: [{sku: a, pieces: 2}, {sku: b, pieces: 1}]}
        - {id: 2, customer: bob, lines: [{sku: c, pieces: 0}]}
    expect:
      orders: {loaded: [{id: 1}], quarantined: 1}
      orders.line: {loaded: [{order_id: 1, line_no: 1, sku: a}, {order_id: 1, line_no: 2}], quarantined: LINES}
"""


@pytest.mark.parametrize(("lines", "code"), [("1", 0), ("2", 1)])
def test_each_table_is_expected_under_its_name(tmp_path: Path, lines: str, code: int) -> None:
    """A test gives documents to the source and says what becomes of them and of the records in them."""
    Nested(tmp_path).write("pipelines/tests/orders.yaml", TESTS.replace("LINES", lines))
    done = pratique(tmp_path, "test", "orders")
    assert done.returncode == code, done.stdout + done.stderr
    assert ("orders.line.quarantined" in done.stdout) == (code == 1)


def test_records_are_given_to_their_documents_only(tmp_path: Path) -> None:
    """Nothing can be given to a table of nested records: its records stand in documents."""
    text = TESTS.replace("      orders:\n        -", "      line:\n        -").replace("LINES", "1")
    Nested(tmp_path).write("pipelines/tests/orders.yaml", text)
    done = pratique(tmp_path, "test", "orders")
    assert done.returncode == 2
    assert 'the pipeline has no source "line"' in done.stderr
    assert "nothing is given to orders" in done.stderr
