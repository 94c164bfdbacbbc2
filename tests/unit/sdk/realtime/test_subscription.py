"""A subscription goes on over lost connections from where it was, and tells what may be missing."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

import stepwell
from stepwell import Subscription, Topic
from stepwell.sdk.net.port import NetworkError
from stepwell.sdk.realtime import subscription as module
from stepwell.sdk.realtime.port import Publication, SubscriptionEnded
from stepwell.server.config import ServerConfig
from stepwell.server.serving import Server
from stepwell.wire.realtime import DATA, LOST, PING, Message, TopicPlace

NUMBERS = Topic("c", "numbers", int)
log = logging.getLogger("tests.realtime")


def a_message(place: int, data: object, kind: str = DATA, topic: str = "numbers") -> Message:
    raw = msgspec.Raw(msgspec.json.encode(data))
    return Message(kind, raw, "c", topic, f"e-{place}", "2026-01-01T00:00:00Z", run_id="01J")


class Script:
    """A port whose connections say what is written: messages, None for a lost connection, or an
    exception."""

    def __init__(self, *connections: Sequence[Message | Exception | None] | Exception) -> None:
        self.connections = [*connections]
        self.asked: list[str] = []
        self.open = 0

    async def publish(self, publication: Publication) -> None:
        raise AssertionError

    def publish_sync(self, publication: Publication) -> None:
        raise AssertionError

    async def listen(self, topics: Sequence[TopicPlace], since: str) -> "Line":
        assert tuple(topics) == (NUMBERS.place,)
        self.asked.append(since)
        said = self.connections.pop(0)
        if isinstance(said, Exception):
            raise said
        self.open += 1
        return Line(self, [*said])


class Line:
    def __init__(self, script: Script, said: list[Message | Exception | None]) -> None:
        self.script, self.said = script, said

    async def next(self) -> Message | None:
        if not self.said:
            raise SubscriptionEnded
        said = self.said.pop(0)
        if isinstance(said, Exception):
            raise said
        return said

    async def close(self) -> None:
        self.script.open -= 1


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DELAY_SECONDS", 0.0)


def subscription(script: Script, **options: Any) -> Subscription[int]:
    told = {"since": "", "on_lost": None, "log": log, **options}
    return Subscription(lambda: script, [NUMBERS], **told)


async def heard(script: Script, **options: Any) -> list[int]:
    async with subscription(script, **options) as messages:
        found = [message.data async for message in messages]
    assert script.open == 0
    return found


async def test_it_goes_on_from_the_last_message() -> None:
    lost = NetworkError("gone", "lost")
    script = Script(
        [a_message(1, 1), a_message(5, None, PING), None],
        lost,
        [a_message(6, 2), a_message(7, 0, topic="others"), lost],
        [a_message(8, 3)],
    )
    assert await heard(script) == [1, 2, 3]
    assert script.asked == ["", "e-5", "e-5", "e-7"]


async def test_a_message_tells_where_it_is_from() -> None:
    async with subscription(Script([a_message(1, 1)])) as messages:
        message = await anext(messages)
    assert (message.channel, message.topic, message.id, message.run_id) == (
        "c",
        "numbers",
        "e-1",
        "01J",
    )
    assert message.created_at is not None and message.created_at.year == 2026


async def test_what_may_be_missing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    script = Script([a_message(9, None, LOST), a_message(10, 1)])
    assert await heard(script, since="e-3", on_lost=lambda: told.append("lost")) == [1]
    assert (told, script.asked) == (["lost"], ["e-3"])
    assert [r.getMessage() for r in caplog.records] == [
        "realtime: messages may be missing: the subscriber was away too long"
    ]


async def test_what_does_not_fit_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    assert await heard(Script([a_message(1, "one"), a_message(2, 2)])) == [2]
    assert "does not fit its type" in caplog.text


async def test_a_refusal_is_told_at_once() -> None:
    with pytest.raises(NetworkError, match="nobody"):
        async with subscription(Script(NetworkError("nobody"))):
            pass
    again = Script([None], stepwell.Error("refused"))
    async with subscription(again) as messages:
        with pytest.raises(stepwell.Error, match="refused"):
            await anext(messages)


async def test_from_a_server_in_both_colours() -> None:
    config = ServerConfig(port=0, connect_gateway_port=0)
    async with Server(config) as server:
        client = stepwell.Inngest(app_id="a", is_dev=True, base_url=server.url)
        async with client.realtime.subscribe(NUMBERS) as messages:
            await client.realtime.publish(NUMBERS, 1)
            first = await asyncio.wait_for(anext(messages), 10)
            await client.realtime.publish(NUMBERS, 2)
            assert (await asyncio.wait_for(anext(messages), 10)).data == 2

            def blocking() -> list[int]:
                client.realtime.publish_sync(NUMBERS, 3)
                with client.realtime.subscribe_sync(NUMBERS, since=first.id) as told:
                    return [next(told).data for _ in range(2)]

            assert await asyncio.wait_for(asyncio.to_thread(blocking), 20) == [2, 3]
        token = await client.realtime.token(NUMBERS)
        assert (token["channel"], token["topics"]) == ("c", ["numbers"])
        assert token["apiBaseUrl"] == server.url
        with pytest.raises(stepwell.ConfigurationError, match="topics are of 2 channels"):
            await client.realtime.token(NUMBERS, Topic("d", "t"))
        with pytest.raises(stepwell.ConfigurationError, match="0 topics"):
            client.realtime.subscribe()
