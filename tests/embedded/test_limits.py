"""Named limits in one process, on virtual time: what is taken, corrected and waited for."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

import stepwell
from stepwell.embedded import attach
from stepwell.server.node import Node
from stepwell.server.store.memory import MemoryStore
from stepwell.testing.virtual_time import VirtualClock, VirtualLoop, run_virtually

T = TypeVar("T")
Handler = Callable[[stepwell.Context[Any]], Awaitable[None]]


class World:
    """An app with one function, and what its steps did when."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.client = stepwell.Inngest(app_id="shop", is_production=False)
        self.loop = loop
        self.busy = 0
        self.most = 0
        self.begun: list[float] = []

    async def work(self, seconds: float = 3) -> None:
        """Something that takes a time."""
        self.begun.append(round(self.loop.time(), 1))
        self.busy += 1
        self.most = max(self.most, self.busy)
        await asyncio.sleep(seconds)
        self.busy -= 1

    def function(self, handler: Handler, fn_id: str = "work", **options: Any) -> Any:
        """A function for the event of its id."""
        trigger = stepwell.TriggerEvent(event=fn_id)
        return self.client.create_function(fn_id=fn_id, trigger=trigger, **options)(handler)

    async def send(self, count: int, name: str = "work") -> None:
        await self.client.send([stepwell.Event(name=name, data={"n": n}) for n in range(count)])


def played(scene: Callable[[World, Node], Awaitable[T]]) -> T:
    """A scene, from its beginning to its end."""

    async def play(loop: VirtualLoop) -> T:
        async with Node(MemoryStore(), clock=VirtualClock(loop)) as node:
            return await scene(World(loop), node)

    return run_virtually(play)


def test_steps_of_two_functions_share_a_limit() -> None:
    async def scene(world: World, node: Node) -> None:
        gpu = stepwell.limit("gpu", concurrency=2)

        async def handler(ctx: stepwell.Context[Any]) -> None:
            await ctx.step.run("render", world.work, limits=[gpu])

        functions = [world.function(handler), world.function(handler, "other")]
        await attach(node, world.client, functions)
        await world.send(3)
        await world.send(3, "other")
        await asyncio.sleep(60)
        assert (world.most, len(world.begun)) == (2, 6)

    played(scene)


def test_a_function_stands_under_a_limit_by_key_and_weight() -> None:
    async def scene(world: World, node: Node) -> None:
        gpu = stepwell.limit("gpu", concurrency=4)

        async def handler(ctx: stepwell.Context[Any]) -> None:
            await world.work()

        limits = [gpu.by(key="event.data.n > 3", weight=2)]
        await attach(node, world.client, [world.function(handler, limits=limits)])
        await world.send(8)
        await asyncio.sleep(2)
        assert world.busy == 4
        (state,) = await world.client.limits()
        assert (state.name, state.in_use, state.waiting) == ("gpu", 8, 4)
        assert [(one.key, one.in_use) for one in state.keys] == [("false", 4), ("true", 4)]
        assert state.functions == ("shop-work",)

    played(scene)


def test_a_step_corrects_what_it_took() -> None:
    async def scene(world: World, node: Node) -> None:
        tpm = stepwell.limit("tpm", rate=1_000, period="10s")

        async def ask() -> None:
            await world.work(0)
            tpm.used(700)

        async def handler(ctx: stepwell.Context[Any]) -> None:
            await ctx.step.run("ask", ask, limits=[tpm.take(500)])

        await attach(node, world.client, [world.function(handler)])
        for _ in range(3):
            await world.send(1)
            await asyncio.sleep(0.5)
        await asyncio.sleep(60)
        first, second, third = world.begun
        assert (second - first, third - second) == (
            pytest.approx(2, abs=0.2),
            pytest.approx(7, abs=0.2),
        )

    played(scene)


@pytest.mark.parametrize("plain", [True, False])
def test_what_was_used_is_said_in_a_step_that_takes_it(plain: bool) -> None:
    async def scene(world: World, node: Node) -> None:
        tpm, other = stepwell.limit("tpm", rate=10, period="1h"), stepwell.limit("other")
        told: list[str] = []

        def said() -> None:
            tpm.used(2, key="amy")
            try:
                other.used(1)
            except stepwell.ConfigurationError as error:
                told.append(str(error))

        async def in_loop() -> None:
            said()

        async def handler(ctx: stepwell.Context[Any]) -> None:
            step = said if plain else in_loop
            await ctx.step.run("ask", step, limits=[tpm.take(5, key="amy")])

        await attach(node, world.client, [world.function(handler)])
        await world.send(1)
        for _ in range(100):
            await asyncio.sleep(0.1)
            if told:
                break
        await asyncio.sleep(5)
        (state,) = await world.client.limits()
        assert [(one.key, one.available) for one in state.keys] == [('"amy"', 8)]
        assert "no step runs here that takes this limit" in told[0]

    if plain:
        # Threads know no virtual time.
        with pytest.raises(stepwell.ConfigurationError, match="no step runs here"):
            stepwell.limit("tpm").used(1)
        return
    played(scene)


