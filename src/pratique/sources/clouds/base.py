"""What each cloud must give: a listing with versions, and the bytes of one version."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

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


class Bucket(Protocol):
    """One bucket, reached by the library of its cloud; that library tries nothing again by itself."""

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Every object whose key begins so, once. SourceUnreachableError if that may pass, else SourceError."""
        ...

    def read(self, item: StoredObject) -> Body:
        """The bytes of this version; SourceError if the object is another one now, or gone."""
        ...


def status_error(asked: CloudInput, status: int, code: str, text: str, key: str = "") -> SourceError:
    """The error for what a cloud answers."""
    what = f"{asked.shown.partition('/')[0]}//{asked.bucket}/{key}" if key else asked.shown
    facts = {"status": status, "code": code}
    told = f"{what}: {code or status}{': ' + text if text else ''}"
    if status == 412 or code in {"PreconditionFailed", "ConditionNotMet"}:  # noqa: PLR2004 - of HTTP
        return SourceError(
            "it changed between listing and reading", hint="run again when its sender has finished it", facts=facts
        )
    if status == 404:  # noqa: PLR2004 - of HTTP
        if key:
            return SourceError("it was removed or replaced between listing and reading", hint="run again", facts=facts)
        return SourceError(
            f"there is no {what}: {code or 'not found'}", hint="check the url of the connection", facts=facts
        )
    if status in {408, 429} or status >= 500 or code in {"SlowDown", "RequestTimeout"}:  # noqa: PLR2004 - of HTTP
        return unreachable(told)
    hint = "check the credentials and that they may list and read there"
    if key:
        hint = "give the credentials the right to read it"
    return SourceError(f"the cloud refuses {told}", hint=hint, facts=facts)


def unreachable(text: str) -> SourceUnreachableError:
    """The error for a cloud that may be there later."""
    return SourceUnreachableError(
        f"the cloud cannot be reached, or broke off: {text}", hint="nothing of it was loaded; run again"
    )


def no_credentials(text: str, hint: str) -> SourceError:
    """The error where nothing says who we are."""
    return SourceError(f"there are no credentials for the cloud: {text}", hint=hint, facts={"code": "NoCredentials"})


def secret(asked: CloudInput, name: str) -> Any:
    """A credential in plain text, for the library alone; None if there is none."""
    value = asked.credentials.get(name)
    return value.reveal() if value is not None else None
