"""Secrets that an API echoes, as in a link to the next page: taken out of what lands, and put back when it is asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

from pratique.apis import ApiInput
from pratique.errors import SourceError
from pratique.secrets import Secret, in_base64
from pratique.sources.api.pages import PageReader, decoded

_CHARACTERS_MIN: Final = 4  # Limit: a shorter value protects nothing, and stands in other text by chance
_MARK: Final = "\0"  # stands in no URL
_PLACE: Final = re.compile(f"{_MARK}([0-9]+){_MARK}")
_RUN: Final = re.compile(r"[A-Za-z0-9]+")


class Echoes:
    """The secrets of one source that its requests hold, so that an API may repeat them: as they are, or in base64."""

    def __init__(self, asked: ApiInput) -> None:
        auth = asked.server.auth
        given = [asked.params, asked.path_params, asked.body, auth.secret, dict(asked.server.headers)]
        plain = {text for text in _secrets(given) if len(text) >= _CHARACTERS_MIN}
        encoded = {form for text in plain for form in in_base64(text)}
        self._secrets = sorted(plain | encoded, key=lambda text: (-len(text), text))
        self._patterns = [re.compile("".join(map(_written, text))) for text in self._secrets]
        # However a secret is written, its letters and digits are: pages without them are looked at no further.
        self._runs = [max(_RUN.findall(text), key=len, default="").encode() for text in self._secrets]
        self._reader = PageReader(None, asked.records)

    def taken_out(self, text: str, *, url: bool) -> str:
        """What leads to the next page, with a mark in the place of each secret; in a URL however it is written.

        Raises SourceError for a text that could pass for one with marks.
        """
        if _MARK in text:
            raise SourceError("what leads to its next page holds a NUL", hint="have the API repaired")
        for number, (secret, pattern) in enumerate(zip(self._secrets, self._patterns, strict=True)):
            mark = f"{_MARK}{number}{_MARK}"
            text = pattern.sub(mark, text) if url else text.replace(secret, mark)
        return text

    def put_back(self, text: str, *, url: bool, ours: bool) -> str:
        """What was taken out, with every secret in its place again; nothing in it for whoever is not `ours`."""

        def secret(match: re.Match[str]) -> str:
            text = self._secrets[int(match[1])] if ours else ""
            return quote(text, safe="") if url else text

        return _PLACE.sub(secret, text)

    def hidden(self, body: bytes) -> bytes:
        """A page with its echoes as `***`; its records stay as they are, whatever they hold."""
        if not any(run in body for run in self._runs):
            return body
        text = decoded(body)
        if not any(pattern.search(text) for pattern in self._patterns):
            return body
        kept, end = [], 0
        for record in self._reader.records(body):
            kept += [self._masked(text[end : record.begin]), text[record.begin : record.end]]
            end = record.end
        return "".join([*kept, self._masked(text[end:])]).encode("utf-8", "surrogateescape")

    def _masked(self, text: str) -> str:
        for secret, pattern in zip(self._secrets, self._patterns, strict=True):
            text = pattern.sub("1" * len(secret) if secret.isdigit() else "***", text)  # it may stand as a number
        return text


def _secrets(value: Any) -> Iterator[str]:
    """Every secret in a value."""
    if isinstance(value, Secret):
        yield value.reveal()
    elif isinstance(value, dict):
        yield from _secrets(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _secrets(item)


def _written(character: str) -> str:
    """How a character may be written: as it is, in a URL, or in JSON."""
    if _RUN.fullmatch(character):
        return character
    encoded = "".join(f"%{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))
    forms = [re.escape(character), f"(?i:{encoded})", f"(?i:\\\\u{ord(character):04x})"]
    forms += {" ": [r"\+"], "/": [r"\\/"], '"': [r'\\"'], "\\": [r"\\\\"]}.get(character, [])
    return f"(?:{'|'.join(reversed(forms))})"
