"""How much one run may hold: so many steps, so many bytes of events and results.

What a reply would add is weighed before any of it has an effect, so that no run ever holds more.
"""

from collections.abc import Iterable

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.row.run import Run
from stepwell.wire.failure import STATE_OVERFLOWED, STEPS_OVERFLOWED, Failure
from stepwell.wire.operation import (
    LegacyStep,
    Operation,
    StepFailed,
    StepRun,
    is_step,
    label,
)

_EVENT_BYTES = 16 * 1024 * 1024
"""No event is larger, the server's own included: until so much of the limit is left for each, the
events of a run need not be weighed."""

OUTPUT_TOO_LARGE = "output_too_large"


def excess(draft: Draft, run: Run, operations: Iterable[Operation]) -> Failure | None:
    """Why a run cannot take what these operations would add; None if it can."""
    rules = draft.rules
    fresh = [op for op in operations if is_step(op) and not draft.is_saved(run.id, op.id)]
    if not fresh:
        return None
    steps, size = draft.view.saved_size(run.id)
    if steps + len(fresh) > rules.steps_max:
        return Failure(
            STEPS_OVERFLOWED,
            f"The function run exceeded the step limit of {rules.steps_max} steps. Let it invoke"
            " other functions for parts of its work, or do more in each step.",
        )
    size += sum(len(op.data) for op in fresh if isinstance(op, StepRun | LegacyStep))
    if size + _EVENT_BYTES * len(run.event_ids) > rules.state_bytes_max:
        size += sum(len(event.body) for event in draft.bodies(run.event_ids))
        if size > rules.state_bytes_max:
            return Failure(
                STATE_OVERFLOWED,
                f"The function run exceeded the state size limit of {rules.state_bytes_max} bytes."
                " Return less from steps, or store what is large elsewhere and return where it is.",
            )
    return None


def too_large(draft: Draft, operation: Operation) -> str:
    """What to tell of a result that is too large to be kept; empty if it is not."""
    most = draft.rules.step_bytes_max
    if not isinstance(operation, StepRun | LegacyStep) or len(operation.data) <= most:
        return ""
    return (
        "step output size is greater than the limit: step"
        f' "{label(operation)}" returned {len(operation.data)} bytes, at most {most} are allowed;'
        " return less, or store it elsewhere and return where it is"
    )


def bounded(draft: Draft, operation: Operation) -> Operation:
    """The operation, or in place of a result too large to be kept its failure for good: another
    attempt would be as large, and would do the work again."""
    reason = too_large(draft, operation)
    if not reason:
        return operation
    return StepFailed(
        id=operation.id,
        name=operation.name,
        display_name=operation.display_name,
        userland=operation.userland,
        parallel_mode=operation.parallel_mode,
        timing=operation.timing,
        failure=Failure(OUTPUT_TOO_LARGE, reason, no_retry=True),
    )
