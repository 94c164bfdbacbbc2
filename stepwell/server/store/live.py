"""How many runs of each function have not begun, and how many go on: counted as they change, so
that nobody has to look for them. Pure."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from stepwell.server.engine.row.run import Run, RunStatus
from stepwell.server.engine.state.changes import Changes

Standing: TypeAlias = tuple[str, RunStatus]
"""A function, and how a run of it stands."""


class Live:
    """The counts of one store. There is no entry for none."""

    def __init__(self, found: Iterable[tuple[str, int, int]] = ()) -> None:
        """What is there: function, status and count."""
        self._counts: dict[Standing, int] = {
            (function, RunStatus(status)): count for function, status, count in found
        }

    def counted(self) -> Mapping[Standing, int]:
        """The counts as they are. Safe from any thread."""
        return dict(self._counts)

    def began(self, changes: Changes) -> None:
        """Runs that a batch started, as it left them."""
        for run in changes.started.values():
            self._add(run, 1)

    def changed(self, before: Run, after: Run) -> None:
        """A run goes on, or ended."""
        if before.status is not after.status:
            self._add(before, -1)
            self._add(after, 1)

    def _add(self, run: Run, by: int) -> None:
        if run.ended:
            return
        key = run.function, run.status
        left = self._counts.get(key, 0) + by
        if left > 0:
            self._counts[key] = left
        else:
            self._counts.pop(key, None)
