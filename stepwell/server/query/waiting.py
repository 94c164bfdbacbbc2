"""What is due and not done, function by function, and why. Pure."""

from collections.abc import Callable, Iterable

import msgspec

from stepwell.server.engine.row.run import Run
from stepwell.server.query.rest import Hindrance, Rest
from stepwell.server.query.run_object import RunObject, run_object
from stepwell.wire.duration import format_instant

NEXT_LOOK_MS = 60_000
"""What nobody serves is put off again and again, by less than this."""
RUNS_MAX = 1_000
"""So many runs of an app are looked at."""


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """Runs of one function whose work is due, and what keeps it from being done. `oldest` is the
    one that has been due for longest; `runs` counts them, at most up to `RUNS_MAX`."""

    app: str
    function: str
    reason: Hindrance
    text: str
    since: str | None
    runs: int
    oldest: RunObject


def waiting(due: Iterable[Run], why: Callable[[Run], Rest | None]) -> list[Waiting]:
    """Group runs with due work, the oldest first, by what hinders them, as `why` says. An app that
    is merely busy does not."""
    groups: dict[str, list[Run]] = {}
    for run in due:
        groups.setdefault(run.function, []).append(run)
    found: list[Waiting] = []
    for function, runs in groups.items():
        told = why(runs[0])
        if told is None or told.reason is Hindrance.BUSY:
            continue
        group = Waiting(
            app=runs[0].app,
            function=function,
            reason=told.reason,
            text=told.text,
            since=format_instant(told.since_ms) if told.since_ms else None,
            runs=len(runs),
            oldest=run_object(runs[0]),
        )
        found.append(group)
    return found
