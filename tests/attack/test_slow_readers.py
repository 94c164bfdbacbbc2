"""Subscribers that do not read: they are let go, and nobody waits for them."""

import asyncio
from typing import Any, cast

import msgspec
import pytest

from stepwell.server.api.realtime import subscriptions
from stepwell.server.realtime.hub import UNREAD_MESSAGES, Hub
from stepwell.wire.realtime import DATA, Message, TopicPlace

PLACE = TopicPlace("order:1", "status")


def say(hub: Hub, count: int) -> None:
    for number in range(count):
        raw = msgspec.Raw(msgspec.json.encode(number))
        hub.publish(Message(DATA, raw, PLACE.channel, PLACE.topic))


class Socket:
    """A WebSocket whose peer takes so many messages, and no more."""

    def __init__(self, takes: int) -> None:
        self.takes = takes
        self.taken = 0
        self.closed = False

    async def send_text(self, text: str) -> None:
        if self.taken == self.takes:
            await asyncio.Event().wait()
        self.taken += 1

    async def close(self, code: int) -> None:
        self.closed = True


async def test_a_socket_that_is_not_read_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "SEND_S", 0.01)
    hub = Hub(lambda: 0, "e")
    slow, subscriber = Socket(takes=2), hub.subscribe([PLACE])
    say(hub, 3)
    await subscriptions._tell(hub, cast(Any, slow), subscriber)
    assert slow.taken == 2


async def test_what_is_kept_for_who_does_not_read_is_bounded() -> None:
    hub = Hub(lambda: 0, "e")
    reads, rests = hub.subscribe([PLACE]), hub.subscribe([PLACE])
    for _ in range(3):
        say(hub, UNREAD_MESSAGES)
        while await reads.next(0) is not None:
            pass
    assert rests.is_over
    assert not reads.is_over


async def test_a_stream_whose_reader_left_leaves_nothing_behind() -> None:
    hub = Hub(lambda: 0, "e")
    told = subscriptions._told(hub, (PLACE,), "")
    await anext(told)
    say(hub, 1)
    assert b"0" in await anext(told)
    assert PLACE in hub.topics
    await told.aclose()
    assert PLACE not in hub.topics
