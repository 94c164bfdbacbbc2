"""Rows E-90 to E-102: how events come to functions, by every transport, and by the clock."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from aiohttp import web

import stepwell
import stepwell.aiohttp
from stepwell import Context, Event, TriggerCron, TriggerEvent
from stepwell.connect import connect
from stepwell.sdk.serve.handler import ServeHandler
from stepwell.sdk.serve.request import ServeRequest
from stepwell.server.config import ServerConfig
from stepwell.server.drivers.port import Save, Settled
from stepwell.server.engine.message.input import AppRegistered, Job, Outcome
from stepwell.server.engine.rules import Rules
from stepwell.server.node import Node
from stepwell.server.serving import Server
from stepwell.server.store.memory import MemoryStore
from stepwell.server.store.port import RunFilter
from stepwell.testing.virtual_time import VirtualClock, VirtualLoop, run_virtually
from stepwell.wire.function_config import Trigger
from tests.bench import APP, app_row, function, returned
from tests.events.shop import new_client, result, running, until

SENT = {"data": {"n": 1}, "id": "x1", "ts": 1_700_000_000_000, "v": "2", "user": {"u": 1}}


def telling() -> tuple[stepwell.Inngest, stepwell.Function[Any]]:
    """A client and a function that returns what it was told."""
    client = new_client()

    @client.create_function(fn_id="tell", trigger=TriggerEvent(event="shop/go"))
    async def tell(ctx: Context) -> dict[str, Any]:
        found = ctx.event.model_dump(include={"name", "data", "id", "ts", "v", "user"})
        return {**found, "run": ctx.run_id, "step": await ctx.step.run("one", lambda: 1)}

    return client, tell


@asynccontextmanager
async def transported(how: str) -> AsyncIterator[tuple[stepwell.Inngest, Any]]:
    """A client, and what waits for the result of an event's run, by one transport."""
    client, tell = telling()
    if how == "in process":
        async with running(client, tell) as engine:
            yield client, engine.result_of
        return
    async with Server(ServerConfig(port=0, connect_gateway_port=0)) as server:
        client.set_env_vars({"INNGEST_DEV": server.url})

        async def result_of(event_id: str) -> Any:
            await until(lambda: server.node.reader.runs_of_event(event_id))
            run = server.node.reader.runs_of_event(event_id)[0]
            return json.loads((await server.node.run_ended(run.id, 10)).output or b"null")

        if how == "connect":
            async with connect([(client, [tell])]):
                yield client, result_of
            return
        app = web.Application()
        stepwell.aiohttp.serve(app, client, [tell])
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            url = f"http://127.0.0.1:{runner.addresses[0][1]}/api/inngest"
            reply = await client.http.request("PUT", url, headers={}, body=b"", timeout_seconds=10)
            assert reply.status == 200, reply.body
            yield client, result_of
        finally:
            await runner.cleanup()


@pytest.mark.parametrize("how", ["in process", "http", "connect"])
async def test_e_90_an_event_reaches_its_function_by_every_transport(how: str) -> None:
    async with transported(how) as (client, result_of):
        (event_id,) = await client.send({"name": "shop/go", **SENT})
        told = await result_of(event_id)
    assert told["run"]
    assert told["step"] == 1
    assert {key: told[key] for key in SENT} == SENT


def test_e_91_a_function_is_declared_by_decorator_or_directly() -> None:
    client = new_client()
    trigger = TriggerEvent(event="user/created")

    async def greet(ctx: Context) -> str:
        return "hello"

    direct = client.create_function(fn_id="direct", trigger=trigger, handler=greet)
    decorated = client.create_function(fn_id="decorated", trigger=trigger)(greet)
    short = client.on("user/created", fn_id="short")(greet)
    clock = client.cron("0 9 * * *", tz="Europe/Paris", fn_id="clock")(greet)
    for made in (direct, decorated, short, clock):
        assert isinstance(made, stepwell.Function)
    found = [made.config("http://h").triggers[0] for made in (direct, decorated, short)]
    assert [one.event for one in found] == ["user/created"] * 3
    assert clock.config("http://h").triggers[0].cron == "TZ=Europe/Paris 0 9 * * *"


@pytest.mark.parametrize("spelling", ["expression", "if_exp"])
async def test_e_92_a_condition_filters_events(spelling: str) -> None:
    client = new_client()
    trigger = TriggerEvent(event="shop/go", **cast(Any, {spelling: "event.data.n > 3"}))

    @client.create_function(fn_id="f", trigger=trigger)
    async def f(ctx: Context) -> object:
        return ctx.event.data["n"]

    async with running(client, f) as engine:
        small, large = await client.send([{"name": "shop/go", "data": {"n": n}} for n in (3, 4)])
        assert await engine.result_of(large, timeout_seconds=10) == 4
        assert engine.node.reader.runs_of_event(small) == []


