"""The leases of requests: extended, moved, lost, refused, and given back to the queue."""

import asyncio

import msgspec
import pytest

from stepwell.server.engine.row.run import RunStatus
from stepwell.server.gateway.flight import Ending
from stepwell.server.gateway.gateway import GatewaySettings
from stepwell.server.gateway.protocol import GatewayConfig
from stepwell.wire.connect_word import (
    ExecutorRequest,
    ExtendLeaseAck,
    ReplyAck,
    WorkerPause,
)
from tests.unit.server.gateway.hand import (
    Hand,
    Pair,
    answer,
    ended,
    extension,
    until,
)


async def lease(hand: Hand) -> str | None:
    while not isinstance(told := await hand.hear(), ExtendLeaseAck):
        pass
    return told.lease_id


async def test_leases_are_extended_with_one_step_of_memory(pair: Pair) -> None:
    server, hand = pair
    await hand.join()
    await hand.send()
    request = await hand.take()
    await hand.say(extension(request))
    second = await lease(hand)
    assert second not in {None, request.lease_id}
    await hand.say(extension(request))
    assert await lease(hand) == second
    await hand.say(extension(request, second))
    third = await lease(hand)
    assert third not in {None, second}
    await hand.say(extension(request))
    assert await lease(hand) is None
    await hand.say(extension(request, "01M82GQD21KW6NBR2HCQQ7JA9S"))
    assert await lease(hand) is None
    await hand.say(answer(request))
    while not isinstance(await hand.hear(), ReplyAck):
        pass
    await hand.say(extension(request, third))
    assert await lease(hand) is None
    assert server.gateway.counts["extended"] == 3


async def test_a_lease_may_be_extended_over_another_connection(pair: Pair) -> None:
    server, hand = pair
    await hand.join()
    event = await hand.send()
    request = await hand.take()
    other = Hand(server, hand.http)
    await other.join()
    await other.say(extension(request))
    assert await lease(other) is not None
    await hand.close()
    await until(lambda: len(server.gateway.sessions) == 1)
    (session,) = server.gateway.sessions
    assert session.requests == {request.request_id}
    await other.say(answer(request))
    await ended(hand, event)
    await other.close()


QUICK = GatewaySettings(
    connection=GatewayConfig(heartbeat_s=1, extend_lease_s=1),
    lease_ms=300,
    grace_ms=100,
    orphan_ms=100,
    return_ms=100,
    left_ms=50,
    place_ms=200,
)


async def test_a_worker_that_stops_extending_loses_the_work(pair: Pair) -> None:
    server, hand = pair
    server.gateway.settings = QUICK
    await hand.join()
    event = await hand.send()
    first = await hand.take()
    second = await hand.take()
    assert second.request_id != first.request_id
    assert second.run_id == first.run_id
    # Nothing failed: the attempt is the same.
    assert msgspec.json.decode(second.payload)["ctx"]["attempt"] == 0
    await hand.say(extension(first))
    assert await lease(hand) is None
    await hand.say(answer(first, b'"late"'))
    await hand.say(answer(second, b'"in time"'))
    assert (await ended(hand, event)).output == b'"in time"'
    assert server.gateway.counts["lost"] == 1


async def test_a_worker_that_is_gone_loses_the_work_sooner(pair: Pair) -> None:
    server, hand = pair
    server.gateway.settings = msgspec.structs.replace(QUICK, lease_ms=60_000)
    await hand.join()
    event = await hand.send()
    await hand.take()
    assert hand.ws is not None
    hand.ws.transport.abort()
    await hand.join(instance_id="another")
    await hand.say(answer(await hand.take()))
    assert (await ended(hand, event)).status is RunStatus.COMPLETED


async def test_a_cancelled_run_is_told_at_once_and_refuses_its_next_extension(pair: Pair) -> None:
    _, hand = pair
    await hand.join()
    event = await hand.send()
    request = await hand.take()
    url = f"{pair[0].url}/v1/runs/{request.run_id}"
    async with hand.http.delete(url) as reply:
        assert reply.status in {200, 204}
    await ended(hand, event)
    assert await lease(hand) is None  # which it did not ask for
    await hand.say(extension(request))
    assert await lease(hand) is None
    await hand.say(answer(request))
    assert await hand.hear() == ReplyAck(request.request_id)


@pytest.mark.parametrize("beside", [True, False], ids=["beside another", "followed by another"])
async def test_what_a_killed_worker_held_is_done_at_once_by_one_of_its_name(
    pair: Pair, beside: bool
) -> None:
    """The name of a host is what its workers are called by default."""
    server, hand = pair
    other = Hand(server, hand.http)
    await hand.join(concurrency_max=1)
    event = await hand.send()
    first = await hand.take()
    if beside:
        await other.join(concurrency_max=1)
    assert hand.ws is not None
    hand.ws.transport.abort()
    if not beside:
        await until(lambda: not len(server.gateway.sessions))
        await other.join(concurrency_max=1)
    second = await asyncio.wait_for(other.take(), 5)
    assert (second.run_id, second.step_id) == (first.run_id, first.step_id)
    await other.say(answer(second))
    assert (await ended(hand, event)).status is RunStatus.COMPLETED
    await other.close()


