"""The worker over real sockets, against our own gateway on another thread: how calls are run."""

import asyncio
import hashlib
import json
import logging
import signal
import threading
import time
from typing import Any

import pytest

from stepwell.connect import (
    ConnectApp,
    connect,
)
from stepwell.sdk.errors import Error
from stepwell.wire.connect_word import ReplyStatus
from stepwell.wire.signature import bearer
from tests.fake_server import FakeServer, payload
from tests.unit.sdk.connect.stage import (
    KEY,
    S,
    answer,
    client_of,
    function,
    until,
    watched,
)


async def test_w01_w27_a_call_is_run_on_the_callers_loop_and_answered(server: FakeServer) -> None:
    client, home = client_of(server), threading.get_ident()

    async def handler(ctx: Any) -> dict[str, object]:
        return {"here": threading.get_ident() == home, "name": ctx.event.name, "run": ctx.run_id}

    worker, states = watched([(client, [function(client, handler)])])
    assert worker.get_state() is S.CONNECTING
    with pytest.raises(Error, match="connection not established"):
        worker.get_connection_id()
    task = asyncio.create_task(worker.start())
    await worker.wait_for_state(S.ACTIVE)
    call = server.call("app-fn")
    reply = await answer(call)
    assert reply.status is ReplyStatus.DONE
    assert json.loads(reply.body) == {"here": True, "name": "test/event", "run": "run-1"}
    assert reply.request_version == 2
    assert reply.sdk_version.startswith("inngest-py:v")
    assert worker.get_connection_id() == server.workers[0].connection_id
    await worker.close()
    assert worker.get_state() in {S.CLOSING, S.CLOSED}
    await worker.closed()
    await task
    assert states == [S.ACTIVE, S.CLOSING, S.CLOSED]
    await until(lambda: server.ends == ["WORKER_SHUTDOWN"])
    assert call.attempts == 1


async def test_w08_what_a_worker_says_of_itself(server: FakeServer) -> None:
    one = client_of(server, "one", app_version="v7", env="branch")
    two = client_of(server, "two", env="branch")

    async def handler(ctx: Any) -> None: ...

    worker = connect(
        [(one, [function(one, handler)]), ConnectApp(two, [function(two, handler)])],
        instance_id="instance-7",
        max_worker_concurrency=9,
        shutdown_signals=[],
        signing_key=KEY,
    )
    async with worker:
        said = server.workers[0]
    assert [app.name for app in said.apps] == ["one", "two"]
    assert said.apps[0].version == "v7"
    assert said.apps[1].version is None
    (config,) = json.loads(said.apps[0].functions)
    assert config["id"] == "one-fn"
    runtime = config["steps"]["step"]["runtime"]
    assert runtime == {"type": "ws", "url": "wss://connect?fnId=one-fn&stepId=step"}
    assert said.instance_id == "instance-7"
    assert said.concurrency_max == 9
    assert said.environment == "branch"
    assert said.framework == "connect"
    assert said.sdk_language == "py"
    assert json.loads(said.capabilities)["connect"] == "v1"
    assert said.system.cpu_cores > 0
    assert said.system.mem_bytes > 0
    assert said.system.os != "unknown"
    assert server.headers[0]["x-inngest-env"] == "branch"
    assert server.headers[0]["content-type"] == "application/protobuf"
    assert server.headers[0]["authorization"] == bearer(KEY)


async def test_w02_a_lost_connection_comes_back_at_once_with_one_start_call(
    server: FakeServer,
) -> None:
    client = client_of(server)

    async def handler(ctx: Any) -> str:
        await asyncio.sleep(0.3)
        return "kept"

    worker, states = watched([(client, [function(client, handler)])])
    async with worker:
        call = server.call("app-fn")
        await until(lambda: call.claimed)
        server.cut()
        await until(lambda: len(server.starts) == 2)
        await worker.wait_for_state(S.ACTIVE)
        assert json.loads((await answer(call)).body) == "kept"
        assert call.attempts == 1
        assert len(server.starts) == 2
    assert states == [S.ACTIVE, S.RECONNECTING, S.CONNECTING, S.ACTIVE, S.CLOSING, S.CLOSED]


