"""Fetches what was too large to travel with a call (http.md 7.1), for functions of a worker."""

import asyncio

import msgspec

from stepwell.sdk.errors import Error
from stepwell.sdk.net import NetworkError
from stepwell.sdk.server_api import ApiRequest, ServerApi
from stepwell.wire.execution import CallRequest, MalformedCall, decode_batch, decode_steps

TIMEOUT_S = 30.0


class StateUnavailableError(Error):
    """The state of a run could not be fetched; the call is tried again later."""


async def with_state(call: CallRequest, api: ServerApi) -> CallRequest:
    """The call with its steps, and its events if these were left out too.

    Raises StateUnavailableError.
    """
    if not call.use_api:
        return call
    run = f"/v0/runs/{call.ctx.run_id}"
    paths = [f"{run}/actions"] if call.events else [f"{run}/actions", f"{run}/batch"]
    bodies = await asyncio.gather(*(_fetched(api, path) for path in paths))
    try:
        steps = decode_steps(bodies[0])
        events = call.events or decode_batch(bodies[1])
    except MalformedCall as error:
        raise StateUnavailableError(f"the run's state is not understood: {error}") from None
    event = call.event if bytes(call.event) != b"null" or not events else events[0]
    return msgspec.structs.replace(call, steps=steps, events=events, event=event, use_api=False)


async def _fetched(api: ServerApi, path: str) -> bytes:
    asked = ApiRequest(method="GET", path=path, timeout_seconds=TIMEOUT_S)
    try:
        reply = await api.ask(asked)
    except NetworkError as error:
        raise StateUnavailableError(f"the run's state could not be fetched: {error}") from error
    if reply.status != 200:
        text = reply.body[:200].decode(errors="replace")
        raise StateUnavailableError(
            f"the run's state could not be fetched: GET {path}: HTTP {reply.status} {text}"
        )
    return reply.body
