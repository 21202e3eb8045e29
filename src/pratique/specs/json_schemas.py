"""JSON Schemas by which editors complete and check the files that users write; out of the specs themselves."""

from __future__ import annotations

from typing import Any, Final, Literal

from pratique.specs.base import Spec
from pratique.specs.pipeline import PipelineSpec
from pratique.specs.schema import SchemaSpec
from pratique.specs.settings import SettingsSpec

_SPECS: Final[dict[str, type[Spec]]] = {"pipeline": PipelineSpec, "schema": SchemaSpec, "settings": SettingsSpec}


def json_schema(kind: Literal["pipeline", "schema", "settings"]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a kind of file."""
    generated = _SPECS[kind].model_json_schema(by_alias=True, mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **generated}
