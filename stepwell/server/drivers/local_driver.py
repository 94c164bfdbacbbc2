"""Functions of this process, called directly.

The handler stays alive across steps: each finished step is saved (one commit) and the handler goes
on without a replay. What the functions are is the embedder's business; here they are a callable.
"""

import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from stepwell.server.drivers.port import Save
from stepwell.server.drivers.reply import read_reply
from stepwell.server.drivers.request import call_request
from stepwell.server.engine.catalog import Listing
from stepwell.server.engine.input import Job, Outcome
from stepwell.server.store.port import CallState
from stepwell.wire.execution import CallRequest, CallResponse

LocalCall: TypeAlias = Callable[[str, str, CallRequest, Save], Awaitable[CallResponse]]
"""Calls a function: its composite id, the step it is to run (or `step`), the request, and how to
save steps on the way."""


class LocalDriver:
    """Reaches the functions of one process."""

    def __init__(self, call: LocalCall, now_ms: Callable[[], int] | None = None) -> None:
        """`now_ms` is the node's clock; without it the machine's."""
        self._call = call
        self._now_ms = now_ms or _machine_ms

    async def call(self, job: Job, state: CallState, listing: Listing, save: Save) -> Outcome:
        """Call the function; see `Driver.call`."""
        request = call_request(job, state, listing)
        response = await self._call(listing.slug, job.item.target, request, save)
        return read_reply(response.status, response.headers, response.body, self._now_ms())


def _machine_ms() -> int:
    return time.time_ns() // 1_000_000
