"""Amazon S3, and servers that speak like it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final

import boto3
import urllib3.exceptions
from botocore import UNSIGNED
from botocore import exceptions as boto
from botocore.client import Config

from pratique.errors import SourceError
from pratique.sources.clouds.base import (
    THREADS,
    Body,
    Bucket,
    StoredObject,
    no_credentials,
    pieces_of,
    secret,
    status_error,
    unreachable,
)

_MD5: Final = re.compile("[0-9a-f]{32}")  # the ETag of an object that was put in one piece and not encrypted by a key
_PASSING: Final = (
    boto.HTTPClientError,
    boto.EndpointConnectionError,
    boto.ConnectionError,
    boto.ResponseStreamingError,
    boto.IncompleteReadError,
    boto.ReadTimeoutError,
    boto.FlexibleChecksumError,
    urllib3.exceptions.HTTPError,
    OSError,
)
_NOBODY: Final = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.ProfileNotFound,
    boto.CredentialRetrievalError,
    boto.TokenRetrievalError,
    boto.SSOError,
)
_HINT: Final = "set AWS_PROFILE or AWS_ACCESS_KEY_ID, or name access_key_id in the connection; or say anonymous: true"


class S3Bucket(Bucket):
    """One bucket. Credentials: the connection's, else those of the usual chain of boto3."""

    errors = (boto.ClientError, boto.BotoCoreError, urllib3.exceptions.HTTPError, OSError, ValueError)

    @cached_property
    def _client(self) -> Any:
        asked = self._asked
        config = Config(
            connect_timeout=asked.connect_timeout_seconds,
            read_timeout=asked.read_timeout_seconds,
            max_pool_connections=THREADS,
            retries={"total_max_attempts": 1, "mode": "standard"},  # `sources.retry` alone tries again
            s3={"addressing_style": "path" if asked.endpoint else "auto"},
            signature_version=UNSIGNED if asked.anonymous else None,
        )
        session = boto3.Session(
            aws_access_key_id=secret(asked, "access_key_id"),
            aws_secret_access_key=secret(asked, "secret_access_key"),
            aws_session_token=secret(asked, "session_token"),
            region_name=asked.region,
            profile_name=asked.profile,
        )
        region = None if session.region_name or not asked.endpoint else "us-east-1"
        return session.client("s3", region_name=region, endpoint_url=asked.endpoint, config=config)

    def _listed(self, prefix: str) -> Iterator[StoredObject]:
        """The library has keys sent percent-encoded, so that no character is lost."""
        pages = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._asked.bucket, Prefix=prefix):
            for item in page.get("Contents", ()):
                yield StoredObject(item["Key"], item["Size"], item["ETag"])

    def _version(self, item: StoredObject) -> Body:
        """The library checks the checksum that S3 keeps, where there is one."""
        found = self._client.get_object(Bucket=self._asked.bucket, Key=item.key, IfMatch=item.tag)
        etag = found["ETag"].strip('"')
        if found["ETag"] != item.tag:  # a server that does not know If-Match
            raise status_error(self._asked, 412, "PreconditionFailed", "", item.key)
        keyed = "kms" in found.get("ServerSideEncryption", "") or "SSECustomerAlgorithm" in found
        md5 = bytes.fromhex(etag) if _MD5.fullmatch(etag) and not keyed else None
        return Body(pieces_of(found["Body"]), md5)

    def _meant(self, error: Exception, key: str) -> SourceError:
        if isinstance(error, boto.ClientError):
            answer = error.response.get("Error", {})
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            code, text = str(answer.get("Code", "")), str(answer.get("Message", ""))
            return status_error(self._asked, status, code, text, "" if code == "NoSuchBucket" else key)
        if isinstance(error, _NOBODY):
            return no_credentials(str(error), _HINT)
        if isinstance(error, _PASSING):
            return unreachable(f"{self._asked.shown}: {type(error).__name__}: {error}")
        hint = "see the connection in config/, and what the environment says of AWS"
        return SourceError(f"{self._asked.shown} cannot be read: {error}", hint=hint)
