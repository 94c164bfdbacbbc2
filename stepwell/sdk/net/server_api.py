"""Requests to the server's API: authenticated with the signing key, once more with its fallback.

The only place of the SDK that makes bearer tokens.
"""

from collections.abc import Callable, Mapping

import msgspec

from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.net.agent import common_headers
from stepwell.sdk.net.port import HttpPort, HttpReply
from stepwell.sdk.settings import Settings
from stepwell.wire import header
from stepwell.wire.signature import SigningKeyError, bearer


class ApiRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request to the API; `path` begins with a slash and may hold a query."""

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])
    timeout_seconds: float


class ServerApi:
    """The API of the server that `settings` names. Answers of any status are returned as they come.

    Raises NetworkError if no answer came, ConfigurationError for a signing key that cannot be used.
    """

    def __init__(self, http: Callable[[], HttpPort], settings: Settings) -> None:
        self._http = http
        self._origin = settings.api_origin.rstrip("/")
        self._headers = common_headers(settings)
        keys = (settings.signing_key, settings.signing_key_fallback)
        # In development there may be no key at all: then nothing is sent, and nobody asks.
        self._tokens: list[str | None] = [_token(key) for key in keys if key] or [None]

    @property
    def origin(self) -> str:
        """Where it is."""
        return self._origin

    def _headers_with(self, request: ApiRequest, token: str | None) -> dict[str, str]:
        headers = {**self._headers, **request.headers}
        if token is not None:
            headers[header.AUTHORIZATION] = token
        return headers

    async def ask(self, request: ApiRequest) -> HttpReply:
        """Send a request, with the fallback key if the first is refused (401 or 403)."""
        reply = None
        for token in self._tokens:
            reply = await self._http().request(
                request.method,
                self._origin + request.path,
                headers=self._headers_with(request, token),
                body=request.body,
                timeout_seconds=request.timeout_seconds,
            )
            if reply.status not in {401, 403}:
                break
        assert reply is not None
        return reply

    def ask_sync(self, request: ApiRequest) -> HttpReply:
        """The same for blocking code."""
        reply = None
        for token in self._tokens:
            reply = self._http().request_sync(
                request.method,
                self._origin + request.path,
                headers=self._headers_with(request, token),
                body=request.body,
                timeout_seconds=request.timeout_seconds,
            )
            if reply.status not in {401, 403}:
                break
        assert reply is not None
        return reply


def _token(signing_key: str) -> str:
    try:
        return bearer(signing_key)
    except SigningKeyError as error:
        raise ConfigurationError(f"signing_key: {error}") from None
