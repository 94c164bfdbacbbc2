"""What a durable endpoint says while it works: `stream.push` and `stream.pipe`.

The only place for the events of such a stream, which the JavaScript SDK's `fetchWithStream` reads.
Outside of endpoints, and where the caller wants no stream, nothing is said and nothing fails.
"""

import asyncio
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Final, Protocol

import msgspec

from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.step.suspension import HOME, INSIDE_STEP
from stepwell.sdk.value.codec import CodecError, encode_any

EVENT_STREAM: Final = "text/event-stream"

Tell = Callable[[bytes], None]
"""Takes one event, from any thread."""


class Listener(Protocol):
    """Whoever is told, from any thread."""

    def tell(self, event: bytes) -> None:
        """Take one event, at once."""

    async def room(self) -> None:
        """Return once more may be told: what is told and not read is bounded."""

    def wait_for_room(self) -> None:
        """The same, for threads without an event loop."""


LISTENER: ContextVar[Listener | None] = ContextVar("stepwell_stream", default=None)
"""Where what is said by the code that runs here goes."""


def event(name: str, data: Mapping[str, object]) -> bytes:
    """One event, as it travels."""
    return f"event: {name}\ndata: {msgspec.json.encode(data).decode()}\n\n".encode()


def began(run_id: str) -> bytes:
    """The run has an id."""
    return event("inngest.metadata", {"runId": run_id})


def moved(run_id: str, url: str) -> bytes:
    """What comes after this stream, if the run goes on elsewhere, comes from there."""
    return event("inngest.redirect_info", {"runId": run_id, "url": url})


def committed(hashed_id: str) -> bytes:
    """What a step has said holds."""
    return event("inngest.commit", {"hashedStepId": hashed_id})


def rolled_back(hashed_id: str) -> bytes:
    """What a step has said does not hold: it is tried again, or has failed."""
    return event("inngest.rollback", {"hashedStepId": hashed_id})


def ended(status: int, headers: Mapping[str, str], body: str, *, well: bool) -> bytes:
    """The answer."""
    answer = {"statusCode": status, "headers": dict(headers), "body": body}
    how = "succeeded" if well else "failed"
    return event("inngest.response", {"status": how, "response": answer})


class Stream:
    """`stepwell.stream`: tells the caller of the durable endpoint that runs here."""

    def push(self, data: object) -> None:
        """Tell the caller something that JSON can hold, now. In a step it counts once the step has
        ended well. Code before a step that an earlier call has ended says nothing again.

        While a caller has 1 MiB unread, a thread waits here; a coroutine cannot, but in `pipe`. A
        caller with 8 MiB unread, or who reads nothing for 60 seconds while somebody waits, is given
        up: the stream ends, the run goes on.

        Raises ConfigurationError for what JSON cannot hold.
        """
        try:
            raw = encode_any(data)
        except CodecError as error:
            raise ConfigurationError(f"stream.push: {error}") from None
        listener, step = LISTENER.get(), INSIDE_STEP.get()
        if listener is None or _is_known():
            return
        told: dict[str, object] = {"data": raw}
        if step is not None:
            told["hashedStepId"] = step.hashed
        listener.tell(event("inngest.stream", told))
        if not _has_loop():
            listener.wait_for_room()

    async def pipe(self, source: AsyncIterable[str] | Iterable[str]) -> str:
        """Tell the caller each piece of text as it comes; returns all of it. Waits while the caller
        has 1 MiB unread, for 60 seconds at most: see `push`."""
        pieces: list[str] = []
        if isinstance(source, AsyncIterable):
            async for piece in source:
                await self._piped(piece, pieces)
        else:
            for piece in source:
                await self._piped(piece, pieces)
        return "".join(pieces)

    async def _piped(self, piece: str, pieces: list[str]) -> None:
        self.push(piece)
        pieces.append(piece)
        listener = LISTENER.get()
        if listener is not None:
            await listener.room()

    def pipe_sync(self, source: Iterable[str]) -> str:
        """The same for blocking code."""
        return "".join(self._told(source))

    def _told(self, source: Iterable[str]) -> Iterable[str]:
        for piece in source:
            self.push(piece)
            yield piece


def _has_loop() -> bool:
    """Does an event loop run in this thread?"""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _is_known() -> bool:
    """Does code run here, outside of steps, that an earlier call has run?"""
    call = HOME.get()
    return INSIDE_STEP.get() is None and call is not None and not getattr(call, "fresh", True)


stream: Final = Stream()
"""What a durable endpoint tells its caller while it works."""
