"""Rows E-170 to E-178: the events the server sends itself, on an engine."""

import asyncio
import datetime as dt
import json
from typing import Any

import pytest

import stepwell
from stepwell import InternalEvent
from stepwell.embedded import Engine, RunFailed, attach
from stepwell.sdk.events.internal import (
    FunctionFailedData,
    FunctionFailedEvent,
    FunctionFinishedData,
    FunctionFinishedEvent,
)
from stepwell.server.engine.message.input import CancelAsked
from stepwell.server.node import Node
from stepwell.server.store.memory import MemoryStore
from stepwell.server.store.port import EventFilter
from stepwell.testing.virtual_time import VirtualClock, VirtualLoop, run_virtually
from stepwell.wire.identifier import is_ulid
from tests.events.shop import catching, new_client, result, running, until

FAILED, FINISHED = InternalEvent.FUNCTION_FAILED, InternalEvent.FUNCTION_FINISHED
CANCELLED, INVOKED = InternalEvent.FUNCTION_CANCELLED, InternalEvent.FUNCTION_INVOKED
TIMER = InternalEvent.SCHEDULED_TIMER
LIFECYCLE = (FAILED, FINISHED, CANCELLED)


def on(event: str, expression: str | None = None) -> stepwell.TriggerEvent:
    return stepwell.TriggerEvent(event=event, expression=expression)


class Scene:
    """Functions that end in every way, and one that listens to what the server says of it."""

    def __init__(self) -> None:
        self.client = new_client()
        self.heard: list[stepwell.Event] = []
        self.declared: list[stepwell.Function[Any]] = [*self._functions(), self._listener()]

    def _functions(self) -> list[stepwell.Function[Any]]:
        client = self.client

        @client.create_function(fn_id="fine", trigger=on("shop/fine"))
        async def fine(ctx: stepwell.Context) -> dict[str, int]:
            return {"total": 3}

        @client.create_function(fn_id="doomed", trigger=on("shop/doom"), retries=1)
        async def doomed(ctx: stepwell.Context) -> None:
            raise ValueError("no stock")

        @client.create_function(fn_id="endless", trigger=on("shop/endless"))
        async def endless(ctx: stepwell.Context) -> None:
            await ctx.step.sleep("long", "1h")

        @client.create_function(fn_id="caller", trigger=on("shop/call"))
        async def caller(ctx: stepwell.Context) -> Any:
            return await ctx.step.invoke("the child", function=fine, data={"n": 1}, v="4")

        return [fine, doomed, endless, caller]

    def _listener(self) -> stepwell.Function[Any]:
        @self.client.create_function(fn_id="listener", trigger=[on(name) for name in LIFECYCLE])
        async def listener(ctx: stepwell.Context) -> None:
            # A run that heard of a cancellation is a run like any other: its end is told, too.
            if ctx.event.data["function_id"] != "shop-listener":
                self.heard.append(ctx.event)

        return listener

    async def hear(self, *names: str) -> list[stepwell.Event]:
        """What was heard once these came, by name."""
        await until(lambda: len(self.heard) >= len(names))
        await asyncio.sleep(0.1)
        found = sorted(self.heard, key=lambda event: event.name)
        assert [event.name for event in found] == sorted(names), "each once, and nothing else"
        return found


def stored(engine: Engine, name: str) -> list[dict[str, Any]]:
    """The server's own events of a name, as they are stored; those of the listener left out."""
    rows = engine.node.reader.events(EventFilter(name=name, internal=True, limit=50))
    found = [json.loads(row.body) for row in rows]
    return [event for event in found if event["data"].get("function_id") != "shop-listener"]


