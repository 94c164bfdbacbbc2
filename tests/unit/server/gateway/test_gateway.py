"""The gateway inside a whole server: admission, routing, leases, answers, and both ports."""

import asyncio
import logging
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed

from stepwell.server.engine.row.run import RunStatus
from stepwell.server.gateway.gateway import GatewaySettings
from stepwell.server.gateway.protocol import GatewayConfig
from stepwell.server.gateway.session_token import Entitlement, mint
from stepwell.wire.connect_encode import encode_frame
from stepwell.wire.connect_limit import START_BODY_BYTES_MAX
from stepwell.wire.connect_word import (
    AppConfig,
    Checkpoint,
    CheckpointAck,
    CheckpointOutcome,
    ConnectionReady,
    ExecutorRequest,
    GatewayHeartbeat,
    ReplyAck,
    ReplyStatus,
    SyncFailed,
    WorkerHeartbeat,
    WorkerPause,
    WorkerReady,
    WorkerStatus,
)
from stepwell.wire.identifier import app_uuid, function_uuid, ulid_time_ms
from tests.unit.server.gateway.hand import (
    Hand,
    Pair,
    answer,
    ended,
    functions,
    until,
)

# --- HTTP ---------------------------------------------------------------------------------------


async def test_the_start_call(pair: Pair) -> None:
    server, hand = pair
    response = await hand.start()
    endpoint, _, query = response.gateway_endpoint.partition("?")
    assert endpoint == f"ws://localhost:{server.gateway_port}/v0/connect"
    assert server.gateway.is_expected(query)
    assert response.gateway_group
    assert response.sync_token == ""
    again = await hand.start()
    assert again.connection_id != response.connection_id
    url = f"{server.url}/v0/connect/start"
    token = {"authorization": "Bearer some-token", "x-forwarded-proto": "https"}
    async with hand.http.post(url, data=b"", headers=token) as reply:
        assert reply.headers["content-type"] == "application/octet-stream"
        assert reply.headers["x-inngest-server-kind"] == "dev"
        body = await reply.read()
    assert b"some-token" in body
    assert f"wss://localhost:{server.port}/v0/connect".encode() in body


