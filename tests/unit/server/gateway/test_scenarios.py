"""Failure scenarios of the worker connection that are the gateway's to survive, numbered as the
protocol does (section 13)."""

import asyncio
from typing import Any

import msgspec
import pytest

from stepwell.server.engine.row.run import RunStatus
from stepwell.server.gateway import socket_endpoint
from stepwell.server.gateway.gateway import GatewaySettings
from stepwell.server.gateway.protocol import GatewayConfig
from stepwell.server.serving import Server
from stepwell.wire.connect_word import (
    AppConfig,
    ExtendLeaseAck,
    GatewayClosing,
    ReplyAck,
    ReplyStatus,
    WorkerHeartbeat,
    WorkerPause,
    WorkerReady,
)
from stepwell.wire.identifier import app_uuid
from tests.unit.server.gateway.hand import (
    Hand,
    Pair,
    answer,
    ended,
    extension,
    functions,
    until,
)

STEP = b'[{"id":"h1","op":"StepRun","name":"one","displayName":"one","data":7}]'


async def heard(hand: Hand, kind: type[Any]) -> Any:
    """The next message of a kind; others are passed over."""
    while not isinstance(message := await hand.hear(), kind):
        pass
    return message


async def test_scenario_01_a_draining_gateway_serves_what_it_gave_and_gives_no_more(
    pair: Pair,
) -> None:
    server, hand = pair
    await hand.join()
    event = await hand.send()
    request = await hand.take()
    server.gateway.drain()
    assert isinstance(await hand.hear(), GatewayClosing)
    await hand.say(WorkerHeartbeat())
    await hand.hear()
    await hand.say(extension(request))
    assert (await heard(hand, ExtendLeaseAck)).lease_id is not None
    await hand.send()
    await hand.say(answer(request))
    assert await hand.hear() == ReplyAck(request.request_id)
    assert (await ended(hand, event)).status is RunStatus.COMPLETED
    assert server.gateway.counts["forwarded"] == 1


async def test_scenario_07_what_is_acknowledged_is_in_the_ledger_whoever_crashes_then(
    pair: Pair,
) -> None:
    server, hand = pair
    await hand.join()
    event = await hand.send()
    request = await hand.take()
    # Whoever waited for the answer is gone, as after a crash: it is stored all the same.
    flight = server.gateway.flights.of(request.request_id)
    assert flight is not None
    flight.ended.cancel()
    await hand.say(answer(request))
    await heard(hand, ReplyAck)
    assert hand.run(event).output == b'"done"'


async def test_scenario_14_work_of_paused_workers_waits_and_uses_no_attempt(pair: Pair) -> None:
    server, hand = pair
    server.gateway.settings = msgspec.structs.replace(server.gateway.settings, place_ms=100)
    await hand.join(apps=(AppConfig("app", functions("app-fn", retries=0)),))
    await hand.say(WorkerPause())
    await until(lambda: not server.gateway.sessions.serving("app"))
    event = await hand.send()
    await asyncio.sleep(0.3)
    assert hand.run(event).status is RunStatus.SCHEDULED
    other = Hand(server, hand.http)
    await other.join(instance_id="other")
    request = await other.take()
    assert msgspec.json.decode(request.payload)["ctx"]["attempt"] == 0
    await other.say(answer(request))
    assert (await ended(hand, event)).status is RunStatus.COMPLETED
    await other.close()


@pytest.mark.logs(r"is refused: 1 are connected, the most --connections-max allows")
async def test_scenario_28_slots_of_those_who_leave_are_free_for_those_who_come(
    pair: Pair,
) -> None:
    """A worker that comes back after a pause still has its old connection open."""
    server, hand = pair
    server.gateway.settings = GatewaySettings(connections_max=1)
    await hand.join(manual_readiness=True)
    await hand.say(WorkerReady())
    await until(lambda: server.gateway.sessions.serving("app"))

    async def status() -> int:
        async with hand.http.post(f"{server.url}/v0/connect/start", data=b"") as reply:
            if reply.status == 429:
                assert "too many connections" in await reply.text()
            return reply.status

    assert await status() == 429
    await hand.say(WorkerPause())
    await until(lambda: not server.gateway.sessions.serving("app"))
    assert await status() == 200