async def end(scene: Scene, engine: Engine, name: str) -> str:
    """Start a run by an event, and let it end; gives its id."""
    ids = await scene.client.send(
        {"name": name, "data": {"n": 1}, "user": {"id": "u"}, "id": "mine"}
    )
    run = engine.node.reader.runs_of_event(ids[0])[0]
    if name == "shop/endless":
        await until(lambda: engine.node.reader.items(run.id))
        await engine.node.ledger.submit(CancelAsked(run.id))
    try:
        await engine.result_of(ids[0], timeout_seconds=10)
    except RunFailed:
        assert name != "shop/fine"
    return run.id


@pytest.mark.parametrize(
    ("event", "names"),
    [
        ("shop/fine", [FINISHED]),
        ("shop/doom", [FAILED, FINISHED]),
        ("shop/endless", [CANCELLED, FINISHED]),
        ("shop/call", [FINISHED, FINISHED]),
    ],
)
async def test_e_170_every_end_is_told_once(event: str, names: list[str]) -> None:
    scene = Scene()
    async with running(scene.client, *scene.declared) as engine:
        await end(scene, engine, event)
        await scene.hear(*names)
        assert [len(stored(engine, name)) for name in LIFECYCLE] == [
            names.count(name) for name in LIFECYCLE
        ]


def original(event: dict[str, Any]) -> dict[str, Any]:
    """The parts of an event its sender gave."""
    return {key: event.get(key) for key in ("name", "data", "user", "id")}


SENT = {"data": {"n": 1}, "user": {"id": "u"}, "id": "mine"}


async def test_e_171_the_payload_of_a_failed_event() -> None:
    scene = Scene()
    async with running(scene.client, *scene.declared) as engine:
        run_id = await end(scene, engine, "shop/doom")
        await scene.hear(FAILED, FINISHED)
        (event,) = stored(engine, FAILED)
    assert event["id"] == run_id, "so that it cannot be told twice"
    data = event["data"]
    assert set(data) == {"function_id", "run_id", "error", "event", "events", "result", "_inngest"}
    assert (data["function_id"], data["run_id"]) == ("shop-doomed", run_id)
    assert (data["error"]["name"], data["error"]["message"]) == ("ValueError", "no stock")
    assert "ValueError: no stock" in data["error"]["stack"]
    assert original(data["event"]) == {"name": "shop/doom", **SENT}
    assert [original(one) for one in data["events"]] == [{"name": "shop/doom", **SENT}]
    assert data["_inngest"] == {"status": "Failed"}


async def test_e_172_the_payload_of_a_finished_event() -> None:
    scene = Scene()
    async with running(scene.client, *scene.declared) as engine:
        run_id = await end(scene, engine, "shop/fine")
        await scene.hear(FINISHED)
        (event,) = stored(engine, FINISHED)
        assert is_ulid(event["id"])
        assert event["id"] != run_id
        data = event["data"]
        assert set(data) == {"function_id", "run_id", "result", "event", "events", "_inngest"}
        assert (data["function_id"], data["run_id"]) == ("shop-fine", run_id)
        assert (data["result"], data["_inngest"]) == ({"total": 3}, {"status": "Completed"})
        assert original(data["event"]) == {"name": "shop/fine", **SENT}
        scene.heard.clear()
        await end(scene, engine, "shop/doom")
        await scene.hear(FAILED, FINISHED)
        event, _ = stored(engine, FINISHED)
    assert event["data"]["error"]["message"] == "no stock"
    assert event["data"]["result"]["message"] == "no stock"
    assert event["data"]["_inngest"] == {"status": "Failed"}


async def test_e_172_an_invoked_run_names_its_caller() -> None:
    scene = Scene()
    async with running(scene.client, *scene.declared) as engine:
        parent = await end(scene, engine, "shop/call")
        await scene.hear(FINISHED, FINISHED)
        told = {event["data"]["function_id"]: event["data"] for event in stored(engine, FINISHED)}
        (step,) = engine.node.reader.steps(parent)
    assert told["shop-fine"]["correlation_id"] == f"{parent}.{step.id}"
    assert "correlation_id" not in told["shop-caller"]


