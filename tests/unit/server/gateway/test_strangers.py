"""What somebody may do on a socket before anybody knows that a worker is behind it."""

import asyncio
import gc
import weakref
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from stepwell.server.engine.row.run import RunStatus
from stepwell.server.front.socket_protocol import BoundedSocket
from stepwell.server.gateway import gateway as gateway_module
from stepwell.server.gateway import ticket
from stepwell.server.serving import Server
from stepwell.wire.connect_encode import encode_frame
from stepwell.wire.connect_limit import STRANGER_READ_BYTES_MAX
from stepwell.wire.connect_word import AppConfig, ConnectionReady
from tests.unit.server.gateway.hand import Pair, answer, ended, functions, until

PORTS = pytest.mark.parametrize("port", ["own", "main"])


def address(pair: Pair, port: str) -> str:
    server, _ = pair
    number = server.gateway_port if port == "own" else server.port
    return f"ws://localhost:{number}/v0/connect"


@PORTS
async def test_a_stranger_introduces_itself_shortly(pair: Pair, port: str) -> None:
    """60 introductions of 8 MB took 1 GB."""
    async with connect(address(pair, port), compression=None) as socket:
        await socket.recv()
        await socket.send(b"x" * (STRANGER_READ_BYTES_MAX + 1))
        with pytest.raises(ConnectionClosed) as ended:
            await socket.recv()
    assert ended.value.rcvd is not None
    assert ended.value.rcvd.code == 1009


@PORTS
async def test_whoever_comes_from_a_start_call_may_say_more(pair: Pair, port: str) -> None:
    _, hand = pair
    query = (await hand.start()).gateway_endpoint.partition("?")[2]
    await hand.dial(f"{address(pair, port)}?{query}")
    slugs = [f"app-{number}" for number in range(2_000)]
    large = hand.introduction(apps=(AppConfig("app", functions(*slugs)),))
    assert len(encode_frame(large)) > STRANGER_READ_BYTES_MAX
    await hand.say(large)
    assert isinstance(await hand.hear(), ConnectionReady)


@PORTS
async def test_an_admitted_worker_may_say_more(pair: Pair, port: str) -> None:
    """A proxy may have taken the query away."""
    _, hand = pair
    await hand.dial(address(pair, port))
    await hand.say(hand.introduction())
    assert isinstance(await hand.hear(), ConnectionReady)
    event = await hand.send()
    request = await hand.take()
    await hand.say(answer(request, b'"' + b"x" * (STRANGER_READ_BYTES_MAX + 1) + b'"'))
    assert (await ended(hand, event)).status is RunStatus.COMPLETED


def test_a_ticket_is_of_this_server_and_of_the_last_minutes() -> None:
    query = ticket.mint(b"secret", 1_000)
    assert ticket.is_valid(query, b"secret", 1_000)
    assert ticket.is_valid(query, b"secret", 1_300)
    assert not ticket.is_valid(query, b"secret", 1_301)
    assert not ticket.is_valid(query, b"other", 1_000)
    for bad in ("", "ticket=", "ticket=-", "ticket=9999-ab", "a&" * 99, "ticket=x&ticket=y", "\0"):
        assert not ticket.is_valid(bad, b"secret", 1_000)


async def test_one_stranger_too_many_is_cut_off(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, hand = pair
    monkeypatch.setattr(gateway_module, "STRANGERS_MAX", 2)
    kept = [await connect(address(pair, "own")) for _ in range(2)]
    for socket in kept:
        await socket.recv()
    for port in ("own", "main"):
        with pytest.raises(ConnectionClosed):
            await (await connect(address(pair, port))).recv()
    assert server.gateway.counts["strangers_cut_off"] == 2
    await kept[0].close()
    await until(lambda: len(server.gateway.connections) == 1)
    await hand.join()


@PORTS
async def test_pings_whose_answers_nobody_reads_do_not_pile_up(pair: Pair, port: str) -> None:
    server, _ = pair
    async with connect(address(pair, port), compression=None) as socket:
        await socket.recv()
        socket.transport.pause_reading()
        frame = b"\x89\xfd" + b"\0" * 4 + b"p" * 125
        sent = 0
        for _ in range(400):
            socket.transport.write(frame * 500)
            sent += 500
            if socket.transport.get_write_buffer_size() > 1 << 20:
                break  # it is not read any more
            await asyncio.sleep(0.005)
        (connection,) = server.gateway.connections
        held = sum(one.get_write_buffer_size() for one in _transports(server, connection.port))
        assert held < 1 << 20
        assert socket.transport.get_write_buffer_size() > 1 << 20
        socket.transport.abort()


def _transports(server: Server, port: Any) -> list[asyncio.Transport]:
    if hasattr(port._socket, "transport"):
        return [port._socket.transport]
    return [one.transport for one in server._watch.connections if isinstance(one, BoundedSocket)]


@PORTS
async def test_closed_connections_are_freed_without_the_collector(pair: Pair, port: str) -> None:
    server, hand = pair
    seen: list[weakref.ref[Any]] = []
    gc.collect()
    gc.disable()
    try:
        for way in ("said nothing", "said nonsense", "was cut off", "worked"):
            socket = await connect(address(pair, port), compression=None)
            await socket.recv()
            seen += [weakref.ref(one) for one in server.gateway.connections]
            seen += [weakref.ref(one.port) for one in server.gateway.connections]
            ports: list[Any] = [one.port for one in server.gateway.connections]
            seen += [weakref.ref(one._socket) for one in ports]
            seen += [weakref.ref(one) for one in server._watch.connections]
            del ports
            if way == "said nonsense":
                await socket.send(b"x" * 200_000)
            if way == "was cut off":
                socket.transport.abort()
            if way == "worked":
                await hand.start()
                await socket.send(encode_frame(hand.introduction()))
                await socket.recv()
            await socket.close()
            assert socket.state is State.CLOSED
        await until(lambda: not server.gateway.connections)
        for _ in range(100):
            if not any(one() for one in seen):
                break
            await asyncio.sleep(0.02)
        alive = [one() for one in seen if one() is not None]
        assert [(type(one).__name__, gc.get_referrers(one)) for one in alive] == []
    finally:
        gc.enable()
