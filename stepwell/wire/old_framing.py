"""Answers of simple proxies that speak HTTP/1.0: they say that a body comes in chunks, and send it
as it is.

The only place that reads them as what they are. A body that does come in chunks is left alone.
"""

import re

HEAD_BYTES_MAX = 64 * 1024
CHUNK_LINE_BYTES_MAX = 256
_OLD = b"HTTP/1.0 "
_END = b"\r\n\r\n"
_CHUNKED = re.compile(rb"\r\ntransfer-encoding[ \t]*:[ \t]*chunked[ \t]*(?=\r\n)", re.IGNORECASE)
_CHUNK = re.compile(rb"[0-9A-Fa-f]{1,8}[ \t]*(;[^\r\n]*)?\r\n")
_CHUNK_BEGUN = re.compile(rb"[0-9A-Fa-f]{0,8}[ \t]*(;[^\r\n]*)?\r?")


def begins_with_chunk(body: bytes) -> bool:
    """Does the first line of a body say how long a chunk is?"""
    return _CHUNK.match(body) is not None


def plainly(received: bytes, *, ended: bool = False) -> bytes | None:
    """The beginning of an answer, without the header that is not so; None if more must come first.

    `ended` says that nothing more comes.
    """
    if not received.startswith(_OLD[: len(received)]):
        return received
    head, end, body = received.partition(_END)
    if not end:
        return received if ended or len(received) > HEAD_BYTES_MAX else None
    if _CHUNKED.search(head + b"\r\n") is None or begins_with_chunk(body):
        return received
    undecided = len(body) < CHUNK_LINE_BYTES_MAX and _CHUNK_BEGUN.fullmatch(body) is not None
    if undecided and not ended:
        return None
    return _CHUNKED.sub(b"", head + b"\r\n")[:-2] + end + body


class Beginning:
    """The first bytes that come over a connection: HTTP/1.0 answers one request on each."""

    __slots__ = ("_begun",)

    def __init__(self) -> None:
        self._begun: bytes | None = b""

    def take(self, data: bytes) -> bytes | None:
        """What can be read now that `data` has come; None while it is undecided."""
        if self._begun is None:
            return data
        found = plainly(self._begun + data)
        self._begun = None if found is not None else self._begun + data
        return found

    def end(self) -> bytes:
        """What is left to read when nothing more comes."""
        rest = plainly(self._begun, ended=True) if self._begun else None
        self._begun = None
        return rest or b""
