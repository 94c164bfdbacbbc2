"""Answers of simple proxies that speak HTTP/1.0: they say that a body comes in chunks, and send it
as it is.

The only place that reads them as what they are. A body that does come in chunks is left alone.
"""

import re
from functools import partial
from typing import Any

from aiohttp import TCPConnector
from aiohttp.client_proto import ResponseHandler

HEAD_BYTES_MAX = 64 * 1024
_OLD = b"HTTP/1.0 "
_END = b"\r\n\r\n"
_CHUNKED = re.compile(rb"\r\ntransfer-encoding[ \t]*:[ \t]*chunked[ \t]*(?=\r\n)", re.IGNORECASE)
_CHUNK = re.compile(rb"[0-9A-Fa-f]{1,8}[ \t]*(;[^\r\n]*)?\r\n")
_CHUNK_BEGUN = re.compile(rb"[0-9A-Fa-f]{0,8}[ \t]*(;[^\r\n]*)?\r?")
_CHUNK_LINE_BYTES_MAX = 256


def plainly(received: bytes, *, ended: bool = False) -> bytes | None:
    """The beginning of an answer, without the header that is not so; None if more must come first.

    `ended` says that nothing more comes.
    """
    if not received.startswith(_OLD[: len(received)]):
        return received
    head, end, body = received.partition(_END)
    if not end:
        return received if ended or len(received) > HEAD_BYTES_MAX else None
    if _CHUNKED.search(head + b"\r\n") is None or _CHUNK.match(body) is not None:
        return received
    undecided = len(body) < _CHUNK_LINE_BYTES_MAX and _CHUNK_BEGUN.fullmatch(body) is not None
    if undecided and not ended:
        return None
    return _CHUNKED.sub(b"", head + b"\r\n")[:-2] + end + body


class _Reader(ResponseHandler):
    """Looks at the first bytes of a connection: HTTP/1.0 answers one request on each."""

    _begun: bytes | None = b""

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        if self._begun is not None:
            found = plainly(self._begun + data)
            self._begun = None if found is not None else self._begun + data
            if found is None:
                return
            data = found
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Nothing more comes."""
        if self._begun:
            rest, self._begun = plainly(self._begun, ended=True), None
            super().data_received(rest or b"")
        super().connection_lost(exc)


def reads_plainly(connector: TCPConnector) -> None:
    """Let a connector's connections read such answers."""
    kept: Any = connector
    kept._factory = partial(_Reader, loop=kept._loop)  # noqa: SLF001 - there is no public way
