"""Between ASGI and the serve handler: the request in, the answer out, whole or in pieces.

What every ASGI framework's adapter shares.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, MutableMapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, TypeAlias, cast
from urllib.parse import quote

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.refused import Refusals
from stepwell.sdk.serve.request import ServeRequest, read_headers, read_query
from stepwell.sdk.serve.response import ServeResponse, StreamingResponse

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


class LookAtAnswers:
    """An ASGI middleware that tells of what refuses requests of an endpoint."""

    def __init__(self, app: Any, client: Inngest) -> None:
        self._app = app
        self._client = client
        self._refusals = Refusals(client)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, and look at the answer if it is one for an endpoint."""
        if scope["type"] != "http" or not self._client.is_endpoint(scope["path"]):
            await self._app(scope, receive, send)
            return

        async def look(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = {name.decode("latin-1").lower(): "" for name, _ in message["headers"]}
                self._refusals.note(scope["method"], scope["path"], message["status"], names)
            await send(message)

        await self._app(scope, receive, look)


class AsgiEndpoint:
    """An ASGI application that answers on every path; `raw` makes the request middleware sees."""

    def __init__(
        self, handler: ServeHandler, raw: Callable[[Message], object] | None = None
    ) -> None:
        self._handler = handler
        self._raw = raw

    @property
    def path(self) -> str | None:
        """The path it was told to live at, by argument or environment."""
        return self._handler.serve_path

    @property
    def methods(self) -> tuple["AsgiEndpoint", "AsgiEndpoint", "AsgiEndpoint"]:
        """For endpoint files: `GET, POST, PUT = serve(...).methods`."""
        return (self, self, self)

    def __iter__(self) -> Iterator["AsgiEndpoint"]:
        """The same without a name: `GET, POST, PUT = serve(...)`."""
        return iter(self.methods)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request; complete a lifespan; refuse anything else."""
        if scope["type"] == "lifespan":
            return await _live(receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1000})
        body = await _body(receive)
        if body is None:
            return None  # the client went away before it had said everything
        raw = scope if self._raw is None else self._raw(scope)
        request = request_from(scope, body, raw)
        if _asyncio_runs():
            await _respond(await self._handler.handle(request), receive, send)
        else:
            await self._answer_on_trio(request, receive, send)
        return None

    async def _answer_on_trio(self, request: ServeRequest, receive: Receive, send: Send) -> None:
        from stepwell.sdk.serve import trio_loop  # noqa: PLC0415 - only its servers bring it

        response = await trio_loop.handle(self._handler, request)
        if isinstance(response, ServeResponse):
            return await _send_whole(response, send)
        await send(_start(response))
        if await trio_loop.send_chunks(response.chunks, receive, partial(_send_chunk, send)):
            await send({"type": "http.response.body", "body": b""})
        return None


def request_from(scope: Message, body: bytes, raw: object) -> ServeRequest:
    """An ASGI request as the serve handler takes it."""
    pairs = cast(Sequence[tuple[bytes, bytes]], scope["headers"])
    headers = read_headers(
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in pairs
    )
    query = cast(bytes, scope.get("query_string", b"")).decode("latin-1")
    host, port = scope.get("server") or ("localhost", None)
    # A server on a Unix socket has a path in place of the host, and no port.
    host = headers.get("host") or (f"{host}:{port}" if port else "localhost")
    root, path = cast(str, scope.get("root_path", "")), cast(str, scope["path"])
    if root and not path.startswith(root):  # older servers leave the mount point out of the path
        path = root + path
    return ServeRequest(
        method=scope["method"],
        url=f"{scope.get('scheme', 'http')}://{host}{quote(path)}",
        headers=headers,
        query=read_query(query),
        body=body,
        raw=raw,
    )


async def _body(receive: Receive) -> bytes | None:
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _asyncio_runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _respond(
    response: ServeResponse | StreamingResponse, receive: Receive, send: Send
) -> None:
    if isinstance(response, ServeResponse):
        return await _send_whole(response, send)
    await send(_start(response))
    async with aclosing(until_gone(response.chunks, receive)) as chunks:
        async for chunk in chunks:
            await _send_chunk(send, chunk)
    return await send({"type": "http.response.body", "body": b""})


async def until_gone(
    chunks: AsyncGenerator[bytes, None], receive: Callable[[], Awaitable[object]]
) -> AsyncGenerator[bytes, None]:
    """The chunks, until the client goes away; then they are closed."""
    # After the whole request only its end can come.
    gone = asyncio.ensure_future(receive())
    try:
        async with aclosing(chunks):
            async for chunk in chunks:
                if gone.done():
                    return
                yield chunk
    finally:
        gone.cancel()


def _start(response: ServeResponse | StreamingResponse, *more: tuple[bytes, bytes]) -> Message:
    headers = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in response.headers.items()]
    return {
        "type": "http.response.start",
        "status": response.status,
        "headers": [*headers, *more],
    }


async def _send_whole(response: ServeResponse, send: Send) -> None:
    await send(_start(response, (b"content-length", str(len(response.body)).encode())))
    await send({"type": "http.response.body", "body": response.body})


async def _send_chunk(send: Send, chunk: bytes) -> None:
    await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