async def test_e_173_the_payload_of_a_cancelled_event() -> None:
    scene = Scene()
    async with running(scene.client, *scene.declared) as engine:
        run_id = await end(scene, engine, "shop/endless")
        await scene.hear(CANCELLED, FINISHED)
        (cancelled,), (finished,) = stored(engine, CANCELLED), stored(engine, FINISHED)
        assert stored(engine, FAILED) == []
    assert cancelled["id"] == run_id
    for event in (cancelled, finished):
        data = event["data"]
        assert (data["function_id"], data["run_id"]) == ("shop-endless", run_id)
        assert data["_inngest"] == {"status": "Cancelled"}
        assert original(data["event"]) == {"name": "shop/endless", **SENT}
        assert not {"result", "error"} & data.keys()


def test_e_174_the_payload_of_a_timer_event() -> None:
    """A schedule of every minute, for two minutes that pass at once."""
    client = new_client()
    seen: list[stepwell.ScheduledTimerEvent] = []

    @client.create_function(fn_id="tick", trigger=stepwell.TriggerCron(cron="* * * * *"))
    async def tick(ctx: stepwell.Context[stepwell.ScheduledTimerEvent]) -> None:
        seen.append(ctx.event)

    async def two_minutes(loop: VirtualLoop) -> list[dict[str, Any]]:
        node = Node(MemoryStore(), clock=VirtualClock(loop))
        await node.start()
        await attach(node, client, [tick])
        await asyncio.sleep(121)
        rows = node.reader.events(EventFilter(name=TIMER, internal=True))
        await node.stop()
        return [json.loads(row.body) for row in rows]

    events = run_virtually(two_minutes)
    assert len(events) == len(seen) == 2
    for event, typed in zip(reversed(events), seen, strict=True):
        assert set(event["data"]) == {"cron", "scheduledAt", "fireAt"}
        assert event["data"]["cron"] == typed.data.cron == "* * * * *"
        assert event["id"] == event["data"]["scheduledAt"] == typed.id
        scheduled = dt.datetime.fromisoformat(event["data"]["scheduledAt"])
        assert typed.data.scheduled_at == scheduled
        assert (scheduled.second, scheduled.microsecond, scheduled.tzinfo) == (0, 0, dt.UTC)
        assert dt.datetime.fromisoformat(event["data"]["fireAt"]) >= scheduled


async def test_e_175_the_payload_of_an_invoked_event() -> None:
    scene = Scene()
    async with running(scene.client, *scene.declared) as engine:
        parent = await end(scene, engine, "shop/call")
        (event,) = stored(engine, INVOKED)
        (step,) = engine.node.reader.steps(parent)
    assert (event["data"]["n"], event["v"]) == (1, "4")
    hidden = event["data"]["_inngest"]
    assert hidden["fn_id"] == "shop-fine"
    assert hidden["correlation_id"] == f"{parent}.{step.id}"
    assert hidden["name"] == "the child"
    assert isinstance(hidden["expire"], int)
    assert is_ulid(event["id"])


async def test_e_176_listeners_do_not_trigger_themselves() -> None:
    client = new_client()
    runs: list[str] = []

    def listening(name: str) -> stepwell.Function[Any]:
        @client.create_function(fn_id=name.replace("/", "-"), trigger=on(name), retries=0)
        async def listener(ctx: stepwell.Context) -> None:
            runs.append(f"{name} of {ctx.event.data['function_id']}")
            raise ValueError("listeners can fail, too")

        return listener

    @client.create_function(fn_id="doomed", trigger=on("shop/doom"), retries=0)
    async def doomed(ctx: stepwell.Context) -> None:
        raise ValueError("no stock")

    async with running(client, doomed, *map(listening, LIFECYCLE)) as engine:
        with pytest.raises(RunFailed):
            await result(engine, client, {"name": "shop/doom"})
        await until(lambda: len(runs) >= 2)
        await asyncio.sleep(0.3)
    assert sorted(runs) == [f"{FAILED} of shop-doomed", f"{FINISHED} of shop-doomed"]


