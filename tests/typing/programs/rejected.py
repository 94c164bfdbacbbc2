"""A program full of mistakes: each line that ends in REJECT is refused by both checkers."""

import stepwell as inngest

client = inngest.Inngest(app_id="shop", is_production=False)


async def double(value: int) -> int:
    return value * 2


async def text() -> str:
    return ""


inngest.Inngest()  # REJECT
inngest.Inngest(app_id=1)  # REJECT
inngest.Event(name=1)  # REJECT
inngest.Event(nam="a")  # REJECT
inngest.TriggerEvent(evnt="a")  # REJECT
inngest.TriggerCron(cron=5)  # REJECT
inngest.Concurrency(limit="5")  # REJECT
inngest.Concurrency(limit=5, scope="team")  # REJECT
inngest.Singleton(mode="queue")  # REJECT
inngest.Throttle(limit=1)  # REJECT
client.create_function(fn_id="x")  # REJECT
client.create_function(trigger=inngest.TriggerEvent(event="a"))  # REJECT
client.create_function(fn_id=1, trigger=inngest.TriggerEvent(event="a"))  # REJECT
client.create_function(fn_id="x", trigger="event")  # REJECT
client.create_function(fn_id="x", trigger=inngest.TriggerEvent(event="a"), retires=3)  # REJECT
inngest.RetryAfterError("later")  # REJECT
inngest.StepError("only a message")  # REJECT


@client.create_function(fn_id="deferred", trigger=inngest.TriggerDefer(schema=dict[str, int]))
async def deferred(
    ctx: inngest.Context[inngest.FunctionDeferredEvent[dict[str, int]]],
) -> None: ...


@client.create_function(fn_id="y", trigger=inngest.TriggerEvent(event="a"))
async def handler(ctx: inngest.Context) -> int:
    step = ctx.step
    await step.run("a", double)  # REJECT
    await step.run("a", double, "one")  # REJECT
    await step.run("a", double, 1, 2)  # REJECT
    await step.run(1, double, 1)  # REJECT
    await step.run("a")  # REJECT
    wrong: str = await step.run("a", double, 1)  # REJECT
    await step.sleep("s", 1.5)  # REJECT
    await step.sleep_until("s", "2030-01-01")  # REJECT
    await step.wait_for_event("w", timeout=1000)  # REJECT
    await step.wait_for_event("w", event="e")  # REJECT
    event = await step.wait_for_event("w", event="e", timeout=1000)
    print(event.data)  # REJECT
    await step.invoke("i", function=double)  # REJECT
    await step.invoke("i", function="double")  # REJECT
    back: int = await step.invoke("i", function=other)  # REJECT
    await step.send_event("s", "event")  # REJECT
    await step.wait_for_signal("s", signal="x", on_conflict="ignore")  # REJECT
    await step.parallel(())  # REJECT
    await ctx.group.parallel((double,))  # REJECT
    await ctx.group.experiment("x", variants={"a": text}, select="a")  # REJECT
    await step.score("r", name="good", value="high")  # REJECT
    await client.metadata({"n": 1}, op="or")  # REJECT
    ctx.defer("d", function="later", data={})  # REJECT
    ctx.defer("d", function=deferred, data=5)  # REJECT
    print(wrong, back, ctx.steps)  # REJECT
    return await step.run("t", text)  # REJECT


@client.create_function(fn_id="o", trigger=inngest.TriggerEvent(event="a"))
async def other(ctx: inngest.Context) -> str:
    return ctx.run_id


@client.create_function(fn_id="z", trigger=inngest.TriggerEvent(event="a"))
def blocking(ctx: inngest.ContextSync) -> int:
    wrong: str = ctx.step.run("a", lambda: 1)  # REJECT
    return len(wrong)


async def unrelated(value: int) -> str:
    return str(value)


client.create_function(fn_id="u", trigger=inngest.TriggerEvent(event="a"))(unrelated)  # REJECT


async def make_database() -> int:
    return 1


@client.create_function(fn_id="z", trigger=inngest.TriggerEvent(event="a"))
async def wants_text(
    ctx: inngest.Context,
    db: str = inngest.Depends(make_database),  # REJECT
) -> None:
    return None


inngest.Depends(make_database, scope="request")  # REJECT
