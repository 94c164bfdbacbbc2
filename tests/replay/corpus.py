"""Small functions in both colours: each pair does the same steps and ends the same."""

import asyncio
import datetime as dt
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Any

from pydantic import BaseModel

from stepwell.sdk.errors import NonRetriableError, StepError
from stepwell.sdk.events.event import Event
from stepwell.sdk.step.context import Context, ContextSync


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


class Item(BaseModel):
    size: Size
    at: dt.datetime


@dataclass
class Order:
    id: uuid.UUID
    price: Decimal
    items: list[Item]
    tags: set[str] = field(default_factory=set)
    raw: bytes = b""


ORDER = Order(
    uuid.UUID(int=7),
    Decimal("12.50"),
    [Item(size=Size.LARGE, at=dt.datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=dt.UTC))],
    {"new"},
    b"\x00\xff",
)


def order() -> Order:
    return ORDER


async def aorder() -> Order:
    return ORDER


def double(value: int) -> int:
    return value * 2


async def adouble(value: int) -> int:
    return value * 2


def broken(message: str) -> None:
    raise ValueError(message)


async def abroken(message: str) -> None:
    raise ValueError(message)


def hopeless() -> None:
    raise NonRetriableError("never")


async def ahopeless() -> None:
    raise NonRetriableError("never")


async def no_steps(ctx: Context) -> Any:
    return {"n": ctx.event.data["n"]}


def no_steps_sync(ctx: ContextSync) -> Any:
    return {"n": ctx.event.data["n"]}


async def chain(ctx: Context) -> Any:
    value = 1
    for index in range(4):
        value = await ctx.step.run(f"double {index}", adouble, value)
    return value


def chain_sync(ctx: ContextSync) -> Any:
    value = 1
    for index in range(4):
        value = ctx.step.run(f"double {index}", double, value)
    return value


async def loop(ctx: Context) -> Any:
    return [await ctx.step.run("same", adouble, index) for index in range(4)]


def loop_sync(ctx: ContextSync) -> Any:
    return [ctx.step.run("same", double, index) for index in range(4)]


async def typed(ctx: Context) -> Any:
    found = await ctx.step.run("order", aorder)
    assert found == ORDER and type(found) is Order and type(found.tags) is set
    return [str(found.price), await ctx.step.run("size", lambda: found.items[0].size.value)]


def typed_sync(ctx: ContextSync) -> Any:
    found = ctx.step.run("order", order)
    assert found == ORDER and type(found) is Order and type(found.tags) is set
    return [str(found.price), ctx.step.run("size", lambda: found.items[0].size.value)]


async def caught(ctx: Context) -> Any:
    try:
        await ctx.step.run("bad", abroken, "no")
    except StepError as error:
        return [error.name, error.message, await ctx.step.run("mend", adouble, 2)]


def caught_sync(ctx: ContextSync) -> Any:
    try:
        ctx.step.run("bad", broken, "no")
    except StepError as error:
        return [error.name, error.message, ctx.step.run("mend", double, 2)]


async def uncaught(ctx: Context) -> Any:
    await ctx.step.run("fine", adouble, 1)
    await ctx.step.run("hopeless", ahopeless)


def uncaught_sync(ctx: ContextSync) -> Any:
    ctx.step.run("fine", double, 1)
    ctx.step.run("hopeless", hopeless)


async def served(ctx: Context) -> Any:
    await ctx.step.sleep("nap", "1h")
    await ctx.step.sleep_until("until", dt.datetime(2030, 1, 1, tzinfo=dt.UTC))
    event = await ctx.step.wait_for_event("wait", event="e", timeout=1000)
    nothing = await ctx.step.wait_for_event("late", event="e", timeout=1000)
    child = await ctx.step.invoke_by_id("child", function_id="other", data={"a": 1})
    sent = await ctx.step.send_event("send", [Event(name="a"), Event(name="b")])
    signal = await ctx.step.wait_for_signal("signal", signal="s", timeout="1d")
    reply = await ctx.step.fetch("fetch", "http://example.com")
    assert event is not None and signal is not None
    return [event.data["by"], nothing, child, sent, signal.data, reply.status]


