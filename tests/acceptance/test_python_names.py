"""The public Python names, used as the product's contract writes them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pratique.config_manager import ConfigManager
from pratique.errors import SourceError
from pratique.ingestion import CSVDataSource, DataIngestionPipeline
from pratique.logging_config import ErrorTracker, LoggerSetup, setup_pipeline_logger
from pratique.monitoring import PipelineMonitor
from pratique.validation import DataQualityChecker, SchemaValidator

USERS = """\
schema: users
version: 1
primaryKey: id
fields:
  id: {type: integer, required: true}
  name: {minLength: 2}
  email: {format: email}
  age: {type: integer, minimum: 0, maximum: 120}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ConfigManager:
    """A folder with config/, a schema and data, as the current directory."""
    for folder in ("config", "schemas", "data"):
        (tmp_path / folder).mkdir()
    (tmp_path / "config" / "default.yaml").write_text("logging: {level: INFO}\n")
    (tmp_path / "config" / "dev.yaml").write_text("logging: {level: DEBUG}\n")
    (tmp_path / "config" / "prod.yaml").write_text("logging: {level: WARNING}\n")
    (tmp_path / "schemas" / "users.yaml").write_text(USERS)
    (tmp_path / "data" / "users.csv").write_text(
        'id,name,email,age\n1,Ann,ann@example.com,31\n2,"B, ob",bob@example,200\n3,C,,\n'
    )
    monkeypatch.chdir(tmp_path)
    return ConfigManager(environment="dev")


def test_levels_follow_the_environment(config: ConfigManager) -> None:
    """In dev it is DEBUG, in prod WARNING; an unknown key gives the default asked for."""
    assert config.get("logging.level") == "DEBUG"
    assert ConfigManager(environment="prod").get("logging.level") == "WARNING"
    assert config.get("no.such.key", 7) == 7


def test_records_carry_lineage_and_text_as_read(config: ConfigManager) -> None:
    """ingest() yields dicts with _source, _ingestion_timestamp and _row_number, values as text as read."""
    records = list(CSVDataSource(config, "data/users.csv").ingest())
    assert [record["_row_number"] for record in records] == [2, 3, 4]
    assert records[1]["name"] == "B, ob"
    assert records[2]["email"] == ""
    assert all(record["_source"] and record["_ingestion_timestamp"] for record in records)


def test_validate_names_field_value_and_rule(config: ConfigManager) -> None:
    """result["valid"] and every error, not only the first."""
    records = list(CSVDataSource(config, "data/users.csv").ingest())
    validator = SchemaValidator.from_file("schemas/users.yaml", config)
    assert validator.validate(records[0])["valid"] is True
    result = validator.validate(records[1])
    assert result["valid"] is False
    assert {error["rule"] for error in result["errors"]} == {"email.format", "age.maximum"}
    assert {error["value"] for error in result["errors"]} == {"bob@example", "200"}
    assert [error["rule"] for error in validator.validate(records[2])["errors"]] == ["name.minLength"]


def test_a_pipeline_without_destination_returns_the_records(config: ConfigManager) -> None:
    """Nothing is recorded; the other sources carry on when one fails, and counts tell both."""
    pipeline = DataIngestionPipeline(config)
    pipeline.add_source(CSVDataSource(config, "data/users.csv"))
    pipeline.add_source(CSVDataSource(config, "data/missing.csv"))
    records = pipeline.run()
    assert len(records) == 3
    assert isinstance(pipeline.errors["missing"], SourceError)
    assert pipeline.counts == {"users": 3, "missing": 0}
    report = DataQualityChecker(config).check_quality(records)
    assert 0 <= report["quality_score"] <= 100


def test_the_contract_runs_as_written(config: ConfigManager) -> None:
    """The block of the contract, line by line, in a folder that has config/; what it promises is there afterwards."""
    try:
        logger = setup_pipeline_logger(config)
        logger.info("Pipeline started")

        tracker = ErrorTracker()
        try:
            raise ValueError("Invalid data format")  # noqa: TRY301
        except Exception as e:  # noqa: BLE001
            tracker.log_error(e, "data_validation", {"id": 123, "value": "bad"})
            tracker.quarantine_record({"id": 123}, "validation_failed")
        summary = tracker.get_error_summary()

        monitor = PipelineMonitor()
        collector = monitor.metrics_collector
        collector.start_pipeline()
        collector.record_ingestion("csv", success=True, duration=0.5)
        collector.record_ingestion("api", success=True, duration=1.2)
        collector.record_validation(valid=True)
        collector.record_quality_score(94.5)
        collector.end_pipeline()
        health = monitor.check_health()
        collector.export_metrics("metrics/run_20260210.json")

        source = CSVDataSource(config, "data/users.csv")
        records = list(source.ingest())
        validator = SchemaValidator.from_file("schemas/users.yaml", config)
        result = validator.validate(records[0])
        pipeline = DataIngestionPipeline(config)
        pipeline.add_source(source)
        records = pipeline.run()
        report = DataQualityChecker(config).check_quality(records)
    finally:
        LoggerSetup(config).close()
    first = Path("logs/pipeline.log").read_text().splitlines()[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d - pipeline - INFO - Pipeline started", first)
    assert summary["total_errors"] == 1
    assert summary["error_types"] == {"ValueError": 1}
    assert health["status"] == "healthy"
    assert health["summary"]["records"]["success_rate_percent"] == 100
    assert json.loads(Path("metrics/run_20260210.json").read_text())["quality"]["score"] == 94.5
    assert result["valid"]
    assert result["errors"] == []
    assert len(records) == 3
    assert 0 <= report["quality_score"] <= 100
    assert Path(".pratique/quarantine/_manual").is_dir()
