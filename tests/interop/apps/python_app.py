"""The catalogue of functions in Python, served with FastAPI by whichever SDK `SDK` names, or by a
worker connection of that SDK if `TRANSPORT` is `connect`.

`SDK=inngest` is the official one, `SDK=stepwell` is ours: the program does not change otherwise.
Everything a handler or a step does is noted under the token of its event; `GET /log` tells it.

Run by the tests with: SDK, PORT, APP_ID and INNGEST_DEV (the server's origin).
"""

import asyncio
import importlib
import os
import socket
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

import fastapi
import uvicorn

sdk = importlib.import_module(os.environ["SDK"])
adapter = importlib.import_module(f"{os.environ['SDK']}.fast_api")
encryption = importlib.import_module(
    {"inngest": "inngest_encryption", "stepwell": "stepwell.encryption"}[os.environ["SDK"]]
)

client = sdk.Inngest(app_id=os.environ["APP_ID"], is_production=False)
notes: dict[str, list[dict[str, Any]]] = defaultdict(list)
functions: list[Any] = []

LARGE = 1_800_000
SECRET = "a passphrase of the tests"
WORDS = "grüße 🚀 \u2028 \u0007 “x”"


def note(ctx: Any, what: str, **more: Any) -> None:
    entry = {"what": what, "attempt": ctx.attempt, "at": time.time() * 1000, "run": ctx.run_id}
    notes[ctx.event.data["token"]].append({**entry, **more})


def doing(ctx: Any, what: str, result: Any = None) -> Callable[[], Awaitable[Any]]:
    """A step's handler that notes its name and returns the result."""

    async def handler() -> Any:
        note(ctx, what)
        return result

    return handler


def function(name: str, **options: Any) -> Callable[[Any], Any]:
    """Registers a function under its scenario's name, listening to the scenario's event."""
    trigger = sdk.TriggerEvent(event=f"{os.environ['APP_ID']}/{name}")

    def register(handler: Any) -> Any:
        options.setdefault("retries", 0)
        made = client.create_function(fn_id=name, trigger=trigger, **options)(handler)
        functions.append(made)
        return made

    return register


@function("no-steps")
async def no_steps(ctx: Any) -> Any:
    note(ctx, "handler")
    return {"n": ctx.event.data["n"]}


@function("two-steps")
async def two_steps(ctx: Any) -> Any:
    a = await ctx.step.run("a", doing(ctx, "a", 1))
    b = await ctx.step.run("b", doing(ctx, "b", a + 1))
    return [a, b]


@function("two-steps-sync")
def two_steps_sync(ctx: Any) -> Any:
    def once(what: str, result: int) -> int:
        note(ctx, what)
        return result

    a = ctx.step.run("a", lambda: once("a", 1))
    b = ctx.step.run("b", lambda: once("b", a + 1))
    return [a, b]


@function("twenty-steps")
async def twenty_steps(ctx: Any) -> Any:
    total = 0
    for number in range(20):
        total += await ctx.step.run(f"step-{number}", doing(ctx, f"step-{number}", number))
    return total


@function("parallel-two")
async def parallel_two(ctx: Any) -> Any:
    a, b = await ctx.group.parallel(
        (
            lambda: ctx.step.run("a", doing(ctx, "a", 1)),
            lambda: ctx.step.run("b", doing(ctx, "b", 2)),
        )
    )
    return [a, b, await ctx.step.run("c", doing(ctx, "c", a + b))]


@function("race")
async def race(ctx: Any) -> Any:
    async def branch(name: str) -> Any:
        await ctx.step.run(f"{name}-1", doing(ctx, f"{name}-1"))
        return await ctx.step.run(f"{name}-2", doing(ctx, f"{name}-2", name))

    done = await ctx.group.parallel(
        (lambda: branch("x"), lambda: branch("y")),
        parallel_mode=sdk.ParallelMode.RACE,
    )
    return list(done)


@function("sleep")
async def sleep(ctx: Any) -> Any:
    await ctx.step.run("before", doing(ctx, "before"))
    await ctx.step.sleep("nap", 1000)
    await ctx.step.run("after", doing(ctx, "after"))
    return "awake"


@function("wait-matched")
async def wait_matched(ctx: Any) -> Any:
    found = await ctx.step.wait_for_event(
        "approval",
        event=f"{os.environ['APP_ID']}/approved",
        if_exp="event.data.token == async.data.token && async.data.ok == true",
        timeout=60_000,
    )
    note(ctx, "resumed")
    return {"by": found.data["by"] if found else None}


