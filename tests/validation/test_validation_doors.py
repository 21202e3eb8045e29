"""The Python doors say what a load would say: one by one, together, in any order, in any batches."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pratique.engines import open_engine
from pratique.errors import ConfigurationError
from pratique.ingestion import run_pipeline
from pratique.model import ArrowForm, FileVersion, Landed, LandedFile, Part, Stamp, Target
from pratique.project import Project
from pratique.schema import Check, Field, FieldType, Schema
from pratique.validation import DataQualityChecker, SchemaValidator

SCHEMA = Schema(
    "users",
    1,
    (
        Field("id", FieldType("integer"), required=True),
        Field("amount", FieldType("decimal", 9, 2), aliases=("Betrag", "Amount"), minimum="0"),
        Field("day", FieldType("date")),
        Field("partner", capture="partner"),
        Field("net", FieldType("decimal", 9, 2), expression="amount / 2", round="half_even"),
    ),
    checks=(Check("small", "amount < 100", severity="warn"), Check("paid", "amount > 0 or day is null")),
)
KEYED = replace(SCHEMA, primary_key=("id",))


@pytest.fixture(scope="module")
def validator():
    """One validator for many records, as users keep it."""
    return SchemaValidator(SCHEMA)


def test_valid(validator):
    """A good record has no errors; lineage columns and computed fields are nobody's business."""
    record = {"id": "1", "Betrag": "9.50", "day": "2024-02-29", "_file": "x.csv", "_row_number": 2, "net": "1"}
    assert validator.validate(record) == {"valid": True, "errors": [], "warnings": []}


def test_errors_and_warnings(validator):
    """An error has field, value, rule, message and severity; a warning leaves the record valid."""
    result = validator.validate({"id": "x", "Amount": "-1"})
    assert not result["valid"]
    assert [(error["field"], error["value"], error["rule"]) for error in result["errors"]] == [
        ("id", "x", "id.type"),
        ("amount", "-1", "amount.minimum"),
    ]
    assert result["errors"][0] == {
        "field": "id", "value": "x", "rule": "id.type", "message": 'not integer: "x"', "severity": "quarantine",
    }  # fmt: skip
    warned = validator.validate({"id": "1", "amount": "100"})
    assert warned["valid"]
    assert [warning["rule"] for warning in warned["warnings"]] == ["small"]


def test_values_that_are_not_text(validator):
    """Python values are judged by their exact text; None and an absent key are missing."""
    good = {"id": 7, "amount": Decimal("1.50"), "day": date(2024, 1, 2), "partner": None}
    assert validator.validate(good)["valid"]
    for name, value, rule in (
        ("id", 7.5, "id.type"),
        ("id", True, "id.type"),
        ("amount", Decimal("1.239"), "amount.type"),
        ("amount", float("nan"), "amount.type"),
        ("day", datetime(2024, 1, 2, 3, tzinfo=UTC), "day.type"),
        ("id", None, "id.required"),
    ):
        assert [error["rule"] for error in validator.validate({**good, name: value})["errors"]] == [rule]


def test_unknown_keys(validator):
    """A key that the schema does not know is an error under `reject`, with the nearest name; free under `drop`."""
    [error] = validator.validate({"id": 1, "amuont": 2})["errors"]
    assert (error["rule"], error["field"]) == ("extraFields", "amuont")
    assert "amount" in error["message"]
    assert SchemaValidator(replace(SCHEMA, extra_fields="drop")).validate({"id": 1, "amuont": 2})["valid"]


@pytest.mark.parametrize("text", ["\udc00", "a\udfff"])
def test_half_a_character(validator, text):
    """Text that no file can hold is malformed, in both doors."""
    assert validator.validate({"id": 1, "partner": text})["errors"][0]["rule"] == "malformed"
    assert validator.validate([{"id": 1, "partner": text}])["errors"][0]["rule"] == "malformed"


def test_strange_text(validator):
    """NUL, quotes and SQL in a value are text."""
    for text in ("a\0b", "it's", "'); DROP TABLE x; --", "\\N", "']"):
        assert validator.validate({"id": 1, "partner": text})["valid"]


