"""Steps at the same time: `ctx.group`."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from stepwell.sdk.step.ask import GROUP, ParallelMode, given_branches, given_mode
from stepwell.sdk.step.port import CallPortSync

T = TypeVar("T")


class Group:
    """Parallel branches of a coroutine handler. `asyncio.gather` and task groups work as well."""

    async def parallel(
        self,
        callables: tuple[Callable[[], Awaitable[T]], ...],
        parallel_mode: ParallelMode = ParallelMode.WAIT,
    ) -> tuple[T, ...]:
        """Run branches side by side; their results in the order given.

        Each branch may do several steps. With RACE a branch goes on as soon as its own step has
        ended. The first exception is raised, and the other branches are cancelled.
        """
        branches = given_branches(callables)
        token = GROUP.set(given_mode(parallel_mode))
        try:
            tasks = [asyncio.create_task(_branch(branch)) for branch in branches]
        finally:
            GROUP.reset(token)
        try:
            return tuple(await asyncio.gather(*tasks))
        except BaseException:
            for task in tasks:
                task.cancel()
            raise


async def _branch(branch: Callable[[], Awaitable[T]]) -> T:
    return await branch()


class GroupSync:
    """Parallel branches of a plain handler."""

    def __init__(self, call: CallPortSync) -> None:
        self._call = call

    def parallel(
        self,
        callables: tuple[Callable[[], T], ...],
        parallel_mode: ParallelMode = ParallelMode.WAIT,
    ) -> tuple[T, ...]:
        """Run branches whose steps run side by side; their results in the order given.

        Each branch may do several steps. With RACE a branch goes on as soon as its own step has
        ended. The code of the branches itself runs one after another. The first exception in the
        order given is raised.
        """
        branches = given_branches(callables)
        token = GROUP.set(given_mode(parallel_mode))
        try:
            return self._call.parallel(branches)
        finally:
            GROUP.reset(token)