async def test_start_calls_that_are_refused(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    server, hand = pair
    url = f"{server.url}/v0/connect/start"

    async def status(body: bytes = b"", **headers: str) -> int:
        async with hand.http.post(url, data=body, headers=headers) as reply:
            return reply.status

    assert await status(b"\xff\xff\xff") == 400
    assert await status(b"x" * (START_BODY_BYTES_MAX + 1)) == 413
    assert await status(origin="http://elsewhere") == 401
    async with hand.http.get(url) as reply:
        assert reply.status == 405
    server.gateway.settings = GatewaySettings(connections_max=0)
    assert await status() == 429
    assert await status() == 429
    assert [record.getMessage() for record in caplog.records] == [
        "a worker at 127.0.0.1 is refused: it does not show the signing key of this server",
        "a worker at 127.0.0.1 is refused: 0 are connected, the most --connections-max allows",
    ]
    server.gateway.settings = GatewaySettings()
    server.gateway.drain()
    assert await status() == 503


async def test_the_gateways_own_port_answers_load_balancers(pair: Pair) -> None:
    server, hand = pair
    root = f"http://localhost:{server.gateway_port}"

    async def asked(path: str) -> tuple[int, str]:
        async with hand.http.get(root + path) as reply:
            return reply.status, await reply.text()

    assert (await asked("/ready"))[0] == 200
    assert await asked("/v0/") == (200, ".")
    assert (await asked("/v0/connect"))[0] == 426
    assert (await asked("/else"))[0] == 404
    async with hand.http.get(f"{server.url}/v0/connect") as reply:
        assert reply.status == 426
    server.gateway.drain()
    assert (await asked("/ready"))[0] == 503


async def test_who_is_connected(pair: Pair) -> None:
    server, hand = pair
    url = f"{server.url}/v0/connect/envs/dev"

    async def rows(query: str = "") -> list[Any]:
        async with hand.http.get(f"{url}/conns{query}") as reply:
            found: list[Any] = (await reply.json())["data"]
        for row in found:
            assert row.pop("last_heartbeat_at")["seconds"] > 1_700_000_000
        return found

    assert await rows() == []
    await hand.join()
    (row,) = await rows()
    assert row["instance_id"] == "hand"
    assert row["status"] == 1
    assert hand.started is not None
    assert row["id"] == hand.started.connection_id
    assert list(row["synced_worker_groups"]) == [app_uuid("app")]
    assert await rows(f"?app_id={app_uuid('app')}") == [row]
    assert await rows(f"?app_id={app_uuid('other')}") == []
    group = row["all_worker_groups"]["app"]
    async with hand.http.get(f"{url}/groups/{group}") as reply:
        told = (await reply.json())["data"]
    assert told["fns"] == ["app-fn"]
    assert told["conns"] == [row["id"]]
    async with hand.http.get(f"{url}/groups/none") as reply:
        assert reply.status == 404
    await hand.close()
    await until(lambda: not len(server.gateway.sessions))
    assert await rows() == []
    assert server.gateway.ended_sessions[0].reason == "WORKER_SHUTDOWN"


async def test_the_log_says_who_connects_and_when_nobody_is_left(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    server, hand = pair
    with caplog.at_level(logging.INFO, "stepwell.gateway"):
        await hand.join()
        await hand.close()
        await until(lambda: not len(server.gateway.sessions))
    told = [one.getMessage() for one in caplog.records if one.name == "stepwell.gateway"]
    assert told == [
        "worker hand of app app is connected",
        "worker hand of app app is gone (WORKER_SHUTDOWN): its runs wait until one takes work",
    ]


# --- admission ----------------------------------------------------------------------------------


async def test_w39_a_worker_is_admitted_and_its_app_registered(pair: Pair) -> None:
    server, hand = pair
    ready = await hand.join()
    assert ready == ConnectionReady("10s", "30s", "0s", ("checkpoint",))
    app = server.node.ledger.catalog.apps["app"]
    assert (app.method, app.url, app.sdk) == ("connect", "ws://connect?app_name=app", "py:v1")
    await hand.say(WorkerHeartbeat())
    assert await hand.hear() == GatewayHeartbeat()
    await hand.say(WorkerStatus(("r",), shutdown_requested=True))
    await until(lambda: next(iter(server.gateway.sessions)).status is not None)


async def test_a_message_in_parts_is_a_message(pair: Pair) -> None:
    _, hand = pair
    await hand.dial()
    assert hand.ws is not None
    whole = encode_frame(hand.introduction())
    await hand.ws.send([whole[:1], b"", whole[1:50], whole[50:]])
    assert isinstance(await hand.hear(), ConnectionReady)


async def test_extensions_are_spoken_only_with_those_who_know_them(pair: Pair) -> None:
    _, hand = pair
    ready = await hand.join(capabilities=b'{"connect":"v1"}')
    assert ready.extensions == ()


@pytest.mark.parametrize(
    ("changes", "close"),
    [
        ({"session_token": "x.y.z"}, (1008, "connect_authentication_failed")),
        ({"session_token": ""}, (1008, "connect_authentication_failed")),
        (
            {"apps": tuple(AppConfig(f"a{n}", b"[]") for n in range(11))},
            (1008, "connect_too_many_apps_per_connection"),
        ),
        ({"capabilities": b"not json"}, (1011, "connect_internal_error")),
        ({"capabilities": b""}, (1011, "connect_internal_error")),
        ({"apps": (AppConfig("app", b'{"a":1}'),)}, (1011, "connect_internal_error")),
        ({"apps": ()}, (1008, "connect_worker_hello_invalid_payload")),
    ],
)
async def test_introductions_that_are_refused(
    pair: Pair, changes: dict[str, Any], close: tuple[int, str]
) -> None:
    _, hand = pair
    await hand.dial()
    await hand.say(hand.introduction(**changes))
    assert await hand.closed() == close


async def test_a_token_of_another_server_is_no_good(pair: Pair) -> None:
    server, hand = pair
    await hand.dial()
    now_s = server.node.clock.now_ms() / 1000
    foreign = mint(Entitlement("a", "e"), b"other secret", now_s=now_s, token_id="x")
    await hand.say(hand.introduction(session_token=foreign))
    assert await hand.closed() == (1008, "connect_authentication_failed")


async def test_w39_functions_that_are_refused_are_named(pair: Pair) -> None:
    _, hand = pair
    await hand.dial()
    await hand.say(hand.introduction(apps=(AppConfig("app", b'[{"id":"app-fn"}]'),)))
    problem = await hand.hear()
    assert isinstance(problem, SyncFailed)
    assert "At least one function is invalid" in problem.message
    assert (await hand.closed())[0] == 1008


async def test_an_empty_app_is_welcome(pair: Pair) -> None:
    _, hand = pair
    assert await hand.join(apps=(AppConfig("app", b"[]"),))


async def test_a_draining_gateway_ends_new_sockets_before_its_hello(pair: Pair) -> None:
    server, hand = pair
    await hand.start()
    server.gateway.drain()
    assert hand.started is not None
    from websockets.asyncio.client import connect

    hand.ws = await connect(hand.started.gateway_endpoint)
    assert await hand.closed() == (1001, "connect_gateway_closing")


# --- calls --------------------------------------------------------------------------------------


async def test_w37_a_call_from_its_event_to_its_end(pair: Pair) -> None:
    server, hand = pair
    await hand.join()
    event = await hand.send(data={"n": 1})
    request = await hand.take()
    run = hand.run(event)
    assert (request.app_name, request.function_slug) == ("app", "app-fn")
    assert request.run_id == run.id
    assert request.function_id == function_uuid("app-fn")
    assert request.app_id == app_uuid("app")
    assert request.step_id == "step"
    call = msgspec.json.decode(request.payload)
    assert call["event"]["data"] == {"n": 1}
    assert call["ctx"]["request_id"] == request.request_id
    assert call["ctx"]["run_id"] == run.id
    assert msgspec.json.decode(request.user_trace)["traceparent"].startswith("00-")
    now_ms = server.node.clock.now_ms()
    assert 110_000 < ulid_time_ms(request.lease_id) - now_ms <= 120_000
    await hand.say(answer(request))
    assert await hand.hear() == ReplyAck(request.request_id)
    # What is acknowledged is committed.
    assert hand.run(event).status is RunStatus.COMPLETED
    assert hand.run(event).output == b'"done"'
    await hand.say(answer(request, b'"another"'))
    assert await hand.hear() == ReplyAck(request.request_id)
    assert hand.run(event).output == b'"done"'


async def test_steps_come_back_with_the_next_call(pair: Pair) -> None:
    _, hand = pair
    await hand.join()
    event = await hand.send()
    first = await hand.take()
    operations = b'[{"id":"h1","op":"StepRun","name":"one","displayName":"one","data":7}]'
    await hand.say(answer(first, operations, ReplyStatus.NOT_COMPLETED))
    second = await hand.take()
    assert second.request_id != first.request_id
    assert msgspec.json.decode(second.payload)["steps"] == {"h1": {"data": 7}}
    await hand.say(answer(second))
    await ended(hand, event)


async def test_steps_can_be_stored_while_the_call_goes_on(pair: Pair) -> None:
    _, hand = pair
    await hand.join()
    event = await hand.send()
    request = await hand.take()

    def steps(sequence: int, operations: bytes) -> Checkpoint:
        return Checkpoint(
            request.request_id, request.lease_id, sequence, request.run_id, "app-fn", operations
        )

    one = b'[{"id":"h1","op":"StepRun","name":"one","displayName":"one","data":7}]'
    await hand.say(steps(1, one))
    assert await hand.hear() == CheckpointAck(request.request_id, 1, CheckpointOutcome.SAVED)
    await hand.say(steps(1, one))
    assert await hand.hear() == CheckpointAck(request.request_id, 1, CheckpointOutcome.SAVED)
    await hand.say(steps(2, b"nonsense"))
    refused = await hand.hear()
    assert isinstance(refused, CheckpointAck)
    assert refused.outcome is CheckpointOutcome.REFUSED
    await hand.say(steps(3, b'[{"id":"h2","op":"Sleep","name":"1s"}]'))
    refused = await hand.hear()
    assert isinstance(refused, CheckpointAck)
    assert refused.outcome is CheckpointOutcome.REFUSED
    assert [s.id for s in pair[0].node.reader.steps(request.run_id)] == ["h1"]
    await hand.say(answer(request))
    await ended(hand, event)
    await hand.say(steps(4, one))
    while not isinstance(stale := await hand.hear(), CheckpointAck):
        pass
    assert stale.outcome is CheckpointOutcome.STALE


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        ({"status": ReplyStatus.ERROR, "body": b'{"name":"E","message":"m"}'}, RunStatus.FAILED),
        # How one SDK reports a failure that is not to be tried again.
        ({"body": b'{"name":"E","message":"m"}', "no_retry": True}, RunStatus.FAILED),
        ({"body": b"[" + b"[]," * 50_000 + b"0]"}, RunStatus.COMPLETED),
        ({"body": b""}, RunStatus.COMPLETED),
        ({"body": b"plain text"}, RunStatus.COMPLETED),
        ({"sdk_version": ""}, RunStatus.COMPLETED),
    ],
)
async def test_w17_what_replies_mean(pair: Pair, reply: dict[str, Any], status: RunStatus) -> None:
    _, hand = pair
    await hand.join()
    event = await hand.send()
    request = await hand.take()
    await hand.say(answer(request, **reply))
    assert (await ended(hand, event)).status is status


