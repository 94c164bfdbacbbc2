"""Random programs of sequences, branches and races, ended in random orders: always one story."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import uvloop

from stepwell.sdk.step.ask import ParallelMode
from stepwell.sdk.step.context import Context
from tests.replay.stage import Stage

SEEDS = range(120)


@dataclass(frozen=True)
class Node:
    """A piece of a program: a step by its name, or children in some arrangement."""

    kind: str
    name: str = ""
    children: "tuple[Node, ...]" = ()


def program(chance: random.Random, depth: int, names: list[int]) -> Node:
    kinds = ["step", "step", "sleep", "yield"]
    if depth:
        kinds += ["seq", "seq", "gather", "group", "parallel", "race", "dropping race", "turns"]
    kind = chance.choice(kinds)
    names[0] += 1
    name = f"n{names[0]}"
    if kind in ("step", "sleep", "yield"):
        return Node(kind, name)
    children = [program(chance, depth - 1, names) for _ in range(chance.randint(1, 3))]
    return Node(kind, name, tuple(children))


async def give(value: str) -> str:
    return value


async def run(ctx: Context, node: Node) -> Any:
    """Do what a node says; its result tells what happened."""

    def child(node: Node) -> Any:
        return run(ctx, node)

    match node.kind:
        case "step":
            return await ctx.step.run(node.name, give, node.name)
        case "sleep":
            return await ctx.step.sleep(node.name, 1)
        case "yield":
            for _ in range(len(node.name)):
                await asyncio.sleep(0)
            return "yield"
        case "seq":
            return [await child(item) for item in node.children]
        case "gather":
            return await asyncio.gather(*map(child, node.children))
        case "group":
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(child(item)) for item in node.children]
            return [task.result() for task in tasks]
        case "parallel":
            branches = tuple(lambda item=item: child(item) for item in node.children)  # type: ignore[misc]
            return list(await ctx.group.parallel(branches, ParallelMode.RACE))
        case "turns":
            lock, log = asyncio.Lock(), []

            async def turn(item: Node) -> None:
                async with lock:
                    log.append(await child(item))

            await asyncio.gather(*map(turn, node.children))
            return log
        case _:
            tasks = [asyncio.create_task(child(item)) for item in node.children]
            done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in pending if node.kind == "race" else ():
                task.cancel()
            winner = min(tasks.index(task) for task in done)
            return [winner, tasks[winner].result()]


def handler_of(seed: int) -> Callable[[Context], Any]:
    chance = random.Random(seed)
    root = Node("seq", "root", tuple(program(chance, 3, [i * 1000]) for i in range(2)))

    async def handler(ctx: Context) -> Any:
        return await run(ctx, root)

    return handler


async def tell(seed: int) -> None:
    handler = handler_of(seed)
    chance = random.Random(seed + 1)
    stage = Stage(handler)
    result = await asyncio.wait_for(
        stage.play(lambda ids: chance.sample(ids, len(ids)), calls_max=200), 20
    )
    assert not isinstance(result, dict), result
    for report in stage.reports:
        assert len(set(report)) == len(report)
    # The whole story again, told in one call.
    assert stage.result(await stage.call()) == result
    # Any beginning of it leads to the same next chapter, however often it is told.
    for length in chance.sample(range(len(stage.stack) + 1), min(3, len(stage.stack) + 1)):
        again = Stage(handler)
        again.stack = stage.stack[:length]
        again.steps = {step: stage.steps[step] for step in again.stack}
        chapters = []
        for _ in range(2):
            answer = await again.call()
            chapters.append(
                [(o.op, o.id) for o in again.operations(answer)]
                if answer.status == 206
                else again.result(answer)
            )
        assert chapters[0] == chapters[1]
    # A handler that stays alive gets to an end as well, and its story can be told again.
    alive = Stage(handler)
    lived = await asyncio.wait_for(
        alive.play_live(lambda ids: chance.sample(ids, len(ids)), calls_max=200), 20
    )
    assert alive.result(await alive.call()) == lived


@pytest.mark.filterwarnings("ignore::stepwell.sdk.errors.IndeterminateFunctionWarning")
@pytest.mark.parametrize("seed", SEEDS)
async def test_stories(seed: int) -> None:
    await tell(seed)


class Server:
    """Has several steps under way, which end in random order; calls again when modes say so."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed + 2)
        self.stage = Stage(handler_of(seed))
        self.under_way: dict[str, Any] = {}
        self.waited_for: set[str] = set()

    async def discover(self) -> Any:
        """Call the function from its beginning; its result, if it has ended."""
        plain = not self.under_way and self.chance.random() < 0.8
        answer = await self.stage.call(immediate=plain)
        if answer.status != 206:
            return [self.stage.result(answer)]
        found = self.stage.operations(answer)
        if len(found) == 1 and found[0].op == "StepRun":
            self.stage.settle(found[0])
            return await self.discover()
        new = [one for one in found if one.id not in self.under_way]
        self.under_way.update({one.id: one for one in new})
        if any(one.op == "StepPlanned" for one in found):
            self.waited_for.update(one.id for one in new if one.parallel_mode != "race")
        return None

    async def end_one(self) -> bool:
        """Let one step end; does that call for a discovery?"""
        step = self.chance.choice(list(self.under_way))
        planned = self.under_way.pop(step)
        ran = planned
        if planned.op == "StepPlanned":
            ran = await self.stage.targeted(planned)
            assert ran.parallel_mode == planned.parallel_mode or ran.parallel_mode == "race"
        self.stage.settle(ran)
        held = step in self.waited_for
        self.waited_for.discard(step)
        return not held or not self.waited_for

    async def play(self) -> Any:
        """Until the run ends."""
        ended = await self.discover()
        for _ in range(400):
            if ended is not None:
                return ended[0]
            assert self.under_way, "nothing moves the run any more"
            if await self.end_one():
                ended = await self.discover()
        raise AssertionError(f"no end: {self.stage.reports}")


@pytest.mark.filterwarnings("ignore::stepwell.sdk.errors.IndeterminateFunctionWarning")
@pytest.mark.parametrize("seed", SEEDS)
async def test_stories_where_steps_end_while_others_are_under_way(seed: int) -> None:
    server = Server(seed)
    result = await asyncio.wait_for(server.play(), 20)
    assert not isinstance(result, dict), result
    assert server.stage.result(await server.stage.call()) == result


@pytest.mark.filterwarnings("ignore::stepwell.sdk.errors.IndeterminateFunctionWarning")
def test_stories_on_another_loop() -> None:
    """The same on uvloop, whose insides are not asyncio's."""

    async def some() -> None:
        for seed in SEEDS[:25]:
            await tell(seed)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(some())