def served_sync(ctx: ContextSync) -> Any:
    ctx.step.sleep("nap", "1h")
    ctx.step.sleep_until("until", dt.datetime(2030, 1, 1, tzinfo=dt.UTC))
    event = ctx.step.wait_for_event("wait", event="e", timeout=1000)
    nothing = ctx.step.wait_for_event("late", event="e", timeout=1000)
    child = ctx.step.invoke_by_id("child", function_id="other", data={"a": 1})
    sent = ctx.step.send_event("send", [Event(name="a"), Event(name="b")])
    signal = ctx.step.wait_for_signal("signal", signal="s", timeout="1d")
    reply = ctx.step.fetch("fetch", "http://example.com")
    assert event is not None and signal is not None
    return [event.data["by"], nothing, child, sent, signal.data, reply.status]


ANSWERS = {
    "wait": {"name": "e", "data": {"by": "bob"}, "id": "x", "ts": 5},
    "child": {"double": 2},
    "signal": {"signal": "s", "data": 5},
    "fetch": {"url": "http://example.com", "status_code": 204, "headers": {}, "body": ""},
}


async def parallel(ctx: Context) -> Any:
    def branch(index: int) -> Callable[[], Any]:
        async def run() -> Any:
            value = await ctx.step.run(f"x{index}", adouble, index)
            if index % 2:
                await ctx.step.sleep(f"s{index}", "1s")
            return await ctx.step.run(f"y{index}", adouble, value)

        return run

    both = await ctx.group.parallel(tuple(map(branch, range(3))))
    return [*both, await ctx.step.run("sum", adouble, sum(both))]


def parallel_sync(ctx: ContextSync) -> Any:
    def branch(index: int) -> Callable[[], Any]:
        def run() -> Any:
            value = ctx.step.run(f"x{index}", double, index)
            if index % 2:
                ctx.step.sleep(f"s{index}", "1s")
            return ctx.step.run(f"y{index}", double, value)

        return run

    both = ctx.group.parallel(tuple(map(branch, range(3))))
    return [*both, ctx.step.run("sum", double, sum(both))]


async def nested_groups(ctx: Context) -> Any:
    async def inner(name: str) -> Any:
        return await ctx.group.parallel(
            tuple(lambda i=i: ctx.step.run(f"{name}{i}", adouble, i) for i in range(2))  # type: ignore[misc]
        )

    return await ctx.group.parallel((lambda: inner("a"), lambda: inner("b")))


def nested_groups_sync(ctx: ContextSync) -> Any:
    def inner(name: str) -> Any:
        return ctx.group.parallel(
            tuple(lambda i=i: ctx.step.run(f"{name}{i}", double, i) for i in range(2))  # type: ignore[misc]
        )

    return ctx.group.parallel((lambda: inner("a"), lambda: inner("b")))


async def gathered(ctx: Context) -> Any:
    async def branch(index: int) -> int:
        value = await ctx.step.run(f"x{index}", adouble, index)
        return await ctx.step.run(f"y{index}", adouble, value)

    return await asyncio.gather(*map(branch, range(3)))


async def grouped(ctx: Context) -> Any:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ctx.step.run(f"x{i}", adouble, i)) for i in range(3)]
    return sum(task.result() for task in tasks)


async def exclusive(ctx: Context) -> Any:
    lock, log = asyncio.Lock(), list[int]()

    async def branch(index: int) -> None:
        async with lock:
            log.append(await ctx.step.run(f"x{index}", adouble, index))

    await asyncio.gather(*map(branch, range(3)))
    return log


# Both colours of each; their names differ by the ending alone.
TWINS: list[tuple[Callable[..., Any], Callable[..., Any]]] = [
    (no_steps, no_steps_sync),
    (chain, chain_sync),
    (loop, loop_sync),
    (typed, typed_sync),
    (caught, caught_sync),
    (uncaught, uncaught_sync),
    (served, served_sync),
    (parallel, parallel_sync),
    (nested_groups, nested_groups_sync),
]
ALL: list[Callable[..., Any]] = [*(f for pair in TWINS for f in pair), gathered, grouped, exclusive]