@function("wait-timeout")
async def wait_timeout(ctx: Any) -> Any:
    found = await ctx.step.wait_for_event("never", event="interop/never", timeout=1000)
    return {"got": found}


@function("child")
async def child(ctx: Any) -> Any:
    return {"doubled": ctx.event.data["n"] * 2}


@function("broken-child")
async def broken_child(ctx: Any) -> Any:
    msg = "child broke"
    raise ValueError(msg)


@function("invoke-ok")
async def invoke_ok(ctx: Any) -> Any:
    return {"child": await ctx.step.invoke("call", function=child, data={"n": 7})}


@function("invoke-fails")
async def invoke_fails(ctx: Any) -> Any:
    try:
        await ctx.step.invoke_by_id("call", function_id="broken-child", data={})
    except sdk.StepError as error:
        return {"caught": error.message}
    return "not raised"


@function("step-retry-ok", retries=1)
async def step_retry_ok(ctx: Any) -> Any:
    async def flaky() -> str:
        note(ctx, "flaky")
        if ctx.attempt == 0:
            msg = "not yet"
            raise ValueError(msg)
        return "fine"

    return await ctx.step.run("flaky", flaky)


@function("step-exhausted-caught", retries=1)
async def step_exhausted_caught(ctx: Any) -> Any:
    async def broken() -> None:
        note(ctx, "broken")
        msg = "always broken"
        raise ValueError(msg)

    caught = None
    try:
        await ctx.step.run("broken", broken)
    except sdk.StepError as error:
        caught = {"name": error.name, "message": error.message}
    await ctx.step.run("after", doing(ctx, "after"))
    return caught


@function("step-exhausted-uncaught", retries=1)
async def step_exhausted_uncaught(ctx: Any) -> Any:
    async def broken() -> None:
        note(ctx, "broken")
        msg = "always broken"
        raise ValueError(msg)

    await ctx.step.run("broken", broken)


@function("function-retry", retries=1)
async def function_retry(ctx: Any) -> Any:
    note(ctx, "handler")
    if ctx.attempt == 0:
        msg = "first time"
        raise ValueError(msg)
    return "second time"


async def on_failure(ctx: Any) -> None:
    data = ctx.event.data
    notes[data["event"]["data"]["token"]].append(
        {
            "what": "on-failure",
            "attempt": ctx.attempt,
            "message": data["error"]["message"],
            "failed_run": data["run_id"],
            "function": data["function_id"],
        }
    )


@function("function-fails", retries=1, on_failure=on_failure)
async def function_fails(ctx: Any) -> Any:
    note(ctx, "handler")
    msg = "no hope"
    raise ValueError(msg)


@function("non-retriable", retries=3)
async def non_retriable(ctx: Any) -> Any:
    note(ctx, "handler")
    msg = "never again"
    raise sdk.NonRetriableError(msg)


@function("non-retriable-step", retries=3)
async def non_retriable_step(ctx: Any) -> Any:
    async def broken() -> None:
        note(ctx, "broken")
        msg = "never again"
        raise sdk.NonRetriableError(msg)

    try:
        await ctx.step.run("broken", broken)
    except sdk.StepError as error:
        return {"caught": error.message}
    return "not raised"


@function("retry-after", retries=1)
async def retry_after(ctx: Any) -> Any:
    note(ctx, "handler")
    if ctx.attempt == 0:
        msg = "later"
        raise sdk.RetryAfterError(msg, 4000)
    return "later it was"


@function("large-state")
async def large_state(ctx: Any) -> Any:
    total = 0
    for number in range(3):
        total += len(
            await ctx.step.run(f"large-{number}", doing(ctx, f"large-{number}", "x" * LARGE))
        )
    await ctx.step.run("last", doing(ctx, "last"))
    return total


@function("repeated-ids")
async def repeated_ids(ctx: Any) -> Any:
    return [await ctx.step.run("again", doing(ctx, f"again-{n}", n)) for n in range(3)]


@function("step-null")
async def step_null(ctx: Any) -> Any:
    nothing = await ctx.step.run("nothing", doing(ctx, "nothing"))
    return [nothing, await ctx.step.run("after", doing(ctx, "after", "after"))]


