"""What each cloud must give: a listing with versions, and the bytes of one version."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from pratique.errors import SourceError, SourceUnreachableError
from pratique.inputs import CloudInput

PIECE_BYTES = 1 << 20  # Limit: read and written in pieces of this size, in each thread
THREADS = 8  # Limit: objects that are landed at once


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One version of an object as its listing tells it. `tag` (an ETag or a generation) names the version."""

    key: str
    size: int
    tag: str
    md5: bytes | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """The bytes of one version, and their MD5 if the cloud says it."""

    pieces: Iterator[bytes]
    md5: bytes | None = None


class Bucket(ABC):
    """One bucket, reached by the library of its cloud; that library tries nothing again by itself.

    A cloud says how it lists and how it reads, and what the errors of its library mean.
    """

    errors: ClassVar[tuple[type[Exception], ...]]  # all that the library raises

    def __init__(self, asked: CloudInput) -> None:
        self._asked = asked

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Every object whose key begins so, once. SourceUnreachableError if that may pass, else SourceError."""
        with self._told():
            yield from self._listed(prefix)

    def read(self, item: StoredObject) -> Body:
        """The bytes of this version; SourceError if the object is another one now, or gone."""
        with self._told(item.key):
            body = self._version(item)
        return Body(self._pieces(body, item.key), body.md5)

    def _pieces(self, body: Body, key: str) -> Iterator[bytes]:
        with self._told(key):
            yield from body.pieces

    @contextmanager
    def _told(self, key: str = "") -> Iterator[None]:
        try:
            yield
        except self.errors as error:
            raise self._meant(error, key) from error

    @abstractmethod
    def _listed(self, prefix: str) -> Iterator[StoredObject]:
        """The objects, page by page."""

    @abstractmethod
    def _version(self, item: StoredObject) -> Body:
        """The bytes of this version, as they come."""

    @abstractmethod
    def _meant(self, error: Exception, key: str) -> SourceError:
        """What one of `errors` says, of an object where there is a key."""


def pieces_of(file: Any) -> Iterator[bytes]:
    """Read to its end, and close, what reads like a file."""
    with file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def status_error(asked: CloudInput, status: int, code: str, text: str, key: str = "") -> SourceError:
    """The error for what a cloud answers."""
    what = f"{asked.shown.partition('/')[0]}//{asked.bucket}/{key}" if key else asked.shown
    facts = {"status": status, "code": code}
    told = f"{what}: {code or status}{': ' + text if text else ''}"
    if status == 412 or code in {"PreconditionFailed", "ConditionNotMet"}:  # noqa: PLR2004 - of HTTP
        return changed("changed", facts)
    if status == 404:  # noqa: PLR2004 - of HTTP
        if key:
            return changed("was removed or replaced", facts)
        return SourceError(
            f"there is no {what}: {code or 'not found'}", hint="check the url of the connection", facts=facts
        )
    if status in {408, 429} or status >= 500 or code in {"SlowDown", "RequestTimeout"}:  # noqa: PLR2004 - of HTTP
        return unreachable(told)
    hint = "check the credentials and that they may list and read there"
    if key:
        hint = "give the credentials the right to read it"
    return SourceError(f"the cloud refuses {told}", hint=hint, facts=facts)


def changed(how: str, facts: Mapping[str, Any] | None = None) -> SourceError:
    """The error for an object that is not the one that was listed any more."""
    hint = "run again when its sender has finished it"
    return SourceError(f"it {how} between listing and reading", hint=hint, facts=facts)


def unreachable(text: str) -> SourceUnreachableError:
    """The error for a server that may be there later."""
    return SourceUnreachableError(
        f"it cannot be reached, or broke off: {text}", hint="nothing of it was loaded; run again"
    )


def no_credentials(text: str, hint: str) -> SourceError:
    """The error where nothing says who we are."""
    return SourceError(f"there are no credentials: {text}", hint=hint, facts={"code": "NoCredentials"})


def secret(asked: CloudInput, name: str) -> Any:
    """A credential in plain text, for the library alone; None if there is none."""
    value = asked.credentials.get(name)
    return value.reveal() if value is not None else None
