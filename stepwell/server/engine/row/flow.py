"""The rows of flow control, as frozen values: what is remembered of a key, what is held back, which
run has a place under a limit, and which event started no run.

A place under a limit is always a row, never a number: a lease (calls), a `Slot` (whole runs) or a
`Hold` (starts that were put off). Times are Unix milliseconds.
"""

from enum import IntEnum, StrEnum

import msgspec


class KeyKind(IntEnum):
    """What is remembered of a key."""

    THROTTLE = 1  # when the next start may come, in microseconds
    RATE = 2  # the same, for starts that are dropped
    WINDOW = 3  # when starts were admitted lately
    SEEN = 4  # a sender's event id that is in a hold, or was
    COOL = 5  # nothing of a function is called before a time
    PAUSE = 6  # the function is paused
    LIMIT = 7  # a named limit and its numbers
    USE = 8  # when the next of a named limit's key is free; or only that a key cools


class HoldKind(IntEnum):
    """Why a start was put off."""

    DEBOUNCE = 1
    BATCH = 2


class DropReason(StrEnum):
    """Why an event started no run of a function."""

    RATE_LIMIT = "RateLimit"
    IDEMPOTENCY = "Idempotency"
    DEBOUNCE = "Debounce"  # a newer event took its place
    DEBOUNCE_OLD = "DebounceOld"  # what is held already is newer by its time
    SINGLETON = "Singleton"
    PAUSED = "FunctionPaused"
    BACKLOG = "FunctionBacklogSizeLimitHit"
    TOO_COSTLY = "ConditionTooCostly"  # judging it would take too much work


class FlowKey(msgspec.Struct, frozen=True, gc=False):
    """What is remembered of one key. From `until_ms` on it says nothing any more.

    `value` and `data` are the kind's own.
    """

    id: str
    kind: KeyKind
    until_ms: int
    value: int = 0
    data: bytes = b""

    @property
    def cool_ms(self) -> int:
        """Until when no call under the key may begin, because one of them asked for it."""
        return int(self.data or b"0") if self.kind in _MAY_COOL else 0


_MAY_COOL = frozenset({KeyKind.THROTTLE, KeyKind.USE})


class Slot(msgspec.Struct, frozen=True, gc=False):
    """A run that has not ended has a place under a key, from then on until its end. `place` says
    who came first."""

    key: str
    run_id: str
    taken_ms: int
    place: int = 0


class Hold(msgspec.Struct, frozen=True, gc=False):
    """A start that was put off: an open debounce or batch. Its item fires it.

    `event_id` is the first event of a batch, the latest of a debounce; `ts` the latest's own time;
    `size` the bytes of all events in it. `parent` is the step that waits for the latest one's run.
    """

    key: str
    function: str
    kind: HoldKind
    opened_ms: int
    due_ms: int
    event_id: str
    ts: int
    count: int = 1
    size: int = 0
    parent: str = ""


class Held(msgspec.Struct, frozen=True, gc=False):
    """One of several events in a hold. `place` says in which order they came; `parent` is the step
    that waits for its run, or empty."""

    hold: str
    place: int
    event_id: str
    ts: int
    parent: str = ""


class Dropped(msgspec.Struct, frozen=True, gc=False):
    """An event that started no run of a function, and why.

    `key` is the limit it met, `until_ms` when it would have been admitted (0: unknown), `run_id`
    the run that was in its way, or empty.
    """

    event_id: str
    function: str
    reason: DropReason
    at_ms: int
    key: str = ""
    until_ms: int = 0
    run_id: str = ""
