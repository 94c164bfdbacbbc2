"""The loop jumps to its next timer, keeps the order of time, and says when nothing is left."""

import asyncio
import time
from random import Random

import pytest

from stepwell.testing.virtual_time import (
    EPOCH_MS,
    NothingLeft,
    VirtualClock,
    VirtualLoop,
    run_virtually,
)

YEAR_S = 365 * 86_400


def test_a_year_passes_at_once() -> None:
    async def main(loop: VirtualLoop) -> int:
        clock = VirtualClock(loop)
        assert clock.now_ms() == EPOCH_MS
        await asyncio.sleep(YEAR_S)
        return clock.now_ms()

    began = time.monotonic()
    assert run_virtually(main) == EPOCH_MS + YEAR_S * 1000
    assert time.monotonic() - began < 5


def test_timers_fire_in_the_order_of_their_time() -> None:
    async def main(loop: VirtualLoop) -> list[tuple[int, int]]:
        clock, met = VirtualClock(loop, 0), list[tuple[int, int]]()

        async def nap(number: int, seconds: float) -> None:
            await asyncio.sleep(seconds)
            met.append((number, clock.now_ms()))

        await asyncio.gather(nap(1, 3), nap(2, 0.001), nap(3, 86_400.5), nap(4, 3))
        return met

    assert run_virtually(main) == [(2, 1), (1, 3000), (4, 3000), (3, 86_400_500)]


def order_of_twenty(seed: int) -> list[int]:
    async def main(loop: VirtualLoop) -> list[int]:
        met: list[int] = []
        for number in range(20):
            loop.call_later(1, met.append, number)
        await asyncio.sleep(2)
        return met

    return run_virtually(main, Random(seed))


def test_the_seed_draws_the_order_of_one_instant() -> None:
    assert order_of_twenty(7) == order_of_twenty(7)
    assert order_of_twenty(7) != order_of_twenty(8)
    assert sorted(order_of_twenty(7)) == list(range(20))


def test_waiting_for_what_never_comes_is_an_error() -> None:
    async def main(loop: VirtualLoop) -> None:
        await loop.create_future()

    with pytest.raises(NothingLeft):
        run_virtually(main)


def test_an_executor_takes_virtual_time_and_tells_what_was_raised() -> None:
    async def main(loop: VirtualLoop) -> tuple[float, str]:
        loop.executor_delay_s = lambda: 2.5
        assert await loop.run_in_executor(None, lambda: 41 + 1) == 42
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(None, lambda: 1 // 0)
        abandoned = loop.run_in_executor(None, lambda: 1)
        abandoned.cancel()
        await asyncio.sleep(3)
        return loop.time(), "abandoned" if abandoned.cancelled() else "done"

    assert run_virtually(main) == (pytest.approx(8.0), "abandoned")


def test_the_clock_can_be_set_wrong() -> None:
    async def main(loop: VirtualLoop) -> int:
        clock = VirtualClock(loop, 1_000)
        clock.skew_ms = -400
        return clock.now_ms()

    assert run_virtually(main) == 600
