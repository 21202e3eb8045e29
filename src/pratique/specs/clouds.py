"""Connections that lead to files elsewhere: `s3://bucket/prefix`, `gs://…`, `az://…`, `sftp://user@host:port/folder`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import unquote, urlsplit

from pydantic import Field

from pratique.inputs import CloudInput, CloudKind
from pratique.mistakes import Mistake, refuse
from pratique.secrets import Secret, reveal
from pratique.specs.base import Spec, Where, nearest, parse

_KEYS: Final[Mapping[CloudKind, frozenset[str]]] = {
    "s3": frozenset({"region", "profile", "access_key_id", "secret_access_key", "session_token"}),
    "gs": frozenset({"service_account"}),
    "az": frozenset({"account", "account_key", "sas_token"}),
    "sftp": frozenset({"user", "password", "private_key", "private_key_passphrase", "known_hosts"}),
}
_ALL_KINDS: Final = frozenset({"url", "connect_timeout_seconds", "read_timeout_seconds"})
_ALL_CLOUDS: Final = frozenset({"endpoint", "anonymous", "tls"})
_SECRET: Final = (
    *("secret_access_key", "session_token", "service_account", "account_key", "sas_token"),
    *("password", "private_key", "private_key_passphrase"),
)
_CREDENTIALS: Final = ("access_key_id", *_SECRET)
_URL: Final = re.compile(r"(s3|gs|az|sftp)://([^/?#\s]+)(?:/([^\0]*))?", re.IGNORECASE)
_BUCKET: Final = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._-]{1,221}")
_SSH_PORT: Final = 22
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
Seconds = Annotated[int, Field(ge=1, le=3600)]


class CloudConnectionSpec(Spec):
    """How the objects of a cloud are reached. Without credentials the usual places of the environment are looked at."""

    url: Annotated[str, Field(min_length=1)]
    endpoint: str | None = None
    region: str | None = None
    profile: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    session_token: str | None = None
    service_account: str | None = None
    account: str | None = None
    account_key: str | None = None
    sas_token: str | None = None
    user: str | None = None
    password: str | None = None
    private_key: str | None = None
    private_key_passphrase: str | None = None
    known_hosts: str | None = None
    anonymous: bool = False
    tls: str | None = None
    connect_timeout_seconds: Seconds = 10
    read_timeout_seconds: Seconds = 60


def leads_into_a_cloud(url: Any) -> bool:
    """Whether a url or a path names an object store."""
    return isinstance(text := reveal(url), str) and text.partition("://")[0].lower() in _KEYS and "://" in text


def cloud_input(connection: Mapping[str, Any], where: Where, root: Path) -> CloudInput:
    """What a connection leads to. Secrets come by reference only; ConfigurationError says what is wrong."""
    parsed = parse(CloudConnectionSpec, reveal(connection), where, shown=connection)
    refuse(parsed.mistakes)
    spec = parsed.spec
    assert spec is not None  # noqa: S101 - `refuse` raised otherwise
    match = _URL.fullmatch(spec.url)
    kind: CloudKind = spec.url.partition("://")[0].lower()  # type: ignore[assignment] # or there is no match
    if match is None or not (kind == "sftp" or _BUCKET.fullmatch(match[2])):
        refuse([Mistake(where(("url",)), "the url names no bucket", "such as s3://bucket/folder")])
        raise AssertionError(spec.url)
    known = _KEYS[kind] | _ALL_KINDS | (frozenset() if kind == "sftp" else _ALL_CLOUDS)
    mistakes = [
        Mistake(where((key,), True), f"{key} means nothing for {kind}://", nearest(key, known), "unknown-key")
        for key in connection
        if key not in known
    ]
    mistakes += [
        Mistake(
            where((key,)), f"{key} stands in the file itself", "write ${NAME} and set that variable, or ${file:PATH}"
        )
        for key in _SECRET
        if connection.get(key) and not isinstance(connection[key], Secret)
    ]
    mistakes += _endpoint(spec, where)
    if bool(spec.access_key_id) != bool(spec.secret_access_key):
        mistakes.append(Mistake(where(("url",)), "of access_key_id and secret_access_key one is missing", "give both"))
    server = _server(match[2], spec, where, root) if kind == "sftp" else {}
    refuse(mistakes)
    credentials = {key: Secret(value) for key in _CREDENTIALS if (value := getattr(spec, key))}
    prefix = (match[3] or "").strip("/")
    return CloudInput(
        kind=kind,
        prefix=f"{prefix}/" if prefix else "",
        endpoint=spec.endpoint,
        region=spec.region,
        profile=spec.profile,
        credentials=credentials,
        anonymous=spec.anonymous,
        connect_timeout_seconds=spec.connect_timeout_seconds,
        read_timeout_seconds=spec.read_timeout_seconds,
        **{"bucket": match[2], "account": spec.account, **server},
    )


def _server(authority: str, spec: CloudConnectionSpec, where: Where, root: Path) -> dict[str, Any]:
    """Which server, and who asks: what stands before the path of an sftp:// url, and `user`."""
    mistakes = []
    try:
        url = urlsplit(f"sftp://{authority}")
        host, port = url.hostname, url.port or _SSH_PORT
    except ValueError:
        refuse([Mistake(where(("url",)), "the url names no server", "such as sftp://reader@files.example:22/folder")])
        raise AssertionError(authority) from None
    user = unquote(url.username) if url.username else spec.user
    if not host:
        mistakes.append(Mistake(where(("url",)), "the url names no server", "such as sftp://reader@files.example/in"))
    if url.password is not None:
        hint = "take it out, and write password: ${NAME}"
        mistakes.append(Mistake(where(("url",)), "a password stands in the url", hint))
    if not user:
        hint = "such as sftp://reader@files.example/in, or user: reader"
        mistakes.append(Mistake(where(("url",)), "nothing says which user asks the server", hint))
    if spec.password and spec.private_key:
        hint = "keep the one that the server asks for"
        mistakes.append(Mistake(where(("password",)), "password and private_key are both there", hint))
    refuse(mistakes)
    shown = f"{user}@{host}" + (f":{port}" if port != _SSH_PORT else "")
    known_hosts = root / Path(spec.known_hosts).expanduser() if spec.known_hosts else None
    return {"bucket": shown, "account": user, "host": host, "port": port, "known_hosts": known_hosts}


