"""What a run that goes on has deferred, as its rows tell it. `op.defer` writes them."""

from collections.abc import Iterable
from typing import NamedTuple

from stepwell.server.engine.row import Wait, WaitKind

ABORTED = ":abort"
"""What follows the id of a deferral that was taken back; its function is kept as `path`."""


class Left(NamedTuple):
    """A deferral of a run that goes on: its id and name in the code, and whom it is to start."""

    id: str
    name: str
    function: str
    is_taken_back: bool


def left(waits: Iterable[Wait]) -> list[Left]:
    """Those of a run's waits that are deferrals, also those that were taken back."""
    return [
        Left(wait.step_id.removesuffix(ABORTED), wait.label, wait.name or wait.path, not wait.name)
        for wait in waits
        if wait.kind is WaitKind.DEFER
    ]
