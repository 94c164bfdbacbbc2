"""A cancellation of many runs, as a row: which runs it is about, and when it was carried out."""

import msgspec


class Cancellation(msgspec.Struct, frozen=True, gc=False):
    """Runs of one function that were queued from `after_ms` on and before `before_ms`, and whose
    first event satisfies `condition` (empty: all of them), are to end. `ended_ms` is 0 until that
    was done; the time before which they began has passed, so no more of them will come."""

    id: str
    app: str
    function: str
    after_ms: int
    before_ms: int
    condition: str
    asked_ms: int
    ended_ms: int = 0
