"""Azure Blob Storage."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final

from azure.core import MatchConditions
from azure.core import exceptions as azure_errors
from azure.identity import CredentialUnavailableError, DefaultAzureCredential
from azure.storage.blob import ContainerClient

from pratique.errors import ConfigurationError, SourceError
from pratique.secrets import remembered
from pratique.sources.clouds.base import Body, Bucket, StoredObject, no_credentials, secret, status_error, unreachable

_HINT: Final = "az login, or set AZURE_STORAGE_CONNECTION_STRING or AZURE_STORAGE_KEY; or say anonymous: true"


class AzureContainer(Bucket):
    """One container. Credentials: the connection's, else those of AZURE_STORAGE_…, else the usual chain of Azure."""

    errors = (azure_errors.AzureError, OSError, ValueError)

    @cached_property
    def _client(self) -> Any:
        asked = self._asked
        more: dict[str, Any] = {
            "retry_total": 0,  # `sources.retry` alone tries again
            "connection_timeout": asked.connect_timeout_seconds,
            "read_timeout": asked.read_timeout_seconds,
        }
        text = os.environ.get("AZURE_STORAGE_CONNECTION_STRING")
        if text and not (asked.account or asked.endpoint or asked.credentials):
            return ContainerClient.from_connection_string(remembered(text), asked.bucket, **more)
        return ContainerClient(self._address(), asked.bucket, self._credential(), **more)

    def _address(self) -> str:
        account = self._asked.account or os.environ.get("AZURE_STORAGE_ACCOUNT")
        if self._asked.endpoint:
            return self._asked.endpoint
        if not account:
            raise ConfigurationError(
                f"nothing says which account {self._asked.shown} is in",
                hint="write account: NAME in the connection, or set AZURE_STORAGE_ACCOUNT",
            )
        return f"https://{account}.blob.core.windows.net"

    def _credential(self) -> Any:
        asked = self._asked
        account = asked.account or os.environ.get("AZURE_STORAGE_ACCOUNT", "")
        if asked.anonymous:
            return None
        if key := secret(asked, "account_key") or _variable("AZURE_STORAGE_KEY"):
            return {"account_name": account, "account_key": key}
        return secret(asked, "sas_token") or _variable("AZURE_STORAGE_SAS_TOKEN") or DefaultAzureCredential()

    def _listed(self, prefix: str) -> Iterator[StoredObject]:
        """Folders of a hierarchical account are no blobs."""
        for blob in self._client.list_blobs(name_starts_with=prefix or None, include=["metadata"]):
            if (blob.metadata or {}).get("hdi_isfolder") != "true":
                md5 = blob.content_settings.content_md5
                yield StoredObject(blob.name, blob.size, blob.etag, bytes(md5) if md5 else None)

    def _version(self, item: StoredObject) -> Body:
        stream = self._client.download_blob(
            item.key, etag=item.tag, match_condition=MatchConditions.IfNotModified, max_concurrency=1
        )
        return Body(stream.chunks(), item.md5)

    def _meant(self, error: Exception, key: str) -> SourceError:
        if isinstance(error, azure_errors.ServiceRequestError | azure_errors.ServiceResponseError | OSError):
            return unreachable(f"{self._asked.shown}: {type(error).__name__}: {error}")
        if isinstance(error, CredentialUnavailableError | azure_errors.ClientAuthenticationError):
            if getattr(error, "status_code", None) is None:
                return no_credentials(str(error).splitlines()[0], _HINT)
            return status_error(self._asked, 403, "AuthenticationFailed", "", key)
        if isinstance(error, azure_errors.HttpResponseError):
            code = str(getattr(error, "error_code", "") or "")
            text = (error.message or "").splitlines()[0] if error.message else ""
            missing = "" if code == "ContainerNotFound" else key
            return status_error(self._asked, error.status_code or 0, code, text, missing)
        return SourceError(f"{self._asked.shown} cannot be read: {error}", hint="see the connection")


def _variable(name: str) -> str | None:
    """A secret of the environment; from here on it is hidden in everything that is told."""
    value = os.environ.get(name)
    return remembered(value) if value else None
