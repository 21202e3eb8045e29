"""What messages and pages name exists, and what exists is named."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from pratique.cli.main import program
from pratique.specs.base import Spec
from pratique.specs.pipeline import (
    DESTINATION_WORDS,
    NOTICED_WORDS,
    TOGETHER_WORDS,
    DestinationSpec,
    OverrideSpec,
    PipelineSpec,
    SourceSpec,
)
from pratique.specs.schema import CheckSpec, DialectSpec, FieldSpec, ReferenceSpec, SchemaSpec
from pratique.specs.settings import SettingsSpec

ROOT = Path(__file__).resolve().parents[2]
LANGUAGE = (ROOT / "docs" / "reference" / "language.md").read_text(encoding="utf-8")
SPECS = (PipelineSpec, SourceSpec, OverrideSpec, DestinationSpec, SchemaSpec, FieldSpec, DialectSpec, CheckSpec)
LATER = DESTINATION_WORDS | NOTICED_WORDS | TOGETHER_WORDS
SETTING = re.compile(r"\b(?:limits|state|logging)\.[a-z_]+")
COMMAND = re.compile(r"(?<![\w./-])pratique ([a-z]+)(?: ([a-z]+))?(?![\w./-])")


def texts() -> Iterator[tuple[str, str]]:
    """Every text of the package that users may read, with its file: all but docstrings."""
    for path in sorted((ROOT / "src" / "pratique").rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        for node in nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                yield path.name, node.value


def settings(spec: type[Spec] = SettingsSpec, prefix: str = "") -> Iterator[str]:
    """Every setting as people write it."""
    for name, item in spec.model_fields.items():
        if isinstance(item.annotation, type) and issubclass(item.annotation, Spec):
            yield from settings(item.annotation, f"{prefix}{name}.")
        yield f"{prefix}{name}"


def test_settings_that_messages_name_exist() -> None:
    """A hint such as "raise limits.memory" names a key that the settings have, with the whole path to it."""
    known = set(settings())
    assert [(file, key) for file, text in texts() for key in SETTING.findall(text) if key not in known] == []
    bare = {key.partition(".")[2] for key in known if key.startswith("limits.") and "_" in key}
    hints = [(file, text) for file, text in texts() for key in bare if re.search(rf"(?<![.\w]){key}\b", text)]
    assert [(file, text) for file, text in hints if " " in text] == []


def test_commands_that_messages_name_exist() -> None:
    """A hint such as "pratique quarantine list" names a command that there is."""
    context = click.Context(program)
    wrong = []
    for file, text in texts():
        for first, second in COMMAND.findall(text):
            command = program.get_command(context, first)
            if command is None or (second and isinstance(command, click.Group) and second not in command.commands):
                wrong.append((file, f"{first} {second}"))
    assert wrong == []


@pytest.mark.parametrize("spec", [*SPECS, ReferenceSpec], ids=lambda spec: spec.__name__)
def test_every_word_is_in_the_reference(spec: type[Spec]) -> None:
    """Every word that a schema or a pipeline may hold stands in the reference of the language."""
    words = {item.alias or name for name, item in spec.model_fields.items()} - LATER
    assert {word for word in words if not re.search(rf"\b{word}\b", LANGUAGE)} == set()
