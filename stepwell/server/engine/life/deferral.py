"""What a run has deferred, as its rows tell it. `op.defer` writes them; what they hold is sent when
the run has ended."""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from stepwell.server.engine.row.run import Wait, WaitKind

ABORTED = ":abort"
"""What follows the id of a deferral that was taken back; its function is kept as `path`."""
META = "meta:"
"""What the condition of a deferral begins with that brought sessions of its own."""


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


def deferred(waits: Iterable[Wait]) -> list[Wait]:
    """Those of a run's waits that are deferrals, and will be started."""
    return [wait for wait in waits if wait.kind is WaitKind.DEFER and wait.name]


def abortable(waits: Iterable[Wait]) -> tuple[tuple[str, bool], ...]:
    """What calls are told of a run's deferrals: id, and whether it can still be taken back."""
    return tuple(
        [
            (wait.step_id.removesuffix(ABORTED), bool(wait.name))
            for wait in waits
            if wait.kind is WaitKind.DEFER
        ]
    )


def told(wait: Wait) -> tuple[msgspec.Raw, msgspec.Raw | None]:
    """The input of a deferral, and its own `meta` if it brought one: without sessions, an empty
    one."""
    meta, found, given = wait.condition.partition("\n")
    if not found or not meta.startswith(META):
        return msgspec.Raw(wait.condition.encode()), None
    return msgspec.Raw(given.encode()), msgspec.Raw(meta.removeprefix(META).encode())
