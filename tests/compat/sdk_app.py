"""The functions behind the Python recordings, written for this SDK from what they answered."""

import datetime as dt
from typing import Any

import stepwell as inngest


async def value_of(value: Any) -> Any:
    return value


def functions(client: inngest.Inngest) -> list[inngest.Function[Any]]:
    """All of them, for one client."""
    made: list[inngest.Function[Any]] = []

    def on(name: str, event: str | None = None, expression: str | None = None, **options: Any):
        trigger = inngest.TriggerEvent(
            event=event or f"{name.partition('--')[0]}/start", expression=expression
        )
        options.setdefault("retries", 0)

        def add(handler: Any) -> None:
            made.append(client.create_function(fn_id=name, trigger=trigger, **options)(handler))

        return add

    _plain(on)
    _steps(on)
    _waits(on)
    _failures(on)
    return made


def _plain(on: Any) -> None:
    async def tell_event(ctx: inngest.Context) -> Any:
        return {"event_id": ctx.event.id, "n": len(ctx.events)}

    for name in ("send-single", "send-batch", "send-id", "send-seed"):
        on(name)(tell_event)

    @on("no-steps")
    async def _(ctx: inngest.Context) -> Any:
        return {"hello": ctx.event.data["name"], "attempt": ctx.attempt}

    @on("batch-three", batch_events=inngest.Batch(max_size=3, timeout=dt.timedelta(seconds=30)))
    async def _(ctx: inngest.Context) -> Any:
        return sorted(event.data["i"] for event in ctx.events)

    async def note(ctx: inngest.Context) -> str:
        return "noted"

    for name, event, source in (
        ("cancel-sleep--on-cancelled", "inngest/function.cancelled", "cancel-sleep"),
        ("cancel-sleep--on-finished", "inngest/function.finished", "cancel-sleep"),
        ("fn-error-on-failure--on-failed", "inngest/function.failed", "fn-error-on-failure"),
        ("fn-error-on-failure--on-finished", "inngest/function.finished", "fn-error-on-failure"),
    ):
        on(name, event, f"event.data.function_id == 'demo-{source}'")(note)


def _steps(on: Any) -> None:
    @on("two-steps")
    async def _(ctx: inngest.Context) -> Any:
        first = await ctx.step.run("first", value_of, {"n": 1})
        return [first, await ctx.step.run("second", value_of, "second")]

    @on("signed-run")
    async def _(ctx: inngest.Context) -> Any:
        return await ctx.step.run("one", value_of, {"x": "ü"})

    @on("step-null")
    async def _(ctx: inngest.Context) -> Any:
        nothing = await ctx.step.run("nothing", value_of, None)
        return [nothing, await ctx.step.run("something", value_of, "after")]

    @on("repeated-ids")
    async def _(ctx: inngest.Context) -> Any:
        return [await ctx.step.run("again", value_of, n) for n in range(3)]

    @on("unicode")
    async def _(ctx: inngest.Context) -> Any:
        odd = {
            "größe": "🦀 日本語",
            "quote": '"\\/\u2028\u0001<>&',
            "num": [1e21, 1e-7, 0.1, -0.0, 9007199254740991],
        }
        return {"got": await ctx.step.run("schritt-ü-日本", value_of, odd), "sent": ctx.event.data}

    @on("large-state")
    async def _(ctx: inngest.Context) -> Any:
        parts = [await ctx.step.run(f"big-{n}", value_of, "x" * 2_000_000) for n in range(3)]
        return {"total": sum(map(len, parts))}

    @on("parallel-two")
    async def _(ctx: inngest.Context) -> Any:
        both = await ctx.group.parallel(
            (
                lambda: ctx.step.run("a", value_of, "A"),
                lambda: ctx.step.run("b", value_of, "B"),
            )
        )
        return [both, await ctx.step.run("after", value_of, "after")]

    @on("race")
    async def _(ctx: inngest.Context) -> Any:
        both = await ctx.group.parallel(
            (
                lambda: ctx.step.run("fast", value_of, "fast"),
                lambda: ctx.step.run("slow", value_of, "slow"),
            ),
            parallel_mode=inngest.ParallelMode.RACE,
        )
        return [both, await ctx.step.run("after", value_of, "after")]

    @on("send-event-step--listener", "send-event-step/emitted")
    async def _(ctx: inngest.Context) -> Any:
        return {"heard": ctx.event.data}

    @on("send-event-step")
    async def _(ctx: inngest.Context) -> Any:
        ids = await ctx.step.send_event(
            "emit",
            [
                inngest.Event(name="send-event-step/emitted", data={"k": 1}),
                inngest.Event(name="send-event-step/other"),
            ],
        )
        return {"count": len(ids)}


