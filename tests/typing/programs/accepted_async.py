"""A program of coroutine handlers that both checkers accept, with the types it says."""

import asyncio
import datetime  # noqa: ICN001 - as users write it
import functools
from dataclasses import dataclass
from typing import Any, TypedDict, assert_type

from pydantic import BaseModel

import stepwell as inngest

client = inngest.Inngest(app_id="shop", is_production=False)


class Paid(BaseModel):
    amount: int


@dataclass
class Receipt:
    number: str


class Row(TypedDict):
    name: str


@dataclass
class Deferral:
    number: int


@client.create_function(fn_id="deferred", trigger=inngest.TriggerDefer(schema=Deferral))
async def deferred(ctx: inngest.Context[inngest.FunctionDeferredEvent[Deferral]]) -> None:
    assert_type(ctx.event.data.number, int)


@client.create_function(fn_id="deferred-untyped", trigger=inngest.TriggerDefer())
async def deferred_untyped(ctx: inngest.Context) -> None: ...


async def no_arguments() -> int:
    return 1


async def two_arguments(name: str, count: int) -> list[str]:
    return [name] * count


async def keywords(*, name: str) -> str:
    return name


async def model() -> Paid:
    return Paid(amount=1)


async def receipt(paid: Paid) -> Receipt:
    return Receipt(str(paid.amount))


async def row() -> Row:
    return {"name": "a"}


async def nothing() -> None:
    return None


def plain(value: int) -> str:
    return str(value)


@client.create_function(
    fn_id="child",
    trigger=inngest.TriggerEvent(event="shop/child"),
)
async def child(ctx: inngest.Context) -> Receipt:
    return Receipt(ctx.run_id)


