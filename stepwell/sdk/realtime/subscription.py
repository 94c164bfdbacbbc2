"""Messages as a program gets them, one after another: the only place that connects again.

Law: between two connections nothing is lost that the server still knows; where something may be,
it is told.
"""

import asyncio
import datetime as dt
import random
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

import msgspec

from stepwell.sdk import background
from stepwell.sdk.net.port import NetworkError
from stepwell.sdk.realtime.port import Listening, RealtimePort, SubscriptionEnded
from stepwell.sdk.realtime.topic import Topic
from stepwell.sdk.value.codec import CodecError, codec_of
from stepwell.wire.realtime import CLOSING, DATA, LOST, PING, Message, TopicPlace

T = TypeVar("T")

DELAY_SECONDS: Final = 0.25
DELAY_SECONDS_MAX: Final = 5.0
_PLAIN = codec_of(object)
_NO_MESSAGE: Final = ("", PING, CLOSING)


class RealtimeMessage(msgspec.Struct, Generic[T], frozen=True):
    """A message to a topic, as a subscriber gets it.

    `kind` is "data"; of what another program streams, "datastream-start", "chunk" with a piece of
    text as `data`, and "datastream-end", each with `stream_id`. `id` is the message's place:
    `subscribe(..., since=id)` goes on after it, within a minute and a half.
    """

    channel: str
    topic: str
    data: T
    id: str
    kind: str = DATA
    created_at: dt.datetime | None = None
    run_id: str | None = None
    stream_id: str | None = None


def _say_nothing() -> None:
    """Whoever wants to know of lost messages says so."""


class Subscription(Generic[T]):
    """What is published to topics, from when it is entered: `async with … as messages:` and then
    `async for message in messages:`. It connects again by itself, and then gets what it missed."""

    def __init__(
        self,
        port: Callable[[], RealtimePort],
        topics: Sequence[Topic[T]],
        since: str,
        on_lost: Callable[[], object] | None,
        log: Any,
    ) -> None:
        self._port = port
        self._topics: Mapping[TopicPlace, Topic[T]] = {topic.place: topic for topic in topics}
        self._since = since
        self._on_lost = on_lost or _say_nothing
        self._log = log
        self._listening: Listening | None = None
        self._failures = 0
        self._closed = False

    async def __aenter__(self) -> Self:
        """Connect: what is published from now on is heard. Raises NetworkError if nobody answers,
        Error if the server refuses."""
        self._listening = await self._port().listen(tuple(self._topics), self._since)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RealtimeMessage[T]:
        while not self._closed:
            try:
                message = await self._next()
            except SubscriptionEnded:
                break
            found = None if message is None else self._heard(message)
            if found is not None:
                return found
        raise StopAsyncIteration

    async def close(self) -> None:
        """Hear no more. Idempotent."""
        self._closed = True
        listening, self._listening = self._listening, None
        if listening is not None:
            await listening.close()

    async def _next(self) -> Message | None:
        """The next message there is; None if the connection was lost."""
        try:
            if self._listening is None:
                await asyncio.sleep(self._delay_seconds())
                self._listening = await self._port().listen(tuple(self._topics), self._since)
            message = await self._listening.next()
        except NetworkError as error:
            self._failures += 1
            if self._failures == 1:
                self._log.warning("realtime: the connection is lost and made again: %s", error)
            message = None
        if message is None:
            listening, self._listening = self._listening, None
            if listening is not None:
                await listening.close()
        else:
            self._failures = 0
        return message

    def _delay_seconds(self) -> float:
        if not self._failures:
            return 0.0
        longest = min(DELAY_SECONDS * 2.0 ** min(self._failures, 10), DELAY_SECONDS_MAX)
        return longest * (0.5 + random.random() / 2)

    def _heard(self, message: Message) -> RealtimeMessage[T] | None:
        """What there is to give of a message."""
        self._since = message.id or self._since
        if message.kind == LOST:
            self._log.warning("realtime: messages may be missing: the subscriber was away too long")
            self._on_lost()
            return None
        topic = self._topics.get(TopicPlace(message.channel, message.topic))
        if message.kind in _NO_MESSAGE or topic is None:
            return None
        try:
            data = (topic.codec if message.kind == DATA else _PLAIN).decode(message.data)
        except CodecError as error:
            self._log.error("realtime: a message to %r does not fit its type: %s", topic, error)
            return None
        return RealtimeMessage(
            channel=message.channel,
            topic=message.topic,
            data=data,
            id=message.id,
            kind=message.kind,
            created_at=_instant(message.created_at),
            run_id=message.run_id or None,
            stream_id=message.stream_id or None,
        )


class SubscriptionSync(Generic[T]):
    """The same for blocking code: `with … as messages:` and then `for message in messages:`."""

    def __init__(self, subscription: Subscription[T]) -> None:
        self._subscription = subscription

    def __enter__(self) -> Self:
        """As `Subscription`."""
        background.run(self._subscription.__aenter__())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> RealtimeMessage[T]:
        found = background.run(_or_none(self._subscription))
        if found is None:
            raise StopIteration
        return found

    def close(self) -> None:
        """Hear no more. Idempotent; from another thread it ends the iteration."""
        background.run(self._subscription.close())


async def _or_none(subscription: Subscription[T]) -> RealtimeMessage[T] | None:
    return await anext(subscription, None)


def _instant(text: str) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
