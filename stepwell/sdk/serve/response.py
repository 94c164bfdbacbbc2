"""What the serve handler hands back to a framework adapter."""

from collections.abc import AsyncGenerator, Generator, Mapping

import msgspec

CONTENT_TYPE_JSON = "application/json"


class ServeResponse(msgspec.Struct, frozen=True):
    """One whole HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class StreamingResponse(msgspec.Struct, frozen=True):
    """An answer that has begun: status 201, then keep-alive bytes, then one JSON document.

    `chunks` is asynchronous when it comes from `handle` and an ordinary iterator when it comes from
    `handle_sync`. Closing it gives up the call.
    """

    status: int
    headers: Mapping[str, str]
    chunks: AsyncGenerator[bytes, None]


class StreamingResponseSync(msgspec.Struct, frozen=True):
    """The same for blocking frameworks. The adapter must call `chunks.close()` or exhaust it."""

    status: int
    headers: Mapping[str, str]
    chunks: Generator[bytes, None, None]
