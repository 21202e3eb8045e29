"""JSON Schemas by which editors complete and check the files that users write; out of the specs themselves."""

from __future__ import annotations

from typing import Any, Final, Literal

from pratique.schema.rules import FORMATS
from pratique.specs.base import NAME_PATTERN, Spec
from pratique.specs.cases import CaseFileSpec
from pratique.specs.descriptions import WORDS
from pratique.specs.pipeline import DATABASE_TYPES, DESTINATION_WORDS, PIPELINE_WORDS, SOURCE_WORDS, PipelineSpec
from pratique.specs.schema import DECIMAL_PATTERN, ENCODINGS, TYPES, SchemaSpec
from pratique.specs.settings import SettingsSpec

Kind = Literal["pipeline", "schema", "config", "tests"]
KINDS: Final[dict[Kind, str]] = {  # and their folders
    "pipeline": "pipelines",
    "schema": "schemas",
    "config": "config",
    "tests": "pipelines/tests",
}

_SPECS: Final[dict[Kind, type[Spec]]] = {
    "pipeline": PipelineSpec,
    "schema": SchemaSpec,
    "config": SettingsSpec,
    "tests": CaseFileSpec,
}
_UNSERVED: Final = {
    "PipelineSpec": PIPELINE_WORDS,
    "SourceSpec": SOURCE_WORDS,
    "DestinationSpec": DESTINATION_WORDS,
}
_TYPE: Final = {"anyOf": [{"enum": list(TYPES)}, {"pattern": f"^{DECIMAL_PATTERN}$"}], "type": "string"}
_SHARE: Final = {
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": 1},
        {"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*%\s*$"},
    ]
}
_CHARACTER: Final = {"type": "string", "minLength": 1, "maxLength": 1}
_NO_CHARACTER: Final = {"type": ["string", "null"], "minLength": 1, "maxLength": 1}
_RULE: Final = {"type": "string", "minLength": 1}
_TO: Final = {"type": "string", "pattern": r"^\s*([^.()\s]+\.[^\s].*|[^()]+\([^()]*\)\s*)$"}
_INPUT: Final = {"anyOf": [{"type": "array", "items": {"type": "object"}}, {"$ref": "#/$defs/InputSpec"}]}

