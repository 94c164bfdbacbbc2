"""Which file handles which opcode, and what opcodes mean for the answer as a whole."""

from typing import assert_never

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.life.finish import complete
from stepwell.server.engine.op.context import Report
from stepwell.server.engine.op.defer import defer_abort, defer_add
from stepwell.server.engine.op.gateway_call import gateway_call
from stepwell.server.engine.op.invoke import invoke_function
from stepwell.server.engine.op.limit_used import correct
from stepwell.server.engine.op.planned import planned
from stepwell.server.engine.op.sleep import sleep
from stepwell.server.engine.op.step_error import step_error, step_failed
from stepwell.server.engine.op.step_run import result_memo, step_ended
from stepwell.server.engine.op.wait_event import wait_for_event
from stepwell.server.engine.op.wait_signal import wait_for_signal
from stepwell.wire import operation as op


def ends_run(operation: op.Operation) -> bool:
    """Whether the operation is the function's return."""
    return isinstance(operation, op.RunComplete | op.SyncRunComplete)


def apply_operation(draft: Draft, report: Report, operation: op.Operation) -> None:
    """Let one operation have its effect."""
    if isinstance(operation, op.StepRun | op.StepError | op.StepFailed) and operation.used:
        correct(draft, report, operation, operation.used)
    match operation:
        case op.StepRun() | op.LegacyStep():
            step_ended(draft, report, operation, result_memo(operation))
        case op.StepError():
            step_error(draft, report, operation)
        case op.StepFailed():
            step_failed(draft, report, operation)
        case op.StepPlanned():
            planned(draft, report, operation)
        case op.Sleep():
            sleep(draft, report, operation)
        case op.WaitForEvent():
            wait_for_event(draft, report, operation)
        case op.WaitForSignal():
            wait_for_signal(draft, report, operation)
        case op.InvokeFunction():
            invoke_function(draft, report, operation)
        case op.GatewayCall() | op.AiGatewayCall():
            gateway_call(draft, report, operation)
        case op.RunComplete() | op.SyncRunComplete():
            complete(draft, report.run, bytes(operation.data))
        case op.DiscoveryRequest():
            report.discover = True
        case op.Nothing():
            # A run that is left with nothing is asked again a little later: see `advance`.
            pass
        case op.Logs():
            # Kept before anything else: see `advance`.
            pass
        case op.DeferAdd():
            defer_add(draft, report, operation)
        case op.DeferAbort():
            defer_abort(draft, report, operation)
        case _:
            assert_never(operation)
