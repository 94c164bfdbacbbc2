"""The laws of replay, over a corpus of small functions in both colours."""

import itertools
import random
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.replay.corpus import ALL, ANSWERS, TWINS
from tests.replay.stage import Stage

by_name = pytest.mark.parametrize("handler", ALL, ids=lambda f: f.__name__)


def stage(handler: Callable[..., Any], **options: Any) -> Stage:
    return Stage(handler, answers=ANSWERS, max_attempts=2, **options)


async def ended(handler: Callable[..., Any]) -> tuple[Stage, Any]:
    played = stage(handler)
    return played, await played.play()


@by_name
async def test_replaying_a_finished_run_changes_nothing(handler: Callable[..., Any]) -> None:
    played, result = await ended(handler)
    for _ in range(2):
        assert played.result(await played.call()) == result


@by_name
async def test_every_prefix_of_the_memo_leads_to_the_same_end(handler: Callable[..., Any]) -> None:
    played, result = await ended(handler)
    for length in range(len(played.stack)):
        again = stage(handler)
        again.stack = played.stack[:length]
        again.steps = {step: played.steps[step] for step in again.stack}
        assert await again.play() == result
        assert sorted(again.stack) == sorted(played.stack)
        assert {s: bytes(again.steps[s]) for s in again.stack} == {
            s: bytes(played.steps[s]) for s in again.stack
        }


@by_name
async def test_a_call_repeated_says_the_same(handler: Callable[..., Any]) -> None:
    """But for the times at which steps ran."""
    played, _ = await ended(handler)
    for length in range(len(played.stack) + 1):
        again = stage(handler)
        again.stack = played.stack[:length]
        again.steps = {step: played.steps[step] for step in again.stack}
        answers = {without_times((await again.call()).body) for _ in range(3)}
        assert len(answers) == 1


def without_times(body: bytes) -> bytes:
    return re.sub(rb'"timing":\{[^}]*\}', b"", body)


@by_name
async def test_the_order_in_which_parallel_steps_end_is_irrelevant(
    handler: Callable[..., Any],
) -> None:
    _, result = await ended(handler)
    for seed in range(4):
        chance = random.Random(seed)
        assert await stage(handler).play(lambda ids: chance.sample(ids, len(ids))) == result  # noqa: B023


@by_name
async def test_a_handler_that_stays_alive_ends_the_same(handler: Callable[..., Any]) -> None:
    played, result = await ended(handler)
    alive = stage(handler)
    assert await alive.play_live() == result
    assert {s: bytes(m) for s, m in alive.steps.items()} == {
        s: bytes(m) for s, m in played.steps.items()
    }
    assert alive.result(await alive.call()) == result


@pytest.mark.parametrize(("handler", "twin"), TWINS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("blocking", [False, True], ids=["beside a loop", "blocking"])
async def test_both_colours_report_the_same(
    handler: Callable[..., Any], twin: Callable[..., Any], blocking: bool
) -> None:
    played, result = await ended(handler)
    other = stage(twin, blocking=blocking)
    assert await other.play() == result
    assert other.reports == played.reports
    assert other.ended() == played.ended()


@pytest.mark.parametrize("handler", [pair[0] for pair in TWINS], ids=lambda f: f.__name__)
async def test_coroutine_handlers_run_beside_blocking_code(handler: Callable[..., Any]) -> None:
    _, result = await ended(handler)
    assert await stage(handler, blocking=True).play() == result


async def test_the_order_of_release_is_that_of_the_stack() -> None:
    """Whatever the order of the memo map, and of the calls that found the steps."""

    import asyncio

    async def handler(ctx: Any) -> Any:
        log: list[int] = []

        async def branch(index: int) -> None:
            async def give() -> int:
                return index

            log.append(await ctx.step.run(f"s{index}", give))

        await asyncio.gather(*map(branch, range(4)))
        return log

    played = stage(handler)
    await played.play()
    for turn in itertools.permutations(played.stack):
        again = stage(handler)
        again.stack = list(turn)
        again.steps = {s: played.steps[s] for s in sorted(played.stack)}
        expected = [msgspec.json.decode(played.steps[s])["data"] for s in turn]
        assert again.result(await again.call()) == expected


async def test_steps_missing_from_the_stack_come_last() -> None:
    """Old servers send no stack at all; then the memo's own order counts."""
    from tests.replay.corpus import grouped

    played = stage(grouped)
    result = await played.play()
    again = stage(grouped)
    again.steps = dict(played.steps)
    assert again.result(await again.call()) == result
