"""Which rows an input must see before it can be decided.

A `Need` is asked for before a decision, and may be asked for again by one (`decide` returns it
instead of a decision). Stores load needs in the order of the fields below: that is the one order
in which rows are locked.
"""

from collections.abc import Iterable

import msgspec

from stepwell.server.engine.row.flow import DropReason


class Due(msgspec.Struct, frozen=True):
    """Items due now in these queues (at most so many of each), and leases that ran out."""

    now_ms: int
    capacity: tuple[tuple[str, int], ...]
    limit: int


class Meeting(msgspec.Struct, frozen=True):
    """An event that may end waits: its name, and its body for the equalities that index them.

    Waits come in the order of `place_of`, those after `after` only, at most `limit`.
    """

    event_id: str
    name: str
    body: bytes
    after: str = ""
    limit: int = 1_000


class LookBack(msgspec.Struct, frozen=True):
    """Events of a name received since a time, oldest first, past the first `skip`, at most `limit`;
    and what a run's earlier waits were ended by."""

    name: str
    since_ms: int
    limit: int
    skip: int = 0
    run_id: str = ""


class Live(msgspec.Struct, frozen=True):
    """Runs of a function that have not ended, in the order of their ids, those after one."""

    function: str
    after: str
    limit: int


class Skipped(msgspec.Struct, frozen=True):
    """Events that started no run of a function, from a time until before another, for one of these
    reasons, oldest first, at most `limit`."""

    function: str
    since_ms: int
    until_ms: int
    reasons: tuple[DropReason, ...]
    limit: int


class Old(msgspec.Struct, frozen=True):
    """Runs that ended, events received, and functions removed that have no runs, before a time; at
    most `limit` of each. Runs that answer for a sender's event id must have been queued before
    `keyed_before_ms`, too; flow keys say nothing any more since `spent_before_ms`."""

    before_ms: int
    limit: int
    keyed_before_ms: int = 2**63 - 1
    spent_before_ms: int = 0


class Need(msgspec.Struct, frozen=True):
    """Rows to load. `runs` bring their items, leases and waits; `keys` what is remembered of a key
    and what counts under it, `holders` the runs with a place under it; `holds` bring open holds,
    `held` the events in them; `lanes`, the first so many items of each that are due by
    then, with their runs; `steps`
    say whether one is saved, and how much its run has saved; `bodies` bring events whole, `events`
    only whether they are known; `annotations`, what is said of a run. `waits` are names of events
    that somebody will begin to wait for: nothing is loaded for them, but whoever stores such an
    event meanwhile is told apart from who did before. `names` are those of events that are about to
    be stored: whether somebody waits for one, where the store does not know that without a look."""

    runs: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    holders: frozenset[str] = frozenset()
    holds: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    lanes: tuple[tuple[str, int, int], ...] = ()
    steps: frozenset[tuple[str, str]] = frozenset()
    events: frozenset[str] = frozenset()
    bodies: frozenset[str] = frozenset()
    dedups: frozenset[tuple[str, str]] = frozenset()
    meetings: tuple[Meeting, ...] = ()
    signals: frozenset[str] = frozenset()
    annotations: frozenset[str] = frozenset()
    waits: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    look_back: tuple[LookBack, ...] = ()
    live: Live | None = None
    skipped: Skipped | None = None
    due: Due | None = None
    old: Old | None = None


NOTHING = Need()


SMALL = 20
"""So many rows by their names are few."""


def is_small(need: Need) -> bool:
    """Whether it asks for a few rows that it names, and for nothing that may be many."""
    named = (need.runs, need.keys, need.steps, need.events, need.bodies, need.dedups, need.signals)
    more = (need.annotations, need.waits, need.names)
    searched = (need.lanes, need.meetings, need.look_back, need.live, need.skipped, need.due)
    if any(searched) or need.old or need.holders or need.holds or need.held:
        return False
    return sum(map(len, (*named, *more))) <= SMALL


def without_due(need: Need) -> Need:
    """The same, without what is to be found out anew each time, as what is due and what is old."""
    return msgspec.structs.replace(need, lanes=(), live=None, skipped=None, due=None, old=None)


def merged(needs: Iterable[Need]) -> Need:
    """Everything any of them asks for. At most one of them may ask for due or old rows."""
    wanted = [need for need in needs if need is not NOTHING]
    if len(wanted) < 2:
        return wanted[0] if wanted else NOTHING
    return Need(
        runs=frozenset[str]().union(*(need.runs for need in wanted)),
        keys=frozenset[str]().union(*(need.keys for need in wanted)),
        holders=frozenset[str]().union(*(need.holders for need in wanted)),
        holds=frozenset[str]().union(*(need.holds for need in wanted)),
        held=frozenset[str]().union(*(need.held for need in wanted)),
        lanes=tuple(lane for need in wanted for lane in need.lanes),
        steps=frozenset[tuple[str, str]]().union(*(need.steps for need in wanted)),
        events=frozenset[str]().union(*(need.events for need in wanted)),
        bodies=frozenset[str]().union(*(need.bodies for need in wanted)),
        dedups=frozenset[tuple[str, str]]().union(*(need.dedups for need in wanted)),
        meetings=tuple(meeting for need in wanted for meeting in need.meetings),
        signals=frozenset[str]().union(*(need.signals for need in wanted)),
        annotations=frozenset[str]().union(*(need.annotations for need in wanted)),
        waits=frozenset[str]().union(*(need.waits for need in wanted)),
        names=frozenset[str]().union(*(need.names for need in wanted)),
        look_back=tuple(look for need in wanted for look in need.look_back),
        live=next((need.live for need in wanted if need.live), None),
        skipped=next((need.skipped for need in wanted if need.skipped), None),
        due=next((need.due for need in wanted if need.due), None),
        old=next((need.old for need in wanted if need.old), None),
    )