async def test_a_reply_that_says_when_is_tried_again_then(pair: Pair) -> None:
    _, hand = pair
    await hand.join(apps=(AppConfig("app", functions("app-fn", retries=2)),))
    event = await hand.send()
    request = await hand.take()
    await hand.say(answer(request, retry_after="1"))
    assert isinstance(await hand.hear(), ReplyAck)
    assert not hand.run(event).ended
    again = await hand.take()
    assert msgspec.json.decode(again.payload)["ctx"]["attempt"] == 1
    await hand.say(answer(again))
    await ended(hand, event)


async def test_a_reply_without_a_claim_counts(pair: Pair) -> None:
    _, hand = pair
    await hand.join()
    event = await hand.send()
    while not isinstance(request := await hand.hear(), ExecutorRequest):
        pass
    await hand.say(answer(request))
    await ended(hand, event)


async def test_answers_may_come_by_flush(pair: Pair) -> None:
    server, hand = pair
    await hand.join()
    event = await hand.send()
    request = await hand.take()
    status, _ = await hand.flush(answer(request))
    assert status == 200
    assert hand.run(event).status is RunStatus.COMPLETED
    assert (await hand.flush(answer(request)))[0] == 200
    unknown = msgspec.structs.replace(answer(request), request_id="unknown", system_trace=b"")
    assert (await hand.flush(unknown))[0] == 200
    assert server.gateway.counts["answers_unknown"] == 1