async def test_w20_an_answer_given_while_the_gateway_is_away_is_flushed(server: FakeServer) -> None:
    client = client_of(server)
    release = asyncio.Event()

    async def handler(ctx: Any) -> str:
        await release.wait()
        return "flushed"

    worker, _ = watched([(client, [function(client, handler)])])
    async with worker:
        call = server.call("app-fn")
        await until(lambda: call.claimed)
        server.stop_gateway()
        await worker.wait_for_state(S.RECONNECTING)
        release.set()
        assert json.loads((await answer(call)).body) == "flushed"
        assert server.flushed == [call.request_id]
        server.start_gateway()
        await worker.wait_for_state(S.ACTIVE)


async def test_w24_a_draining_gateway_is_replaced_while_a_call_runs(
    server: FakeServer,
) -> None:
    client, runs = client_of(server), 0

    async def handler(ctx: Any) -> str:
        nonlocal runs
        runs += 1
        await asyncio.sleep(0.4)
        return "once"

    worker, _ = watched([(client, [function(client, handler)])])
    async with worker:
        call = server.call("app-fn")
        await until(lambda: call.claimed)
        server.drain()
        await until(lambda: len(server.workers) == 2)
        await answer(call)
        await until(lambda: len(server.connections) == 1)
    assert runs == 1
    assert server.starts[1].exclude_gateways == ("fake",)
    assert server.flushed == []


async def test_plain_functions_run_in_threads_side_by_side(server: FakeServer) -> None:
    client, together = client_of(server), threading.Barrier(3)

    def handler(ctx: Any) -> str:
        together.wait(5)
        return threading.current_thread().name

    worker, _ = watched([(client, [function(client, handler)])])
    async with worker:
        calls = [server.call("app-fn") for _ in range(3)]
        names = {json.loads((await answer(call)).body) for call in calls}
    assert len(names) == 3
    assert not {"MainThread", "stepwell-connect"} & names


