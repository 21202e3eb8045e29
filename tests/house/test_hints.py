"""Every error that Pratique raises says what to do next."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from pratique import errors

ROOT = Path(__file__).resolve().parents[2]
CLASSES = {
    name: kind
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, errors.PratiqueError) and kind is not errors.PratiqueError
}
SAME_EVERYWHERE = {
    "InternalError",
    "InterruptedRunError",
    "OutputError",
}  # the hint of the class says all that can be done
KINDS = CLASSES.keys() - SAME_EVERYWHERE


def without_hint(text: str) -> Iterator[int]:
    """The lines on which an error is made without a hint, or with an empty one."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS:
            hints = [item.value for item in node.keywords if item.arg in {"hint", None}]
            empty = [item for item in hints if isinstance(item, ast.Constant) and not item.value]
            if not hints or empty:
                yield node.lineno


def test_every_kind_of_error_has_a_hint() -> None:
    """An error that gives no hint of its own has the hint of its kind."""
    assert [name for name, kind in CLASSES.items() if not kind("x").hint] == []


def test_every_error_has_a_hint() -> None:
    """Wherever an error is made it gets a hint: a person who reads it must know what to do."""
    wrong = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted((ROOT / "src" / "pratique").rglob("*.py"))
        for line in without_hint(path.read_text(encoding="utf-8"))
    ]
    assert wrong == []


@pytest.mark.parametrize("text", ["raise SourceError('gone')", "error = StateError('full', hint='')"])
def test_an_error_without_a_hint_is_noticed(text: str) -> None:
    """The check works."""
    assert list(without_hint(text)) == [1]