async def test_flushes_that_are_refused(pair: Pair) -> None:
    server, hand = pair
    assert await hand.flush(b"") == (
        400,
        msgspec.json.encode(
            {"error": "missing request body", "data": None, "status": 400}
        ).decode(),
    )
    assert (await hand.flush(b"\xff\xff"))[0] == 400
    assert (await hand.flush(b"x" * (8_388_608 + 1)))[0] == 413
    url = f"{server.url}/v0/connect/flush"
    async with hand.http.post(url, data=b"x", headers={"origin": "http://evil"}) as reply:
        assert reply.status == 401


# --- routing ------------------------------------------------------------------------------------


async def test_an_unclaimed_request_goes_to_the_next_under_the_same_id(pair: Pair) -> None:
    server, hand = pair
    await hand.join()
    other = Hand(server, hand.http)
    event = await hand.send()
    while not isinstance(request := await hand.hear(), ExecutorRequest):
        pass
    await other.join(instance_id="other")
    await hand.say(WorkerPause())
    moved = await other.take()
    assert (moved.request_id, moved.lease_id) == (request.request_id, request.lease_id)
    await other.say(answer(moved))
    assert (await ended(hand, event)).status is RunStatus.COMPLETED
    assert server.gateway.counts["rerouted"] == 1
    await other.close()


