"""What PostgreSQL finds out as it writes: the only place of the model that says which batches come
second."""

from stepwell.server.engine.row.run import Lease
from stepwell.server.engine.state.changes import Changes
from stepwell.server.store.disk import Disk, Hanging, refuse_known
from stepwell.server.store.port import Conflict
from stepwell.server.store.postgres.session import Seen


def refuse_others(disk: Disk, leases: Hanging[Lease], seen: Seen, changes: Changes) -> None:
    """What is another than the batch saw is a conflict."""
    refuse_known(disk, changes)
    gone = [run_id for run_id in changes.runs if run_id not in disk.runs]
    for slot in changes.items:
        was, now = seen.items.get(slot), disk.items.get(slot)
        if was is None or slot[0] in changes.ended:
            continue
        if now is None or (now.due_ms, now.attempt) != (was.due_ms, was.attempt):
            gone.append(slot[0])
    for slot, lease in changes.leases.items():
        had, has = seen.leases.get(slot), leases.get(slot)
        if slot[0] in changes.ended:
            continue
        must_be = None if had is None else had.id
        is_put = lease is not None and (had is None or lease.id != had.id)
        if (has is None or has.id != must_be) if had is not None else (is_put and has):
            gone.append(slot[0])
    keys = [key for key, row in changes.keys.items() if row and seen.keys.get(key) is False]
    holds = [key for key, row in changes.holds.items() if row and seen.holds.get(key) is False]
    gone += [key for key in keys if key in disk.keys]
    gone += [key for key in holds if key in disk.holds]
    if gone:
        raise Conflict(f"somebody else changed the rows of {gone} first")
