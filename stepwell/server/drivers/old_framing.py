"""Connections of aiohttp that read what `wire/old_framing.py` is about, for calls of the server."""

from functools import partial
from typing import Any

from aiohttp import TCPConnector
from aiohttp.client_proto import ResponseHandler

from stepwell.wire.old_framing import Beginning


class _Reader(ResponseHandler):
    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._beginning = Beginning()

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        found = self._beginning.take(data)
        if found is not None:  # aiohttp gives nothing to itself where it goes on after a pause
            super().data_received(found)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Nothing more comes."""
        rest = self._beginning.end()
        if rest:
            super().data_received(rest)
        super().connection_lost(exc)


def reads_plainly(connector: TCPConnector) -> None:
    """Let a connector's connections read such answers."""
    kept: Any = connector
    kept._factory = partial(_Reader, loop=kept._loop)  # noqa: SLF001 - there is no public way