def test_a_record_is_a_mapping(validator):
    """Anything else is the caller's mistake, said plainly."""
    with pytest.raises(TypeError, match="mapping"):
        validator.validate([1])
    for wrong in (5, None):
        with pytest.raises(TypeError, match="list of mappings"):
            validator.validate(wrong)
    for checker in (DataQualityChecker(), DataQualityChecker(schema=SCHEMA)):
        for wrong in ({"id": 1}, None, [1], "id"):
            with pytest.raises(TypeError, match="mapping"):
                checker.check_quality(wrong)


def test_threads_share_a_validator(validator):
    """Threads that validate with one validator take turns: each record gets its own verdict."""
    records = [{"id": number if number % 3 else "x"} for number in range(300)]
    with ThreadPoolExecutor(8) as threads:
        verdicts = [result["valid"] for result in threads.map(validator.validate, records)]
    assert verdicts == [number % 3 != 0 for number in range(300)]


def test_list():
    """Errors of a list carry the index; keys are judged within the list as in a load; an identical copy is no error."""
    result = SchemaValidator(KEYED).validate([{"id": 1}, {"id": 2}, {"id": 1, "amount": 3}, {"id": "x"}, {"id": 2}])
    assert (result["valid"], result["records"], result["passed"]) == (False, 5, 2)
    assert [(error["index"], error["rule"]) for error in result["errors"]] == [
        (0, "primaryKey"), (2, "primaryKey"), (3, "id.type"),
    ]  # fmt: skip
    assert SchemaValidator(KEYED).validate([]) == {
        "valid": True, "errors": [], "warnings": [], "records": 0, "passed": 0,
    }  # fmt: skip


def test_from_file(tmp_path):
    """A schema file gives its newest version; what is wrong in it has its place; no file is said to be none."""
    path = tmp_path / "users.yaml"
    path.write_text(
        "schema: users\nversion: 2\nfields:\n  id: {type: integer, required: true}\n  mail: {format: email}\n"
    )
    assert [e["rule"] for e in SchemaValidator.from_file(path).validate({"mail": "x"})["errors"]] == [
        "id.required", "mail.format",
    ]  # fmt: skip
    path.write_text("schema: users\nfields:\n  id: integer\nchecks:\n  c: 'idd > 1'\n")
    with pytest.raises(ConfigurationError) as caught:
        SchemaValidator.from_file(path)
    assert f"{path}:5" in caught.value.where
    with pytest.raises(ConfigurationError, match="no schema file"):
        SchemaValidator.from_file(tmp_path / "none.yaml")


def test_speed(validator):
    """A record costs about a millisecond, not a new plan: 100 stay far below what planning each would take."""
    started = time.process_time()
    for number in range(100):
        validator.validate({"id": number, "amount": "1.50"})
    assert time.process_time() - started < 2


def test_quality_with_schema():
    """The score is SPEC US-03's over the schema's rules."""
    report = DataQualityChecker(None, KEYED).check_quality([{"id": 1, "amount": 2}, {"id": "x", "amount": 2}])
    assert (report["total_records"], report["valid_records"]) == (2, 1)
    assert report["dimensions"]["completeness"] == 100.0
    assert report["quality_score"] == pytest.approx(sum(report["dimensions"].values()) / len(report["dimensions"]))
    assert [(issue["index"], issue["rule"]) for issue in report["issues"]] == [(1, "id.type")]
    assert {
        "rule": "id.type",
        "field": "id",
        "dimension": "validity",
        "severity": "quarantine",
        "decided": 2,
        "failed": 1,
    } in (report["rules"])


