"""When is a function called again from the top?

One discovery item per run: whoever finds a reason while one is waiting has nothing to do; whoever
finds one while a discovery is under way leaves word to discover once more.
"""

import msgspec

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.name.lease_id import since
from stepwell.server.engine.row.run import MAIN, Item, ItemKind, Run

VERSION_COALESCING = 2
"""From this version of the call protocol on, parallel steps share one discovery."""


def discover(draft: Draft, run: Run, *, own: bool = False, due_ms: int | None = None) -> Run:
    """Have the function called again. `own` says that the discovery under way just ended.

    Returns the run as it should be stored; the caller records it if it differs.
    """
    due = draft.now.ms if due_ms is None else due_ms
    item = Item(run.id, MAIN, ItemKind.CALL, due, run.queue, detail=since(draft.now))
    if own:
        draft.move(item)
    elif draft.item(run.id, MAIN) is None:
        draft.put(item)
    elif draft.view.lease(run.id, MAIN) is not None:
        return msgspec.structs.replace(run, again=True)
    return run


def settle(run: Run, step_id: str) -> tuple[Run, bool]:
    """A step is over: what remains pending, and whether that calls for a discovery.

    While parallel steps are pending, only the last of them to end calls for it, and that call may
    run steps at once again. A step that is not among them (race mode) calls for one by itself,
    and that one, too, may run steps at once when nothing is pending. SDKs that speak an older
    version plan for the rest of the run.
    """
    if step_id not in run.pending:
        if run.force_plan and not run.pending and run.version >= VERSION_COALESCING:
            run = msgspec.structs.replace(run, force_plan=False)
        return run, True
    left = tuple(other for other in run.pending if other != step_id)
    if left:
        return msgspec.structs.replace(run, pending=left), False
    return msgspec.structs.replace(run, pending=(), force_plan=False), True