async def test_e_93_several_triggers_start_one_function() -> None:
    client = new_client()
    triggers = [TriggerEvent(event="a/*"), TriggerEvent(event="b"), TriggerCron(cron="0 0 1 1 *")]

    @client.create_function(fn_id="f", trigger=triggers)
    async def f(ctx: Context) -> str:
        return ctx.event.name

    async with running(client, f) as engine:
        for name in ("a/1", "b"):
            assert await result(engine, client, {"name": name}) == name
        assert len(engine.node.reader.items("cron:shop-f")) == 1
    assert len(f.config("http://h").triggers) == 3

    async def other(ctx: Context) -> None: ...

    many = [TriggerEvent(event=f"e{n}") for n in range(11)]
    with pytest.raises(stepwell.FunctionConfigInvalidError, match=r"11 .*at most 10"):
        client.create_function(fn_id="g", trigger=many, handler=other)


def test_e_94_a_schedule_names_its_zone_in_either_way() -> None:
    assert TriggerCron(cron="0 9 * * *", tz="Europe/Paris").cron == "TZ=Europe/Paris 0 9 * * *"
    for given, words in (
        ({"cron": "0 9 * *"}, "has 4 fields: use five"),
        ({"cron": "0 9 * * *", "tz": ""}, "TriggerCron.tz = ''"),
        ({"cron": "TZ=UTC 0 9 * * *", "tz": "UTC"}, "names a time zone already"),
        ({"cron": "0 9 * * *", "jitter": "6m"}, "between 1s and 5m"),
    ):
        with pytest.raises(stepwell.FunctionConfigInvalidError, match=words):
            TriggerCron(**cast(Any, given))


class Never:
    """A driver whose calls all succeed at once."""

    async def call(self, job: Job, state: Any, listing: Any, save: Save) -> Outcome | Settled:
        return returned(None)


def fired(
    start: str,
    *,
    hours: float,
    cron: str,
    catch_up: str = "one",
    away: tuple[float, float] = (0, 0),
) -> list[str]:
    """When the runs of a schedule were meant to begin, over hours of virtual time.

    Two replicas of the app register it; between two hours in `away` no server runs.
    """
    epoch_ms = int(datetime.fromisoformat(start).timestamp() * 1000)

    async def main(loop: VirtualLoop) -> list[str]:
        clock, store = VirtualClock(loop, epoch_ms), MemoryStore()
        rules = Rules(cron_catch_up=cast(Any, catch_up))
        spans = [span for span in ((0.0, away[0]), (away[1], hours)) if span[1] > span[0]]
        for begin, end in spans:
            await asyncio.sleep(begin * 3600 - loop.time())
            node = Node(store, clock=clock, rules=rules, grace_s=1.0)
            node.reach(APP, Never(), 10)
            for replica in ("1", "2"):
                row = function("tick", triggers=(Trigger(cron=cron),))
                await node.ledger.submit(AppRegistered(app_row(checksum=replica), (row,)))
            await node.start()
            await asyncio.sleep(end * 3600 - loop.time())
            runs = node.reader.runs(RunFilter(limit=1000))
            bodies = [node.reader.event(run.event_ids[0]) for run in runs]
            await node.stop()
        at = [json.loads(body.body)["data"]["scheduledAt"] for body in bodies if body is not None]
        return sorted(
            datetime.fromisoformat(one).astimezone(UTC).strftime("%dT%H:%M") for one in at
        )

    return run_virtually(main)


@pytest.mark.parametrize(
    ("start", "cron", "expected"),
    [
        # The clock jumps from 2 to 3 in the morning, at 01:00 UTC: 2:30 comes right after the gap.
        ("2026-03-28T12:00:00Z", "TZ=Europe/Paris 30 2 * * *", ["29T01:00", "30T00:30"]),
        # The hour from 2 to 3 comes twice: 2:30 runs in the first.
        ("2026-10-24T12:00:00Z", "TZ=Europe/Paris 30 2 * * *", ["25T00:30", "26T01:30"]),
        ("2026-10-24T12:00:00Z", "30 2 * * *", ["25T02:30", "26T02:30"]),
    ],
)
def test_e_94_a_server_fires_once_a_day_when_clocks_change(
    start: str, cron: str, expected: list[str]
) -> None:
    assert fired(start, hours=48, cron=cron) == expected


@pytest.mark.parametrize(
    ("catch_up", "missed"),
    [("skip", []), ("one", ["01T04:00"]), ("all", ["01T02:00", "01T03:00", "01T04:00"])],
)
def test_e_94_what_a_server_that_was_away_makes_up_for(catch_up: str, missed: list[str]) -> None:
    found = fired("2026-06-01T00:30:00Z", hours=6, cron="0 * * * *", catch_up=catch_up, away=(1, 4))
    assert found == ["01T01:00", *missed, "01T05:00", "01T06:00"]