async def test_e_176_a_failure_handler_that_fails_starts_no_other() -> None:
    client = new_client()
    tries: list[str] = []

    async def mourn(ctx: stepwell.Context) -> None:
        tries.append(ctx.run_id)
        raise ValueError("nor can this be helped")

    @client.create_function(fn_id="doomed", trigger=on("shop/doom"), retries=0, on_failure=mourn)
    async def doomed(ctx: stepwell.Context) -> None:
        raise ValueError("no stock")

    async with running(client, doomed) as engine:
        with pytest.raises(RunFailed):
            await result(engine, client, {"name": "shop/doom"})
        await until(lambda: tries)
        await asyncio.sleep(0.3)
        assert len(stored(engine, FAILED)) == 1
    assert len(set(tries)) == 1


async def test_e_177_internal_events_trigger_with_conditions_and_types() -> None:
    client = new_client()
    alerts: list[tuple[str, str, int]] = []

    class Order(stepwell.EventModel, name="shop/doom"):
        amount: int

    @client.create_function(
        fn_id="alert",
        trigger=stepwell.TriggerEvent(
            event=stepwell.FunctionFailedEvent[stepwell.Event[Order]],
            expression="event.data.error.message == 'no stock'",
        ),
    )
    async def alert(
        ctx: stepwell.Context[stepwell.FunctionFailedEvent[stepwell.Event[Order]]],
    ) -> None:
        failed = ctx.event.data
        alerts.append((failed.function_id, failed.error.message, failed.event.data.amount))

    @client.create_function(fn_id="doomed", trigger=Order, retries=0)
    async def doomed(ctx: stepwell.Context[stepwell.Event[Order]]) -> None:
        raise ValueError("no stock" if ctx.event.data.amount > 1 else "other")

    async with running(client, doomed, alert) as engine:
        for amount in (1, 2):
            with pytest.raises(RunFailed):
                await result(engine, client, Order(amount=amount))
        await until(lambda: alerts)
        await asyncio.sleep(0.1)
    assert alerts == [("shop-doomed", "no stock", 2)]


async def test_e_177_any_failure_of_an_app_can_be_heard() -> None:
    client = new_client()
    heard: list[str] = []

    @client.on_any_failure()
    async def watch(ctx: stepwell.Context[stepwell.FunctionFailedEvent]) -> None:
        heard.append(ctx.event.data.function_id)

    @client.on_any_failure(app_id="other", fn_id="watch-other")
    async def watch_other(ctx: stepwell.Context[stepwell.FunctionFailedEvent]) -> None:
        heard.append(f"other: {ctx.event.data.function_id}")

    @client.create_function(fn_id="doomed", trigger=on("shop/doom"), retries=0)
    async def doomed(ctx: stepwell.Context) -> None:
        raise ValueError("no stock")

    async with running(client, doomed, watch, watch_other) as engine:
        with pytest.raises(RunFailed):
            await result(engine, client, {"name": "shop/doom"})
        await until(lambda: heard)
        await asyncio.sleep(0.1)
    assert watch.local_id == "watch"
    assert heard == ["shop-doomed"]


async def test_e_177_a_run_can_wait_for_an_internal_event() -> None:
    client = new_client()

    @client.create_function(fn_id="waits", trigger=on("shop/wait"))
    async def waits(ctx: stepwell.Context) -> Any:
        found = await ctx.step.wait_for_event(
            "end",
            event=stepwell.FunctionFinishedEvent[int],
            if_exp="async.data.function_id == 'shop-other'",
            timeout="1h",
        )
        return found and found.data.result

    @client.create_function(fn_id="other", trigger=on("shop/other"))
    async def other(ctx: stepwell.Context) -> int:
        return 7

    async with running(client, waits, other) as engine:
        ids = await client.send({"name": "shop/wait"})
        run = engine.node.reader.runs_of_event(ids[0])[0]
        await until(lambda: engine.node.reader.waits(run.id))
        await client.send({"name": "shop/other"})
        assert await engine.result_of(ids[0], timeout_seconds=10) == 7