def _endpoint(spec: CloudConnectionSpec, where: Where) -> list[Mistake]:
    if spec.tls not in {None, "disable"}:
        return [
            Mistake(where(("tls",)), f'tls: "{spec.tls}" is not one of disable', "leave it out: TLS is the default")
        ]
    if spec.endpoint is None:
        return []
    url = urlsplit(spec.endpoint)
    if url.scheme not in {"http", "https"} or not url.hostname or url.username or url.query:
        return [Mistake(where(("endpoint",)), "endpoint is no address of a server", "such as https://s3.example:9000")]
    if url.scheme == "http" and url.hostname not in _LOOPBACK and spec.tls != "disable":
        hint = "begin it with https://, or say tls: disable if everybody on the way may read your data"
        return [Mistake(where(("endpoint",)), "endpoint has no TLS", hint)]
    return []


def cloud_of_path(path: str | None, place: str, root: Path) -> tuple[CloudInput | None, str | None]:
    """The bucket that a path names itself, as `s3://bucket/in/*.csv` does, and the path there."""
    if path is None or "://" not in path:
        return None, path
    if not leads_into_a_cloud(path):
        refuse(
            [
                Mistake(
                    place, "no such place is served", "served: s3://, gs://, az://, sftp://, and paths of this machine"
                )
            ]
        )
    kind, _, rest = path.partition("://")
    bucket, _, below = rest.partition("/")
    return cloud_input({"url": f"{kind}://{bucket}"}, lambda *_, **__: place, root), below or None
