"""Steps that belong together: `ctx.group`. At the same time, or one way out of several."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from stepwell.sdk.step import experiment
from stepwell.sdk.step.ask import GROUP, ParallelMode, given_branches, given_mode
from stepwell.sdk.step.experiment import Experiment, Selection
from stepwell.sdk.step.port import CallPort, CallPortSync
from stepwell.sdk.value.codec import UNSPECIFIED

T = TypeVar("T")


class Group:
    """Branches of a coroutine handler. Side by side, plain asyncio runs them as well."""

    def __init__(self, call: CallPort) -> None:
        self._call = call

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

    async def experiment(
        self,
        step_id: str,
        *,
        variants: Mapping[str, Callable[[], Awaitable[T]]],
        select: Selection,
        name: str | None = None,
    ) -> Experiment[T]:
        """Choose one of several variants, once in a run, and go that way; which, and what it gave.

        The choice is a step with this id, remembered as any other; `name` is shown to people. Give
        `select` by `experiment.fixed`, `weighted`, `bucket` or `custom`. Variants are functions
        without arguments: what they do belongs into steps, for code outside of steps runs in every
        call. What a variant raises is raised here. Raises ConfigurationError for wrong arguments,
        NonRetriableError if a variant was chosen that there is not.
        """
        asked, choose = experiment.asked(step_id, variants, select, name, self._call.run_id)
        found = await self._call.run_step(asked, choose, (), UNSPECIFIED)
        variant, work = experiment.chosen(step_id, found, variants)
        return experiment.gave(step_id, variant, await work())


async def _branch(branch: Callable[[], Awaitable[T]]) -> T:
    return await branch()


class GroupSync:
    """Branches of a plain handler."""

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

    def experiment(
        self,
        step_id: str,
        *,
        variants: Mapping[str, Callable[[], T]],
        select: Selection,
        name: str | None = None,
    ) -> Experiment[T]:
        """Choose one of several variants, once in a run, and go that way; which, and what it gave.

        The choice is a step with this id, remembered as any other; `name` is shown to people. Give
        `select` by `experiment.fixed`, `weighted`, `bucket` or `custom`. Variants are functions
        without arguments: what they do belongs into steps, for code outside of steps runs in every
        call. What a variant raises is raised here. Raises ConfigurationError for wrong arguments,
        NonRetriableError if a variant was chosen that there is not.
        """
        asked, choose = experiment.asked(step_id, variants, select, name, self._call.run_id)
        found = self._call.run_step(asked, choose, (), UNSPECIFIED)
        variant, work = experiment.chosen(step_id, found, variants)
        return experiment.gave(step_id, variant, work())