async def test_e_177_every_end_is_typed_for_its_listener() -> None:
    scene = Scene()
    seen: list[Any] = []

    @scene.client.create_function(fn_id="failed", trigger=stepwell.FunctionFailedEvent)
    async def failed(ctx: stepwell.Context[stepwell.FunctionFailedEvent]) -> None:
        told = ctx.event.data
        seen.append((told.function_id, told.status, told.error.message, told.event.data["n"]))

    @scene.client.create_function(fn_id="ended", trigger=stepwell.FunctionFinishedEvent)
    async def ended(ctx: stepwell.Context[stepwell.FunctionFinishedEvent]) -> None:
        told = ctx.event.data
        if told.function_id in ("shop-fine", "shop-doomed", "shop-endless"):
            error = told.error and told.error.name
            seen.append((told.function_id, told.status, told.result, error, told.is_error))

    @scene.client.create_function(fn_id="stopped", trigger=stepwell.FunctionCancelledEvent)
    async def stopped(ctx: stepwell.Context[stepwell.FunctionCancelledEvent]) -> None:
        told = ctx.event.data
        assert told.event is not None
        seen.append((told.function_id, told.status, told.error, told.event.name))

    functions = [one for one in scene.declared if one.local_id != "listener"]
    async with running(scene.client, *functions, failed, ended, stopped) as engine:
        for name in ("shop/fine", "shop/doom", "shop/endless"):
            # Each of its own: the same id would start a function once alone.
            await end(scene, engine, name)
        await until(lambda: len(seen) >= 5)
    assert sorted(map(repr, seen)) == sorted(
        map(
            repr,
            [
                ("shop-fine", "Completed", {"total": 3}, None, False),
                ("shop-doomed", "Failed", None, "ValueError", True),
                ("shop-doomed", "Failed", "no stock", 1),
                ("shop-endless", "Cancelled", None, None, True),
                ("shop-endless", "Cancelled", None, "shop/endless"),
            ],
        )
    )


@pytest.mark.parametrize("name", ["inngest/function.failed", "INNGEST/mine", "inngest/"])
async def test_e_178_reserved_names_cannot_be_sent(name: str) -> None:
    client, outbox = catching()
    with pytest.raises(
        stepwell.EventValidationError, match="name: names beginning with 'inngest/'"
    ):
        await client.send(stepwell.Event(name=name), all_or_nothing=True)
    assert outbox.requests == 0


# Built outside of a handler


def test_ends_of_runs_are_typed_wherever_they_are_built() -> None:
    told = {"function_id": "a-f", "run_id": "r", "result": 5}
    for made in (
        FunctionFinishedEvent(data=told),  # type: ignore[arg-type]
        FunctionFinishedEvent[int](data=told),  # type: ignore[arg-type]
        FunctionFinishedEvent.model_validate({"data": told}),
        FunctionFinishedEvent[int].model_validate({"data": told}),
    ):
        assert isinstance(made.data, FunctionFinishedData)
        assert made.data.result == 5
    failed = {
        "function_id": "a-f",
        "run_id": "r",
        "error": {"message": "m"},
        "event": {"name": "x"},
    }
    built = FunctionFailedEvent(data=failed)  # type: ignore[arg-type]
    assert isinstance(built.data, FunctionFailedData)
    assert built.data.error.message == "m"


def test_a_failed_run_has_an_error_and_no_result_whatever_the_server_tells() -> None:
    told = {
        "function_id": "a-f",
        "run_id": "r",
        "error": {"name": "E", "message": "m"},
        "result": {"name": "E", "message": "m", "stack": ""},
    }
    made = FunctionFinishedEvent[int].model_validate({"data": told})
    assert made.data.is_error
    assert made.data.result is None
    assert made.data.error is not None
