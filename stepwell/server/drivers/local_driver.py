"""Functions of this process, called directly.

The handler stays alive across steps: each finished step is saved (one commit) and the handler goes
on without a replay. What the functions are is the embedder's business; here they are a callable.
"""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from stepwell.server.clock import Clock
from stepwell.server.drivers.port import Save
from stepwell.server.drivers.reply import reading_reply
from stepwell.server.drivers.request import call_request
from stepwell.server.engine.message.input import Job, Outcome
from stepwell.server.engine.state.catalog import Listing
from stepwell.server.store.port import CallState
from stepwell.server.turns import in_turns
from stepwell.wire import header
from stepwell.wire.execution import CallRequest, CallResponse

LocalCall: TypeAlias = Callable[[str, str, CallRequest, Save], Awaitable[CallResponse]]
"""Calls a function: its composite id, the step it is to run (or `step`), the request, and how to
save steps on the way."""

SPEAKER = {header.SDK: "local", header.REQ_VERSION: str(header.REQUEST_VERSION)}
"""Over HTTP an answer says that an SDK gave it, and in which version; here nobody else can."""


class LocalDriver:
    """Reaches the functions of one process."""

    def __init__(self, call: LocalCall, clock: Clock) -> None:
        """`clock` tells when a reply arrives that names a date to be called again."""
        self._call = call
        self._clock = clock

    async def call(self, job: Job, state: CallState, listing: Listing, save: Save) -> Outcome:
        """Call the function; see `Driver.call`."""
        request = call_request(job, state, listing)
        response = await self._call(listing.slug, job.item.target, request, save)
        headers = {**SPEAKER, **response.headers}
        now_ms = self._clock.now_ms()
        return await in_turns(reading_reply(response.status, headers, response.body, now_ms))