async def test_e_95_a_wildcard_receives_all_names_of_a_prefix() -> None:
    client = new_client()
    names: list[str] = []

    @client.create_function(fn_id="f", trigger=TriggerEvent(event="user/*"))
    async def f(ctx: Context) -> None:
        names.append(ctx.event.name)

    async with running(client, f) as engine:
        sent = ["user/created", "user/a.b", "user", "users/created", "shop/user/created"]
        ids = await client.send([{"name": name} for name in sent])
        for event_id in ids[:2]:
            await engine.result_of(event_id, timeout_seconds=10)
        assert [engine.node.reader.runs_of_event(one) for one in ids[2:]] == [[], [], []]
    assert sorted(names) == ["user/a.b", "user/created"]


async def test_e_96_a_handler_sees_the_event_as_it_was_sent() -> None:
    client, tell = telling()

    @client.create_function(fn_id="ask", trigger=TriggerEvent(event="shop/ask"))
    async def ask(ctx: Context) -> object:
        return await ctx.step.invoke("call", function=tell, data={"n": 2})

    async with running(client, tell, ask) as engine:
        told = await result(engine, client, {"name": "shop/go", **SENT})
        assert {key: told[key] for key in SENT} == SENT
        ids = await client.send({"name": "shop/go"})
        plain = cast(Any, await engine.result_of(ids[0], timeout_seconds=10))
        invoked = await result(engine, client, {"name": "shop/ask"})
    assert plain["id"] == ids[0]  # the server's, where the sender has none
    assert (plain["data"], plain["v"]) == ({}, None)
    assert not plain["user"]  # servers write an empty one
    assert plain["ts"] > 10**12
    assert invoked["name"] == "inngest/function.invoked"
    assert invoked["data"]["n"] == 2
    assert invoked["data"]["_inngest"]["fn_id"] == "shop-tell"


def posted(events: list[dict[str, Any]], fn: str = "shop-f", **ctx: Any) -> ServeRequest:
    body = {"ctx": {"run_id": "r1", **ctx}, "event": events[0], "events": events, "steps": {}}
    return ServeRequest(
        method="POST",
        url="http://h.test/api/inngest",
        headers={"x-inngest-job-id": "j1", "x-request-id": "q1"},
        query={"fnId": fn, "stepId": "step"},
        body=json.dumps(body).encode(),
    )


def served(handler: Any) -> ServeHandler:
    client = new_client()
    made = client.create_function(fn_id="f", trigger=TriggerEvent(event="shop/go"), handler=handler)
    return ServeHandler(client, [made], framework="test")


def batch(*numbers: int) -> list[dict[str, Any]]:
    return [{"name": "shop/go", "id": f"i{n}", "ts": n, "data": {"n": n}} for n in numbers]


async def test_e_97_events_are_the_batch_in_its_order() -> None:
    seen: list[Context] = []

    async def handler(ctx: Context) -> None:
        seen.append(ctx)

    endpoint = served(handler)
    for events in (batch(3, 1, 2), batch(7)):
        answer = cast(Any, await endpoint.handle(posted(events)))
        assert answer.status == 200
    several, one = seen
    assert [event.data["n"] for event in several.events] == [3, 1, 2]
    assert several.event is several.events[0]
    assert one.events == [one.event]


async def test_e_99_what_else_a_handler_is_told() -> None:
    seen: list[Context] = []

    async def handler(ctx: Context) -> None:
        seen.append(ctx)

    event = {**batch(1)[0], "meta": {"sessions": {"user": "u1"}}}
    await served(handler).handle(posted([event], attempt=2, max_attempts=5))
    (ctx,) = seen
    assert (ctx.run_id, ctx.attempt, ctx.max_attempts) == ("r1", 2, 5)
    assert (ctx.request_id, ctx.job_id, ctx.error) == ("q1", "j1", None)
    assert ctx.sessions == {"user": "u1"}
    assert callable(ctx.logger.info)
    assert callable(ctx.step.run)

    client = new_client()
    told: list[Any] = []

    async def failed(ctx: Context) -> None:
        told.append(ctx.error)

    @client.create_function(
        fn_id="f", trigger=TriggerEvent(event="shop/go"), retries=0, on_failure=failed
    )
    async def fails(ctx: Context) -> None:
        raise ValueError("nope")

    async with running(client, fails):
        await client.send(Event(name="shop/go"))
        await until(lambda: told)
    assert str(told[0]) == "nope"


async def test_e_100_an_unknown_function_is_an_error_that_names_the_known() -> None:
    async def handler(ctx: Context) -> None: ...

    answer = cast(Any, await served(handler).handle(posted(batch(1), fn="shop-x")))
    told = json.loads(answer.body)
    assert answer.status == 500
    assert told["code"] == "function_not_found"
    assert 'Could not find function with ID "shop-x"' in told["message"]
    assert '"shop-f"' in told["message"]
