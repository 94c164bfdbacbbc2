"""Who hears what is published: the only place that keeps messages for subscribers.

Each message is kept for a while, so that a subscriber that comes back with the id of the last one
it heard gets what it missed. All of it is in memory and bounded. Nobody waits for a subscriber:
one that takes too little is dropped, and may come back.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Generator, Iterable
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

import msgspec

from stepwell.wire.realtime import LOST, Message, TopicPlace

KEPT_MS: Final = 90_000
"""So long a message is known to who comes back."""
KEPT_BYTES: Final = 64 * 1024 * 1024
KEPT_MESSAGES: Final = 100_000
SUBSCRIBERS_MAX: Final = 5_000
"""Of one topic."""
UNREAD_MESSAGES: Final = 2_000
UNREAD_BYTES: Final = 8 * 1024 * 1024
"""What one subscriber may leave unread."""
_OVERHEAD_BYTES: Final = 200


class TooManySubscribers(Exception):
    """A topic has as many subscribers as it may. The text names it."""


class Told(NamedTuple):
    """A message on its way: its place in the order of all, and what is sent. `raw` bytes are
    sent as they are."""

    place: int
    at_ms: int
    where: TopicPlace
    body: bytes
    raw: bool
    is_loss: bool = False
    """It tells that something is missing here."""


class Published(msgspec.Struct, frozen=True, array_like=True):
    """A message on its way to other servers: a `Message`, or raw bytes. Without a body it was too
    large to go that way, and its subscribers are told that something is missing."""

    where: TopicPlace
    body: bytes | None
    raw: bool


class Subscriber:
    """Takes messages out one after another. Made by `Hub.subscribe`; `close` it in the end."""

    def __init__(self, hub: "Hub") -> None:
        self._hub = hub
        self._unread: deque[Told] = deque()
        self._bytes = 0
        self._news = asyncio.Event()
        self._missed: Generator[Told] | None = None
        self.topics: set[TopicPlace] = set()
        self.is_dropped = False
        """It read too slowly: nothing more comes."""

    def catch_up(self, missed: "Generator[Told]") -> None:
        """Hear first what was missed: that is not held here, but taken from the hub."""
        self._missed = missed

    def hear(self, told: Told) -> None:
        """A message was published."""
        if self.is_dropped or self._missed is not None:
            return
        self._bytes += len(told.body) + _OVERHEAD_BYTES
        if len(self._unread) >= UNREAD_MESSAGES or self._bytes > UNREAD_BYTES:
            self.is_dropped = True
            self._unread.clear()
        else:
            self._unread.append(told)
        self._news.set()

    def wake(self) -> None:
        """Look whether the server stops."""
        self._news.set()

    async def next(self, seconds: float) -> Told | None:
        """The next message; None after so long without one, and at once when nothing more comes
        (`is_over`)."""
        if self._missed is not None:
            told = next(self._missed, None)
            if told is not None:
                return told
            self._missed = None
        if not self._unread and not self.is_over:
            self._news.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._news.wait()
            except TimeoutError:
                return None
        if not self._unread:
            return None
        told = self._unread.popleft()
        self._bytes -= len(told.body) + _OVERHEAD_BYTES
        return told

    @property
    def is_over(self) -> bool:
        """Nothing more comes: it was dropped, or the server stops."""
        is_empty = not self._unread and self._missed is None
        return self.is_dropped or (self._hub.closed and is_empty)

    def close(self) -> None:
        """Hear no more."""
        self._hub.forget(self)


class Hub:
    """Every channel of one server. `epoch` tells its ids from those of the server before it."""

    def __init__(self, now_ms: Callable[[], int], epoch: str) -> None:
        self._now_ms = now_ms
        self._epoch = epoch
        self._kept: dict[int, Told] = {}
        self._first = 1
        """The place of the oldest message that is kept, or would be."""
        self._bytes = 0
        self._place = 0
        self._heard_by: dict[TopicPlace, set[Subscriber]] = {}
        self._subscribers: set[Subscriber] = set()
        self.closed = False
        self.elsewhere: Callable[[Published], None] | None = None
        """Told what is published here, for those who subscribe at other servers."""

    @property
    def place(self) -> int:
        """How much was published."""
        return self._place

    @property
    def topics(self) -> AbstractSet[TopicPlace]:
        """What somebody subscribes to."""
        return self._heard_by.keys()

    @property
    def oldest_id(self) -> str:
        """Who comes back with it hears all that is kept."""
        return self.id_of(self._first - 1)

    def id_of(self, place: int) -> str:
        """A place as text, which a subscriber gives back."""
        return f"{self._epoch}-{place}"

    def publish(self, message: Message) -> None:
        """Tell a message to whoever subscribes to its topic."""
        if self.elsewhere is not None:
            where = TopicPlace(message.channel, message.topic)
            self.elsewhere(Published(where, msgspec.json.encode(message), raw=False))
        self._publish(message)

    def _publish(self, message: Message) -> None:
        id_ = self.id_of(self._place + 1)
        body = msgspec.json.encode(msgspec.structs.replace(message, id=id_))
        self._tell(TopicPlace(message.channel, message.topic), body, raw=False)

    def publish_raw(self, where: TopicPlace, body: bytes) -> None:
        """Tell bytes as they are."""
        if self.elsewhere is not None:
            self.elsewhere(Published(where, body, raw=True))
        self._tell(where, body, raw=True)

    def hear(self, published: "Published") -> None:
        """Tell what was published at another server, as if it were here."""
        if published.body is None:
            body = msgspec.json.encode(Message(LOST, msgspec.Raw(b"null")))
            self._tell(published.where, body, raw=False, is_loss=True)
        elif published.raw:
            self._tell(published.where, published.body, raw=True)
        else:
            self._publish(msgspec.json.decode(published.body, type=Message))

    def _tell(self, where: TopicPlace, body: bytes, *, raw: bool, is_loss: bool = False) -> None:
        self._place += 1
        told = Told(self._place, self._now_ms(), where, body, raw, is_loss)
        self._kept[self._place] = told
        self._bytes += len(body) + _OVERHEAD_BYTES
        self._let_go(told.at_ms)
        for subscriber in self._heard_by.get(where, ()):
            subscriber.hear(told)

    def _let_go(self, now_ms: int) -> None:
        """Forget what is too old, or too much."""
        while self._kept and (
            self._bytes > KEPT_BYTES
            or len(self._kept) > KEPT_MESSAGES
            or now_ms - self._kept[self._first].at_ms > KEPT_MS
        ):
            self._bytes -= len(self._kept.pop(self._first).body) + _OVERHEAD_BYTES
            self._first += 1

    def subscribe(self, topics: Iterable[TopicPlace], since: str = "") -> Subscriber:
        """A subscriber to topics, from now on, or from the message after the one with this id.

        Raises `TooManySubscribers`.
        """
        subscriber = Subscriber(self)
        self.join(subscriber, topics)
        self._subscribers.add(subscriber)
        if since:
            subscriber.catch_up(self._since(since, subscriber.topics))
        return subscriber

    def _since(self, since: str, topics: set[TopicPlace]) -> Generator[Told]:
        """What came after an id, to the end."""
        place = self._place_of(since)
        if place is None:
            yield self._lost()
            place = self._first - 1
        while place < self._place:
            if place < self._first - 1:
                yield self._lost()
                place = self._first - 1
                continue
            place += 1
            if self._kept[place].where in topics:
                yield self._kept[place]

    def _lost(self) -> Told:
        place = self._first - 1
        body = msgspec.json.encode(Message(LOST, msgspec.Raw(b"null"), id=self.id_of(place)))
        return Told(place, self._now_ms(), TopicPlace("", ""), body, raw=False, is_loss=True)

    def _place_of(self, since: str) -> int | None:
        """The place of an id; None if some of what came after it is not known any more."""
        self._let_go(self._now_ms())
        epoch, _, number = since.rpartition("-")
        if epoch != self._epoch or not number.isascii() or not number.isdecimal():
            return None
        place = int(number[:20])
        return place if self._first - 1 <= place <= self._place else None

    def check_room(self, topics: Iterable[TopicPlace]) -> None:
        """Raises `TooManySubscribers` if one of these has as many as it may."""
        for where in topics:
            if len(self._heard_by.get(where, ())) >= SUBSCRIBERS_MAX:
                raise TooManySubscribers(
                    f'topic "{where.topic}" of channel "{where.channel}" has {SUBSCRIBERS_MAX}'
                    " subscribers, the most there may be: try again later"
                )

    def join(self, subscriber: Subscriber, topics: Iterable[TopicPlace]) -> None:
        """Hear of further topics, from now on. Raises `TooManySubscribers`, and changes nothing."""
        wanted = set(topics) - subscriber.topics
        self.check_room(wanted)
        for where in wanted:
            self._heard_by.setdefault(where, set()).add(subscriber)
        subscriber.topics |= wanted

    def leave(self, subscriber: Subscriber, topics: Iterable[TopicPlace]) -> None:
        """Hear of these topics no more."""
        for where in subscriber.topics & set(topics):
            listening = self._heard_by[where]
            listening.discard(subscriber)
            if not listening:
                del self._heard_by[where]
            subscriber.topics.discard(where)

    def forget(self, subscriber: Subscriber) -> None:
        """It hears no more, of anything."""
        self.leave(subscriber, tuple(subscriber.topics))
        self._subscribers.discard(subscriber)

    def close(self) -> None:
        """Let every subscriber go, now and from now on."""
        self.closed = True
        for subscriber in tuple(self._subscribers):
            subscriber.wake()
