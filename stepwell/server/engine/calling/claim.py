"""Due items become leases, or are done at once where only the engine is concerned.

Law: an item is given to one holder at a time, and what nobody can do now is put off, never lost.
"""

from collections import Counter

import msgspec

from stepwell.server.engine.arriving.cron_due import fire as fire_cron
from stepwell.server.engine.arriving.fanout import LISTENERS, meet, meet_listeners, meet_waits
from stepwell.server.engine.calling.code_change import calls_on, review_some
from stepwell.server.engine.calling.expire import lose
from stepwell.server.engine.calling.suspect import begun_again, end_if_fatal
from stepwell.server.engine.draft import Draft, ItemFault, LongWork, LookAgain
from stepwell.server.engine.life.deadline import begun, strike
from stepwell.server.engine.life.deferral import abortable
from stepwell.server.engine.life.resume import OPS, finish_step, resume
from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.action import Topic
from stepwell.server.engine.message.input import Job, Work, WorkAsked
from stepwell.server.engine.message.need import Need, merged
from stepwell.server.engine.moment import earlier
from stepwell.server.engine.name.lane import Part, PartKind, is_lane, lane_name, lane_of
from stepwell.server.engine.name.lease_id import lease_id, lease_ids
from stepwell.server.engine.op.gateway_call import ask_anew
from stepwell.server.engine.places.claim_gate import Deal
from stepwell.server.engine.places.room import UNKNOWN_FUNCTION_DELAY_MS, stopped_by
from stepwell.server.engine.row.run import Item, ItemKind, Lease, Run, Step
from stepwell.server.engine.starting.backlog import leave as leave_backlog
from stepwell.server.engine.starting.pause import end_frozen
from stepwell.server.engine.starting.start_gate import fire as fire_hold
from stepwell.server.engine.state.view import View
from stepwell.wire.failure import invoke_timeout_memo

PARKED_MS = 300_000
"""How long an item rests that we could not decide about: a mended server will find it."""

_CALLS = frozenset({ItemKind.CALL, ItemKind.GATEWAY})


def claim(draft: Draft, given: WorkAsked) -> Work:
    """Hand out what is due, up to the capacity asked for, and take back what was lost."""
    _see_all(draft)
    draft.each(draft.view.overdue(), lambda lease: _take_back(draft, lease))
    due = draft.view.due()
    # The engine's own work first: it may end a run that would otherwise be called.
    draft.each([i for i in due if i.kind not in _CALLS], lambda item: _do(draft, item))
    leases = Leases(draft, given)
    calls = [item for item in due if item.kind in _CALLS]
    if given.suspect_before_ms:
        draft.each(calls, lambda item: end_if_fatal(draft, item))
    next_ms = draft.now.ms if draft.left_over else draft.view.next_due_ms
    if draft.view.flow.lanes:
        deal = Deal(draft, given, calls, leases.lend)
        jobs = deal.jobs()
        next_ms = draft.now.ms if deal.more else earlier(next_ms, deal.next_ms)
    else:
        jobs = [job for item in calls if (job := leases.lend(item)) is not None]
    leases.look_again()
    faults = tuple(f"item {slot}: {reason}" for slot, reason in draft.parked.items())
    return Work(tuple(jobs), next_ms, faults)


def claim_made(draft: Draft, given: WorkAsked) -> Work:
    """Hand out the calls that the same commit makes, which nobody else can see yet: all of them, or
    none if there is not room for all, since then it matters whose turn it is."""
    room = dict(given.capacity)
    calls = [item for item in draft.view.made_due(draft.now.ms) if item.queue in room]
    wanted = Counter(item.queue for item in calls)
    if len(calls) > given.limit or any(count > room[queue] for queue, count in wanted.items()):
        return Work(())
    leases = Leases(draft, given)
    jobs = [job for item in calls if (job := leases.lend(item)) is not None]
    leases.look_again()
    return Work(tuple(jobs))


