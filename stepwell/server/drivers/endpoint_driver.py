"""Durable endpoints: the request that began a run is made again, signed, for each further call."""

import base64
import binascii
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from stepwell.server.drivers.http_pool import HttpPool, NoAnswer
from stepwell.server.drivers.port import Save
from stepwell.server.drivers.reply import reading_reply, unreachable
from stepwell.server.drivers.request import call_headers, call_request
from stepwell.server.engine.message.input import Broke, Job, Outcome
from stepwell.server.engine.state.catalog import Listing
from stepwell.server.store.port import CallState
from stepwell.server.turns import in_turns
from stepwell.wire import header
from stepwell.wire.endpoint import HttpCalled, decode_called
from stepwell.wire.execution import TARGET_DISCOVERY
from stepwell.wire.failure import Failure, encode_failure
from stepwell.wire.long_json import Turns, jcs_in_turns
from stepwell.wire.signature import sign

_UNSIGNED = "-"
"""An endpoint knows the server's requests by two headers; without a key nobody reads the second."""


class EndpointDriver:
    """Reaches durable endpoints."""

    def __init__(
        self, pool: HttpPool, now_ms: Callable[[], int], signing_key: str | None = None
    ) -> None:
        """Without a key requests are not signed, which only apps in development accept."""
        self._pool = pool
        self._now_ms = now_ms
        self._signing_key = signing_key

    async def call(self, job: Job, state: CallState, listing: Listing, save: Save) -> Outcome:
        """Call the endpoint; see `Driver.call`. It fetches steps and event from the API."""
        try:
            asked = decode_called(msgspec.Raw(state.events[0]))
            body = base64.b64decode(asked.body, validate=True)
        except (IndexError, ValueError, msgspec.DecodeError, binascii.Error) as error:
            return _unreadable(error)
        request = call_request(job, state, listing)
        headers = call_headers(request, job.item.target)
        if job.item.target == TARGET_DISCOVERY:
            del headers[header.STEP_ID]
        headers[header.FORCE_STEP_PLAN] = "true" if job.run.force_plan else "false"
        headers[header.KEEPS_LOGS] = "true"
        headers[header.ATTEMPT] = str(request.ctx.attempt)
        if request.ctx.max_attempts is not None:
            headers[header.MAX_ATTEMPTS] = str(request.ctx.max_attempts)
        headers[header.SIGNATURE] = _UNSIGNED
        if asked.content_type:
            headers[header.CONTENT_TYPE] = asked.content_type
        if self._signing_key is not None:
            headers[header.SIGNATURE] = sign(
                await in_turns(_signed(body)), self._signing_key, self._now_ms()
            )
        try:
            answer = await self._pool.request(
                asked.method, url_of(asked), headers, body, stays=self._signing_key is not None
            )
        except NoAnswer as problem:
            return unreachable(problem.message, problem.reason)
        reply = reading_reply(answer.status, answer.headers, answer.body, self._now_ms())
        return await in_turns(reply)

    def lets_finish(self, lease_id: str) -> bool:
        """Always, as `HttpDriver`."""
        return True


def _signed(body: bytes) -> Turns[bytes]:
    """What is signed: SDKs read JSON, and verify its canonical form."""
    try:
        return (yield from jcs_in_turns(body)) if body else b""
    except (msgspec.DecodeError, ValueError):
        return body


def url_of(asked: HttpCalled) -> str:
    """Where the request went."""
    origin = asked.domain if urlsplit(asked.domain).scheme else f"https://{asked.domain}"
    query = f"?{asked.query_params.removeprefix('?')}" if asked.query_params else ""
    return f"{origin.rstrip('/')}{asked.path}{query}"


def _unreadable(error: Exception) -> Broke:
    told = f"the request that began the run cannot be made again: {error}"
    failure = Failure(name="Error", message=told)
    return Broke(failure, encode_failure(failure), no_retry=True, reason=told)