@pytest.mark.stalls("Runner._run")  # its handler blocks the loop
async def test_scenario_10_w12_a_blocked_loop_loses_neither_heartbeats_nor_leases(
    server: FakeServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a minute would at the usual intervals: a lease is over twice while the loop is blocked."""
    monkeypatch.setattr("stepwell.testing.simulation.desk.GRACE_S", 0.1)
    server.desk._lease_s = 1.6
    client = client_of(server)

    async def handler(ctx: Any) -> str:
        until_then = time.monotonic() + 3.6
        while time.monotonic() < until_then:
            pass
        return "done"

    worker, _ = watched([(client, [function(client, handler)])], loop_lag_warning=0.3)
    with caplog.at_level(logging.WARNING, "stepwell"):
        async with worker:
            began = time.monotonic()
            call = server.call("app-fn")
            await answer(call)
            beats = worker.stats().counts["leases_extended"]
            await until(lambda: worker.stats().loop_lag_worst_s > 3)
    assert beats >= 2
    assert call.attempts == 1
    extended = [at - began for at in server.extensions]
    assert sum(at < 3.6 for at in extended) >= 2, "extended while the loop was blocked"
    assert len(server.starts) == 1
    said = [r.getMessage() for r in caplog.records if "blocked" in r.getMessage()]
    assert "app-fn" in said[0]
    assert "handler at " in said[0]
    assert "test_worker.py" in said[0]


async def test_w16_a_refused_lease_cancels_the_function(server: FakeServer) -> None:
    client, cancelled = client_of(server), asyncio.Event()

    async def handler(ctx: Any) -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    worker, _ = watched([(client, [function(client, handler)])])
    async with worker:
        call = server.call("app-fn")
        await until(lambda: call.claimed)
        server.within(lambda: setattr(call, "lease_id", "gone"))
        await asyncio.wait_for(cancelled.wait(), 5)
        await until(lambda: worker.stats().in_flight == ())
        assert call.answer is None


async def test_w16_a_refused_lease_is_told_to_code_that_blocks_by_a_token(
    server: FakeServer,
) -> None:
    client, told = client_of(server), threading.Event()

    def handler(ctx: Any) -> None:
        if ctx.cancelled.wait(30):
            told.set()

    worker, _ = watched([(client, [function(client, handler)])])
    async with worker:
        call = server.call("app-fn")
        await until(lambda: call.claimed)
        server.within(lambda: setattr(call, "lease_id", "gone"))
        await until(told.is_set)
        await until(lambda: worker.stats().in_flight == ())
        assert call.answer is None


async def test_a_shutdown_with_a_limit_is_told_to_code_that_blocks(server: FakeServer) -> None:
    client, told = client_of(server), threading.Event()

    def handler(ctx: Any) -> None:
        if ctx.cancelled.wait(30):
            told.set()

    worker, _ = watched([(client, [function(client, handler)])], shutdown_timeout=0.2)
    async with worker:
        call = server.call("app-fn")
        await until(lambda: call.claimed)
    await until(told.is_set)


async def test_steps_of_plain_functions_are_stored_while_the_call_goes_on(
    server: FakeServer,
) -> None:
    client = client_of(server)

    def handler(ctx: Any) -> int:
        first = ctx.step.run("first", lambda: 20)
        second = ctx.step.run("second", lambda: 22)
        return int(first + second)

    worker, _ = watched([(client, [function(client, handler)])])
    async with worker:
        call = server.call("app-fn")
        reply = await answer(call)
    assert reply.status is ReplyStatus.DONE
    assert json.loads(reply.body) == 42
    assert [json.loads(steps)[0]["data"] for steps in call.steps.values()] == [20, 22]


@pytest.mark.parametrize(
    ("function_id", "body", "code"),
    [
        ("app-unknown", payload(), "function_not_found"),
        ("app-fn", b"{not json", "body_invalid"),
        ("app-fn", b'{"ctx":{}}', "body_invalid"),
    ],
)
async def test_scenario_23_24_requests_that_are_no_good_are_answered_with_an_error(
    server: FakeServer, function_id: str, body: bytes, code: str
) -> None:
    client = client_of(server)

    async def handler(ctx: Any) -> None: ...

    worker, _ = watched([(client, [function(client, handler)])])
    async with worker:
        reply = await answer(server.call(function_id, body))
    assert reply.status is ReplyStatus.ERROR
    assert json.loads(reply.body)["code"] == code


async def test_w17_failures_travel_as_errors(server: FakeServer) -> None:
    client = client_of(server)

    async def handler(ctx: Any) -> None:
        raise ValueError("no such luck")

    worker, _ = watched([(client, [function(client, handler)])])
    async with worker:
        reply = await answer(server.call("app-fn"))
    assert reply.status is ReplyStatus.ERROR
    assert not reply.no_retry
    assert json.loads(reply.body)["name"] == "ValueError"
    assert json.loads(reply.body)["message"] == "no such luck"


async def test_steps_are_stored_while_the_call_goes_on_if_the_gateway_can(
    server: FakeServer,
) -> None:
    client = client_of(server)

    async def handler(ctx: Any) -> int:
        first = await ctx.step.run("first", lambda: 20)
        second = await ctx.step.run("second", lambda: 22)
        return int(first + second)

    worker, _ = watched([(client, [function(client, handler)])])
    async with worker:
        call = server.call("app-fn")
        reply = await answer(call)
        assert reply.status is ReplyStatus.DONE
        assert json.loads(reply.body) == 42
        assert [json.loads(steps)[0]["data"] for steps in call.steps.values()] == [20, 22]
        server.checkpoints = False
        server.cut()
        await until(lambda: len(server.workers) == 2)
        plain = server.call("app-fn")
        reply = await answer(plain)
    assert reply.status is ReplyStatus.NOT_COMPLETED
    assert json.loads(reply.body)[0]["data"] == 20
    assert plain.steps == {}


async def test_w15_a_call_over_the_connection_is_the_call_of_http(server: FakeServer) -> None:
    client, seen = client_of(server), list[Any]()

    async def handler(ctx: Any) -> object:
        seen.append(ctx)
        return await ctx.step.run("known", lambda: "never run")

    worker, _ = watched([(client, [function(client, handler)])])
    known = hashlib.sha1(b"known", usedforsecurity=False).hexdigest()
    body = payload(steps={known: {"data": "remembered"}}, data={"n": 7}, attempt=2)
    async with worker:
        reply = await answer(server.call("app-fn", body))
    assert (reply.status, json.loads(reply.body)) == (ReplyStatus.DONE, "remembered")
    (ctx,) = seen
    assert (ctx.attempt, ctx.run_id, ctx.event.data) == (2, "run-1", {"n": 7})
    assert [event.name for event in ctx.events] == ["test/event"]


async def test_w38_apps_share_a_socket_and_each_runs_its_own_functions(
    server: FakeServer,
) -> None:
    clients = [client_of(server, name) for name in ("one", "two")]

    def handler_of(name: str) -> Any:
        async def handler(ctx: Any) -> str:
            return name

        return handler

    pairs = [(c, [function(c, handler_of(c.app_id))]) for c in clients]
    worker, _ = watched(pairs)
    async with worker:
        for name in ("two", "one"):
            reply = await answer(server.call(f"{name}-fn", app=name))
            assert json.loads(reply.body) == name
        assert len(server.connections) == 1


async def test_w31_w34_signals_go_back_to_whoever_had_them(server: FakeServer) -> None:
    client = client_of(server)

    async def handler(ctx: Any) -> None: ...

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    worker = connect([(client, [function(client, handler)])])
    async with worker:
        inside = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        assert all(now != then for now, then in zip(inside, before, strict=True))
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize("jump_s", [-86_400.0, 86_400.0])
async def test_scenario_36_a_clock_that_jumps_moves_nothing(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, jump_s: float
) -> None:
    client, whole = client_of(server), time.time

    async def handler(ctx: Any) -> str:
        await asyncio.sleep(1.3)
        return "on time"

    worker, states = watched([(client, [function(client, handler)])])
    async with worker:
        call = server.call("app-fn")
        await until(lambda: call.claimed)
        monkeypatch.setattr(time, "time", lambda: whole() + jump_s)
        await answer(call)
        assert 1 <= len(server.extensions) <= 3
        assert call.attempts == 1
    assert states == [S.ACTIVE, S.CLOSING, S.CLOSED]


async def test_scenario_20_large_steps_side_by_side_are_stored_in_messages_that_fit(
    server: FakeServer,
) -> None:
    client = client_of(server)

    async def handler(ctx: Any) -> int:
        async def branch(name: str) -> int:
            return len(await ctx.step.run(name, lambda: name * 3_500_000))

        return sum(await asyncio.gather(*(branch(name) for name in "abc")))

    worker, states = watched([(client, [function(client, handler)])])
    async with worker:
        call = server.call("app-fn")
        reply = await answer(call)
        assert (reply.status, json.loads(reply.body)) == (ReplyStatus.DONE, 10_500_000)
        stored = [step["data"][0] for steps in call.steps.values() for step in json.loads(steps)]
        assert sorted(stored) == ["a", "b", "c"]
        assert all(len(steps) < 8_388_608 for steps in call.steps.values())
    assert states == [S.ACTIVE, S.CLOSING, S.CLOSED]