def still_held(work: Work, view: View) -> Work:
    """The jobs whose leases still stand once a whole batch is decided: whatever was decided after
    the claim, in the same commit, may have ended a run that was to be called."""
    jobs = tuple(
        job
        for job in work.jobs
        if (lease := view.lease(job.lease.run_id, job.lease.key)) and lease.id == job.lease.id
    )
    return work if len(jobs) == len(work.jobs) else Work(jobs, work.next_due_ms, work.faults)


def _see_all(draft: Draft) -> None:
    """Ask once for everything the due items and lost leases hang on."""
    view = draft.view
    items, leases = view.due(), view.overdue()
    runs = {item.run_id for item in items} | {lease.run_id for lease in leases}
    missing = frozenset(run_id for run_id in runs if not view.sees_run(run_id))
    steps = frozenset(
        (item.run_id, item.key)
        for item in items
        if item.kind in (ItemKind.SLEEP, ItemKind.TIMEOUT)
        and not view.sees_step(item.run_id, item.key)
    )
    bodies = frozenset(
        item.target
        for item in items
        if item.kind is ItemKind.FANOUT and not view.sees_body(item.target)
    )
    if missing or bodies or steps:
        raise LookAgain(Need(runs=missing, bodies=bodies, steps=steps))


class Leases:
    """Makes the leases of one claim."""

    def __init__(self, draft: Draft, given: WorkAsked) -> None:
        self._draft = draft
        self._given = given
        self._prefix = lease_ids(draft.now, given.seed)
        self._until_ms = draft.now.ms + given.lease_ms
        self._asked = 0
        self._count = 0
        self._unseen: list[Need] = []

    def lend(self, item: Item) -> Job | None:
        """Lease an item, or put it off, or drop it with its run."""
        try:
            return self._lent(item)
        except LookAgain as again:
            self._unseen.append(again.need)
            return None

    def look_again(self) -> None:
        """Ask together for what any of the items needs to see, so that the number of looks does
        not grow with the number of items."""
        if self._unseen:
            raise LookAgain(merged(self._unseen))

    def _lent(self, item: Item) -> Job | None:
        draft, given = self._draft, self._given
        place, self._asked = self._asked, self._asked + 1
        if given.suspect_before_ms and is_lane(item.queue):
            end_if_fatal(draft, item)
        run = draft.run(item.run_id)
        if run is None or run.ended or draft.has_ended(item.run_id):
            draft.done(item.run_id, item.key)
            return None
        listing = draft.view.catalog.listing(run.function)
        if listing is None:
            later = draft.now.ms + UNKNOWN_FUNCTION_DELAY_MS
            draft.move(msgspec.structs.replace(item, due_ms=later))
            return None
        if item.kind is ItemKind.GATEWAY and not item.secret:
            ask_anew(draft, run, item)
            return None
        again = begun_again(draft, given, item, run, place) if given.suspect_before_ms else item
        if again is None:
            return None
        item = again
        if run.code != listing.config.code.version and item.kind is ItemKind.CALL:
            kept = calls_on(draft, run, item, listing)
            if kept is None:
                return None
            run = kept
        resting = draft.view.catalog.paused or draft.view.catalog.cooled
        key = stopped_by(draft, run.function) if resting and not is_lane(item.queue) else ""
        if key:
            # It rests in a lane of its own, so that nobody looks at it again.
            part = Part(PartKind.PAUSE, "", key)
            frozen = lane_name(item.queue, run.function, (part,))
            draft.move(msgspec.structs.replace(item, queue=frozen))
            return None
        lease = Lease(
            id=lease_id(self._prefix, self._count),
            run_id=item.run_id,
            key=item.key,
            granted_ms=draft.now.ms,
            until_ms=self._until_ms,
            generation=item.losses + 1,
        )
        if is_lane(item.queue):
            lane = lane_of(item.queue)
            lease = msgspec.structs.replace(lease, keys=lane.keys, loads=lane.loads)
            draft.flow.lend(lease)
        if run.in_backlog:
            run = leave_backlog(draft, run)
        if listing.plan is not None:
            begun(draft, listing, run)
        self._count += 1
        draft.add(fact.ItemLeased(lease))
        if not run.started_ms:
            # Whoever watches sees it running from now on.
            draft.announce(Topic.RUN_MOVED, run.id)
        return Job(lease, item, run, abortable(draft.waits_of(run.id)))