@function("unicode")
async def unicode(ctx: Any) -> Any:
    return [ctx.event.data["words"], await ctx.step.run("schön ✓", doing(ctx, "ok", WORDS))]


@function("listener")
async def listener(ctx: Any) -> Any:
    note(ctx, "heard", n=ctx.event.data["n"])


@function("send-event")
async def send_event(ctx: Any) -> Any:
    token = ctx.event.data["token"]
    ids = await ctx.step.send_event(
        "tell",
        [
            sdk.Event(name=f"{os.environ['APP_ID']}/listener", data={"token": token, "n": n})
            for n in (1, 2)
        ],
    )
    return len(ids)


# What the server says about runs, and encryption


@function("watched-ok")
async def watched_ok(ctx: Any) -> Any:
    return {"n": 7}


@function("watched-fails")
async def watched_fails(ctx: Any) -> Any:
    msg = "watched"
    raise ValueError(msg)


@function(
    "watched-cancelled",
    cancel=[
        sdk.Cancel(
            event=f"{os.environ['APP_ID']}/enough",
            if_exp="event.data.token == async.data.token",
        )
    ],
)
async def watched_cancelled(ctx: Any) -> Any:
    await ctx.step.sleep("long", 600_000)


async def watch(ctx: Any) -> Any:
    """Notes what it is told of the functions above."""
    data = ctx.event.data
    told = {"name": ctx.event.name, "run": data["run_id"], "result": data.get("result")}
    error = (data.get("error") or {}).get("message")
    notes[data["event"]["data"]["token"]].append(
        {"what": "told", "attempt": ctx.attempt, "error": error, **told}
    )


functions.append(
    client.create_function(
        fn_id="watch",
        retries=0,
        trigger=[
            sdk.TriggerEvent(
                event=f"inngest/function.{end}",
                expression=f"event.data.function_id.startsWith('{os.environ['APP_ID']}-watched-')",
            )
            for end in ("finished", "failed", "cancelled")
        ],
    )(watch)
)


@function("event-name")
async def event_name(ctx: Any) -> Any:
    return [ctx.event.name, ctx.event.data["n"]]


@function("invoked-event")
async def invoked_event(ctx: Any) -> Any:
    return await ctx.step.invoke("call", function=event_name, data={"n": 7})


@function("encrypted", middleware=[encryption.EncryptionMiddleware.factory(SECRET)])
async def encrypted(ctx: Any) -> Any:
    plain = await ctx.step.run("secret", doing(ctx, "secret", ctx.event.data["encrypted"]["pin"]))
    await ctx.step.sleep("turn", 1000)  # a fresh call: the step's result comes back
    note(ctx, "seen", pin=plain)
    return {"pin": plain}


if os.environ["SDK"] == "stepwell":  # the official one has no deferrals

    @client.create_function(fn_id="later", trigger=sdk.TriggerDefer(), retries=0)
    async def later(ctx: Any) -> None:
        (parent,) = ctx.parents
        await client.score(run_id=parent.run_id, name="late", value=True)
        note(ctx, "later", parent=parent.run_id, function=parent.fn_slug)

    functions.append(later)

    @function("defers")
    async def defers(ctx: Any) -> str:
        data = {"token": ctx.event.data["token"]}
        ctx.defer("later", function=later, data=data)
        regret = ctx.defer("regret", function=later, data=data)
        await ctx.step.run("a", doing(ctx, "a"))
        regret.abort()
        return "done"


app = fastapi.FastAPI()
CONNECTED = os.environ.get("TRANSPORT") == "connect"
if not CONNECTED:
    adapter.serve(app, client, functions)


@app.get("/log")
async def log(token: str) -> list[dict[str, Any]]:
    return notes[token]


async def connected(http: uvicorn.Server, listening: socket.socket) -> None:
    """The worker lives as long as the HTTP server, which keeps nothing but the log."""
    connect = importlib.import_module(f"{os.environ['SDK']}.connect").connect
    name = os.environ["APP_ID"]
    worker = connect([(client, functions)], instance_id=name, shutdown_signals=[])
    working = asyncio.create_task(worker.start())
    await http.serve(sockets=[listening])
    await worker.close(wait=True)
    await working


if __name__ == "__main__":
    listening = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
    http = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    if CONNECTED:
        asyncio.run(connected(http, listening))
    else:
        http.run(sockets=[listening])
