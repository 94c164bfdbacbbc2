"""What does not move, in the shape of the REST API's second version. Pure."""

from collections.abc import Iterable

import msgspec

from stepwell.server.query.held_back import HeldBack
from stepwell.server.query.lost_places import LostPlace
from stepwell.server.query.rest import Hindrance
from stepwell.server.query.v2.run import InstantV2, NamedV2, RunV2, app_ref, function_ref
from stepwell.server.query.waiting import Waiting


class WaitingV2(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Runs of one function whose work is due, and what keeps it from being done. `runs` counts
    them, at most up to 1,000; `oldestRunId` has been due for longest."""

    app: NamedV2
    function: NamedV2
    reason: Hindrance
    text: str
    since: InstantV2 | None
    runs: int
    oldest_run_id: str


class HeldV2(msgspec.Struct, frozen=True):
    """An open debounce or batch that does not start, with how many events, and why."""

    function: NamedV2
    events: int
    since: InstantV2
    text: str


class LostV2(msgspec.Struct, frozen=True, rename="camel"):
    """A place under a key of flow control whose run has ended."""

    key: str
    run_id: str
    since: InstantV2
    text: str


class DiagnosisV2(msgspec.Struct, frozen=True):
    """What will not move by itself. `stranded` runs nothing will ever move: there are none, or
    there is a fault. What is `waiting` is due, and waits for its app, or for its function, which is
    paused; what is `held` does not start. A `lost` place under a key belongs to a run that has
    ended: there are none, or there is a fault."""

    stranded: tuple[RunV2, ...]
    waiting: tuple[WaitingV2, ...]
    held: tuple[HeldV2, ...]
    lost: tuple[LostV2, ...]


def held_v2(found: Iterable[HeldBack]) -> tuple[HeldV2, ...]:
    """The same for what is held."""
    return tuple(
        HeldV2(function_ref(one.function), one.events, one.since, one.text) for one in found
    )


def lost_v2(found: Iterable[LostPlace]) -> tuple[LostV2, ...]:
    """The same for what is lost."""
    return tuple(LostV2(one.key, one.run_id, one.since, one.text) for one in found)


def waiting_v2(found: Iterable[Waiting]) -> tuple[WaitingV2, ...]:
    """The same in the shape of v2."""
    return tuple(
        WaitingV2(
            app=app_ref(one.app),
            function=function_ref(one.function),
            reason=one.reason,
            text=one.text,
            since=one.since,
            runs=one.runs,
            oldest_run_id=one.oldest.run_id,
        )
        for one in found
    )
