"""A step failed: again later, or for good, and then visible to user code.

Source: http.md 6.8, 6.9: attempts belong to the item; used up, the error becomes the step's result
and the function is called again so that it may catch it.
"""

from stepwell.server.engine.again import try_again
from stepwell.server.engine.draft import Draft
from stepwell.server.engine.op.context import Report
from stepwell.server.engine.op.step_run import step_ended
from stepwell.wire.failure import encode_failure, error_memo
from stepwell.wire.operation import StepError, StepFailed, title_of


def step_error(draft: Draft, report: Report, operation: StepError) -> None:
    """One attempt of a step failed."""
    listing = draft.view.catalog.listing(report.run.function)
    attempts = 1 if listing is None else listing.attempts_max
    if report.no_retry or report.item.attempt + 1 >= attempts:
        step_ended(draft, report, operation, error_memo(operation.error))
        return
    error = encode_failure(operation.error)
    try_again(draft, report.run, report.item, report.delay_ms, error, title_of(operation))
    report.retried = True


def step_failed(draft: Draft, report: Report, operation: StepFailed) -> None:
    """A step failed for good."""
    step_ended(draft, report, operation, error_memo(operation.error))
