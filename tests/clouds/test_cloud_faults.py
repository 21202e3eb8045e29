"""A network that does its worst between us and a cloud: time is lost, objects are not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import boto3
import fault_proxy
import fault_rig
import pytest

from pratique.ingestion import run_pipeline
from pratique.project import Project

ROWS = [(number, f"row {number} of the object and long enough") for number in range(1, 2001)]


@pytest.fixture
def place(moto_url: str, tmp_path: Path) -> Iterator[fault_rig.Place]:
    """An object of 80 KB behind a door."""
    words = {"aws_access_key_id": "x", "aws_secret_access_key": "y", "region_name": "us-east-1"}
    owner = boto3.client("s3", endpoint_url=moto_url, **words)
    bucket = f"g{abs(hash(tmp_path)):x}"
    owner.create_bucket(Bucket=bucket)
    lines = "".join(f"{number},{note}\n" for number, note in ROWS)
    owner.put_object(Bucket=bucket, Key="in/orders.csv", Body=f"id,note\n{lines}".encode(), ACL="public-read")
    owner.close()
    with fault_proxy.before(int(moto_url.rpartition(":")[2])) as door:
        there = {"url": f"s3://{bucket}/in", "endpoint": f"http://127.0.0.1:{door.port}", "anonymous": True, "read_timeout_seconds": 2}  # fmt: skip
        documents: dict[str, Any] = {
            "config/default.json": {"connections": {"there": there, "lake": {"url": "duckdb://lake.duckdb"}}},
            "schemas/orders.json": {"fields": {"id": "integer", "note": {}}},
            "pipelines/p.json": {
                "sources": {"orders": {"connection": "there", "path": "*.csv", "schema": "orders"}},
                "destination": {"connection": "lake"},
            },
        }
        for name, value in documents.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(json.dumps(value))

        def run(code: int) -> dict[str, Any]:
            report = run_pipeline(Project(tmp_path, "dev"), "p")
            assert report.exit_code == code, report
            return asdict(report)

        yield fault_rig.Place(tmp_path, door, run, "orders", ROWS, 40_000, f"s3://{bucket}/in")


@pytest.mark.parametrize("kind", fault_rig.KINDS)
def test_a_fault_that_passes_costs_time_alone(place: fault_rig.Place, kind: str) -> None:
    """Latency, slow bytes; a connection that ends, is reset or falls silent in an object; nobody who listens."""
    fault_rig.passes(place, kind)


@pytest.mark.parametrize("kind", fault_rig.LASTING)
def test_a_fault_that_stays_ends_the_run(place: fault_rig.Place, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the limit of the connection, with what to do; nothing is half loaded, the next run is whole."""
    fault_rig.lasts(place, kind, monkeypatch)
