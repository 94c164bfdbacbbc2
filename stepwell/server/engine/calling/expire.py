"""A lease whose holder is gone: its item is free again.

A lost holder does not use up an attempt, because the function did not fail; but a call that is
lost again and again (it may be what kills its workers) counts as failed after a while.
"""

import msgspec

from stepwell.server.engine.calling.advance import call_failed
from stepwell.server.engine.draft import Draft
from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.input import Broke, Done, LeaseExtended, LeaseLost, Verdict
from stepwell.server.engine.name.lane import is_lane, lane_of
from stepwell.server.engine.name.lease_id import is_about
from stepwell.server.engine.places.room import blocked
from stepwell.server.engine.row.run import Lease
from stepwell.wire.failure import Failure, encode_failure

LOST = Failure(name="WorkerLost", message="The worker that ran this call stopped responding.")


def lose(draft: Draft, lease: Lease, *, begun: bool = True) -> None:
    """Free the item of a lease that ran out or was given back."""
    item = draft.item(lease.run_id, lease.key)
    run = draft.run(lease.run_id)
    if item is None or run is None or run.ended:
        draft.done(lease.run_id, lease.key)
        return
    if begun and item.losses + 1 >= draft.rules.losses_max:
        call_failed(draft, run, item, Broke(LOST, encode_failure(LOST)))
        return
    freed = msgspec.structs.replace(
        item, due_ms=draft.now.ms, losses=item.losses + (1 if begun else 0)
    )
    draft.move(freed)


def lose_named(draft: Draft, given: LeaseLost) -> Done:
    """Somebody saw the holder of a lease go."""
    draft.run(given.run_id)
    lease = draft.view.lease(given.run_id, given.key)
    if lease is None or lease.id != given.lease_id:
        return Done(Verdict.FENCED, given.run_id)
    lose(draft, lease, begun=given.begun)
    return Done(Verdict.APPLIED, given.run_id)


def extend(draft: Draft, given: LeaseExtended) -> Done:
    """The holder is still at work: the lease runs from now again.

    A holder that outlived its lease, or the server that gave it, gets it back as long as nobody
    has begun the item anew.
    """
    run = draft.run(given.run_id)
    lease = draft.view.lease(given.run_id, given.key)
    if run is None or run.ended:
        return Done(Verdict.GONE, given.run_id)
    until = draft.now.ms + given.lease_ms
    if lease is None:
        return _take_back(draft, given, until)
    if lease.id != given.lease_id:
        return Done(Verdict.FENCED, given.run_id)
    draft.add(fact.ItemLeased(msgspec.structs.replace(lease, until_ms=until)))
    return Done(Verdict.APPLIED, given.run_id)


def _take_back(draft: Draft, given: LeaseExtended, until_ms: int) -> Done:
    item = draft.view.item(given.run_id, given.key)
    if item is None or not is_about(given.lease_id, item):
        return Done(Verdict.FENCED, given.run_id)
    lane = lane_of(item.queue) if is_lane(item.queue) else None
    if lane is not None and blocked(draft, lane) is not None:
        # Somebody else has its slot by now.
        return Done(Verdict.FENCED, given.run_id)
    lease = Lease(
        id=given.lease_id,
        run_id=given.run_id,
        key=given.key,
        granted_ms=draft.now.ms,
        until_ms=until_ms,
        generation=item.losses + 1,
        keys=() if lane is None else lane.keys,
        loads=() if lane is None else lane.loads,
    )
    draft.add(fact.ItemLeased(lease))
    return Done(Verdict.APPLIED, given.run_id)