async def test_a_worker_gets_no_more_than_it_takes(pair: Pair) -> None:
    server, hand = pair
    await hand.join(concurrency_max=2)
    events = [await hand.send() for _ in range(3)]
    first, second = await hand.take(), await hand.take()
    await asyncio.sleep(0.05)
    assert server.gateway.counts["forwarded"] == 2
    await hand.say(answer(first))
    third = await hand.take()
    await hand.say(answer(second))
    await hand.say(answer(third))
    for event in events:
        await ended(hand, event)


async def test_work_waits_while_nobody_is_there_or_ready(pair: Pair) -> None:
    server, hand = pair
    await hand.join()
    await hand.close()
    await until(lambda: not len(server.gateway.sessions))
    event = await hand.send()
    await asyncio.sleep(0.05)
    assert hand.run(event).status is RunStatus.SCHEDULED
    await hand.join(manual_readiness=True)
    await asyncio.sleep(0.05)
    assert server.gateway.counts["forwarded"] == 0
    await hand.say(WorkerReady())
    request = await hand.take()
    assert msgspec.json.decode(request.payload)["ctx"]["attempt"] == 0
    await hand.say(answer(request))
    await ended(hand, event)


async def test_an_event_right_after_ready_never_fails(pair: Pair) -> None:
    """The reference loses this race about once in five starts."""
    _, hand = pair
    for _ in range(5):
        await hand.join(settled=False)
        event = await hand.send()
        await hand.say(answer(await hand.take()))
        assert (await ended(hand, event)).status is RunStatus.COMPLETED
        await hand.close()


async def test_scenario_40_the_newest_version_is_asked_first_and_an_old_one_does_not_roll_back(
    pair: Pair,
) -> None:
    server, hand = pair
    old = {"apps": (AppConfig("app", functions("app-fn", "app-gone", event="go"), "1"),)}
    await hand.join(**old)
    new = Hand(server, hand.http)
    await new.join(instance_id="new", apps=(AppConfig("app", functions("app-fn"), "2"),))
    event = await hand.send()
    await new.say(answer(await new.take()))
    await ended(hand, event)
    await hand.close()
    await hand.join(**old)
    listing = server.node.ledger.catalog.listing("app-gone")
    assert listing is None
    assert server.node.ledger.catalog.apps["app"].app_version == "2"
    await new.close()


async def test_a_request_waits_until_a_worker_that_has_just_come_listens(pair: Pair) -> None:
    """One official SDK drops what comes in the moment after it heard that it is connected."""
    server, hand = pair
    await hand.join()
    await hand.close()
    await until(lambda: not len(server.gateway.sessions))
    event = await hand.send()
    server.gateway.settings = GatewaySettings(connection=GatewayConfig(settle_s=60))
    await hand.join(settled=False)
    await asyncio.sleep(0.05)
    assert server.gateway.counts["forwarded"] == 0
    # Whoever speaks listens already.
    await hand.say(WorkerHeartbeat())
    request = await asyncio.wait_for(hand.take(), 5)
    await hand.say(answer(request))
    await ended(hand, event)
    # Whoever says nothing listens a moment later.
    await hand.close()
    await until(lambda: not len(server.gateway.sessions))
    server.gateway.settings = GatewaySettings()
    await hand.join(settled=False)
    await until(lambda: server.gateway.sessions.serving("app"))


