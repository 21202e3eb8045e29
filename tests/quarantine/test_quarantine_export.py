"""Quarantined records for other programs and for spreadsheets."""

from __future__ import annotations

import csv
import io
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from pratique.errors import StateError


def _cells(text: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.decode(), newline="")))


def _commit(shop, *values: dict[str, Any]) -> list[dict[str, Any]]:
    [record] = shop.records("1,m,x")
    records = [{**record, "sensitive": [], "values": one} for one in values]
    shop.commit(records)
    return records


def test_json_lines_are_the_bytes_of_the_segment(shop) -> None:
    """A machine gets exactly what is stored, formulas and odd bytes included, to repair and load it again."""
    marker = shop.commit(shop.records("1,m,=1+1", "2,\udcff,é"))
    out = io.BytesIO()
    assert shop.quarantine.export(out, "jsonl", reveal=True).records == 2
    from backports import zstd  # noqa: PLC0415

    assert out.getvalue() == zstd.decompress((shop.quarantine.folder / marker.segment.path).read_bytes())


@pytest.mark.parametrize("form", ["jsonl", "json", "csv"])
def test_an_export_is_masked_unless_revealed(shop, form: Any) -> None:
    """No form of export shows a sensitive value to who did not ask for it."""
    shop.commit(shop.records("1,canary@example.org,x"))
    seen, stored = io.BytesIO(), io.BytesIO()
    shop.quarantine.export(seen, form)
    shop.quarantine.export(stored, form, reveal=True)
    assert b"canary" not in seen.getvalue()
    assert b"canary" in stored.getvalue()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json_is_one_array(shop, count: int) -> None:
    """Also without records, and with one, the export is valid JSON."""
    records = _commit(shop, *({"n": str(number)} for number in range(count))) if count else []
    out = io.BytesIO()
    assert shop.quarantine.export(out, "json").records == count
    assert json.loads(out.getvalue()) == records


@pytest.mark.parametrize("sign", list("=+-@\t\r\n＝＋－＠"))  # noqa: RUF001
def test_a_spreadsheet_gets_no_formula(shop, sign: str) -> None:
    """A text that begins like a formula gets a quote in front, in cells and in headers, and it is said."""
    _commit(shop, {f"{sign}head": f"{sign}cmd|' /C calc'!A0"})
    out = io.BytesIO()
    exported = shop.quarantine.export(out, "csv")
    assert (exported.records, exported.neutralised) == (1, 2)
    assert _cells(out.getvalue())[0][f"'{sign}head"] == f"'{sign}cmd|' /C calc'!A0"


@pytest.mark.parametrize("text", ["-1", "+1.5", "-.5", "-1e3", "1", "plain", "a=b", "", "5-"])
def test_numbers_and_plain_texts_stay_as_they_are(shop, text: str) -> None:
    """What no spreadsheet runs is not changed."""
    _commit(shop, {"v": text})
    out = io.BytesIO()
    assert shop.quarantine.export(out, "csv").neutralised == 0
    assert _cells(out.getvalue())[0]["v"] == text


def test_a_csv_has_a_column_for_every_header(shop) -> None:
    """Records of different headers share one table; place and reasons stand in front."""
    _commit(shop, {"a": "1"}, {"b": ["x", {"y": 2}], "c": None})
    out = io.BytesIO()
    shop.quarantine.export(out, "csv")
    first, second = _cells(out.getvalue())
    assert list(first) == [
        *("_id", "_pipeline", "_source", "_file", "_record_number", "_line", "_rules", "_messages"),
        *("a", "b", "c"),
    ]
    assert (first["_rules"], first["_messages"], first["_line"]) == ("amount.type", 'not a number: "x"', "2")
    assert (first["a"], second["b"], second["c"]) == ("1", '["x", {"y": 2}]', "")


def test_every_column_of_a_csv_has_a_name_of_its_own(shop) -> None:
    """Data with an `_id`, as some databases export it, keeps its header; the column of ours gives way."""
    _commit(shop, {"_id": "7f", "_Line": "x"})
    out = io.BytesIO()
    shop.quarantine.export(out, "csv")
    (row,) = _cells(out.getvalue())
    assert (row["_id"], row["_Line"], row["__line"], row["_rules"]) == ("7f", "x", "2", "amount.type")
    assert row["__id"].endswith("-1")


def test_an_exported_file_is_whole_and_private(shop, tmp_path: Path) -> None:
    """A file is readable by its owner only, replaces an older one at once, and leaves no temporary beside it."""
    shop.commit(shop.records("1,m,x"))
    target = tmp_path / "out" / "held.jsonl"
    target.parent.mkdir()
    target.write_text("old")
    assert shop.quarantine.export(target, "jsonl", rule="amount.type").records == 1
    assert json.loads(target.read_bytes())["raw"] == "***"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [path.name for path in target.parent.iterdir()] == ["held.jsonl"]


def test_a_failed_export_leaves_the_old_file(shop, tmp_path: Path) -> None:
    """If a segment turns out damaged, or the folder is not there, nothing half is written."""
    marker = shop.commit(shop.records("1,m,x"))
    (shop.quarantine.folder / marker.segment.path).write_bytes(b"rotten")
    target = tmp_path / "held.csv"
    target.write_text("old")
    with pytest.raises(StateError, match="is not what was written"):
        shop.quarantine.export(target, "csv")
    assert target.read_text() == "old"
    assert not list(tmp_path.glob("*.tmp"))
    with pytest.raises(StateError, match="cannot write"):
        shop.quarantine.export(tmp_path / "no" / "held.csv", "csv")
