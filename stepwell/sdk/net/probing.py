"""Whether a development server is there, asked before anything goes to one nobody named.

The only place that knows the probe of mode "auto": an HttpPort around another one. That one was
found is remembered for a while, until it does not answer: another program may take its port. That
there is none is not remembered: one may be started at any moment. Law: a request meant for a
missing development server fails; it never goes elsewhere.
"""

import time
from collections.abc import Mapping

import msgspec

from stepwell.sdk.net.port import HttpPort, HttpReply, NetworkError
from stepwell.sdk.settings import Settings
from stepwell.wire.outside import decode

PROBE_PATH = "/dev"
PROBE_SECONDS = 2.0
REMEMBERED_SECONDS = 30.0
"""A development server is near: what takes longer is none."""


class _Version(msgspec.Struct):
    version: str


class DevServerFirst:
    """Lets requests to `origin` pass once `GET {origin}/dev` was answered by a dev server."""

    def __init__(self, http: HttpPort, origin: str) -> None:
        self._http = http
        self._origin = origin.rstrip("/") + "/"
        self._found_at: float | None = None

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_seconds: float,
    ) -> HttpReply:
        """Probe, then send. Raises NetworkError if there is no development server, or no answer."""
        meant = url.startswith(self._origin)
        if meant and not self._is_known():
            try:
                reply = await self._http.request(
                    "GET",
                    self._origin.rstrip("/") + PROBE_PATH,
                    headers={},
                    body=None,
                    timeout_seconds=PROBE_SECONDS,
                )
            except NetworkError as error:
                raise self._missing(str(error)) from error
            self._judge(reply)
        try:
            return await self._http.request(
                method, url, headers=headers, body=body, timeout_seconds=timeout_seconds
            )
        except NetworkError:
            self._forget(meant)
            raise

    def request_sync(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_seconds: float,
    ) -> HttpReply:
        """The same for blocking code."""
        meant = url.startswith(self._origin)
        if meant and not self._is_known():
            try:
                reply = self._http.request_sync(
                    "GET",
                    self._origin.rstrip("/") + PROBE_PATH,
                    headers={},
                    body=None,
                    timeout_seconds=PROBE_SECONDS,
                )
            except NetworkError as error:
                raise self._missing(str(error)) from error
            self._judge(reply)
        try:
            return self._http.request_sync(
                method, url, headers=headers, body=body, timeout_seconds=timeout_seconds
            )
        except NetworkError:
            self._forget(meant)
            raise

    def _is_known(self) -> bool:
        found_at = self._found_at
        return found_at is not None and time.monotonic() - found_at < REMEMBERED_SECONDS

    def _forget(self, meant: bool) -> None:
        if meant:
            self._found_at = None

    def _judge(self, reply: HttpReply) -> None:
        if not is_dev_server(reply):
            raise self._missing(f"what answers GET {PROBE_PATH} there is none")
        self._found_at = time.monotonic()

    def _missing(self, why: str) -> NetworkError:
        return NetworkError(
            f"mode 'auto' sees no sign of production, but there is no development server at "
            f"{self._origin} ({why}). Start one with `stepwell dev`, name one in INNGEST_DEV, or "
            "set INNGEST_DEV=0 to use the cloud.",
            "other",
        )


_VERSION = msgspec.json.Decoder(_Version)


def is_dev_server(reply: HttpReply) -> bool:
    """Does this answer to `GET /dev` come from a development server?"""
    if reply.status != 200:
        return False
    try:
        decode(reply.body, _VERSION)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def probing(http: HttpPort, settings: Settings) -> HttpPort:
    """`http`, asking first for the development server if its address is nobody's word."""
    guessed = settings.guessed_origin
    return http if guessed is None else DevServerFirst(http, guessed)