@pytest.mark.parametrize("goodbye", [True, False])
async def test_scenario_33_two_workers_of_one_name_each_have_their_own_slots_and_leases(
    pair: Pair, goodbye: bool
) -> None:
    server, hand = pair
    server.gateway.settings = GatewaySettings(
        connection=GatewayConfig(heartbeat_s=60, extend_lease_s=1),
        grace_ms=100,
        orphan_ms=50,
        left_ms=50,
    )
    other = Hand(server, hand.http)
    await hand.join(concurrency_max=1)
    await other.join(concurrency_max=1)
    events = [await hand.send() for _ in range(2)]
    await hand.take()
    theirs = await other.take()
    assert server.gateway.sessions.capacity("app") == 2
    # One of them dies: two extensions later its work is given anew, although its name is there.
    assert hand.ws is not None
    if goodbye:
        await hand.close()
    else:
        hand.ws.transport.abort()
    await until(lambda: len(server.gateway.sessions) == 1)
    await other.say(answer(theirs))
    again = await asyncio.wait_for(other.take(), 5)
    await other.say(answer(again))
    for event in events:
        assert (await ended(hand, event)).status is RunStatus.COMPLETED
    assert server.gateway.counts["lost"] == 1
    await other.close()


async def test_scenario_35_a_worker_whose_clock_is_wrong_is_like_any_other(pair: Pair) -> None:
    """Neither when it says it began nor what it does with its leases is judged by its clock."""
    server, hand = pair
    for began_ms in (0, 1, 4_102_444_800_000):
        await hand.dial()
        await hand.say(hand.introduction(started_at_ms=began_ms))
        await hand.hear()
        event = await hand.send()
        request = await hand.take()
        await hand.say(extension(request))
        assert (await heard(hand, ExtendLeaseAck)).lease_id is not None
        await hand.say(answer(request))
        await ended(hand, event)
        await hand.close()
        await until(lambda: not len(server.gateway.sessions))


async def test_scenario_39_work_of_a_removed_function_goes_on_where_it_is_still_served(
    pair: Pair,
) -> None:
    server, hand = pair
    both = AppConfig("app", functions("app-fn", "app-gone", event="both"), "1")
    await hand.join(apps=(both,))
    event = await hand.send("both")
    requests = {r.function_slug: r for r in [await hand.take(), await hand.take()]}
    new = Hand(server, hand.http)
    await new.join(
        instance_id="new", apps=(AppConfig("app", functions("app-fn", event="both"), "2"),)
    )
    going = requests["app-gone"]
    await hand.say(answer(going, STEP, ReplyStatus.NOT_COMPLETED))
    await hand.say(answer(requests["app-fn"]))
    await hand.say(answer(await asyncio.wait_for(hand.take(), 5)))
    await until(lambda: all(run.ended for run in runs(server, event)))
    assert {run.status for run in runs(server, event)} == {RunStatus.COMPLETED}
    # A new event starts only what is registered now.
    later = await hand.send("both")
    started = await new.take()
    assert started.function_slug == "app-fn"
    await new.say(answer(started))
    await until(lambda: all(run.ended for run in runs(server, later)))
    assert [run.function for run in runs(server, later)] == ["app-fn"]
    # With the last worker that serves it, it is forgotten.
    catalog = lambda: server.node.ledger.catalog  # noqa: E731
    assert catalog().listing("app-gone") is not None
    await hand.close()
    await until(lambda: catalog().listing("app-gone") is None)
    assert catalog().listing("app-fn") is not None
    await new.close()


