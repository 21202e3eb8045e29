"""What `use` names: an object of a file below sources/, or an entry point. Looked at, never run."""

from __future__ import annotations

import ast
import importlib.metadata
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pratique.databases import Cursor
from pratique.documents import DOCUMENT_BYTES_MAX, KeyPath, shown_path
from pratique.inputs import PythonInput
from pratique.mistakes import Mistake, refuse
from pratique.specs.base import nearest
from pratique.specs.pipeline import SourceSpec

_FOLDER: Final = "sources"
_GROUP: Final = "pratique.sources"
_FILE: Final = re.compile(r"(.+\.py):([^\W\d]\w*)")


def python_input(
    spec: SourceSpec, root: Path, connection: Mapping[str, Any], where: Callable[[KeyPath], str]
) -> PythonInput:
    """The program that a source uses. ConfigurationError if it is not there, or is no Python; none of it is run.

    A file is one of the owner's code only below sources/: what is sent into other folders is data.
    """
    use, place = spec.use or "", where(("use",))
    cursor = Cursor(spec.cursor.field, spec.cursor.start, spec.cursor.lookback) if spec.cursor else None
    match = _FILE.fullmatch(use)
    if match is None:
        known = {item.name for item in importlib.metadata.entry_points(group=_GROUP)}
        if use not in known:
            hint = f"{nearest(use, known, 'installed are')}; or write {_FOLDER}/FILE.py:NAME"
            refuse([Mistake(place, f'no package that is installed gives a source "{use}"', hint, "unknown-name")])
        return PythonInput(use, use, None, connection, cursor)
    folder, path = (root / _FOLDER).resolve(), (root / match[1]).resolve()
    if not path.is_relative_to(folder):
        hint = f"move it to {_FOLDER}/: only what stands there is run, data folders hold data"
        refuse([Mistake(place, f"{match[1]} is not in the folder {_FOLDER} of the project", hint)])
    refuse(_wrong(path, match[1], match[2], place))
    return PythonInput(use, match[2], path, connection, cursor)


def _wrong(path: Path, written: str, name: str, place: str) -> Iterator[Mistake]:
    try:
        with path.open("rb") as file:
            data = file.read(DOCUMENT_BYTES_MAX)
        names = {found for node in ast.parse(data, str(path)).body for found in _names(node)}
    except OSError as error:
        yield Mistake(
            place, f"{written} cannot be read: {error.strerror}", "check the path and its rights", "unreadable"
        )
    except (SyntaxError, ValueError) as error:
        line, column = getattr(error, "lineno", 1) or 1, getattr(error, "offset", 1) or 1
        told = getattr(error, "msg", str(error))
        yield Mistake(f"{shown_path(path)}:{line}:{column}", f"it is no Python: {told}", "correct it", "syntax")
    else:
        if name not in names:
            hint = nearest(name, names, "there are")
            yield Mistake(place, f'{written} defines no "{name}"', hint, "unknown-name", length=0)


def _names(node: ast.stmt) -> Iterator[str]:
    """What a statement at the top of a file defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (target.id for target in targets if isinstance(target, ast.Name))
    elif isinstance(node, ast.ImportFrom | ast.Import):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.If | ast.Try):
        yield from (found for inner in node.body for found in _names(inner))
