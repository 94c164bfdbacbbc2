"""A step ended, well or for good: its result is kept, once."""

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.life.discover import settle
from stepwell.server.engine.op.context import Report
from stepwell.server.engine.row.run import Step
from stepwell.wire.limit import STEP_INPUT_BYTES_MAX
from stepwell.wire.operation import (
    LegacyStep,
    Operation,
    StepError,
    StepFailed,
    StepRun,
    label,
)


def result_memo(operation: StepRun | LegacyStep) -> bytes:
    """What a step that went well will be told: wrapped, except for the legacy opcode."""
    data = bytes(operation.data)
    return data if isinstance(operation, LegacyStep) else b'{"data":' + data + b"}"


def save_memo(draft: Draft, report: Report, operation: Operation, memo: bytes) -> None:
    """Keep what a step will be told on every later call."""
    if draft.is_saved(report.run.id, operation.id):
        return
    now_ms = draft.now.ms
    began, ended = _span_ms(operation, report.began_ms(now_ms), now_ms)
    draft.save(
        Step(
            run_id=report.run.id,
            id=operation.id,
            place=draft.place(),
            op=operation.op,
            name=label(operation),
            memo=memo,
            began_ms=began,
            ended_ms=ended,
            attempt=report.item.attempt,
            input=input_of(operation),
        )
    )


def input_of(operation: Operation) -> bytes:
    """The arguments a step says it was handed; none if nobody could hand it that many again."""
    if not isinstance(operation, StepRun | StepError | StepFailed) or operation.input is None:
        return b""
    given = bytes(operation.input)
    return given if len(given) <= STEP_INPUT_BYTES_MAX else b""


def _span_ms(operation: Operation, began_ms: int, now_ms: int) -> tuple[int, int]:
    """When the step ran: as the SDK measured it, or at most as long as its call."""
    timing = operation.timing
    if timing is None:
        return began_ms, now_ms
    began = timing.start_ns // 1_000_000
    return began, began + timing.duration_ns // 1_000_000


def step_ended(draft: Draft, report: Report, operation: Operation, memo: bytes) -> None:
    """Keep a result, and find out whether the function is to be called again because of it."""
    save_memo(draft, report, operation, memo)
    report.run, wanted = settle(report.run, operation.id)
    report.discover = report.discover or wanted
