"""What the ledger did, counted where it happens: the only place that counts it. Plain numbers, read
by whoever shows them (`api/metrics.py`); nothing here is stored, and all of it begins anew with the
process."""

from bisect import bisect_left
from collections.abc import Callable

from stepwell.server.engine.row.run import Run, RunStatus, Step
from stepwell.server.engine.state.changes import Changes

STEP_BOUNDS_S = (0.01, 0.1, 1.0, 10.0, 60.0, 600.0)
RAN = frozenset({"Step", "StepRun", "StepError", "StepFailed"})
"""Steps that are code, as their saved form says; the others wait for something."""

FindRun = Callable[[str], Run | None]


class Spread:
    """How often something was how long: counts between the bounds, and the sum of all."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """`bounds` are included in what lies below them; one count more is for what is beyond."""
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def merge(self, other: "Spread") -> None:
        """Count all that another one of the same bounds has."""
        self.counts = [one + more for one, more in zip(self.counts, other.counts, strict=True)]
        self.total += other.total


BATCH_BOUNDS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)


class Meters:
    """Counts of one ledger, by the id of the function where there is one."""

    def __init__(self) -> None:
        self.events = 0
        self.started: dict[str, int] = {}
        self.ended: dict[tuple[str, RunStatus], int] = {}
        self.retried: dict[str, int] = {}
        self.steps: dict[str, Spread] = {}
        self.batches = Spread(BATCH_BOUNDS)

    def committed(self, inputs: int, changes: Changes, find: FindRun) -> None:
        """A batch of so many inputs is stored. `find` gives the runs it was about."""
        self.batches.add(inputs)
        self.events += len(changes.events)
        for run in changes.started.values():
            self.started[run.function] = self.started.get(run.function, 0) + 1
        for run_id in changes.ended:
            ended = changes.runs.get(run_id) or changes.started.get(run_id)
            if ended is not None:
                key = ended.function, ended.status
                self.ended[key] = self.ended.get(key, 0) + 1
        for step in changes.steps:
            if step.op in RAN:
                self._ran(step, find(step.run_id))
        for note in changes.notes:
            retried = find(note.run_id) if note.kind == "retry" else None
            if retried is not None:
                self.retried[retried.function] = self.retried.get(retried.function, 0) + 1

    def _ran(self, step: Step, run: Run | None) -> None:
        if run is None:
            return
        spread = self.steps.get(run.function)
        if spread is None:
            spread = self.steps[run.function] = Spread(STEP_BOUNDS_S)
        spread.add(max(step.ended_ms - step.began_ms, 0) / 1000)