async def test_two_workers_share_the_work(pair: Pair) -> None:
    server, hand = pair
    other = Hand(server, hand.http)
    await hand.join(concurrency_max=1)
    await other.join(instance_id="other", concurrency_max=1)
    events = [await hand.send() for _ in range(2)]
    mine, theirs = await hand.take(), await other.take()
    assert mine.request_id != theirs.request_id
    await hand.say(answer(mine))
    await other.say(answer(theirs))
    for event in events:
        await ended(hand, event)
    await other.close()


# --- the end, and a new beginning -----------------------------------------------------------------


async def test_a_server_that_stops_lets_its_workers_go(pair: Pair) -> None:
    server, hand = pair
    await hand.join()
    await server.gateway.stop()
    assert await hand.closed() == (1001, "connect_gateway_closing")
    assert len(server.gateway.sessions) == 0


async def test_the_main_port_takes_workers_too(pair: Pair) -> None:
    server, hand = pair
    await hand.dial(f"ws://localhost:{server.port}/v0/connect")
    assert hand.ws is not None
    assert hand.ws.subprotocol == "v0.connect.inngest.com"
    await hand.say(hand.introduction())
    assert isinstance(await hand.hear(), ConnectionReady)
    event = await hand.send()
    await hand.say(answer(await hand.take()))
    await ended(hand, event)
    await hand.say("text")
    assert await hand.closed() == (1007, "failed to unmarshal Protobuf")
    await hand.dial(f"ws://localhost:{server.port}/v0/connect")
    await hand.say(WorkerHeartbeat())
    assert await hand.closed() == (1008, "connect_worker_hello_invalid_msg")


async def test_the_main_port_forgets_those_who_go(pair: Pair) -> None:
    server, hand = pair
    await hand.dial(f"ws://localhost:{server.port}/v0/connect")
    await hand.say(hand.introduction())
    await hand.hear()
    await hand.close()
    await until(lambda: not len(server.gateway.sessions))
    assert server.gateway.ended_sessions[0].reason == "WORKER_SHUTDOWN"


@pytest.mark.parametrize("main", [False, True])
async def test_frames_above_the_limit_end_the_connection(pair: Pair, main: bool) -> None:
    server, hand = pair
    await hand.dial(f"ws://localhost:{server.port}/v0/connect" if main else None)
    await hand.say(hand.introduction())
    await hand.hear()
    with suppress(ConnectionClosed):  # it may be refused before it is sent whole
        await hand.say(b"\x00" * (8_388_608 + 1))
    assert (await hand.closed())[0] == 1009
    await until(lambda: not len(server.gateway.sessions))
    assert server.gateway.ended_sessions[0].reason == "MESSAGE_TOO_LARGE"


async def test_a_worker_that_falls_silent_is_dropped(pair: Pair) -> None:
    server, hand = pair
    server.gateway.settings = GatewaySettings(
        connection=GatewayConfig(heartbeat_s=1, extend_lease_s=1)
    )
    await hand.join()
    connection = next(iter(server.gateway.sessions)).connection
    connection.protocol.heard_at -= 5
    connection._ring()
    await until(lambda: not len(server.gateway.sessions), 3)
    assert server.gateway.ended_sessions[0].reason == "CONSECUTIVE_HEARTBEATS_MISSED"
    assert (await hand.closed())[0] == 1006


async def test_an_app_that_moves_to_http_is_not_called_here(pair: Pair) -> None:
    server, hand = pair
    await hand.join()
    made = msgspec.json.decode(functions("app-fn"))
    made[0]["steps"]["step"]["runtime"] = {
        "type": "http",
        "url": "http://127.0.0.1:1/x?fnId=app-fn&stepId=step",
    }
    told = {
        "url": "http://127.0.0.1:1/x",
        "appName": "app",
        "sdk": "py:v1",
        "v": "0.1",
        "functions": made,
    }
    async with hand.http.post(f"{server.url}/fn/register", json=told) as reply:
        assert reply.status == 200, await reply.text()
    await hand.say(WorkerPause())
    await asyncio.sleep(0.05)
    assert server.node.ledger.catalog.apps["app"].method == "serve"
    assert "app" in dict(server.node.dispatcher.capacity())
