"""Secrets by reference, `${NAME}` and `${file:PATH}`: they do not print themselves."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, quote_plus, unquote

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
_remembered: set[str] = set()  # those of them of which the other forms were made
_HIDDEN_CHARACTERS_MIN: Final = 4  # Limit: a shorter value protects nothing, and hiding it would garble every message
_ENCODED_CHARACTERS_MIN: Final = 8  # Limit: a shorter piece of base64 stands in other text by chance


@lru_cache(1)
def _longest_first(_: int) -> tuple[str, ...]:
    """All of them, as they are looked for; that there are more is seen by their number."""
    return tuple(sorted(_resolved.copy(), key=len, reverse=True))


def hide_secrets(value: Any) -> Any:
    """`value` (text, or texts in lists and mappings) with what references stood for as `***`: for all that is told.

    As it is, and as others write it: percent-encoded (in URLs), escaped (in JSON), and in base64 (in headers), wherever
    in the encoded text it begins.
    """
    if isinstance(value, str):
        for text in _longest_first(len(_resolved)):
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
    """`text`, hidden from here on in everything that is told: it is a secret."""
    for form in (text, unquote(text)):  # an address has its password percent-encoded, and who opens it has it plain
        if len(form) >= _HIDDEN_CHARACTERS_MIN and form not in _remembered:
            _remembered.add(form)
            _resolved.update((form, *_written_otherwise(form)))
    return text


def _written_otherwise(text: str) -> Iterator[str]:
    """How a secret is written where it cannot stand as it is."""
    yield from (quote(text), quote(text, safe=""), quote_plus(text), json.dumps(text)[1:-1], *in_base64(text))


def in_base64(text: str) -> Iterator[str]:
    """What of a secret's base64 is its own, in both alphabets, wherever in the encoded text it begins."""
    data = text.encode("utf-8", "surrogateescape")
    for before in range(3):  # bytes of a group of three that are not its own, as in `user:secret`
        encoded = base64.b64encode(bytes(before) + data).decode().rstrip("=")
        whole = len(encoded) - ((before + len(data)) % 3 > 0)  # the last character depends on what follows
        own = encoded[(0, 2, 3)[before] : whole]
        if len(own) >= _ENCODED_CHARACTERS_MIN:
            yield from (own, own.replace("+", "-").replace("/", "_"))


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
