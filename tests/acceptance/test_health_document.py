"""`pratique health --json` is a document of draft-inadarei-api-health-check-06: every member is one that it knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from project import make_project, pratique

STATUS = {"enum": ["pass", "warn", "fail"]}
SCHEMA: dict[str, Any] = {  # what the draft says in its sections 3 and 4
    "type": "object",
    "required": ["status"],
    "properties": {
        "status": STATUS,
        "version": {"type": "string"},
        "releaseId": {"type": "string"},
        "notes": {"type": "array", "items": {"type": "string"}},
        "output": {"type": "string"},
        "serviceId": {"type": "string"},
        "description": {"type": "string"},
        "links": {"type": "object"},
        "checks": {
            "type": "object",
            "propertyNames": {"pattern": "^[^:]+:[^:]+$"},
            "additionalProperties": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "properties": {
                        "componentId": {"type": "string"},
                        "componentType": {"enum": ["component", "datastore", "system"]},
                        "observedUnit": {"type": "string"},
                        "status": STATUS,
                        "affectedEndpoints": {"type": "array", "items": {"type": "string"}},
                        "time": {
                            "type": "string",
                            "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$",
                        },
                        "output": {"type": "string"},
                        "links": {"type": "object"},
                    },
                },
            },
        },
    },
    "additionalProperties": False,
    "if": {"properties": {"status": {"const": "pass"}}},
    "then": {"not": {"required": ["output"]}},
}


@pytest.mark.parametrize(
    ("share", "threshold", "status"), [("0.5", 99, "fail"), ("0.5", 10, "warn"), ("0.1", 0, "fail")]
)
def test_the_document_is_valid(tmp_path: Path, share: str, threshold: int, status: str) -> None:
    """Before any run, and after one that is unhealthy, degraded or failed."""
    root = make_project(tmp_path)
    pipeline = root / "pipelines" / "users.yaml"
    pipeline.write_text(pipeline.read_text().replace("max_share: 0.5", f"max_share: {share}"))
    limits = f"unhealthy: {{success_rate_percent: {threshold}}}"
    (root / "config" / "dev.yaml").write_text(f"monitoring: {{thresholds: {{{limits}}}}}\n")
    before = json.loads(pratique(root, "health", "--json").stdout)
    pratique(root, "run", "users")
    after = json.loads(pratique(root, "health", "--json").stdout)
    for document in (before, after):
        jsonschema.Draft202012Validator(SCHEMA).validate(document)
    assert (before["status"], after["status"]) == ("pass", status)