def test_quality_is_that_of_a_run(tmp_path):
    """Records have the same score in Python as in a run: being without unknown fields is nothing to be praised for."""
    files = {
        "items.jsonl": '{"id": 1}\n{"id": "x"}\n',
        "config/default.yaml": "connections: {warehouse: {url: 'duckdb://warehouse.duckdb'}}",
        "schemas/items.yaml": "fields: {id: integer}",
        "pipelines/items.yaml": "sources: {items: {type: files, path: items.jsonl, schema: items}}\n"
        "quarantine: {max_share: 1}\ndestination: {connection: warehouse, write: append}",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    project = Project(tmp_path)
    (told,) = run_pipeline(project, "items", dry_run=True).sources
    checker = DataQualityChecker(schema=project.schema("items"))
    assert checker.check_quality([{"id": 1}, {"id": "x"}])["quality_score"] == told.quality == 50.0
    report = checker.check_quality([{"id": 1, "idd": 2}])
    assert report["dimensions"] == {"validity": 50.0}, "an unknown field is a failure of validity"


def test_quality_without_schema():
    """Without a schema: missing values against completeness, copies against uniqueness; lineage does not count."""
    records = [{"a": 1, "b": "", "_row_number": 1}, {"a": 1, "b": "", "_row_number": 2}, {"a": 2, "b": "x"}, {"a": 3}]
    report = DataQualityChecker().check_quality(records)
    assert report["dimensions"] == {"completeness": 100 * 5 / 8, "uniqueness": 75.0}
    assert report["quality_score"] == (62.5 + 75) / 2
    assert report["valid_records"] == 1
    assert [(issue["index"], issue["rule"]) for issue in report["issues"]] == [
        (0, "b.required"), (1, "b.required"), (1, "identical"), (3, "b.required"),
    ]  # fmt: skip


@pytest.mark.parametrize("schema", [None, SCHEMA])
def test_quality_of_nothing(schema):
    """No record, no decision: the score is None, not 0 and not 100."""
    assert DataQualityChecker(None, schema).check_quality([])["quality_score"] is None


# --- laws -------------------------------------------------------------------------------------------------------

_IDS = st.sampled_from(["1", "2", "3", "x", "", "007", "1.0"])
_RECORDS = st.lists(
    st.fixed_dictionaries(
        {
            "id": _IDS,
            "amount": st.sampled_from(["1", "1.5", "-1", "1.239", "1e3", "", "100", "99.999"]),
            "day": st.sampled_from(["2024-01-01", "2024-02-30", ""]),
        }
    ),
    max_size=12,
)
_SETTINGS = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


@_SETTINGS
@given(records=_RECORDS)
def test_one_by_one_is_together(validator, records):
    """Without keys, a list gets the verdicts that its records get one by one."""
    together = validator.validate(records)
    alone = [validator.validate(record) for record in records]
    for word in ("errors", "warnings"):
        assert together[word] == [{"index": at, **item} for at, one in enumerate(alone) for item in one[word]]


@_SETTINGS
@given(records=_RECORDS, data=st.data())
def test_order_and_batches_change_nothing(tmp_path_factory, records, data):
    """The same records in another order, batches and files: the same verdict for each, and the same account."""
    order = data.draw(st.permutations(range(len(records))))
    cut = data.draw(st.integers(0, len(records)))
    size = data.draw(st.integers(1, 5))
    folder = tmp_path_factory.mktemp("engine")
    first = _verdicts(folder, records, [len(records)], 100)
    second = _verdicts(folder, [records[at] for at in order], [cut, len(records) - cut], size)
    assert first[0] == second[0]
    for at in range(len(records)):
        assert first[1][order[at]][:-1] == second[1][at][:-1]


def _verdicts(folder: Path, records: list[dict[str, str]], counts: list[int], size: int):
    """Tally and, per record in order, (failed rules, …) of a load of these records in files and batches."""
    names = ("id", "amount", "day")
    shape = pa.schema([(name, pa.string()) for name in names])

    def batches():
        for at in range(0, len(records), size):
            yield pa.RecordBatch.from_pylist(records[at : at + size], schema=shape)

    schema = replace(KEYED, fields=(KEYED.fields[0], replace(KEYED.fields[1], aliases=()), KEYED.fields[2]))
    files = tuple(
        LandedFile(folder / str(at), FileVersion(str(at), "", 1), count, 0) for at, count in enumerate(counts)
    )
    landed = Landed("s", (Part(ArrowForm(dict.fromkeys(names, "VARCHAR"), batches), files),), None)
    stamp = Stamp("s", "", "", datetime(2026, 1, 1, tzinfo=UTC))
    staged = open_engine(folder).stage(landed, schema, Target("s", "replace", ("id",)), stamp, None)
    starts = [sum(counts[:at]) for at in range(len(counts))]
    found: list[tuple] = [((), None)] * len(records)
    for record in staged.quarantined():
        found[starts[record.file] + record.number] = (tuple(item.rule for item in record.failures), record)
    tally = staged.tally
    assert tally.per_file == tuple(counts)
    staged.close()
    assert tally.read == tally.good + tally.quarantined + sum(tally.skipped.values()) == len(records)
    return (tally.good, tally.quarantined, tally.skipped, tally.rules), found
