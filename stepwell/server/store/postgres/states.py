"""What calls of runs are told: the only place that asks for it, on whatever connection."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from stepwell.server.engine.row.run import Run
from stepwell.server.engine.state.changes import Changes
from stepwell.server.store.port import CallState

RUNS_MAX = 16
BYTES_MAX = 4 * 1024 * 1024
"""Of so many runs that may have steps, and so many bytes of steps and as many of events, the state
is read with the commit that grants their calls, which must stay short. The rest is read after."""

Ask: TypeAlias = Callable[..., Iterable[tuple[Any, ...]]]
"""Asks a statement of ours, by its name and with what it is given."""


class StatesAsked:
    """What is asked for some runs together. To look at the answer sends the piece it is part of."""

    def __init__(self, ask: Ask, runs: Sequence[Run], bytes_max: int | None = None) -> None:
        """With `bytes_max` nothing is told of runs that are beyond so many bytes of all."""
        self._runs = runs
        event_ids = {event_id for run in runs for event_id in run.event_ids}
        self._events: Iterable[tuple[Any, ...]] = ()
        self._memos: Iterable[tuple[Any, ...]] = ()
        run_ids = [run.id for run in runs]
        if runs and bytes_max is None:
            self._events = ask("bodies", list(event_ids))
            self._memos = ask("memos", run_ids)
        elif runs:
            self._events = ask("bodies_within", bytes_max, list(event_ids))
            self._memos = ask("memos_within", bytes_max, run_ids)

    def states(self) -> dict[str, CallState]:
        """By run, of those whose state is within the bound."""
        bodies: dict[str, bytes | None] = dict(self._events)
        saved: defaultdict[str, list[tuple[str, bytes]]] = defaultdict(list)
        beyond = set[str]()
        for run_id, step_id, memo in self._memos:
            saved[run_id].append((step_id, memo))
            if memo is None:
                beyond.add(run_id)
        told: dict[str, CallState] = {}
        for run in self._runs:
            events = tuple(bodies[event_id] for event_id in run.event_ids if event_id in bodies)
            known = tuple(body for body in events if body is not None)
            if run.id not in beyond and len(known) == len(events):
                told[run.id] = CallState(known, tuple(saved[run.id]))
        return told


class StatesGranted:
    """What the calls are told whose leases a batch grants. It is asked for in the piece that writes
    them, but for what the batch itself knows: runs that it starts, with events that it stores."""

    def __init__(self, ask: Ask, changes: Changes, leases: Mapping[str, Run]) -> None:
        """`leases` are the runs of leases, by the ids of these."""
        bodies = {event.id: event.body for event in changes.events}
        begun = {step.run_id for step in changes.steps}
        self._known: dict[str, CallState] = {}
        self._asked: dict[str, Run] = {}
        with_steps = 0
        for lease_id, run in leases.items():
            is_new = run.id in changes.started and run.id not in begun
            if is_new and all(event_id in bodies for event_id in run.event_ids):
                self._known[lease_id] = CallState(_known(bodies, run), ())
            elif not _may_have_steps(run):
                self._asked[lease_id] = run
            elif with_steps < RUNS_MAX:
                with_steps += 1
                self._asked[lease_id] = run
        self._answer = StatesAsked(ask, list(self._asked.values()), BYTES_MAX)

    def states(self) -> dict[str, CallState]:
        """By lease. To be asked for after the commit."""
        found = self._answer.states()
        asked = self._asked.items()
        return self._known | {id_: found[run.id] for id_, run in asked if run.id in found}


def _may_have_steps(run: Run) -> bool:
    """Whether there may be steps to look for: of calls before, or of the run that it repeats."""
    return bool(run.started_ms or run.original)


def _known(bodies: Mapping[str, bytes], run: Run) -> tuple[bytes, ...]:
    return tuple(bodies[event_id] for event_id in run.event_ids if event_id in bodies)
