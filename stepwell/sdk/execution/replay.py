"""What becomes of a step the handler has met. Pure: it knows no loop, no thread and no user code.

A shell (`_async.py`, `_sync.py`) tells it which steps were met and, when the handler can go no
further, asks what to do. The answer is one of

    Replayed   the step is known: give its result to the handler
    Raise      the step is known to have failed: raise in the handler
    Run        run the step's handler now
    Report     end the call: tell the server about new steps
    Missing    end the call: the step the server asked for was not met

Law: results are given back one at a time, in the order in which the steps ended, so that a race
has the same winner in every call.
"""

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from stepwell.sdk.step.asked import Ask, Met
from stepwell.sdk.step.identity import Names, StepName
from stepwell.sdk.step.memo import Known, KnownFailure, Memos, Override
from stepwell.wire.execution import TARGET_DISCOVERY
from stepwell.wire.failure import Failure
from stepwell.wire.operation import PARALLEL_RACE, Operation, StepPlanned, Userland


class Replayed(msgspec.Struct, frozen=True, gc=False):
    """The step is known; `data` is its result as JSON."""

    met: Met
    data: msgspec.Raw


class Raise(msgspec.Struct, frozen=True, gc=False):
    """The step is known to have failed."""

    met: Met
    failure: Failure


class Run(msgspec.Struct, frozen=True, gc=False):
    """Run the step's handler now; `input`, if given, replaces its arguments: a JSON array."""

    met: Met
    input: msgspec.Raw | None = None


class Report(msgspec.Struct, frozen=True, gc=False):
    """End the call with these operations."""

    operations: tuple[Operation, ...]


class Missing(msgspec.Struct, frozen=True, gc=False):
    """End the call: the handler went as far as it could and did not meet the step asked for."""

    wanted: str
    found: tuple[str, ...]


Verdict: TypeAlias = Replayed | Raise | Run | Report | Missing


def plan(met: Met) -> StepPlanned:
    """The operation that asks for a call of its own for a step."""
    return StepPlanned(
        id=met.name.hashed,
        name=met.title,
        display_name=met.title,
        userland=Userland(met.name.id, met.name.index),
        parallel_mode=met.ask.mode,
        type=met.ask.kind,
        limits=met.ask.limits,
    )


class Replay:
    """One call of one function: which steps were met, and what the server wants of it.

    `target` is the hashed id of the one step to run, or `step`; `immediate` allows a step that is
    alone to be run as soon as it is met.
    """

    def __init__(
        self, memos: Memos, *, target: str = TARGET_DISCOVERY, immediate: bool = True
    ) -> None:
        self.memos = memos
        self.target = None if target == TARGET_DISCOVERY else target
        self.immediate = immediate
        self.racing = False
        """The handler goes on as soon as any of the steps it waits for has ended."""
        self._names = Names()

    def meet(self, ask: Ask) -> Met:
        """Name the step that is met now, and look up what is known of it."""
        name = self._names.next(ask.id)
        return Met(ask, name, self.memos.meet(name.hashed))

    def name(self, step_id: str) -> StepName:
        """The name of what is met now and is no step: no step has the same."""
        return self._names.next(step_id)

    def settle(self, waiting: Sequence[Met]) -> Verdict:
        """What to do now that the handler can go no further than these steps: at least one.

        The verdict concerns a single step (by its name `verdict.met.name`), or ends the call.
        """
        if len(waiting) == 1:
            return self._settle_alone(waiting[0])
        if self.target is not None:
            for met in waiting:
                if met.name.hashed == self.target and not is_known(met):
                    return self._run_target(met)
        known = [met for met in waiting if met.memo is not None and type(met.memo) is not Override]
        if known:
            ranks = self.memos.ranks
            return release(min(known, key=lambda met: ranks[met.name.hashed]))
        if self.target is not None:
            return self.missing(waiting)
        if self.is_race(waiting):
            waiting = tuple(map(_raced, waiting))
        return Report(tuple(map(self._operation, waiting)))

    def together(self, waiting: Sequence[Met]) -> tuple[Run, ...]:
        """All of these steps at once, here, if each is new, runs here, and need not be planned.

        Only where each can be saved when it ends; otherwise the server calls for each.
        """
        if self.target is not None or not self.immediate:
            return ()
        for met in waiting:
            ask = met.ask
            if is_known(met) or ask.report is not None or ask.is_planned or ask.mode:
                return ()
        return tuple(map(run, waiting))

    def _settle_alone(self, met: Met) -> Verdict:
        if is_known(met):
            return release(met)
        if self.target is not None:
            return self._run_target(met) if met.name.hashed == self.target else self.missing((met,))
        if met.ask.report is None and self.immediate and not met.ask.is_planned:
            return run(met)
        return Report((self._operation(met),))

    def _run_target(self, met: Met) -> Verdict:
        """The step asked for comes before known ones: they may end the function."""
        return run(met) if met.ask.report is None else Report((met.ask.report(met),))

    def missing(self, waiting: Sequence[Met] = ()) -> Missing:
        """The step asked for was not met; at the end, the handler waits for these, if any."""
        assert self.target is not None
        return Missing(self.target, tuple(met.title for met in waiting))

    def is_race(self, waiting: Sequence[Met]) -> bool:
        """Do these steps race, because nobody said how and waiting for all would be wrong?

        A server that waits for all calls again when the last of them has ended. Beside a sleep of
        a week that holds up every other branch for a week; and where one branch sends what another
        waits for, for ever. Steps that are all handlers are waited for together, which takes the
        fewest calls, unless the handler goes on with the first of them.
        """
        if any(met.ask.grouped or met.ask.mode for met in waiting):
            return False
        return self.racing or len({met.ask.report is None for met in waiting}) > 1

    def _operation(self, met: Met) -> Operation:
        return plan(met) if met.ask.report is None else met.ask.report(met)


def _raced(met: Met) -> Met:
    ask = msgspec.structs.replace(met.ask, mode=PARALLEL_RACE)
    return msgspec.structs.replace(met, ask=ask)


def is_known(met: Met) -> bool:
    """Has the step ended in an earlier call?"""
    return met.memo is not None and not isinstance(met.memo, Override)


def release(met: Met) -> Replayed | Raise:
    """Give a known step's result to the handler."""
    memo = met.memo
    if isinstance(memo, Known):
        return Replayed(met, memo.data)
    assert isinstance(memo, KnownFailure)
    return Raise(met, memo.failure)


def run(met: Met) -> Run:
    """Run a step's handler, with the arguments the server wants if it named some."""
    return Run(met, met.memo.input if isinstance(met.memo, Override) else None)
