"""Where a process may die in the middle of a test, and calls that come twice: named and counted.

A test is gone through once, and its points are written down; then once for each, which strikes.
"""

from collections.abc import Iterable

from stepwell.server.engine.message.input import Job, Outcome, Progressed, Returned
from stepwell.wire.operation import Logs, Operation, RunComplete, label


class Points:
    """The points that one pass of a test came by, and the one that strikes in it, if any."""

    def __init__(self, strikes: int | None = None) -> None:
        self.met: list[str] = []
        self._strikes = strikes

    @property
    def has_struck(self) -> bool:
        """Did the pass come to the point that strikes?"""
        return self._strikes is not None and len(self.met) > self._strikes

    def strikes(self, point: str) -> bool:
        """The pass comes to a point: is it this one?"""
        self.met.append(point)
        return len(self.met) - 1 == self._strikes


def begins(job: Job) -> str:
    """A call has been handed out, and has not begun."""
    return f"a crash before {_call(job)}"


def twice(job: Job) -> str:
    """A call is made a second time, as if its answer had been lost."""
    return f"{_call(job)} made twice"


def unsaved(job: Job, operations: Iterable[Operation]) -> str:
    """Steps have run, and nobody knows yet."""
    return f"a crash before {_steps(operations)} was stored (run of {job.run.function})"


def saved(job: Job, operations: Iterable[Operation]) -> str:
    """The results of steps are stored, and the handler has not gone on."""
    return f"a crash after {_steps(operations)} was stored (run of {job.run.function})"


def unanswered(job: Job, outcome: Outcome) -> str:
    """A call has ended, and nobody knows yet how."""
    if isinstance(outcome, Progressed):
        if any(isinstance(one, RunComplete) for one in outcome.operations):
            what = "its result"
        else:
            what = _steps(outcome.operations) if outcome.operations else "its answer"
    else:
        what = "its result" if isinstance(outcome, Returned) else "its error"
    return f"a crash before {what} was stored (run of {job.run.function})"


def _call(job: Job) -> str:
    return f"call {job.item.attempt + 1} of {job.run.function}"


def _steps(operations: Iterable[Operation]) -> str:
    names = ", ".join(f'"{one.userland.id or label(one)}"' for one in _told(operations))
    return f"step {names}"


def _told(operations: Iterable[Operation]) -> list[Operation]:
    """All but the lines that accompany them."""
    return [one for one in operations if not isinstance(one, Logs)]
