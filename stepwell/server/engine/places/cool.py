"""A call asks for a pause of everything that shares its keys: a service said "not before then".

Nothing under such a key begins before that time, whoever else asked for less. A call that stands
under no key of its own lets its function rest as a whole.
"""

import msgspec

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.name.lane import is_lane, lane_of
from stepwell.server.engine.places.room import cool_key
from stepwell.server.engine.retry import bounded_ms
from stepwell.server.engine.row.flow import FlowKey, KeyKind
from stepwell.server.engine.row.run import Item, Run
from stepwell.wire.failure import SCOPE_KEY, Failure

_THROTTLE = "throttle:"


def cool(draft: Draft, run: Run, item: Item, failure: Failure, asked_ms: int | None) -> None:
    """Let the keys of a call rest, if its failure asks for it and says until when."""
    if failure.retry_scope != SCOPE_KEY or asked_ms is None:
        return
    until_ms = draft.now.ms + bounded_ms(asked_ms)
    keys = lane_of(item.queue).cooling if is_lane(item.queue) else ()
    for key in keys:
        _rest(draft, key, until_ms)
    if not keys and draft.view.catalog.cooled.get(run.function, 0) < until_ms:
        draft.flow.put(FlowKey(cool_key(run.function), KeyKind.COOL, until_ms, until_ms))


def _rest(draft: Draft, key: str, until_ms: int) -> None:
    kind = KeyKind.THROTTLE if key.startswith(_THROTTLE) else KeyKind.USE
    row = draft.flow.row(key) or FlowKey(key, kind, 0)
    if row.cool_ms < until_ms:
        cooled = msgspec.structs.replace(
            row, until_ms=max(row.until_ms, until_ms), data=str(until_ms).encode()
        )
        draft.flow.put(cooled)
