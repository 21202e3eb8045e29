"""Damaged Parquet files in a source: each costs itself, says what and what to do, and the others are loaded."""

from __future__ import annotations

from pathlib import Path

import duckdb
import forked
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROWS = 1000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project that reads Parquet files, without any."""
    for folder in ("config", "pipelines", "schemas", "in"):
        (tmp_path / folder).mkdir()
    (tmp_path / "config" / "default.yaml").write_text("connections:\n  target: {url: 'duckdb://out.duckdb'}\n")
    (tmp_path / "schemas" / "orders.yaml").write_text("fields:\n  id: integer\n  city: string\n")
    (tmp_path / "pipelines" / "orders.yaml").write_text(
        "sources:\n  orders: {type: files, path: 'in/*.parquet', schema: orders, write: append}\n"
        "destination: {connection: target}\n"
    )
    return tmp_path


def content(root: Path, first: int, **options: object) -> bytes:
    """A file of its own rows."""
    path = root / "made"
    rows = pa.table({"id": range(first, first + ROWS), "city": [f"city {first + n}" for n in range(ROWS)]})
    pq.write_table(rows, path, use_dictionary=False, **options)
    return path.read_bytes()


def run(root: Path) -> tuple[int, str]:
    """`pratique run orders`: its exit code and all it prints, on one line."""
    done = forked.pratique("run", "orders", "--env", "dev", "--project", root)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def loaded(root: Path) -> int:
    """How many rows are in the table."""
    with duckdb.connect(str(root / "out.duckdb"), read_only=True) as connection:
        return connection.execute("SELECT count(*) FROM orders").fetchone()[0]


def test_each_damaged_file_costs_itself(root: Path) -> None:
    """Damage that the checksums show, and damage that only decoding shows: exit 8, and the sound files are loaded."""
    damaged = bytearray(content(root, 0, write_page_checksum=True))
    damaged[500] ^= 1
    undecodable = content(root, ROWS, compression="none").replace(b"city 1500", b"cit\xff 1500")
    files = {"flipped": bytes(damaged), "undecodable": undecodable, "cut": content(root, 5000)[:-20]}
    files |= {"empty": b"", "text": b"id,city\n1,Basel\n", "b": content(root, 2 * ROWS), "z": content(root, 3 * ROWS)}
    for name, data in files.items():
        (root / "in" / f"{name}.parquet").write_bytes(data)
    code, output = run(root)
    assert code == 8, output
    assert "Traceback" not in output
    for name, why in (
        ("flipped", "has a wrong checksum"),
        ("undecodable", "its values do not decode"),
        ("cut", "its end is missing or damaged"),
        ("empty", "it is empty"),
        ("text", "it begins with"),
    ):
        assert f"{name}.parquet" in output
        assert why in output
    assert loaded(root) == 2 * ROWS
    assert run(root)[0] == 8  # they are still held, and nothing is loaded twice
    assert loaded(root) == 2 * ROWS


@pytest.mark.parametrize("checksums", [True, False])
def test_a_damaged_file_alone(root: Path, checksums: bool) -> None:  # noqa: FBT001 - a parameter
    """A source whose only file is damaged fails with the exit code of the source's owner, and a hint."""
    sound = content(root, 0, compression="none", write_page_checksum=checksums)
    (root / "in" / "a.parquet").write_bytes(sound.replace(b"city 500", b"cit\xff 500"))
    code, output = run(root)
    assert code == 3, output
    assert "a.parquet" in output
    assert "have it sent again" in output
    assert "Traceback" not in output


def test_a_replace_keeps_its_table(root: Path) -> None:
    """A `replace` source loads nothing while one of its files does not decode: the table would lose its rows."""
    (root / "in" / "a.parquet").write_bytes(content(root, 0))
    pipeline = root / "pipelines" / "orders.yaml"
    pipeline.write_text(pipeline.read_text().replace("append", "replace"))
    assert run(root)[0] == 0
    undecodable = content(root, ROWS, compression="none").replace(b"city 1500", b"cit\xff 1500")
    (root / "in" / "b.parquet").write_bytes(undecodable)
    code, output = run(root)
    assert code == 3, output
    assert "b.parquet" in output
    assert loaded(root) == ROWS


def test_a_held_record_is_named_by_its_row(root: Path) -> None:
    """A Parquet file has no lines: the report counts its rows."""
    (root / "in" / "a.parquet").write_bytes(content(root, 0))
    (root / "schemas" / "orders.yaml").write_text("fields:\n  id: {type: integer, maximum: 996}\n  city: string\n")
    code, output = run(root)
    assert code == 0, output
    assert "a.parquet rows 998" in output
