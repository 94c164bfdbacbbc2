"""Functions behind a URL: one signed POST for each call."""

from collections.abc import Callable
from urllib.parse import quote

from stepwell.server.drivers.http_pool import HttpPool, NoAnswer
from stepwell.server.drivers.port import Lost, Save
from stepwell.server.drivers.reply import reading_reply, unreachable
from stepwell.server.drivers.request import call_headers, call_request, within_limit
from stepwell.server.engine.message.input import Job, Outcome
from stepwell.server.engine.state.catalog import Listing
from stepwell.server.store.port import CallState
from stepwell.server.turns import in_turns
from stepwell.wire import header
from stepwell.wire.execution import TARGET_DISCOVERY, encode_call
from stepwell.wire.long_json import signing_form
from stepwell.wire.signature import sign

_OF_SOCKETS = ("ws://", "wss://")
_STEP_QUERY = f"{header.QUERY_STEP_ID}="


class HttpDriver:
    """Reaches the functions of apps that serve over HTTP."""

    def __init__(
        self, pool: HttpPool, now_ms: Callable[[], int], signing_key: str | None = None
    ) -> None:
        """Without a key calls are not signed, which only apps in development accept."""
        self._pool = pool
        self._now_ms = now_ms
        self._signing_key = signing_key

    async def call(
        self, job: Job, state: CallState, listing: Listing, save: Save
    ) -> Outcome | Lost:
        """Call the function; see `Driver.call`. Steps saved on the way come through the API."""
        if listing.config.url.startswith(_OF_SOCKETS):
            # Its app came by connect since the call was handed out.
            return Lost(begun=False, elsewhere=True)
        request = within_limit(call_request(job, state, listing))
        body = encode_call(request)
        headers = call_headers(request, job.item.target)
        if self._signing_key is not None:
            form = await in_turns(signing_form(body))
            headers[header.SIGNATURE] = sign(form, self._signing_key, self._now_ms())
        url = target_url(listing.config.url, job.item.target)
        try:
            answer = await self._pool.request(
                "POST", url, headers, body, stays=self._signing_key is not None
            )
        except NoAnswer as problem:
            return unreachable(problem.message, problem.reason)
        reply = reading_reply(answer.status, answer.headers, answer.body, self._now_ms())
        return await in_turns(reply)

    def lets_finish(self, lease_id: str) -> bool:
        """Always: some frameworks end a handler whose caller hangs up. What serves our own
        functions asks whether their runs go on, and ends them itself."""
        return True


def target_url(url: str, target: str) -> str:
    """Where a call goes: the URL as registered, with its `stepId` replaced by the target."""
    if target == TARGET_DISCOVERY and f"{_STEP_QUERY}{target}" in url:
        return url
    address, mark, query = url.partition("?")
    pairs = [pair for pair in query.split("&") if mark and pair]
    kept = [pair for pair in pairs if not pair.startswith(_STEP_QUERY)]
    kept.append(_STEP_QUERY + quote(target, safe=""))
    return f"{address}?{'&'.join(kept)}"