async def test_a_worker_that_is_back_keeps_what_it_says_it_has(pair: Pair) -> None:
    server, hand = pair
    await hand.join()
    event = await hand.send()
    request = await hand.take()
    assert hand.ws is not None
    hand.ws.transport.abort()
    await until(lambda: not len(server.gateway.sessions))
    await hand.join()
    await hand.say(extension(request))
    assert await lease(hand) is not None
    await asyncio.sleep(2 * server.gateway.settings.claim_ms / 1000)
    server.gateway.sweep()
    assert server.gateway.counts["lost"] == 0
    await hand.say(answer(request))
    assert (await ended(hand, event)).status is RunStatus.COMPLETED


async def test_an_official_worker_has_the_time_to_extend_what_it_holds(pair: Pair) -> None:
    """It does not say that it is back: it extends when it is time."""
    server, hand = pair
    server.gateway.settings = GatewaySettings(
        connection=GatewayConfig(heartbeat_s=60, extend_lease_s=2), return_ms=0, orphan_ms=0
    )
    await hand.join(capabilities=OFFICIAL)
    event = await hand.send()
    request = await hand.take()
    assert hand.ws is not None
    hand.ws.transport.abort()
    await until(lambda: not len(server.gateway.sessions))
    await hand.join(capabilities=OFFICIAL)
    await asyncio.sleep(2)
    server.gateway.sweep()
    await hand.say(extension(request))
    assert await lease(hand) is not None
    await hand.say(answer(request))
    assert (await ended(hand, event)).status is RunStatus.COMPLETED


OFFICIAL = b'{"connect":"v1"}'


async def test_an_official_worker_reaches_the_end_of_a_cancelled_run(pair: Pair) -> None:
    """It takes a refused lease as an order to cut its code off (server.md 3.11)."""
    server, hand = pair
    await hand.join(capabilities=OFFICIAL)
    event = await hand.send()
    request = await hand.take()
    async with hand.http.delete(f"{server.url}/v1/runs/{request.run_id}") as reply:
        assert reply.status in {200, 204}
    await ended(hand, event)
    await hand.say(extension(request))
    granted = await lease(hand)
    assert granted not in {None, request.lease_id}
    # A server that was restarted knows of no flight.
    flight = server.gateway.flights.remove(request.request_id)
    assert flight is not None
    flight.end(Ending.STORED)
    for _ in range(2):
        await hand.say(extension(request, granted))
        granted = await lease(hand)
        assert granted is not None
    await hand.say(answer(request))
    assert await hand.hear() == ReplyAck(request.request_id)
    assert hand.run(event).status is RunStatus.CANCELLED
    assert server.gateway.flights.all() == ()


async def test_what_an_official_worker_has_not_got_is_not_begun(pair: Pair) -> None:
    server, hand = pair
    await hand.join(capabilities=OFFICIAL, concurrency_max=1)
    await hand.send()
    first = await hand.take()
    waiting = await hand.send()
    await until(lambda: server.gateway.flights.unplaced or not hand.run(waiting).pending)
    async with hand.http.delete(f"{server.url}/v1/runs/{hand.run(waiting).id}") as reply:
        assert reply.status in {200, 204}
    await ended(hand, waiting)
    assert server.gateway.flights.unplaced == ()
    await hand.say(answer(first))
    assert await hand.hear() == ReplyAck(first.request_id)


async def test_a_run_that_is_cancelled_after_a_restart_refuses_its_next_extension(
    pair: Pair,
) -> None:
    server, hand = pair
    await hand.join()
    event = await hand.send()
    request = await hand.take()
    await hand.say(extension(request))
    first = await lease(hand)
    # A server that was restarted has not begun the call, and knows of no flight.
    flight = server.gateway.flights.remove(request.request_id)
    assert flight is not None
    flight.end(Ending.STORED)
    await hand.say(extension(request, first))
    adopted = await lease(hand)
    assert adopted is not None
    await hand.say(extension(request, adopted))
    again = await lease(hand)
    assert again not in {None, adopted}
    async with hand.http.delete(f"{server.url}/v1/runs/{request.run_id}") as reply:
        assert reply.status in {200, 204}
    await ended(hand, event)
    await hand.say(extension(request, again))
    assert await lease(hand) is None


async def test_nobody_claims_and_the_work_returns_to_the_queue(pair: Pair) -> None:
    server, hand = pair
    server.gateway.settings = QUICK
    await hand.join()
    event = await hand.send()
    while not isinstance(await hand.hear(), ExecutorRequest):
        pass
    await hand.say(WorkerPause())
    await until(lambda: server.gateway.counts["not taken"] == 1)
    assert not hand.run(event).ended
    other = Hand(server, hand.http)
    await other.join(instance_id="other")
    await other.say(answer(await other.take()))
    await ended(hand, event)
    await other.close()
