"""The engine: one function from what is and what happened to what becomes true.

    decide(view, input, now, rules) -> Decision, or the Need to look again with more

Its laws, each a test: it never raises for anything a peer can cause; the same view, input and
moment give the same decision; deciding an input twice changes nothing the second time (only
`WorkAsked` asks for more); a saved step never changes and an ended run never reopens; a late
holder of a lease is told so and harms nothing; no decision is larger than the limits in `Rules`.
"""

from typing import assert_never

from stepwell.server.engine.arriving.endpoint import endpoint_called
from stepwell.server.engine.arriving.fanout import meet, postpone
from stepwell.server.engine.arriving.receive import receive
from stepwell.server.engine.arriving.replay import replay
from stepwell.server.engine.arriving.signal_sent import deliver
from stepwell.server.engine.asked import bulk, cancellation, keys
from stepwell.server.engine.asked.admin import invoke, prune, rerun
from stepwell.server.engine.asked.register import fail_app, register, remove
from stepwell.server.engine.calling.advance import advance, checkpoint
from stepwell.server.engine.calling.claim import claim, claim_made, still_held
from stepwell.server.engine.calling.code_change import resume_run
from stepwell.server.engine.calling.expire import extend, lose_named
from stepwell.server.engine.draft import Decision, Draft, ItemFault, LookAgain, Slot
from stepwell.server.engine.life.annotate import annotate
from stepwell.server.engine.life.cancel import cancel_by_hand, give_up
from stepwell.server.engine.life.finish import ENDS
from stepwell.server.engine.life.log import take_late
from stepwell.server.engine.message import input as given_
from stepwell.server.engine.message.input import Answer, Input, Work
from stepwell.server.engine.message.need import NOTHING, Due, Need, Old
from stepwell.server.engine.moment import Moment
from stepwell.server.engine.name.lane import pause_key
from stepwell.server.engine.places.named_limits import drop_limit, set_limit
from stepwell.server.engine.row.run import EventRow
from stepwell.server.engine.rules import DEFAULT, Rules
from stepwell.server.engine.starting.pause import pause, resume_function
from stepwell.server.engine.state.catalog import Catalog
from stepwell.server.engine.state.view import View
from stepwell.wire.operation import Logs, Operation, WaitForEvent

EMITTED_MET_MAX = 250


def needs(given: Input, now: Moment, catalog: Catalog) -> Need:
    """The rows an input will certainly want. What else it wants, `decide` asks for."""
    match given:
        case given_.EventsReceived():
            return _needs_of_events(given, catalog)
        case given_.ReplyReceived() | given_.StepsCheckpointed():
            return _needs_of_reply(given)
        case given_.WorkAsked():
            if given.made_only:
                return NOTHING
            return Need(due=Due(now.ms, given.capacity, given.limit))
        case given_.LeaseExtended() | given_.LeaseLost() | given_.EndpointCalled():
            return Need(runs=frozenset({given.run_id}))
        case given_.CancelAsked() | given_.RerunAsked() | given_.LeftUnserved():
            return Need(runs=frozenset({given.run_id}))
        case given_.RunResumed():
            return Need(runs=frozenset({given.run_id}))
        case given_.SignalSent():
            return Need(signals=frozenset({given.name}))
        case given_.PruneAsked():
            # What the sender's ids started is known for a day, however little else is kept.
            keyed_before_ms = now.ms - DEFAULT.dedup_window_ms
            return Need(old=Old(given.before_ms, given.limit, keyed_before_ms, now.ms))
        case given_.CancellationAsked() | given_.CancellationEnded() | given_.CancellationDropped():
            return NOTHING
        case given_.BulkMoved():
            return Need(runs=frozenset(given.run_ids))
        case given_.BulkAsked() | given_.BulkEnded():
            return NOTHING
        case given_.KeyCreated() | given_.KeyRevoked():
            return NOTHING
        case given_.ChangeAsked() | given_.ChangeRefused():
            return NOTHING
        case given_.InvokeAsked():
            return Need(events=frozenset({given.event.id}))
        case given_.FunctionPaused() | given_.FunctionResumed():
            return Need(keys=frozenset({pause_key(given.function)}))
        case given_.AppRegistered() | given_.AppFailed() | given_.AppRemoved():
            return NOTHING
        case given_.ReplayAsked() | given_.BulkReplayed():
            # Which page of them, only the decision knows.
            return NOTHING
        case given_.LimitSet() | given_.LimitDropped():
            return NOTHING
        case given_.RunAnnotated() | given_.LinesWritten():
            asked = frozenset({given.run_id})
            return Need(runs=asked, annotations=asked)
        case _:
            assert_never(given)


def _needs_of_events(given: given_.EventsReceived, catalog: Catalog) -> Need:
    fresh = given.fresh
    known = frozenset(() if fresh else (event.id for event in given.events))
    dedups = frozenset(
        (listener.listing.slug, event.key)
        for event in given.events
        if event.key
        for listener in catalog.listeners(event.name)
    )
    return Need(events=known, dedups=dedups) if known or dedups else NOTHING


def _needs_of_reply(given: given_.ReplyReceived | given_.StepsCheckpointed) -> Need:
    run_id = given.run_id
    operations = operations_of(given)
    steps = frozenset((run_id, operation.id) for operation in operations)
    waits = frozenset(one.event for one in operations if isinstance(one, WaitForEvent))
    annotated = any(one.metadata or isinstance(one, Logs) for one in operations)
    annotations = frozenset({run_id} if annotated or _has_lines(given) else ())
    return Need(runs=frozenset({run_id}), steps=steps, annotations=annotations, waits=waits)


