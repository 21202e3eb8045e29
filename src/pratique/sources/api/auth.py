"""Who asks: credentials that are put on requests to the API's own origin, and on no other."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

import orjson

from pratique.apis import Auth
from pratique.errors import SourceError
from pratique.secrets import remembered

if TYPE_CHECKING:
    from pratique.sources.api.client import Client

_EARLY_SECONDS: Final = 30  # so much before its end a token is renewed


class Credentials:
    """What makes a request one of ours. A token is fetched when it is first needed, and once for all who need it."""

    def __init__(self, auth: Auth) -> None:
        self._auth = auth
        self._secret = auth.secret.reveal() if auth.secret else ""
        self._token = self._secret if auth.type == "bearer" else ""
        self._ends_at: float | None = None
        self._lock = asyncio.Lock()

    def apply(self, headers: dict[str, str], params: list[tuple[str, str]], url: str) -> list[tuple[str, str]]:
        """Put the credentials on a request to the API's own origin; its parameters with them."""
        if self._auth.type == "basic":
            headers["Authorization"] = self._basic(f"{self._auth.user}:{self._secret}")
        elif self._auth.type in {"bearer", "oauth2"}:
            headers["Authorization"] = f"Bearer {self._token}"
        elif self._auth.type == "api_key" and self._auth.place == "header":
            headers[self._auth.name] = self._secret
        elif self._auth.type == "api_key":
            there = {name for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)}
            if self._auth.name not in there:  # a link to the next page may have it already
                return [*params, (self._auth.name, self._secret)]
        return params

    async def token(self, client: Client) -> str:
        """The token in hand, renewed where it is about to end; empty without one."""
        if self._auth.type == "oauth2":
            async with self._lock:
                if not self._token or (self._ends_at is not None and time.monotonic() > self._ends_at):
                    await self._fetch(client)
        return self._token

    async def renewed(self, client: Client, refused: str) -> bool:
        """Whether there is another token now than the one that was refused."""
        if self._auth.type != "oauth2":
            return False
        async with self._lock:
            if self._token == refused:
                await self._fetch(client)
        return True

    async def _fetch(self, client: Client) -> None:
        """Ask for a token by client credentials (RFC 6749, 4.4). SourceError where none is given."""
        auth = self._auth
        form = {"grant_type": "client_credentials", "scope": auth.scope, "audience": auth.audience}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if auth.place == "body":
            form |= {"client_id": auth.user, "client_secret": self._secret}
        else:
            headers["Authorization"] = self._basic(f"{quote_plus(auth.user)}:{quote_plus(self._secret)}")
        body = urlencode({name: value for name, value in form.items() if value}).encode()
        try:
            answer = await client.send("POST", auth.token_url, [], headers, body)
        except SourceError as error:
            if error.retryable:
                raise
            hint = "check client_id, client_secret and token_url of the connection"
            raise SourceError(f"no token is given: {error.message}", hint=hint) from error
        if isinstance(answer, str):
            hint = "write where it leads as token_url: credentials follow no redirect"
            raise SourceError("no token is given: the place that gives tokens redirects", hint=hint)
        try:
            found = orjson.loads(answer.body)
            token, seconds = found["access_token"], found.get("expires_in")
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise SourceError("no token is given: the answer holds no access_token", hint="check token_url") from error
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise SourceError("no token is given: access_token is no token", hint="check token_url")
        self._token = remembered(token)
        lasts = float(seconds) if isinstance(seconds, int | float) and not isinstance(seconds, bool) else None
        self._ends_at = time.monotonic() + max(lasts - _EARLY_SECONDS, lasts / 2) if lasts is not None else None

    def _basic(self, text: str) -> str:
        return "Basic " + remembered(base64.b64encode(text.encode()).decode())
