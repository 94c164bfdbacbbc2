"""Answers on trio, where neither this SDK nor the code of most users can run: threads do it.

The only place that knows of an event loop other than asyncio's. `async def` functions run on the
process's background loop, as behind WSGI.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing

import trio

from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.request import ServeRequest
from stepwell.sdk.serve.response import ServeResponse, StreamingResponse


async def handle(handler: ServeHandler, request: ServeRequest) -> ServeResponse | StreamingResponse:
    """Answer a request, on trio's loop."""
    response = await trio.to_thread.run_sync(handler.handle_sync, request)
    if isinstance(response, ServeResponse):
        return response
    return StreamingResponse(response.status, response.headers, _chunks(response.chunks))


async def send_chunks(
    chunks: AsyncGenerator[bytes, None],
    receive: Callable[[], Awaitable[object]],
    send: Callable[[bytes], Awaitable[None]],
) -> bool:
    """Send the chunks until the client goes away. Returns whether all of them were sent."""
    sent = False
    async with aclosing(chunks), trio.open_nursery() as nursery:

        async def watch() -> None:
            await receive()  # after the whole request only its end can come
            nursery.cancel_scope.cancel()

        nursery.start_soon(watch)
        async for chunk in chunks:
            await send(chunk)
        sent = True
        nursery.cancel_scope.cancel()
    return sent


async def _chunks(chunks: Generator[bytes, None, None]) -> AsyncGenerator[bytes, None]:
    try:
        while (chunk := await trio.to_thread.run_sync(next, chunks, None)) is not None:
            yield chunk
    finally:
        chunks.close()