def _has_lines(given: Input) -> bool:
    """Does a call that failed bring lines of its log?"""
    if not isinstance(given, given_.ReplyReceived) or not isinstance(given.outcome, given_.Broke):
        return False
    return bool(given.outcome.logs)


def names_told(given: Input) -> frozenset[str]:
    """Names of events that an input brings, or that its run may end with: where only a look tells
    whether somebody waits for them, it is worth one before all others."""
    match given:
        case given_.EventsReceived():
            return frozenset(event.name for event in given.events)
        case given_.ReplyReceived(outcome=given_.Returned() | given_.Broke()):
            return ENDS
        case _:
            return frozenset()


def operations_of(given: Input) -> tuple[Operation, ...]:
    """What an app reports with an input; most report nothing."""
    if isinstance(given, given_.StepsCheckpointed):
        return given.operations
    if isinstance(given, given_.ReplyReceived) and isinstance(given.outcome, given_.Progressed):
        return given.outcome.operations
    return ()


def decide(
    view: View, given: Input, now: Moment, rules: Rules, steps_max: int | None = None
) -> Decision | Need:
    """Decide one input, or say what more it must see. Raises `LongWork` where that takes more than
    `steps_max` steps; without, it takes what it takes."""
    parked: dict[Slot, str] = {}
    while True:
        draft = Draft(view, now, rules, parked, steps_max=steps_max)
        try:
            answer = _answer(draft, given)
            _meet_emitted(draft)
        except LookAgain as again:
            return again.need
        except ItemFault as fault:
            if fault.slot in parked:
                raise
            parked[fault.slot] = fault.reason
            continue
        return draft.decision(answer)


def still_true(answer: Answer, view: View) -> Answer:
    """What a submitter is told of its decision once the rest of its batch is decided, too."""
    return still_held(answer, view) if isinstance(answer, Work) else answer


def _answer(draft: Draft, given: Input) -> Answer:
    match given:
        case given_.StepsCheckpointed():
            return checkpoint(draft, given)
        case given_.ReplyReceived():
            return advance(draft, given)
        case given_.EventsReceived():
            return receive(draft, given)
        case given_.WorkAsked():
            return claim_made(draft, given) if given.made_only else claim(draft, given)
        case given_.LeaseExtended():
            return extend(draft, given)
        case given_.LeaseLost():
            return lose_named(draft, given)
        case given_.SignalSent():
            return deliver(draft, given)
        case (
            given_.CancelAsked() | given_.RerunAsked() | given_.LeftUnserved() | given_.RunResumed()
        ):
            return _of_run(draft, given)
        case given_.InvokeAsked():
            return invoke(draft, given)
        case given_.EndpointCalled():
            return endpoint_called(draft, given)
        case given_.AppRegistered():
            return register(draft, given)
        case given_.AppFailed():
            return fail_app(draft, given)
        case given_.AppRemoved():
            return remove(draft, given)
        case given_.FunctionPaused():
            return pause(draft, given)
        case given_.FunctionResumed():
            return resume_function(draft, given)
        case given_.ReplayAsked():
            return replay(draft, given)
        case given_.LimitSet():
            return set_limit(draft, given)
        case given_.LimitDropped():
            return drop_limit(draft, given)
        case given_.PruneAsked():
            return prune(draft, given)
        case given_.CancellationAsked():
            return cancellation.ask(draft, given)
        case given_.CancellationEnded():
            return cancellation.ended(draft, given)
        case given_.CancellationDropped():
            return cancellation.drop(draft, given)
        case given_.BulkAsked():
            return bulk.ask(draft, given)
        case given_.BulkMoved():
            return bulk.move(draft, given)
        case given_.BulkReplayed():
            return bulk.replay_more(draft, given)
        case given_.BulkEnded():
            return bulk.end(draft, given)
        case given_.KeyCreated():
            return keys.create(draft, given)
        case given_.KeyRevoked():
            return keys.revoke(draft, given)
        case given_.ChangeAsked():
            return keys.write_down(draft, given)
        case given_.ChangeRefused():
            return keys.refused(draft, given)
        case given_.RunAnnotated():
            return annotate(draft, given)
        case given_.LinesWritten():
            return take_late(draft, given)
        case _:
            assert_never(given)


def _of_run(
    draft: Draft,
    given: given_.CancelAsked | given_.RerunAsked | given_.LeftUnserved | given_.RunResumed,
) -> Answer:
    """What is asked of one run from outside."""
    match given:
        case given_.CancelAsked():
            return cancel_by_hand(draft, given)
        case given_.RerunAsked():
            return rerun(draft, given)
        case given_.LeftUnserved():
            return give_up(draft, given)
        case given_.RunResumed():
            return resume_run(draft, given)


def _meet_emitted(draft: Draft) -> None:
    """Events the engine itself sent meet their listeners in the same commit."""
    met = 0
    while draft.emitted:
        events, draft.emitted = draft.emitted, []
        now, later = events[: EMITTED_MET_MAX - met], events[EMITTED_MET_MAX - met :]
        draft.each(now, lambda event: _meet_emitted_one(draft, event))
        for event in later:
            postpone(draft, event)
        met += len(now)


def _meet_emitted_one(draft: Draft, event: EventRow) -> None:
    if draft.is_tired:
        postpone(draft, event)
    else:
        meet(draft, event)
