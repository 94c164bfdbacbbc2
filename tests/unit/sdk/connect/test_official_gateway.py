"""Our worker at a gateway made by hand after the protocol's page: what goes over the wire, and
what the tests of the official SDKs expect of a worker (protocol section 12)."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from stepwell.connect import ConnectionState, WorkerConnection, WorkerError, connect
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.function.trigger import TriggerEvent
from tests.unit.sdk.connect import official_gateway as wire
from tests.unit.sdk.connect.official_gateway import OfficialGateway, packed, text, until

S = ConnectionState


@pytest.fixture
async def gateway() -> AsyncIterator[OfficialGateway]:
    async with OfficialGateway() as running:
        yield running


def worker_of(
    gateway: OfficialGateway, handler: Callable[[Any], Any], **options: Any
) -> tuple[WorkerConnection, list[ConnectionState]]:
    client = Inngest(app_id="app", is_production=False, api_base_url=gateway.url)
    made = client.create_function(fn_id="fn", trigger=TriggerEvent(event="test/event"))(handler)
    states: list[ConnectionState] = []
    settings = {"shutdown_signals": [], "shutdown_timeout": 10, **options}
    return connect([(client, [made])], on_state_change=states.append, **settings), states


async def said(ctx: Any) -> str:
    return "said"


async def test_w10_every_byte_is_as_the_page_says(gateway: OfficialGateway) -> None:
    worker, _ = worker_of(gateway, said)
    async with worker:
        request_id = await gateway.call()
        await until(lambda: gateway.answer_to(request_id))
        await until(lambda: not worker.stats().unacknowledged)
    assert gateway.subprotocols == ["v0.connect.inngest.com"]
    (introduction,) = gateway.said(wire.CONNECT)
    assert text(introduction, 1) == wire.ULID
    (auth,) = introduction[3]
    assert isinstance(auth, bytes)
    assert (text(wire.parsed(auth), 1), text(wire.parsed(auth), 2)) == ("session", "sync")
    assert json.loads(text(introduction, 4))["connect"] == "v1"
    (app,) = introduction[5]
    assert isinstance(app, bytes)
    (function,) = json.loads(text(wire.parsed(app), 4))
    assert function["steps"]["step"]["runtime"]["url"] == "wss://connect?fnId=app-fn&stepId=step"
    assert introduction[6] == [1]
    assert text(introduction, 9) == "connect"
    assert text(introduction, 12) == "py"
    assert 13 in introduction
    assert gateway.said(wire.READY) == [{}]
    (claim,) = gateway.said(wire.ACK)
    assert [text(claim, n) for n in (1, 2, 3, 4, 5, 6, 9)] == [
        *(request_id, "acct", "env", "app-id", "app-fn", "step", "run-1")
    ]
    (reply,) = gateway.said(wire.REPLY)
    assert reply[5] == [1]
    assert [text(reply, n) for n in (1, 2, 3, 4, 6, 13)] == [
        *(request_id, "acct", "env", "app-id", '"said"', "run-1")
    ]
    assert text(reply, 11) == '{"traceparent":"00-s"}'
    assert text(reply, 12) == '{"traceparent":"00-u"}'
    assert 7 not in reply
    assert 8 not in reply
    kinds = [kind for kind, _ in gateway.heard if kind != wire.BEAT]
    assert kinds == [wire.CONNECT, wire.READY, wire.ACK, wire.REPLY, wire.PAUSE]
    assert gateway.flushed == []
    await until(lambda: gateway.closed == [(1000, "WORKER_SHUTDOWN")])


async def test_w11_w15_kinds_it_does_not_know_and_strays_are_passed_over(
    gateway: OfficialGateway,
) -> None:
    worker, _ = worker_of(gateway, said)
    async with worker:
        for kind, payload in (
            *((99, b"later"), (wire.HELLO, b""), (wire.BEAT_BACK, b""), (wire.BEAT_BACK, b"")),
            (wire.REPLY_ACK, packed(f1="nobody's")),
            (wire.EXTEND_ACK, packed(f1="nobody's", f6="lease")),
            (wire.EXTEND_ACK, packed(f1="nobody's")),
            (wire.REQUEST, b"\x0a\xff"),
        ):
            await gateway.say(kind, payload)
        await gateway.sockets[-1].send("a text")
        request_id = await gateway.call(f99="a field of a later protocol")
        await until(lambda: gateway.answer_to(request_id))
    assert len(gateway.starts) == 1


async def test_w16_leases_are_extended_with_the_newest_and_a_refusal_cancels(
    gateway: OfficialGateway,
) -> None:
    gateway.extend = "200ms"
    cancelled = asyncio.Event()

    async def handler(ctx: Any) -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    worker, _ = worker_of(gateway, handler)
    async with worker:
        request_id = await gateway.call()
        await until(lambda: len(gateway.said(wire.EXTEND)) >= 3)
        leases = [text(extension, 10) for extension in gateway.said(wire.EXTEND)][:3]
        assert leases == [wire.ULID, "lease-1", "lease-2"]
        assert not cancelled.is_set()
        gateway.grants = False
        await asyncio.wait_for(cancelled.wait(), 10)
        await until(lambda: not worker.stats().in_flight)
        extensions = len(gateway.said(wire.EXTEND))
        await asyncio.sleep(0.5)
        assert len(gateway.said(wire.EXTEND)) == extensions
    assert gateway.answer_to(request_id) is None


async def bare_close(gateway: OfficialGateway) -> None:
    await gateway.sockets[-1].close(1000)


async def abort(gateway: OfficialGateway) -> None:
    gateway.sockets[-1].transport.abort()


async def malformed_close(gateway: OfficialGateway) -> None:
    gateway.sockets[-1].transport.write(b"\x88\x01\x03")


async def closing(gateway: OfficialGateway) -> None:
    await gateway.say(wire.CLOSING)


async def going_away(gateway: OfficialGateway) -> None:
    await gateway.sockets[-1].close(1001, "connect_gateway_closing")


async def internal_error(gateway: OfficialGateway) -> None:
    await gateway.sockets[-1].close(1011, "connect_internal_error")


@pytest.mark.parametrize(
    "end", [bare_close, abort, malformed_close, closing, going_away, internal_error]
)
async def test_w02_however_a_connection_ends_one_start_call_brings_it_back(
    gateway: OfficialGateway, end: Callable[[OfficialGateway], Any]
) -> None:
    release = asyncio.Event()

    async def handler(ctx: Any) -> str:
        await release.wait()
        return "kept"

    worker, states = worker_of(gateway, handler)
    async with worker:
        request_id = await gateway.call()
        await until(lambda: gateway.said(wire.ACK))
        await end(gateway)
        await until(lambda: len(gateway.said(wire.READY)) == 2)
        await worker.wait_for_state(S.ACTIVE)
        release.set()
        await until(lambda: gateway.answer_to(request_id))
        assert len(gateway.starts) == 2
    drained = end is closing
    back = [S.PAUSED] if drained else [S.RECONNECTING, S.CONNECTING]
    assert states == [S.ACTIVE, *back, S.ACTIVE, S.CLOSING, S.CLOSED]
    excluded = [group for start in gateway.starts for group in start.get(1, [])]
    assert excluded == ([b"gw-dev"] if drained else [])
    assert gateway.flushed == []


async def test_w18_w20_an_answer_nobody_acknowledged_is_flushed_and_an_acknowledged_one_never(
    gateway: OfficialGateway,
) -> None:
    worker, _ = worker_of(gateway, said)
    async with worker:
        first = await gateway.call()
        await until(lambda: gateway.answer_to(first) and not worker.stats().unacknowledged)
        gateway.acknowledges = False
        second = await gateway.call()
        await until(lambda: gateway.answer_to(second))
        await abort(gateway)
        await until(lambda: gateway.flushed)
        await until(lambda: not worker.stats().unacknowledged)
    assert [text(reply, 1) for reply in gateway.flushed] == [second]


async def test_w34_a_closing_worker_beats_and_extends_until_its_work_is_done(
    gateway: OfficialGateway,
) -> None:
    gateway.extend = gateway.heartbeat = "100ms"
    release = asyncio.Event()

    async def handler(ctx: Any) -> str:
        await release.wait()
        return "finished"

    worker, states = worker_of(gateway, handler)
    task = asyncio.create_task(worker.start())
    await worker.wait_for_state(S.ACTIVE)
    request_id = await gateway.call()
    await until(lambda: gateway.said(wire.ACK))
    await worker.close()
    await until(lambda: gateway.said(wire.PAUSE))
    beats, extensions = len(gateway.said(wire.BEAT)), len(gateway.said(wire.EXTEND))
    late = await gateway.call()
    await until(lambda: len(gateway.said(wire.BEAT)) >= beats + 2)
    await until(lambda: len(gateway.said(wire.EXTEND)) >= extensions + 4)
    release.set()
    await worker.closed()
    await task
    assert gateway.answer_to(request_id) is not None
    assert gateway.answer_to(late) is None
    assert len(gateway.said(wire.ACK)) == 1
    assert states == [S.ACTIVE, S.CLOSING, S.CLOSED]
    await until(lambda: gateway.closed == [(1000, "WORKER_SHUTDOWN")])


async def test_w39_apps_that_are_refused_are_an_error_with_the_servers_words(
    gateway: OfficialGateway,
) -> None:
    gateway.ready = False
    worker, _ = worker_of(gateway, said)
    task = asyncio.create_task(worker.start())
    await until(lambda: gateway.said(wire.CONNECT))
    await gateway.say(wire.SYNC_FAILED, packed(f1="bad_config", f3="the cron is no schedule"))
    await gateway.sockets[-1].close(1008, "")
    with pytest.raises(WorkerError, match="bad_config the cron is no schedule"):
        await task


async def test_c12_8_a_request_above_five_megabytes_is_read(gateway: OfficialGateway) -> None:
    """One official worker breaks its socket over it, and gets the same request again."""

    async def handler(ctx: Any) -> int:
        return len(ctx.event.data["text"])

    worker, _ = worker_of(gateway, handler)
    async with worker:
        event = {"name": "test/event", "data": {"text": "x" * 6_000_000}, "id": "e", "ts": 1}
        body = {
            "ctx": {"attempt": 0, "fn_id": "fn", "run_id": "run-1", "stack": {"stack": []}},
            "event": event,
            "events": [event],
            "steps": {},
            "version": -1,
        }
        request_id = await gateway.call(f9=json.dumps(body))
        await until(lambda: gateway.answer_to(request_id))
        reply = gateway.answer_to(request_id)
        assert reply is not None
        assert text(reply, 6) == "6000000"
        assert len(gateway.starts) == 1
