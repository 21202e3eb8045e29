"""Secrets by reference, `${NAME}` and `${file:PATH}`: they do not print themselves."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

from pratique.errors import ConfigurationError
from pratique.mistakes import Mistakes, mistakes_of

_SECRET_BYTES_MAX: Final = 1 << 16  # Limit: keys and certificates fit; a wrong path to a big file does not
_REFERENCE: Final = re.compile(r"\$\{([^}]*)\}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Secret:
    """A text that prints as `***` everywhere; only `reveal()` gives it out."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself: hand it to a driver, never to a log or a message."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __eq__(self, other: object) -> bool:
        return self._text == other._text if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash((Secret, self._text))


def reveal(value: Any) -> Any:
    """`value` with every Secret in it replaced by its text, for those who must connect with it."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Mapping):
        return {key: reveal(item) for key, item in value.items()}
    return [reveal(item) for item in value] if isinstance(value, list) else value


# Every value that a reference of this process stood for: whatever an error of a driver or of the system quotes, it is
# hidden before anybody reads it.
_resolved: set[str] = set()
_HIDDEN_CHARACTERS_MIN: Final = 4  # Limit: a shorter value protects nothing, and hiding it would garble every message


def hide_secrets(value: Any) -> Any:
    """`value` (text, or texts in lists and mappings) with what references stood for as `***`: for all that is told."""
    if isinstance(value, str):
        for text in sorted(_resolved, key=len, reverse=True):
            value = value.replace(text, "***")
        return value
    if isinstance(value, Mapping):
        return {key: hide_secrets(item) for key, item in value.items()}
    return [hide_secrets(item) for item in value] if isinstance(value, (list, tuple)) else value


def resolve_secrets(
    value: Any,
    environ: Mapping[str, str],
    *,
    root: Path,
    where: Callable[[tuple[str | int, ...]], str],
    path: tuple[str | int, ...] = (),
    found: Mistakes | None = None,
) -> Any:
    """`value` with every text that holds `${NAME}` or `${file:PATH}` resolved into a Secret, the others unchanged.

    A file's path is relative to `root`, and one line end at its end is dropped. What a variable holds is not expanded
    again. A reference to nothing raises ConfigurationError at its place, naming the variable, never a value; with
    `found` it is put there, and the text stays as it is written.
    """
    if isinstance(value, dict):
        return {
            key: resolve_secrets(item, environ, root=root, where=where, path=(*path, key), found=found)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [
            resolve_secrets(item, environ, root=root, where=where, path=(*path, index), found=found)
            for index, item in enumerate(value)
        ]
    if not isinstance(value, str) or "${" not in value:
        return value
    place = where(path)
    try:
        return Secret(_REFERENCE.sub(lambda match: remembered(_resolve(match[1], environ, root, place)), value))
    except ConfigurationError as error:
        if found is None:
            raise
        found.add(mistakes_of(error))
        return Secret(value)


def remembered(text: str) -> str:
    """`text`, hidden from here on in everything that is told, also as a url writes it: it is a secret."""
    forms = {text, quote(text, safe=""), unquote(text)}
    _resolved.update(form for form in forms if len(form) >= _HIDDEN_CHARACTERS_MIN)
    return text


def _resolve(reference: str, environ: Mapping[str, str], root: Path, where: str) -> str:
    if reference.startswith("file:"):
        return _secret_file(root / reference.removeprefix("file:"), where)
    if not _VARIABLE.fullmatch(reference):
        raise ConfigurationError(
            f"${{{reference}}} is not a reference",
            where=where,
            hint="write ${NAME} for a variable or ${file:PATH} for a file",
            facts={"code": "value"},
        )
    if reference not in environ:
        raise ConfigurationError(
            f"the environment variable {reference} is not set",
            where=where,
            hint=f"set it: export {reference}=…, or write a line {reference}=… into the file .env",
            facts={"code": "secret", "variable": reference},
        )
    return environ[reference]


def _secret_file(path: Path, where: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_SECRET_BYTES_MAX + 1)
        if len(data) > _SECRET_BYTES_MAX:
            raise ConfigurationError(
                f"the secret file {path} is larger than 64 KiB",
                where=where,
                hint="check the path",
                facts={"code": "secret"},
            )
        return data.decode().removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigurationError(
            f"the secret file {path} cannot be read: {reason}",
            where=where,
            hint="check the path and its rights",
            facts={"code": "secret"},
        ) from error
