"""What a connection of the main port may hold, and for how long: by bounds short enough to wait."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import MagicMock

import msgspec
import pytest
import uvicorn
from uvicorn.server import ServerState

from stepwell.server.config import ServerConfig
from stepwell.server.front.bounds import Bounds
from stepwell.server.front.http_protocol import BoundedHttp
from stepwell.server.front.watch import Watch
from stepwell.server.serving import Server

FREE = ServerConfig(port=0, connect_gateway_port=0)
HASTY = Bounds(look_every_s=0.02, head_s=0.1, body_s=0.1, linger_s=0.1, stuck_s=0.2)
HEALTH = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"
POST = b"POST /v1/signals HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{"


@asynccontextmanager
async def server(bounds: Bounds = HASTY) -> AsyncIterator[Server]:
    async with Server(FREE, bounds=bounds, grace_s=0.1) as made:
        yield made


async def told(made: Server, *pieces: bytes) -> bytes:
    """What the server says until it closes, to somebody who sends pieces and then nothing."""
    reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
    for piece in pieces:
        writer.write(piece)
        await asyncio.sleep(0.01)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.transport.abort()


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ((), b""),
        ((b"\r\n", b"\r\n"), b"HTTP/1.1 408"),
        ((b"GET /health HT",), b"HTTP/1.1 408"),
        ((b"GET /health HTTP/1.1\r\n", b"a: b\r\n", b"a: b\r\n"), b"HTTP/1.1 408"),
        ((POST,), b"HTTP/1.1 408"),
        ((b"no HTTP at all\r\n\r\n",), b"HTTP/1.1 400"),
    ],
)
async def test_a_request_that_does_not_come(pieces: tuple[bytes, ...], status: bytes) -> None:
    async with server() as made:
        answer = await told(made, *pieces)
    assert answer.startswith(status)
    assert bool(answer) is bool(status)


async def test_a_kept_connection_may_rest_but_not_begin_a_request_for_ever() -> None:
    async with server() as made:
        reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
        writer.write(HEALTH)
        assert (await reader.read(1000)).startswith(b"HTTP/1.1 200")
        await asyncio.sleep(0.3)
        writer.write(HEALTH)
        assert (await reader.read(1000)).startswith(b"HTTP/1.1 200")
        writer.write(b"\r\n")
        assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"HTTP/1.1 408")
        writer.transport.abort()


async def test_a_kept_connection_without_a_request_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stepwell.server.serving.KEEP_ALIVE_S", 1)
    async with server(Bounds()) as made:
        reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
        writer.write(HEALTH)
        told = await asyncio.wait_for(reader.read(), 20)
        writer.transport.abort()
    assert told.count(b"HTTP/1.1 ") == 1


def test_a_body_nobody_asks_for_is_not_read_on() -> None:
    """What is taken of it is one piece more than 64 KiB."""

    async def deaf(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0)

    async def run() -> int:
        config = uvicorn.Config(deaf, log_config=None, lifespan="off")
        config.load()
        made = BoundedHttp(config, ServerState(), {}, watch=Watch(Bounds()))
        transport = MagicMock(spec=asyncio.Transport)
        made.connection_made(transport)
        made.data_received(POST.replace(b"content-length: 100", b"content-length: 10000000"))
        pieces = 0
        while not transport.pause_reading.called:
            made.data_received(b"x" * 16_384)
            pieces += 1
        return pieces

    assert asyncio.run(run()) <= 65_536 // 16_384 + 1


async def test_a_long_body_may_take_as_long_as_its_pace_allows() -> None:
    bounds = msgspec.structs.replace(HASTY, body_bytes_per_s=100)
    body = b'{"signal": "nobody"}' + b" " * 80
    async with server(bounds) as made:
        reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
        writer.write(POST[:-1])
        for at in range(0, 100, 20):  # 20 bytes each 60 ms: more than the pace
            writer.write(body[at : at + 20])
            await asyncio.sleep(0.06)
        assert (await reader.read(1000)).startswith(b"HTTP/1.1 404")
        writer.transport.abort()


async def test_one_connection_too_many_is_told_so() -> None:
    async with server(msgspec.structs.replace(HASTY, connections=2, head_s=60)) as made:
        kept = [await asyncio.open_connection("127.0.0.1", made.port) for _ in range(2)]
        await asyncio.sleep(0.05)
        assert (await told(made)).startswith(b"HTTP/1.1 503")
        for reader, writer in kept:
            writer.write(HEALTH)
            assert (await reader.read(1000)).startswith(b"HTTP/1.1 200")
            writer.transport.abort()
        await asyncio.sleep(0.2)
        assert (await told(made, HEALTH[:-2] + b"connection: close\r\n\r\n")).startswith(
            b"HTTP/1.1 200"
        )


async def test_where_it_is_crowded_those_that_rest_go_first() -> None:
    bounds = msgspec.structs.replace(HASTY, connections=4, head_s=60, crowded_idle_s=0.05)
    async with server(bounds) as made:
        resting = await asyncio.open_connection("127.0.0.1", made.port)
        resting[1].write(HEALTH)
        assert (await resting[0].read(1000)).startswith(b"HTTP/1.1 200")
        await asyncio.sleep(0.2)
        others = [await asyncio.open_connection("127.0.0.1", made.port) for _ in range(3)]
        assert await asyncio.wait_for(resting[0].read(), 10) == b""
        for _, writer in (resting, *others):
            writer.transport.abort()


async def test_who_does_not_read_the_answers_is_cut_off() -> None:
    async with server() as made:
        _, writer = await asyncio.open_connection("127.0.0.1", made.port, limit=1)
        writer.transport.pause_reading()
        for _ in range(2_000):
            writer.write(b"GET /" + b"x" * 16_000 + b" HTTP/1.1\r\n\r\n")
        for _ in range(500):
            if not made._watch.connections:
                break
            await asyncio.sleep(0.02)
        assert not made._watch.connections
        writer.transport.abort()


async def test_a_large_body_arrives_whole_however_it_is_cut() -> None:
    event = b'{"name": "x", "data": {"text": "' + b"y" * 1_000_000 + b'"}}'
    head = b"POST /e/k HTTP/1.1\r\nhost: localhost\r\n"
    plain = head + b"content-length: %d\r\n\r\n" % len(event) + event
    cut = b"".join(
        b"%x\r\n%s\r\n" % (len(piece), piece)
        for piece in (event[at : at + 777] for at in range(0, len(event), 777))
    )
    chunked = head + b"transfer-encoding: chunked\r\n\r\n" + cut + b"0\r\n\r\n"
    async with server(Bounds()) as made:
        reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
        for request in (plain, chunked, plain + HEALTH + chunked):
            writer.write(request)
        told = b""
        while told.count(b"HTTP/1.1 200") < 5:
            told += await asyncio.wait_for(reader.read(10_000), 30)
        assert told.count(b'"ids"') == 4
        writer.transport.abort()


async def test_closed_connections_are_freed_without_the_collector() -> None:
    async with server(Bounds()) as made:
        seen: list[weakref.ref[Any]] = []
        gc.disable()
        try:
            for request in (HEALTH, HEALTH * 5, b"", b"GET / HT", POST, b"\0", HEALTH * 9_000):
                _, writer = await asyncio.open_connection("127.0.0.1", made.port)
                writer.write(request)
                await asyncio.sleep(0.05)
                seen += [weakref.ref(one) for one in made._watch.connections]
                writer.transport.abort()
            for _ in range(100):
                if not any(one() for one in seen):
                    break
                await asyncio.sleep(0.02)
            assert [one() for one in seen if one() is not None] == []
        finally:
            gc.enable()
    assert len(seen) >= 6


async def test_the_log_says_when_connections_and_descriptors_run_out(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(Bounds())
    watch.turned_away()
    watch.look(100.0)
    watch.turned_away()
    watch.look(101.0)
    (record,) = caplog.records
    assert record.message == (
        "1 connections were refused: 4096 are open, the most there may be; raise"
        " --http-connections-max, or look who holds them"
    )
    caplog.clear()
    monkeypatch.setattr("stepwell.server.front.watch.is_descriptor_left", lambda: False)
    watch.look(200.0)
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]
    assert "no file descriptor is left" in caplog.records[1].message


async def test_the_log_says_that_somebody_was_turned_away_for_want_of_a_descriptor(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(Bounds())
    with monkeypatch.context() as short:
        short.setattr("stepwell.server.front.watch.is_descriptor_left", lambda: False)
        assert watch.took_the_last()
    watch.look(100.0)
    watch.look(200.0)
    assert ["no file descriptor is left" in record.message for record in caplog.records] == [True]


async def test_the_request_under_way_hears_that_its_peer_is_gone() -> None:
    """Others that were sent behind it had not begun; it wrote on, to nobody, and failed."""
    heard: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        heard.append((await receive())["type"])

    config = uvicorn.Config(app, log_config=None, lifespan="off")
    config.load()
    made = BoundedHttp(config, ServerState(), {}, watch=Watch(Bounds()))
    made.connection_made(MagicMock(spec=asyncio.Transport))
    made.data_received(HEALTH * 3)
    await asyncio.sleep(0)
    made.connection_lost(None)
    for _ in range(5):
        await asyncio.sleep(0)
    assert heard == ["http.disconnect"]


@pytest.mark.parametrize("path", [b"/v1/signals", b"/invoke/a", b"/v0/connect/flush"])
async def test_who_leaves_in_the_middle_of_a_body_is_no_fault(
    path: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with server(Bounds()) as made:
        _, writer = await asyncio.open_connection("127.0.0.1", made.port)
        writer.write(POST.replace(b"/v1/signals", path))
        await asyncio.sleep(0.1)
        writer.transport.abort()
        for _ in range(100):
            if not made._watch.connections:
                break
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.05)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
