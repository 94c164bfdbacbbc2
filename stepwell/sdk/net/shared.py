"""The HTTP client that everybody shares who was given no other: one for each process.

It is `pooled.py`, and for blocking code `blocking.py`; worker connections begin with `plain.py`. No
other module of the SDK opens an HTTP connection.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from stepwell.sdk.net.port import ByteStream, HttpPort, HttpReply, StreamPort, SyncPort

if TYPE_CHECKING:
    from stepwell.sdk.net.pooled import AiohttpPort


class _Shared:
    """The process's clients, each loaded with its library when it is first asked for."""

    def __init__(self) -> None:
        self._port: AiohttpPort | None = None
        self._blocking: SyncPort | None = None

    def _loaded(self) -> "AiohttpPort":
        port = self._port
        if port is None:
            from stepwell.sdk.net.pooled import AiohttpPort  # noqa: PLC0415 - many never need it

            port = self._port = AiohttpPort()
        return port

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_seconds: float,
    ) -> HttpReply:
        """See `AiohttpPort.request`."""
        return await self._loaded().request(
            method, url, headers=headers, body=body, timeout_seconds=timeout_seconds
        )

    async def listen(
        self, url: str, *, headers: Mapping[str, str], silence_seconds: float
    ) -> ByteStream:
        """See `AiohttpPort.listen`."""
        return await self._loaded().listen(url, headers=headers, silence_seconds=silence_seconds)

    def request_sync(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_seconds: float,
    ) -> HttpReply:
        """See `BlockingPort.request_sync`."""
        port = self._blocking
        if port is None:
            from stepwell.sdk.net.blocking import BlockingPort  # noqa: PLC0415 - many never need it

            port = self._blocking = BlockingPort(self._loaded)
        return port.request_sync(
            method, url, headers=headers, body=body, timeout_seconds=timeout_seconds
        )


_shared = _Shared()


def shared_streams() -> StreamPort:
    """What the process reads streams with, whatever makes a client's other requests."""
    return _shared


def shared_port() -> HttpPort:
    """The process's HTTP port, which every client uses unless it was given another."""
    return _shared
