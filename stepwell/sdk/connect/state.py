"""Fetches what was too large to travel with a call, for functions of a worker."""

import asyncio

from stepwell.sdk.net.port import NetworkError
from stepwell.sdk.net.server_api import ServerApi
from stepwell.sdk.serve.run_state import completed, state_requests, unreachable
from stepwell.wire.execution import CallRequest


async def with_state(call: CallRequest, api: ServerApi) -> CallRequest:
    """The call with its steps, and its events if these were left out too.

    Raises StateUnavailableError.
    """
    if not call.use_api:
        return call
    try:
        replies = await asyncio.gather(*map(api.ask, state_requests(call)))
    except NetworkError as error:
        raise unreachable(error) from error
    return completed(call, replies)