# What pydantic cannot know of a word, because a function of ours checks it.
_WORDS: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "FieldSpec": {
        "type": {**_TYPE, "examples": ["decimal(12,2)"]},
        "format": {
            "anyOf": [{"enum": list(FORMATS)}, {"type": "string", "pattern": "%"}, {"type": "null"}],
            "examples": ["%d.%m.%Y"],
        },
        "from": {"examples": ["Order No", ["Order No", "Bestellnr"], "path.month", "= amount / 1.19"]},
        "decimalChar": _CHARACTER,
        "groupChar": _NO_CHARACTER,
        "pattern": {"examples": ["[A-Z]{2}[0-9]{4}"]},
    },
    "DialectSpec": {
        "delimiter": {**_CHARACTER, "examples": [";", "\t", "|"]},
        "quoteChar": _NO_CHARACTER,
        "escapeChar": _NO_CHARACTER,
        "commentChar": _NO_CHARACTER,
        "encoding": {"examples": list(ENCODINGS)},
    },
    "SourceSpec": {
        "type": {"enum": ["files", "api", "python", *sorted(DATABASE_TYPES)]},
        "get": {"examples": ["/v2/contacts", "/orders/{id}/lines"]},
        "records": {"examples": ["data[*]"]},
        "params": {"examples": [{"updated_since": "{cursor}"}]},
        "filter": {"examples": ["status <> 'draft'"]},
        "path": {"examples": ["in/*.csv", "{partner}/sales_{period:%Y-%m}*.csv"]},
        "schema": {"examples": ["orders", "orders@2"]},
        "keep": {"anyOf": [{"type": "string", "pattern": r"^latest\(.+\)$"}, {"type": "null"}]},
    },
    "SourceQuarantineSpec": {"max_share": {"anyOf": [*_SHARE["anyOf"], {"type": "null"}]}},
    "QuarantineSpec": {"max_share": _SHARE},
    "CheckSpec": {
        "rule": {"examples": ["amount >= 0", "count(*) > 0"]},
        "at_most": {"anyOf": [*_SHARE["anyOf"], {"type": "null"}]},
    },
    "ReferenceSpec": {
        "to": {**_TO, "examples": ["customers.id", "prices(shop, item)"]},
        "at_most": {"anyOf": [*_SHARE["anyOf"], {"type": "null"}]},
    },
    "DestinationSpec": {"keep": {"anyOf": [{"type": "string", "pattern": r"^latest\(.+\)$"}, {"type": "null"}]}},
    "SchemaSpec": {
        "extraFields": {"enum": ["reject", "drop"]},
        "timezone": {"examples": ["Europe/Berlin", "UTC"]},
        "fields": {"additionalProperties": {"anyOf": [_TYPE, {"$ref": "#/$defs/FieldSpec"}, {"type": "null"}]}},
        "checks": {"additionalProperties": {"anyOf": [_RULE, {"$ref": "#/$defs/CheckSpec"}]}},
        "references": {"additionalProperties": {"anyOf": [_TO, {"$ref": "#/$defs/ReferenceSpec"}]}},
    },
    "PipelineSpec": {
        "defaults": {"$ref": "#/$defs/SourceSpec"},
        "sources": {"additionalProperties": {"anyOf": [{"$ref": "#/$defs/SourceSpec"}, {"type": "null"}]}},
    },
    "CaseSpec": {
        "before": {"additionalProperties": _INPUT},
        "given": {"additionalProperties": _INPUT, "examples": [{"orders": [{"order_id": "1"}]}]},
    },
    "SettingsSpec": {
        "connections": {
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "url": {
                        "type": "string",
                        "description": "duckdb://FILE, parquet://FOLDER, a folder, postgres://user@host/database, "
                        "mysql://user@host/database, sqlite://FILE, or https://… of an API",
                    },
                    "type": {"enum": ["duckdb", "parquet", "files"], "description": "instead of the url's beginning"},
                    "path": {"type": "string", "description": "with `type`, instead of `url`"},
                },
                "examples": [{"url": "duckdb://data/warehouse.duckdb"}],
            },
        },
    },
}


def json_schema(kind: Kind) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a kind of file: whatever it refuses, a run refuses."""
    spec = _SPECS[kind]
    made = spec.model_json_schema(by_alias=True, mode="validation")
    for name, part in [(spec.__name__, made), *made.get("$defs", {}).items()]:
        properties = part.get("properties", {})
        for word, declared in list(properties.items()):
            if word in _UNSERVED.get(name, ()):
                del properties[word]
                continue
            declared.pop("title", None)
            declared.pop("default", None) if declared.get("default") is None else None
            declared["description"] = WORDS[name][word]
            _overlay(declared, _WORDS.get(name, {}).get(word, {}))
            _names(declared)
        part.pop("title", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Pratique: a file in {KINDS[kind]}/",
        **made,
    }


def _overlay(declared: dict[str, Any], more: dict[str, Any]) -> None:
    """Put what we know over what pydantic knows: another form of the value takes the place of its form."""
    if more.keys() & {"anyOf", "enum", "type", "$ref"}:
        for key in ("anyOf", "enum", "type", "$ref", "additionalProperties"):
            declared.pop(key, None)
    declared.update(more)


def _names(declared: dict[str, Any]) -> None:
    """Names that do not fit are refused: pydantic only says what those that fit must hold."""
    for pattern, inner in declared.pop("patternProperties", {}).items():
        declared.setdefault("additionalProperties", inner)
        declared["propertyNames"] = {"pattern": pattern}
    if declared.get("propertyNames", {}).get("pattern") == NAME_PATTERN:
        declared["propertyNames"]["description"] = "small letters, digits, _ and -"