def test_a_client_changes_a_limit_while_runs_go_on() -> None:
    async def scene(world: World, node: Node) -> None:
        async def handler(ctx: stepwell.Context[Any]) -> None:
            await world.work(100)

        gpu = stepwell.limit("gpu", concurrency=1)
        await attach(node, world.client, [world.function(handler, limits=[gpu])])
        await world.send(9)
        await asyncio.sleep(1)
        assert world.busy == 1
        changed = await world.client.set_limit("gpu", concurrency=4)
        await asyncio.sleep(1)
        assert (world.busy, changed.is_changed) == (4, True)
        assert changed.declared is not None and changed.declared.concurrency == 1
        await world.client.set_limit("gpu", rate=1, period="1m")
        await world.client.reset_limit("gpu")
        (state,) = await world.client.limits()
        assert (state.concurrency, state.is_changed, state.in_use) == (1, False, 5)
        with pytest.raises(stepwell.Error, match="there is no limit other"):
            await world.client.reset_limit("other")

    played(scene)


@pytest.mark.logs('RetryAfterError in function "shop-work"')
def test_a_call_that_is_told_to_wait_lets_its_key_wait() -> None:
    async def scene(world: World, node: Node) -> None:
        async def handler(ctx: stepwell.Context[Any]) -> None:
            if ctx.attempt == 0 and ctx.event.data["n"] == 0:
                raise stepwell.RetryAfterError("429", "30s", scope="key")
            await world.work(0)

        one = [stepwell.Concurrency(limit=1, key="event.name")]
        await attach(node, world.client, [world.function(handler, concurrency=one)])
        await world.send(3)
        await asyncio.sleep(100)
        assert [at >= 30 for at in world.begun] == [True] * 3

    played(scene)


def test_limits_say_what_is_wrong_with_them() -> None:
    limit, error = stepwell.limit, stepwell.ConfigurationError
    cases: list[tuple[Callable[[], object], str]] = [
        (
            lambda: limit("a b"),
            r"limit\(\"a b\"\): name 'a b' is no name of a limit: use up to 100",
        ),
        (limit, "give it a name, or numbers"),
        (lambda: limit("a", concurrency=0), "concurrency = 0: give a whole number, 1 to 1000000"),
        (lambda: limit("a", rate=5), "period is missing: rate needs it"),
        (lambda: limit("a", period="1m"), "rate is missing: period needs it"),
        (lambda: limit("a", rate=5, period="8d"), "period '8d' is too long: use 1s to 1w"),
        (lambda: limit("a", rate=5, period=10), "period = 10: must be whole seconds"),
        (lambda: limit("a", concurrency=1, rate=5, period="1s"), "cannot stand beside"),
        (lambda: limit("a").take(0), r"take\(weight\) = 0: give a whole number, 1 to"),
        (lambda: limit("a").take(1, key=object()), "key = "),
        (lambda: limit("a").used(-1), r"used\(amount\) = -1: give a whole number, 0 to"),
    ]
    for make, told in cases:
        with pytest.raises(error, match=told):
            make()


def test_functions_and_steps_refuse_what_is_no_limit() -> None:
    client = stepwell.Inngest(app_id="shop", is_production=False)
    trigger = stepwell.TriggerEvent(event="go")

    async def handler(ctx: stepwell.Context[Any]) -> None: ...

    for given, told in (
        (["gpu"], r"limits\[0\] = 'gpu': give a list such as"),
        ("gpu", "limits = 'gpu': give a list such as"),
        ([stepwell.limit(concurrency=1)], "a limit of a function needs a name"),
        ([stepwell.limit("a")] * 2, "is there twice with one key"),
        ([stepwell.limit(f"l{n}") for n in range(6)], "limits has 6 entries: use at most 5"),
    ):
        options: Any = {"limits": given}
        with pytest.raises(stepwell.Error, match=told):
            client.create_function(fn_id="f", trigger=trigger, **options)(handler)


def test_a_retry_of_a_key_names_its_scope() -> None:
    wrong: Any = "run"
    with pytest.raises(ValueError, match="scope = 'run': give \"key\", or leave it out"):
        stepwell.RetryAfterError("429", 1_000, scope=wrong)
