"""The door to execution: one call of one function in, its answer out.

Serving, connecting and the in-process driver come through here and nowhere else.
Source: http.md 6, 8.1; architecture, walk 1.
"""

from typing import Any

from stepwell.sdk.execution._async import AsyncCall, Save
from stepwell.sdk.execution.context import Context
from stepwell.sdk.execution.port import ClientPort
from stepwell.sdk.function import Function
from stepwell.sdk.schema import event_from_wire
from stepwell.sdk.step._async import Step
from stepwell.sdk.step.group import Group
from stepwell.wire.event import decode_event
from stepwell.wire.execution import TARGET_DISCOVERY, CallRequest, CallResponse


async def run_call(
    function: Function[Any],
    request: CallRequest,
    *,
    client: ClientPort,
    target: str | None = None,
    raw_request: object = None,
    save: Save | None = None,
) -> CallResponse:
    """Call a function once and say what the server is to hear. Raises only if it is cancelled.

    `target` is the hashed id of the one step to run, None or `step` for a discovery. With `save`
    the handler goes on after each step it finishes, once `save` has returned; the answer then tells
    what came after. State left out of the request (`use_api`) must have been fetched.
    """
    call = AsyncCall(
        request,
        target=target or TARGET_DISCOVERY,
        function_id=function.id,
        output=function.codec,
        serializer=client.serializer,
        save=save,
    )
    step = Step(call, client)
    call.step = step
    context = _context(call, request, client, step)
    return await call.run(_handle(function, context))


async def _handle(function: Function[Any], context: Context) -> Any:
    return await function.entry(context)


def _context(call: AsyncCall, request: CallRequest, client: ClientPort, step: Step) -> Context:
    events = [event_from_wire(decode_event(raw)) for raw in request.events]
    event = events[0] if events else event_from_wire(decode_event(request.event))
    ctx = request.ctx
    return Context(
        attempt=ctx.attempt,
        event=event,
        events=events or [event],
        group=Group(),
        job_id=ctx.job_id or None,
        logger=client.logger,
        request_id=ctx.request_id or None,
        run_id=ctx.run_id,
        step=step,
        max_attempts=ctx.max_attempts,
    )
