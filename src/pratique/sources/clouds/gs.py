"""Google Cloud Storage."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import google.auth
import requests
from google.api_core import exceptions as google_errors
from google.auth import exceptions as auth_errors
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.oauth2 import service_account

from pratique.errors import SourceError
from pratique.inputs import CloudInput
from pratique.sources.clouds.base import (
    PIECE_BYTES,
    Body,
    StoredObject,
    no_credentials,
    secret,
    status_error,
    unreachable,
)

_SCOPE: Final = "https://www.googleapis.com/auth/devstorage.read_only"
_HINT: Final = "gcloud auth application-default login, or set GOOGLE_APPLICATION_CREDENTIALS; or say anonymous: true"


class GoogleBucket:
    """One bucket. Credentials: the connection's, else the application default ones."""

    def __init__(self, asked: CloudInput) -> None:
        self._asked = asked
        self._client: Any = None
        self._timeout = (asked.connect_timeout_seconds, asked.read_timeout_seconds)

    def _opened(self) -> Any:
        if self._client is None:
            options = {"api_endpoint": self._asked.endpoint} if self._asked.endpoint else None
            self._client = storage.Client(project="-", credentials=self._credentials(), client_options=options)
        return self._client

    def _credentials(self) -> Any:
        if self._asked.anonymous:
            return AnonymousCredentials()  # type: ignore[no-untyped-call]
        if key := secret(self._asked, "service_account"):
            try:
                return service_account.Credentials.from_service_account_info(json.loads(key), scopes=[_SCOPE])  # type: ignore[no-untyped-call]
            except ValueError as error:
                raise no_credentials("service_account is no key of a service account", _HINT) from error
        return google.auth.default(scopes=[_SCOPE])[0]

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Every object whose name begins so, in its newest generation."""
        with self._told():
            for blob in self._opened().list_blobs(self._asked.bucket, prefix=prefix, timeout=self._timeout, retry=None):
                md5 = base64.b64decode(blob.md5_hash) if blob.md5_hash else None
                yield StoredObject(blob.name, int(blob.size or 0), str(blob.generation), md5)

    def read(self, item: StoredObject) -> Body:
        """The bytes of this generation as they are stored: what is packed is not unpacked on the way."""
        with self._told(item.key):
            blob = self._opened().bucket(self._asked.bucket).blob(item.key, generation=int(item.tag))
            file = blob.open(
                "rb",
                chunk_size=8 * PIECE_BYTES,
                raw_download=True,
                timeout=self._timeout,
                retry=None,
            )
            return Body(self._pieces(file, item.key), item.md5)

    def _pieces(self, file: Any, key: str) -> Iterator[bytes]:
        with self._told(key), file:
            while piece := file.read(PIECE_BYTES):
                yield piece

    @contextmanager
    def _told(self, key: str = "") -> Iterator[None]:
        try:
            yield
        except google_errors.GoogleAPICallError as error:
            raise status_error(self._asked, int(error.code or 0), type(error).__name__, error.message, key) from error
        except (auth_errors.TransportError, requests.RequestException, OSError) as error:
            raise unreachable(f"{self._asked.shown}: {type(error).__name__}: {error}") from error
        except auth_errors.GoogleAuthError as error:
            raise no_credentials(str(error), _HINT) from error
        except ValueError as error:
            raise SourceError(f"{self._asked.shown} cannot be read: {error}", hint="see the connection") from error
