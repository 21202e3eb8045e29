"""Google Cloud Storage."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final

import google.auth
import requests
from google.api_core import exceptions as google_errors
from google.auth import exceptions as auth_errors
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.oauth2 import service_account

from pratique.errors import SourceError
from pratique.sources.clouds.base import (
    PIECE_BYTES,
    Body,
    Bucket,
    StoredObject,
    no_credentials,
    pieces_of,
    secret,
    status_error,
    unreachable,
)

_SCOPE: Final = "https://www.googleapis.com/auth/devstorage.read_only"
_HINT: Final = "gcloud auth application-default login, or set GOOGLE_APPLICATION_CREDENTIALS; or say anonymous: true"


class GoogleBucket(Bucket):
    """One bucket. Credentials: the connection's, else the application default ones."""

    errors = (google_errors.GoogleAPICallError, auth_errors.GoogleAuthError, OSError, ValueError)

    @cached_property
    def _client(self) -> Any:
        options = {"api_endpoint": self._asked.endpoint} if self._asked.endpoint else None
        return storage.Client(project="-", credentials=self._credentials(), client_options=options)

    @property
    def _timeout(self) -> tuple[int, int]:
        return self._asked.connect_timeout_seconds, self._asked.read_timeout_seconds

    def _credentials(self) -> Any:
        if self._asked.anonymous:
            return AnonymousCredentials()  # type: ignore[no-untyped-call]
        if key := secret(self._asked, "service_account"):
            try:
                return service_account.Credentials.from_service_account_info(json.loads(key), scopes=[_SCOPE])  # type: ignore[no-untyped-call]
            except ValueError as error:
                raise no_credentials("service_account is no key of a service account", _HINT) from error
        return google.auth.default(scopes=[_SCOPE])[0]

    def _listed(self, prefix: str) -> Iterator[StoredObject]:
        """Each in its newest generation."""
        for blob in self._client.list_blobs(self._asked.bucket, prefix=prefix, timeout=self._timeout, retry=None):
            md5 = base64.b64decode(blob.md5_hash) if blob.md5_hash else None
            yield StoredObject(blob.name, int(blob.size or 0), str(blob.generation), md5)

    def _version(self, item: StoredObject) -> Body:
        """The bytes as they are stored: what is packed is not unpacked on the way."""
        blob = self._client.bucket(self._asked.bucket).blob(item.key, generation=int(item.tag))
        file = blob.open("rb", chunk_size=8 * PIECE_BYTES, raw_download=True, timeout=self._timeout, retry=None)
        return Body(pieces_of(file), item.md5)

    def _meant(self, error: Exception, key: str) -> SourceError:
        if isinstance(error, google_errors.GoogleAPICallError):
            return status_error(self._asked, int(error.code or 0), type(error).__name__, error.message, key)
        if isinstance(error, auth_errors.TransportError | requests.RequestException | OSError):
            return unreachable(f"{self._asked.shown}: {type(error).__name__}: {error}")
        if isinstance(error, auth_errors.GoogleAuthError):
            return no_credentials(str(error), _HINT)
        return SourceError(f"{self._asked.shown} cannot be read: {error}", hint="see the connection")