async def test_scenario_39_an_app_that_moved_to_http_is_not_brought_back_by_those_who_leave(
    pair: Pair,
) -> None:
    server, hand = pair
    await hand.join(apps=(AppConfig("app", functions("app-fn", "app-gone"), "1"),))
    new = Hand(server, hand.http)
    await new.join(instance_id="new", apps=(AppConfig("app", functions("app-fn"), "2"),))
    await new.close()
    made = msgspec.json.decode(functions("app-fn"))
    url = "http://127.0.0.1:1/x?fnId=app-fn&stepId=step"
    made[0]["steps"]["step"]["runtime"] = {"type": "http", "url": url}
    told = {"url": "http://127.0.0.1:1/x", "appName": "app", "sdk": "py:v1", "functions": made}
    async with hand.http.post(f"{server.url}/fn/register", json={"v": "0.1", **told}) as reply:
        assert reply.status == 200, await reply.text()
    await hand.close()
    await until(lambda: not len(server.gateway.sessions))
    await asyncio.sleep(0.05)
    assert server.node.ledger.catalog.apps["app"].method == "serve"


def runs(server: Server, event: str) -> Any:
    return server.node.reader.runs_of_event(event)


async def test_scenario_45_pings_of_proxies_and_workers_are_answered(pair: Pair) -> None:
    server, hand = pair
    for url in (None, f"ws://localhost:{server.port}/v0/connect"):
        await hand.dial(url)
        assert hand.ws is not None
        pong = await hand.ws.ping(b"still there?")
        await asyncio.wait_for(pong, 5)
        await hand.close()


async def test_scenario_47_a_worker_that_does_not_read_is_dropped_and_its_work_goes_elsewhere(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_endpoint, "WRITE_TIMEOUT_S", 0.2)
    server, hand = pair
    await hand.join()
    assert hand.ws is not None
    hand.ws.transport.pause_reading()
    large = {"text": "x" * 200_000}
    for _ in range(60):
        await hand.send(data=large)
    await until(lambda: not len(server.gateway.sessions), 10)
    assert server.gateway.ended_sessions[0].reason == "UNEXPECTED"
    assert all(flight.session is None for flight in server.gateway.flights.all())


async def test_room_that_is_freed_is_filled_at_once(pair: Pair) -> None:
    """Two apps on one worker that takes one request: the second waits for the first, not longer."""
    server, hand = pair
    apps = (
        AppConfig("app", functions("app-fn")),
        AppConfig("two", functions("two-fn", event="two")),
    )
    await hand.join(apps=apps, concurrency_max=1)
    one = await hand.send()
    first = await hand.take()
    two = await hand.send("two")
    await until(lambda: server.gateway.flights.unplaced)
    await hand.say(answer(first))
    second = await asyncio.wait_for(hand.take(), 2)
    assert second.function_slug == "two-fn"
    await hand.say(answer(second))
    await ended(hand, one)
    await ended(hand, two)


async def test_a_cancelled_call_makes_room_too(pair: Pair) -> None:
    _, hand = pair
    apps = (
        AppConfig("app", functions("app-fn")),
        AppConfig("two", functions("two-fn", event="two")),
    )
    await hand.join(apps=apps, concurrency_max=1)
    await hand.send()
    first = await hand.take()
    two = await hand.send("two")
    await until(lambda: pair[0].gateway.flights.unplaced)
    async with hand.http.delete(f"{pair[0].url}/v1/runs/{first.run_id}") as reply:
        assert reply.status in {200, 204}
    second = await asyncio.wait_for(hand.take(), 2)
    await hand.say(answer(second))
    await ended(hand, two)


async def test_connections_are_asked_for_by_an_id_that_is_one(pair: Pair) -> None:
    server, hand = pair
    await hand.join()
    url = f"{server.url}/v0/connect/envs/dev/conns?app_id="
    async with hand.http.get(url + app_uuid("app").upper()) as reply:
        assert len((await reply.json())["data"]) == 1
    async with hand.http.get(url + app_uuid("other")) as reply:
        assert (await reply.json())["data"] == []
    async with hand.http.get(url + "nonsense") as reply:
        assert reply.status == 400
        assert "'nonsense' is no UUID" in (await reply.json())["error"]