@client.create_function(
    fn_id="everything",
    name="Everything",
    trigger=[
        inngest.TriggerEvent(event="shop/paid", expression="event.data.amount > 1"),
        inngest.TriggerCron(cron="0 9 * * *", jitter="30s"),
    ],
    batch_events=None,
    cancel=[inngest.Cancel(event="shop/cancelled", if_exp="true", timeout="1h30m")],
    concurrency=[inngest.Concurrency(limit=5, key="event.data.user", scope="env")],
    debounce=inngest.Debounce(
        period=datetime.timedelta(seconds=10), timeout=60_000, collect="all", max_events=10
    ),
    idempotency="event.data.id",
    priority=inngest.Priority(run="1"),
    rate_limit=inngest.RateLimit(limit=1, period="1h", algorithm="window"),
    retries=3,
    singleton=inngest.Singleton(mode="skip", limit=2),
    throttle=inngest.Throttle(limit=1, period=1000, burst=2),
    timeouts=inngest.Timeouts(start="1m", finish=datetime.timedelta(hours=1)),
    backlog=inngest.Backlog(limit=100, key="event.data.user", on_full="cancel"),
    fairness=inngest.Fairness(key="event.data.user", weight="event.data.seats"),
    run_concurrency=[inngest.Concurrency(limit=1, key="event.data.user")],
)
async def everything(ctx: inngest.Context) -> str:
    assert_type(ctx.attempt, int)
    assert_type(ctx.event.name, str)
    assert_type(ctx.events, list[inngest.Event])
    ctx.logger.info("line %s", ctx.run_id)

    step = ctx.step
    assert_type(await step.run("a", no_arguments), int)
    assert_type(await step.run("b", two_arguments, "x", 2), list[str])
    assert_type(await step.run("c", functools.partial(keywords, name="x")), str)
    assert_type(await step.run("d", lambda: two_arguments("x", 2)), list[str])
    paid = await step.run("e", model, output_type=Paid)
    assert_type(paid, Paid)
    assert_type(await step.run("f", receipt, paid, name="Receipt"), Receipt)
    assert_type(await step.run("g", row), Row)
    assert_type(await step.run("h", plain, 1), str)
    await step.run("i", nothing)

    await step.sleep("s", 1000)
    await step.sleep("s", datetime.timedelta(seconds=1))
    await step.sleep("s", "1h30m")
    await step.sleep_until("s", datetime.datetime.now(datetime.UTC))
    event = await step.wait_for_event("w", event="e", if_exp="true", timeout=1000)
    assert_type(event, inngest.Event | None)
    assert_type(await step.invoke("iv", function=child, data={"a": 1}, timeout="1h"), Receipt)
    assert_type(await step.invoke_by_id("ib", function_id="x", app_id="y"), object)
    assert_type(await step.send_event("se", inngest.Event(name="a", data={"b": 1})), list[str])
    assert_type(await step.send_event("se", [inngest.Event(name="a")]), list[str])
    signal = await step.wait_for_signal("ws", signal="x", on_conflict="replace")
    if signal is not None:
        assert_type(signal.signal, str)
    assert_type((await step.fetch("fetch", "http://example.com", method="PUT")).status, int)

    assert_type(await step.ai.wrap("wa", two_arguments, "x", 2), list[str])
    assert_type(await step.ai.wrap("wp", plain, 1), str)

    both = await asyncio.gather(step.run("p", no_arguments), step.run("q", plain, 1))
    assert_type(both, tuple[int, str])
    async with asyncio.TaskGroup() as group:
        task = group.create_task(step.run("t", no_arguments))
    assert_type(task.result(), int)
    assert_type(
        await ctx.group.parallel(
            (lambda: step.run("u", no_arguments), lambda: step.run("v", no_arguments)),
            parallel_mode=inngest.ParallelMode.RACE,
        ),
        tuple[int, ...],
    )
    left = ctx.defer("later", function=deferred, data=Deferral(number=1))
    assert_type(left, inngest.Deferred)
    left.abort()
    ctx.defer("more", function=deferred_untyped, data={"a": [1]})
    ctx.defer("none", function=deferred_untyped)
    far = inngest.reference_function(app_id="x", fn_id="f", input=Deferral, output=int)
    assert_type(await step.invoke("far", function=far, data=Deferral(number=1)), int)
    near = inngest.reference_function(app_id="x", fn_id="g", output=str)
    assert_type(await step.invoke("near", function=near, data={"a": 1}), str)
    union = inngest.reference_function(app_id="x", fn_id="h", output=int | None)
    assert_type(await step.invoke("union", function=union), Any)
    way = await ctx.group.experiment(
        "way",
        variants={
            "a": lambda: step.run("wa", no_arguments),
            "b": lambda: step.run("wb", no_arguments),
        },
        select=inngest.experiment.weighted({"a": 1, "b": 2}),
    )
    assert_type(way.variant, str)
    assert_type(way.result, int)
    assert_type(way.experiment_ref, inngest.ExperimentRef)
    await step.score("rate", name="good", value=True, experiment=way.experiment_ref)
    await step.metadata("note", {"n": 1}, kind="k", op="add", step_id="a")
    try:
        await step.run("err", nothing)
    except inngest.StepError as error:
        assert_type(error.name, str)
        assert_type(error.stack, str | None)
    if ctx.attempt > 1:
        raise inngest.NonRetriableError("no", quiet=True)
    raise inngest.RetryAfterError("later", datetime.timedelta(seconds=1))


assert_type(everything, inngest.Function[str])
assert_type(child.id, str)


class Mark(inngest.Middleware):
    async def before_execution(self) -> None:
        return None

    async def transform_output(self, result: inngest.TransformOutputResult) -> None:
        result.output = {"seen": result.output}


class MarkSync(inngest.MiddlewareSync):
    def __init__(self, client: inngest.Inngest, raw_request: object) -> None:
        super().__init__(client, raw_request)

    def before_send_events(self, events: list[inngest.Event]) -> None:
        events.clear()


marked = inngest.Inngest(app_id="marked", middleware=[Mark, MarkSync])
marked.add_middleware(lambda client, raw: MarkSync(client, raw))  # noqa: PLW0108


async def failed(ctx: inngest.Context) -> None:
    if ctx.error is not None:
        assert_type(ctx.error.message, str)


@client.create_function(
    fn_id="handled",
    trigger=inngest.TriggerEvent(event="shop/handled"),
    on_failure=failed,
    middleware=[Mark],
)
async def handled(ctx: inngest.Context) -> None:
    await ctx.step.sleep("x", 1)
