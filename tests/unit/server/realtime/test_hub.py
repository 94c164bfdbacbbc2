"""Each subscriber hears what is published to its topics, once and in order; who comes back hears
what it missed; who reads too slowly is let go, and nobody waits for it."""

import asyncio

import msgspec
import pytest

from stepwell.server.realtime import hub as hub_module
from stepwell.server.realtime.hub import (
    KEPT_MS,
    UNREAD_MESSAGES,
    Hub,
    Published,
    Subscriber,
    TooManySubscribers,
)
from stepwell.wire.realtime import DATA, LOST, Message, TopicPlace

A, B = TopicPlace("order:1", "status"), TopicPlace("order:1", "notes")


class Time:
    def __init__(self) -> None:
        self.ms = 0

    def now_ms(self) -> int:
        return self.ms


def a_hub() -> tuple[Hub, Time]:
    time = Time()
    return Hub(time.now_ms, "e"), time


def say(hub: Hub, where: TopicPlace, value: object) -> None:
    data = msgspec.Raw(msgspec.json.encode(value))
    hub.publish(Message(DATA, data, where.channel, where.topic))


async def heard(subscriber: Subscriber) -> list[object]:
    """What there is to hear now."""
    found: list[object] = []
    while (told := await subscriber.next(0)) is not None:
        if told.is_loss:
            found.append(LOST)
        else:
            found.append(msgspec.json.decode(told.body)["data"])
    return found


async def test_a_subscriber_hears_its_topics_in_order() -> None:
    hub, _ = a_hub()
    one, both = hub.subscribe([A]), hub.subscribe([A, B])
    say(hub, A, 1)
    say(hub, B, 2)
    say(hub, TopicPlace("order:2", "status"), 3)
    say(hub, A, 4)
    assert await heard(one) == [1, 4]
    assert await heard(both) == [1, 2, 4]
    hub.leave(both, [A])
    say(hub, A, 5)
    say(hub, B, 6)
    assert (await heard(one), await heard(both)) == ([5], [6])
    one.close()
    say(hub, A, 7)
    assert await heard(one) == []


async def test_a_message_bears_the_id_to_come_back_with() -> None:
    hub, _ = a_hub()
    first = hub.subscribe([A])
    say(hub, A, 1)
    told = await first.next(0)
    assert told is not None
    assert msgspec.json.decode(told.body) == {
        "kind": "data",
        "data": 1,
        "channel": "order:1",
        "topic": "status",
        "id": "e-1",
    }
    first.close()
    say(hub, A, 2)
    say(hub, B, 3)
    again = hub.subscribe([A], "e-1")
    say(hub, A, 4)
    assert await heard(again) == [2, 4]
    say(hub, A, 5)
    assert await heard(again) == [5]
    assert await heard(hub.subscribe([A], "e-5")) == []


async def test_what_is_not_known_any_more_is_told() -> None:
    hub, time = a_hub()
    for n in (1, 2):
        say(hub, A, n)
    time.ms = 60_000
    assert await heard(hub.subscribe([A], "e-1")) == [2]  # a minute later
    time.ms = KEPT_MS + 1
    assert await heard(hub.subscribe([A], "e-1")) == [LOST]
    say(hub, A, 3)
    assert await heard(hub.subscribe([A], "e-1")) == [LOST, 3]
    assert await heard(hub.subscribe([A], "e-2")) == [3]
    for other in ("of another server-2", "e-99", "e-x", "nonsense"):
        assert await heard(hub.subscribe([A], other)) == [LOST, 3]


async def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    hub, _ = a_hub()
    monkeypatch.setattr(hub_module, "KEPT_BYTES", 10_000)
    for n in range(5):
        say(hub, A, str(n) * 3_000)
    found = await heard(hub.subscribe([A], "e-0"))
    assert found == [LOST, "2" * 3_000, "3" * 3_000, "4" * 3_000]
    monkeypatch.setattr(hub_module, "KEPT_MESSAGES", 2)
    say(hub, A, "last")
    assert await heard(hub.subscribe([A], "e-0")) == [LOST, "4" * 3_000, "last"]


async def test_what_is_missed_may_be_let_go_while_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub, _ = a_hub()
    monkeypatch.setattr(hub_module, "KEPT_MESSAGES", 3)
    for n in range(1, 4):
        say(hub, A, n)
    slow = hub.subscribe([A], "e-0")
    told = await slow.next(0)
    assert told is not None and told.place == 1
    for n in range(4, 8):
        say(hub, A, n)
    assert await heard(slow) == [LOST, 5, 6, 7]
    say(hub, A, 8)
    assert await heard(slow) == [8]


async def test_who_reads_too_slowly_is_dropped_and_may_come_back() -> None:
    hub, _ = a_hub()
    slow, quick = hub.subscribe([A]), hub.subscribe([A])
    for n in range(UNREAD_MESSAGES + 1):
        say(hub, A, n)
        assert await heard(quick) == [n]
    assert slow.is_dropped and slow.is_over
    assert await heard(slow) == []
    assert not quick.is_over
    again = hub.subscribe([A], "e-0")
    assert await heard(again) == list(range(UNREAD_MESSAGES + 1))
    assert not again.is_dropped


async def test_large_messages_count_by_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    hub, _ = a_hub()
    monkeypatch.setattr(hub_module, "UNREAD_BYTES", 10_000)
    slow = hub.subscribe([A])
    for _ in range(4):
        say(hub, A, "x" * 3_000)
    assert slow.is_dropped


async def test_a_topic_has_so_many_subscribers(monkeypatch: pytest.MonkeyPatch) -> None:
    hub, _ = a_hub()
    monkeypatch.setattr(hub_module, "SUBSCRIBERS_MAX", 2)
    first = hub.subscribe([A])
    hub.subscribe([A, B])
    with pytest.raises(TooManySubscribers, match='topic "status" of channel "order:1" has 2'):
        hub.subscribe([B, A])
    hub.subscribe([B])  # nothing of the refused one is left
    first.close()
    hub.subscribe([A])


async def test_who_waits_is_woken_by_a_message_and_by_the_end() -> None:
    hub, _ = a_hub()
    subscriber = hub.subscribe([A])
    waiting = asyncio.create_task(subscriber.next(60))
    await asyncio.sleep(0)
    say(hub, A, 1)
    assert (await asyncio.wait_for(waiting, 5)) is not None
    waiting = asyncio.create_task(subscriber.next(60))
    await asyncio.sleep(0)
    hub.close()
    assert (await asyncio.wait_for(waiting, 5)) is None
    assert subscriber.is_over


async def test_the_end_comes_after_what_was_said() -> None:
    hub, _ = a_hub()
    subscriber = hub.subscribe([A])
    say(hub, A, 1)
    hub.close()
    assert not subscriber.is_over
    assert await heard(subscriber) == [1]
    assert subscriber.is_over


async def test_what_is_published_at_one_server_is_heard_at_another() -> None:
    here, there = a_hub()[0], a_hub()[0]
    passed: list[Published] = []
    here.elsewhere = passed.append
    near, far = here.subscribe([A]), there.subscribe([A, B])
    say(here, A, 1)
    here.publish_raw(B, b'{"data":2}')
    for one in passed:
        there.hear(msgspec.json.decode(msgspec.json.encode(one), type=Published))
    assert await heard(near) == [1]
    assert await heard(far) == [1, 2]
    # One that is too large to go that way leaves a mark where it would have been.
    there.hear(msgspec.structs.replace(passed[0], body=None))
    assert await heard(far) == [LOST]
    assert len(passed) == 2