def _take_back(draft: Draft, lease: Lease) -> None:
    if (lease.run_id, lease.key) in draft.parked:
        later = draft.now.ms + PARKED_MS
        draft.add(fact.ItemLeased(msgspec.structs.replace(lease, until_ms=later)))
        return
    try:
        lose(draft, lease)
    except (LookAgain, LongWork):
        raise
    except Exception as error:
        raise ItemFault((lease.run_id, lease.key), _told(error)) from error


def _do(draft: Draft, item: Item) -> None:
    """What the engine does itself, inside the decision that found it due."""
    if (item.run_id, item.key) in draft.parked:
        draft.move(msgspec.structs.replace(item, due_ms=draft.now.ms + PARKED_MS))
        return
    if draft.is_tired:
        draft.left_over = True
        return
    try:
        _do_now(draft, item)
    except (LookAgain, LongWork):
        raise
    except Exception as error:
        raise ItemFault((item.run_id, item.key), _told(error)) from error


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _do_now(draft: Draft, item: Item) -> None:
    match item.kind:
        case ItemKind.FANOUT:
            _fan_out(draft, item)
        case ItemKind.CRON:
            fire_cron(draft, item)
        case ItemKind.HOLD:
            fire_hold(draft, item)
        case ItemKind.PAUSE:
            end_frozen(draft, item)
        case ItemKind.REVIEW:
            review_some(draft, item)
        case ItemKind.SLEEP | ItemKind.TIMEOUT | ItemKind.DEADLINE:
            _time_is_up(draft, item)
        case ItemKind.CALL | ItemKind.GATEWAY:
            raise AssertionError("calls are leased, not done")


def _fan_out(draft: Draft, item: Item) -> None:
    draft.done(item.run_id, item.key)
    event = draft.body(item.target)
    if event is None:
        return
    if item.key == LISTENERS:
        meet_listeners(draft, event, item.detail.decode())
    elif item.detail:
        meet_waits(draft, event, item.detail.decode())
    else:
        meet(draft, event)


def _time_is_up(draft: Draft, item: Item) -> None:
    run = draft.run(item.run_id)
    if run is None or run.ended or draft.has_ended(item.run_id):
        draft.done(item.run_id, item.key)
        return
    if item.kind is ItemKind.DEADLINE:
        if draft.item(run.id, item.key) is not None:
            strike(draft, run, item)
        return
    if draft.item(run.id, item.key) is None:
        return
    wait = draft.wait(run.id, item.key)
    if wait is not None and wait.kind in OPS:
        resume(draft, run, wait, _timed_out_memo(item))
    elif draft.is_saved(run.id, item.key):
        draft.done(item.run_id, item.key)
    else:
        finish_step(draft, run, _step_over(draft, run, item))


def _step_over(draft: Draft, run: Run, item: Item) -> Step:
    """A sleep that is over, or a wait that somebody else took over before its time was up."""
    slept = item.kind is ItemKind.SLEEP
    return Step(
        run_id=run.id,
        id=item.key,
        place=draft.place(),
        op="Sleep" if slept else item.target,
        name=item.detail.decode(),
        memo=b"null",
        began_ms=int(item.target) if slept else draft.now.ms,
        ended_ms=draft.now.ms,
    )


def _timed_out_memo(item: Item) -> bytes:
    if item.target == "InvokeFunction":
        return bytes(invoke_timeout_memo())
    return b"null"
