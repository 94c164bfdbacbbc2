"""Publishing and subscribing over HTTP, as the official server answers."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from stepwell.server.config import ServerConfig
from stepwell.server.realtime.hub import Subscriber
from stepwell.server.serving import Server
from stepwell.wire.realtime import MESSAGE_BYTES_MAX, STREAM_TOPIC, TopicPlace
from tests.unit.server.api.harness import BEARER, KEYS, Api, serving

CONFIG = ServerConfig(port=0, connect_gateway_port=0)
STATUS = TopicPlace("order:1", "status")
TOPICS = [{"kind": "run", "channel": "order:1", "name": "status"}]


async def heard(subscriber: Subscriber) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while (told := await subscriber.next(0)) is not None:
        found.append(json.loads(told.body))
    return found


async def publish(api: Api, body: bytes, query: str, **headers: str) -> httpx.Response:
    return await api.http.post(f"/v1/realtime/publish?{query}", content=body, headers=headers)


async def test_json_is_published_as_it_is_and_text_as_text() -> None:
    async with serving() as api:
        subscriber = api.deps.hub.subscribe([STATUS])
        for body in (b'{"b": 1,\n"a": 1.0}', b'"text"', b"plain \xc3\xa9", b"", b"null"):
            answer = await publish(api, body, "channel=order:1&topic=status&run_id=01J")
            assert (answer.status_code, answer.content) == (200, b"")
        told = await heard(subscriber)
    assert [one.get("data") for one in told] == [{"b": 1, "a": 1.0}, "text", "plain é", "", None]
    assert told[0] == {
        "kind": "data",
        "data": {"b": 1, "a": 1.0},
        "channel": "order:1",
        "topic": "status",
        "id": "0-1",
        "created_at": "2025-03-28T02:48:57.367Z",
        "env_id": "00000000-0000-4000-b000-000000000000",
        "run_id": "01J",
    }


async def test_a_message_goes_to_each_topic_once() -> None:
    async with serving() as api:
        subscriber = api.deps.hub.subscribe([STATUS, TopicPlace("order:1", "notes")])
        await publish(
            api, b"1", "channel=order:1&topic=status&topic=notes&topic=status&metadata=%7B%7D"
        )
        told = await heard(subscriber)
    assert [(one["topic"], one["metadata"]) for one in told] == [("status", {}), ("notes", {})]


@pytest.mark.parametrize(
    ("body", "query", "status", "told"),
    [
        (b"1", "topic=status", 400, "channel = '': give a name"),
        (b"1", "channel=c", 400, "topic = '': give a name"),
        (b"1", f"channel={'c' * 257}&topic=t", 400, "channel has 257 characters, at most 256"),
        (b"1", "channel=c" + "&topic=t" * 101, 400, "topic is given 101 times, at most 100"),
        (b"\xff", "channel=c&topic=t", 400, "neither JSON nor UTF-8 text"),
        (b"[" * 300 + b"]" * 300, "channel=c&topic=t", 400, "nested more than 250"),
        (b"x" * (MESSAGE_BYTES_MAX + 1), "channel=c&topic=t", 413, "over 524288 bytes"),
    ],
)
async def test_what_cannot_be_published(body: bytes, query: str, status: int, told: str) -> None:
    async with serving() as api:
        answer = await publish(api, body, query)
        assert answer.status_code == status
        assert told in answer.json()["error"]
        assert api.deps.hub.place == 0


async def test_a_stream_is_published_in_pieces() -> None:
    async with serving() as api:
        subscriber = api.deps.hub.subscribe([STATUS])
        text = "é" * 1_500
        kind = {"content-type": "text/stream; charset=utf-8"}
        answer = await publish(api, text.encode(), "channel=order:1&topic=status", **kind)
        assert answer.status_code == 200
        start, *chunks, end = await heard(subscriber)
        assert (start["kind"], end["kind"]) == ("datastream-start", "datastream-end")
        assert start["data"] == end["data"] == chunks[0]["stream_id"]
        assert "".join(one["data"] for one in chunks) == text
        assert [(one["kind"], len(one["data"])) for one in chunks] == [
            ("chunk", 1_024),
            ("chunk", 476),
        ]
        long = await publish(api, b"x" * 1_024_001, "channel=order:1&topic=status", **kind)
        assert long.status_code == 413
        assert (await heard(subscriber))[-1]["kind"] == "datastream-end"


async def test_a_stream_that_is_teed_goes_on_as_it_is() -> None:
    async with serving() as api:
        subscriber = api.deps.hub.subscribe([TopicPlace("01J", STREAM_TOPIC)])

        async def pieces() -> AsyncIterator[bytes]:
            for piece in (b"event: a\nda", b"ta: 1\n\neve", b"nt: b\n\n", b"rest"):
                yield piece

        answer = await api.http.post("/v1/realtime/publish/tee?channel=01J", content=pieces())
        assert answer.status_code == 200
        told = [await subscriber.next(0) for _ in range(3)]
        assert [one and one.body for one in told] == [
            b"event: a\ndata: 1\n\n",
            b"event: b\n\n",
            b"rest",
        ]
        nowhere = await api.http.post("/v1/realtime/publish/tee", content=b"x")
        assert nowhere.status_code == 400
        assert nowhere.json()["error"] == "channel query parameter required"


async def test_who_may_ask_for_tokens_and_publish() -> None:
    async with serving(KEYS) as api:
        stranger = await api.http.post("/v1/realtime/token", json=TOPICS)
        assert (stranger.status_code, stranger.text) == (401, "Authentication failed\n")
        made = await api.http.post("/v1/realtime/token", json=TOPICS, headers=BEARER)
        assert made.status_code == 201
        shown = {"authorization": f"Bearer {made.json()['jwt']}"}
        for path in ("publish?channel=order:1&topic=status", "publish/tee?channel=order:1"):
            refused = await api.http.post(f"/v1/realtime/{path}", content=b"1", headers=shown)
            assert refused.status_code == 401
            assert refused.json()["error"] == "Not authenticated for publishing"
        sent = await publish(api, b"1", "channel=order:1&topic=status", **BEARER)
        assert sent.status_code == 200


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "Invalid request: must provide a list of topics"),
        ([], "Invalid request: 0 topics"),
        ([{"channel": "c"}], "Invalid request: must provide a list of topics"),
        ([{"channel": f"{n}" * 100, "name": "é" * 256} for n in range(90)], "too long together"),
    ],
)
async def test_a_token_is_for_topics(body: object, told: str) -> None:
    async with serving() as api:
        answer = await api.http.post("/v1/realtime/token", json=body)
        assert answer.status_code == 400
        assert told in answer.json()["error"]


class Events:
    """The blocks of a stream of server-sent events, as they come."""

    def __init__(self, answer: httpx.Response) -> None:
        self._blocks = self._read(answer)

    async def _read(self, answer: httpx.Response) -> AsyncIterator[dict[str, str]]:
        block: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if line:
                name, _, value = line.partition(": ")
                block[name] = value
            else:
                yield block
                block = {}

    async def next(self) -> dict[str, str]:
        return await asyncio.wait_for(anext(self._blocks), 10)


@asynccontextmanager
async def listening(server: Server, token: str, **headers: str) -> AsyncIterator[Events]:
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=20) as http,
        http.stream("GET", "/v1/realtime/sse", params={"token": token}, headers=headers) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Events(answer)


async def token_of(http: httpx.AsyncClient, topics: object = None) -> str:
    answer = await http.post("/v1/realtime/token", json=TOPICS if topics is None else topics)
    assert answer.status_code == 201
    return str(answer.json()["jwt"])


async def test_server_sent_events_and_what_was_missed() -> None:
    async with Server(CONFIG) as server, httpx.AsyncClient(base_url=server.url) as http:
        refused = await http.get("/v1/realtime/sse")
        assert (refused.status_code, refused.json()["error"]) == (401, "Not authenticated")
        assert refused.headers["access-control-allow-origin"] == "*"
        token = await token_of(http)
        where = "/v1/realtime/publish?channel=order:1&topic=status"
        # A page of elsewhere, which may not even look at anything else.
        async with listening(server, token, origin="https://shop.example") as events:
            alive = await events.next()
            assert alive.keys() == {"", "id"} or alive.keys() == {":", "id"} or "id" in alive
            await http.post(where, content=b'{"n": 1}')
            first = await events.next()
            assert json.loads(first["data"])["data"] == {"n": 1}
            assert first["id"] == json.loads(first["data"])["id"]
        await http.post(where, content=b'{"n": 2}')
        async with listening(server, token, **{"last-event-id": first["id"]}) as events:
            second = await events.next()
            assert json.loads(second["data"])["data"] == {"n": 2}
        async with listening(server, token, **{"last-event-id": "of-1"}) as events:
            lost = await events.next()
            assert lost["event"] == "lost"
            assert json.loads(lost["data"])["kind"] == "lost"
        stream = await token_of(http, [{"channel": "01J", "name": "$stream"}])
        raw = b'event: inngest.stream\ndata: {"data":1}\n\n'
        await http.post("/v1/realtime/publish/tee?channel=01J", content=raw)
        # Who comes later hears the stream of a run from its beginning.
        async with listening(server, stream) as events:
            told = await events.next()
            assert (told["event"], told["data"]) == ("inngest.stream", '{"data":1}')


async def test_a_socket_and_what_it_says() -> None:
    async with Server(CONFIG) as server, httpx.AsyncClient(base_url=server.url) as http:
        url = f"ws://127.0.0.1:{server.port}/v1/realtime/connect"
        with pytest.raises(InvalidStatus) as refused:
            await connect(url)
        assert refused.value.response.status_code == 401
        publishing = "/v1/realtime/publish?channel=order:1&topic="
        token = await token_of(http)
        async with connect(f"{url}?token={token}", origin="https://shop.example") as socket:
            await http.post(f"{publishing}status", content=b"1")
            first = json.loads(await asyncio.wait_for(socket.recv(), 10))
            assert (first["kind"], first["data"]) == ("data", 1)
            more = await token_of(http, [{"channel": "order:1", "name": "notes"}])
            await socket.send(json.dumps({"kind": "sub", "data": more}))
            await socket.send(json.dumps({"kind": "unsub", "data": TOPICS}))
            async with asyncio.timeout(10):
                while TopicPlace("order:1", "notes") not in server.node.hub.topics:
                    await asyncio.sleep(0.005)
                while STATUS in server.node.hub.topics:
                    await asyncio.sleep(0.005)
            await http.post(f"{publishing}status", content=b"2")
            await http.post(f"{publishing}notes", content=b"3")
            third = json.loads(await asyncio.wait_for(socket.recv(), 10))
            assert (third["topic"], third["data"]) == ("notes", 3)
            await socket.send(json.dumps({"kind": "sub", "data": "nonsense"}))
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(socket.recv(), 10)
        async with connect(f"{url}?token={token}&since={first['id']}") as socket:
            again = json.loads(await asyncio.wait_for(socket.recv(), 10))
            assert again["data"] == 2
            server.node.hub.close()
            closing = json.loads(await asyncio.wait_for(socket.recv(), 10))
            assert closing["kind"] == "closing"
