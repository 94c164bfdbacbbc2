"""A run is called by other code than it began under. The only place that says what becomes of it.

A run keeps the version of the code that was registered when it first got a call; until then it has
none of its results, and takes what is new. From then on, the policy of its function as it is now
decides: `continue` goes on, `pin` waits until somebody has the old code, `pause` waits for a
person, `restart` begins again as a new run. Where nobody says which code it is, runs go on.

A call that waits is in a place of its own (`held.py`), where nobody looks at it. That of
`pin` is served by workers with that code; from the others, calls come back when the function is
registered anew or a person says so.
"""

import msgspec

from stepwell.server.engine.draft import Draft, LookAgain
from stepwell.server.engine.life.cancel import cancel_because
from stepwell.server.engine.message.action import Topic
from stepwell.server.engine.message.input import Done, RunResumed, Verdict
from stepwell.server.engine.message.need import Live, Need
from stepwell.server.engine.name.held import has_changed, is_held, place_held
from stepwell.server.engine.name.lane import moved_to, place_of
from stepwell.server.engine.row.flow import Slot
from stepwell.server.engine.row.run import EventRow, Item, ItemKind, Run, WaitKind
from stepwell.server.engine.starting.start import begin
from stepwell.server.engine.state.catalog import Listing
from stepwell.wire.function_config import CODE_KEPT, CODE_RESTART, Code
from stepwell.wire.identifier import derived_ulid

REVIEW = "code"
REVIEWED_MAX = 200
"""So many runs are looked at by one decision; the rest follows at once."""
BUSY_DELAY_MS = 1_000
"""How long a run waits to begin again while another call of it is under way."""


def calls_on(draft: Draft, run: Run, item: Item, listing: Listing) -> Run | None:
    """The run if it may be called now, with the code that it begins under; None if its call is put
    elsewhere, or the run is over."""
    code = listing.config.code
    if not run.started_ms:
        begun = msgspec.structs.replace(run, code=code.version)
        draft.change(begun)
        return begun
    place = place_held(run, code)
    if place:
        if place_of(item.queue) == place:
            # Somebody with the old code asked for it.
            return run
        draft.leave_lane(item)
        draft.move(msgspec.structs.replace(item, queue=moved_to(item.queue, place)))
        return None
    if code.on_change != CODE_RESTART or not has_changed(run, code):
        return run
    if _is_called(draft, run):
        draft.move(msgspec.structs.replace(item, due_ms=draft.now.ms + BUSY_DELAY_MS))
        return None
    event = draft.body(run.event_ids[0])
    if event is None:
        return run
    begin_again(draft, run, listing, event)
    return None


def begin_again(draft: Draft, run: Run, listing: Listing, event: EventRow) -> None:
    """End the run, and begin another in its place, which knows none of its results: a saved step
    never changes, and what the run invoked and sent was named after it. Whoever invoked it waits
    for the new one. What limits how often runs start is passed by: this one did start."""
    code = listing.config.code.version
    new = Run(
        id=derived_ulid(draft.now.ms, run.id, f"{REVIEW}:{code}"),
        function=run.function,
        app=listing.app,
        event_ids=run.event_ids,
        queued_ms=draft.now.ms,
        parent=run.parent,
        dedup=run.dedup,
        cron=run.cron,
        original=run.original or run.id,
        quiet=run.quiet,
        edited=run.edited,
        deferred=run.deferred,
        lock=run.lock,
        batch=run.batch,
        code=code,
    )
    for wait in draft.waits_of(run.id):
        if wait.kind is WaitKind.DEFER:
            # The new run will defer it again.
            draft.close(wait)
    told = f"its code changed, from {run.code} to {code}: it began again as run {new.id}"
    cancel_because(draft, msgspec.structs.replace(run, parent=""), "restarted", told)
    begin(draft, listing, new, msgspec.structs.replace(event, ts=draft.now.ms))
    if new.lock:
        draft.flow.take(Slot(new.lock, new.id, draft.now.ms, draft.place()))


# -- a function is registered anew ----------------------------------------------------------------


def review(draft: Draft, slug: str, old: Code, new: Code) -> None:
    """Have the runs of a function looked at, if its code or policy changed in a way that may
    concern them."""
    if old != new and (old.on_change in CODE_KEPT or new.on_change in CODE_KEPT):
        draft.put(Item(f"{REVIEW}:{slug}", REVIEW, ItemKind.REVIEW, draft.now.ms, target=slug))


def review_some(draft: Draft, item: Item) -> None:
    """Look at some of the runs of a function: what waits for nothing any more goes on, and what is
    to begin again does."""
    live = Live(item.target, item.detail.decode(), REVIEWED_MAX)
    if not draft.view.flow.sees_live(live):
        raise LookAgain(Need(live=live))
    found = draft.view.flow.live(live)
    listing = draft.view.catalog.listing(item.target)
    draft.each(found, lambda run_id: _review_one(draft, run_id, listing))
    if len(found) < REVIEWED_MAX:
        draft.done(item.run_id, item.key)
        return
    rest = msgspec.structs.replace(item, due_ms=draft.now.ms, detail=found[-1].encode())
    draft.move(rest)


def _review_one(draft: Draft, run_id: str, listing: Listing | None) -> None:
    run = draft.run(run_id)
    if run is None or run.ended or draft.has_ended(run_id):
        return
    code = Code() if listing is None else listing.config.code
    if listing is not None and code.on_change == CODE_RESTART and has_changed(run, code):
        event = draft.body(run.event_ids[0])
        if event is not None and not _is_called(draft, run):
            begin_again(draft, run, listing, event)
            return
    _let_go(draft, run, place_held(run, code))


def _is_called(draft: Draft, run: Run) -> bool:
    items = draft.view.items_of(run.id)
    return any(draft.view.lease(run.id, item.key) is not None for item in items)


def _let_go(draft: Draft, run: Run, place: str = "") -> None:
    """Calls that wait elsewhere than at this place go where calls of the run go, under the limits
    they stand under."""
    for seen in draft.view.items_of(run.id):
        item = draft.item(run.id, seen.key)
        here = "" if item is None else place_of(item.queue)
        if item is None or not is_held(here) or here == place:
            continue
        moved = msgspec.structs.replace(item, queue=moved_to(item.queue, place_of(run.queue)))
        if draft.view.lease(run.id, item.key) is not None:
            # Whoever has it goes on. If it comes back, nobody may look for it there any more.
            draft.put(moved)
            continue
        draft.leave_lane(item)
        draft.move(moved)


# -- a person decides -----------------------------------------------------------------------------


def resume_run(draft: Draft, given: RunResumed) -> Done:
    """The run goes on under the code that is there now."""
    run = draft.run(given.run_id)
    if run is None:
        return Done(Verdict.GONE, given.run_id, "no such run")
    if run.ended:
        return Done(Verdict.REFUSED, given.run_id, f"it is {run.status.word.lower()} already")
    listing = draft.view.catalog.listing(run.function)
    if listing is None:
        return Done(Verdict.REFUSED, given.run_id, f"no app serves {run.function}")
    if not has_changed(run, listing.config.code):
        return Done(Verdict.ALREADY, given.run_id)
    run = msgspec.structs.replace(run, code=listing.config.code.version)
    draft.change(run)
    _let_go(draft, run)
    draft.announce(Topic.RUN_MOVED, run.id)
    return Done(Verdict.APPLIED, given.run_id)
