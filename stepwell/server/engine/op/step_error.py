"""A step failed: again later, or for good, and then visible to user code.

Attempts belong to the item. Used up, the error becomes the step's result and the function is called
again so that it may catch it.
"""

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.life.again import try_again, try_apart
from stepwell.server.engine.message.record import AnnotationPut
from stepwell.server.engine.op.context import Report
from stepwell.server.engine.op.step_run import input_of, step_ended
from stepwell.server.engine.places.cool import cool
from stepwell.server.engine.row.annotation import Annotation, AnnotationKind
from stepwell.server.engine.row.run import MAIN, Run
from stepwell.wire.failure import encode_failure, encode_failure_memo
from stepwell.wire.operation import PARALLEL_WAIT, Operation, StepError, StepFailed, label


def step_error(draft: Draft, report: Report, operation: StepError) -> None:
    """One attempt of a step failed."""
    if report.is_met(draft, operation):
        return
    listing = draft.view.catalog.listing(report.run.function)
    attempts = 1 if listing is None else listing.attempts_max
    cool(draft, report.run, report.item, operation.failure, report.delay_ms)
    if report.no_retry or report.item.attempt + 1 >= attempts:
        step_ended(draft, report, operation, bytes(encode_failure_memo(operation.failure)))
        return
    keep_input(draft, report.run, operation)
    error = encode_failure(operation.failure)
    if report.item.key == MAIN and is_beside(operation):
        delay, name = report.delay_ms, label(operation)
        try_apart(draft, report.run, report.item, operation.id, delay, error, name)
        return
    try_again(draft, report.run, report.item, report.delay_ms, error, label(operation))
    report.retried = True


def keep_input(draft: Draft, run: Run, operation: StepError) -> None:
    """Keep the arguments of a step that has no result yet, for people to see meanwhile."""
    given = input_of(operation)
    if given:
        kind, at_ms = AnnotationKind.INPUT, draft.now.ms
        row = Annotation(run.id, kind, operation.id, "", label(operation), at_ms, given)
        draft.add(AnnotationPut(row))


def is_beside(operation: Operation) -> bool:
    """Whether a step failed in a call that ran others beside it."""
    return isinstance(operation, StepError) and operation.parallel_mode == PARALLEL_WAIT


def step_failed(draft: Draft, report: Report, operation: StepFailed) -> None:
    """A step failed for good."""
    step_ended(draft, report, operation, bytes(encode_failure_memo(operation.failure)))
