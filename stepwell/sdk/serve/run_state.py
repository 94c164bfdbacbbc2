"""What was too large to travel with a call: how it is asked for, and how the call is completed.

The only place that knows the paths of a run's state; endpoints and workers ask each in their own
way.
"""

from collections.abc import Sequence

import msgspec

from stepwell.sdk.errors import Error
from stepwell.sdk.net.port import HttpReply
from stepwell.sdk.net.server_api import ApiRequest
from stepwell.wire.execution import CallRequest, MalformedCall, decode_batch, decode_steps

TIMEOUT_S = 30.0
"""How long one request for it may take."""


class StateUnavailableError(Error):
    """The state of a run, too large to travel with the call, could not be fetched."""


def state_requests(call: CallRequest) -> tuple[ApiRequest, ...]:
    """What to ask the server for: the steps, and the events if these were left out too."""
    run = f"/v0/runs/{call.ctx.run_id}"
    paths = [f"{run}/actions"] if call.events else [f"{run}/actions", f"{run}/batch"]
    return tuple(ApiRequest(method="GET", path=path, timeout_seconds=TIMEOUT_S) for path in paths)


def unreachable(error: Exception) -> StateUnavailableError:
    """The server did not answer at all."""
    return StateUnavailableError(f"The run's state could not be fetched: {error}")


def completed(call: CallRequest, replies: Sequence[HttpReply]) -> CallRequest:
    """The call with the answers to its `state_requests`. Raises StateUnavailableError."""
    for reply, asked in zip(replies, state_requests(call), strict=True):
        if reply.status != 200:
            text = reply.body[:200].decode(errors="replace")
            raise StateUnavailableError(
                "The run's state could not be fetched:"
                f" GET {asked.path}: HTTP {reply.status} {text}"
            )
    try:
        steps = decode_steps(replies[0].body)
        events = call.events or decode_batch(replies[1].body)
    except MalformedCall as error:
        raise StateUnavailableError(f"The run's state is not understood: {error}") from None
    event = call.event if bytes(call.event) != b"null" or not events else events[0]
    return msgspec.structs.replace(call, steps=steps, events=events, event=event, use_api=False)