def _waits(on: Any) -> None:
    @on("sleep")
    async def _(ctx: inngest.Context) -> Any:
        await ctx.step.sleep("nap", 2000)
        return "rested"

    stop = inngest.Cancel(event="cancel-sleep/stop", if_exp="event.data.job == async.data.job")

    @on("cancel-sleep", cancel=[stop])
    async def _(ctx: inngest.Context) -> Any:
        await ctx.step.sleep("long", dt.timedelta(minutes=10))

    @on("wait-matched")
    async def _(ctx: inngest.Context) -> Any:
        found = await ctx.step.wait_for_event(
            "approval",
            event="wait-matched/approved",
            if_exp="event.data.order == async.data.order",
            timeout=dt.timedelta(minutes=1),
        )
        assert found is not None
        return {"by": found.data["by"]}

    @on("wait-timeout")
    async def _(ctx: inngest.Context) -> Any:
        return {
            "got": await ctx.step.wait_for_event(
                "approval", event="wait-timeout/approved", timeout=2000
            )
        }

    @on("invoke-ok--child", "invoke-ok/never")
    async def _(ctx: inngest.Context) -> Any:
        return {"double": ctx.event.data["n"] * 2}

    @on("invoke-ok")
    async def _(ctx: inngest.Context) -> Any:
        return await ctx.step.invoke_by_id(
            "call", app_id="demo", function_id="invoke-ok--child", data={"n": 21}
        )

    @on("invoke-child-fails--child", "invoke-child-fails/never")
    async def _(ctx: inngest.Context) -> Any:
        raise ValueError("child broke")

    @on("invoke-child-fails")
    async def _(ctx: inngest.Context) -> Any:
        try:
            return await ctx.step.invoke_by_id(
                "call", app_id="demo", function_id="invoke-child-fails--child", data={"n": 1}
            )
        except inngest.StepError as error:
            return {"caught": type(error).__name__, "message": error.message}


def _failures(on: Any) -> None:
    @on("step-retry-ok", retries=1)
    async def _(ctx: inngest.Context) -> Any:
        async def flaky() -> str:
            if ctx.attempt == 0:
                raise RuntimeError("first try fails")
            return "ok on second"

        return await ctx.step.run("flaky", flaky)

    @on("step-exhausted-caught", retries=1)
    async def _(ctx: inngest.Context) -> Any:
        async def broken() -> None:
            raise RuntimeError("always fails")

        try:
            await ctx.step.run("broken", broken)
        except inngest.StepError as error:
            caught = {"caught": error.message, "name": error.name}
        return {**caught, "then": await ctx.step.run("recover", value_of, "recovered")}

    async def handle(ctx: inngest.Context) -> Any:
        return {"handled": ctx.event.data["error"]["message"]}

    @on("fn-error-on-failure", retries=1, on_failure=handle)
    async def _(ctx: inngest.Context) -> Any:
        raise ValueError("function always fails")

    @on("non-retriable", retries=3)
    async def _(ctx: inngest.Context) -> Any:
        raise inngest.NonRetriableError("do not try again")

    @on("non-retriable-step", retries=3)
    async def _(ctx: inngest.Context) -> Any:
        async def final() -> None:
            raise inngest.NonRetriableError("step must not be tried again")

        try:
            return await ctx.step.run("final", final)
        except inngest.StepError as error:
            return {"caught": error.message}

    @on("retry-after", retries=1)
    async def _(ctx: inngest.Context) -> Any:
        if ctx.attempt == 0:
            raise inngest.RetryAfterError("come back later", 2000)
        return {"attempt": ctx.attempt}
