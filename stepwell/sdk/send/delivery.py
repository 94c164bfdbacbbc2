"""How a batch of events reaches a server: the port, its HTTP implementation, retries, the answer.

The only place that knows how often a send is repeated and what an event API's answer means.
`stepwell.embedded` puts a port of its own in place of HTTP.
"""

import time
from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from stepwell.sdk.errors import SendEventsError
from stepwell.sdk.net.agent import in_header
from stepwell.sdk.net.port import HttpPort, HttpReply, NetworkError
from stepwell.sdk.settings import cloud_hint
from stepwell.sdk.tracing import leaving_trace
from stepwell.wire import header, limit
from stepwell.wire.duration import parse_retry_after
from stepwell.wire.outside import decode

RETRY_AFTER_SECONDS_MAX = 60.0
_SHOWN_CHARS = 500
_START_ONE = ". No server runs there: start one with `stepwell dev`, or name another in INNGEST_DEV"
# What the statuses of the cloud's event API mean when it sends no text of its own.
_MEANINGS = {
    400: "Cannot process event payload",
    401: "Event key Not Found",
    403: "Forbidden",
    404: "Event key not found",
    409: "Event transformation failed",
    412: "Event transformation failed",
    413: "Event payload too large",
    500: "Internal server error",
}


_KEY_REFUSED = frozenset({401, 404})
"""How event APIs answer a key they do not know, in words that sound as if none had been given."""


class EventBatch(msgspec.Struct, frozen=True):
    """One request's worth of events: the JSON array, and the seed from which their ids are derived.

    `seed` is the value of `X-Inngest-Event-Id-Seed`: the same for every try, so that a repeated
    request creates nothing twice; empty if there is none, and then it is sent once. `env` is
    the branch environment, or None. `fresh` says that the seed was drawn for this call, so that
    no earlier call can have sent the same.
    """

    body: bytes
    count: int
    seed: str
    env: str | None = None
    fresh: bool = False


class Delivery(msgspec.Struct, frozen=True):
    """A server's answer to a batch: HTTP status, the ids in order, its error text if any."""

    status: int
    ids: tuple[str, ...] = ()
    error: str | None = None
    body: str = ""
    retry_after_seconds: float | None = None


class EventPort(Protocol):
    """Where a client's events go. One try per call; raises NetworkError if no answer came."""

    async def deliver(self, batch: EventBatch) -> Delivery:
        """Hand over a batch and wait for the answer."""
        ...

    def deliver_sync(self, batch: EventBatch) -> Delivery:
        """The same for blocking code."""
        ...


class HttpEventPort:
    """The event API over HTTP: `POST {origin}/e/{key}`, without any other authentication."""

    def __init__(
        self,
        http: Callable[[], HttpPort],
        url: str,
        headers: Mapping[str, str],
        timeout_seconds: float,
    ) -> None:
        self._http = http
        self._url = url
        self._headers = dict(headers)
        self._timeout_seconds = timeout_seconds

    def _headers_for(self, batch: EventBatch) -> dict[str, str]:
        headers = {**self._headers, **leaving_trace()}
        if batch.seed:
            headers[header.EVENT_ID_SEED] = batch.seed
        if batch.env is not None:
            headers[header.ENV] = in_header(batch.env)
        return headers

    async def deliver(self, batch: EventBatch) -> Delivery:
        """POST the batch once."""
        reply = await self._http().request(
            "POST",
            self._url,
            headers=self._headers_for(batch),
            body=batch.body,
            timeout_seconds=self._timeout_seconds,
        )
        return read_answer(reply)

    def deliver_sync(self, batch: EventBatch) -> Delivery:
        """The same for blocking code."""
        reply = self._http().request_sync(
            "POST",
            self._url,
            headers=self._headers_for(batch),
            body=batch.body,
            timeout_seconds=self._timeout_seconds,
        )
        return read_answer(reply)


class _Answer(msgspec.Struct):
    ids: list[str] | None = None
    status: int | None = None
    error: str | None = None


_DECODER = msgspec.json.Decoder(_Answer)


def read_answer(reply: HttpReply) -> Delivery:
    """What an event API's answer says. It is JSON whatever its content type claims.

    An error is a status other than 200, in HTTP or in the body, or an `error` text.
    """
    text = reply.body[:_SHOWN_CHARS].decode(errors="replace")
    try:
        answer = decode(reply.body, _DECODER)
    except (msgspec.DecodeError, UnicodeDecodeError):
        reason = _MEANINGS.get(reply.status) or text.strip() or f"HTTP status {reply.status}"
        if reply.status == 200:
            reason = f"the answer is not that of an event API: {text[:100]!r}"
        return Delivery(reply.status, (), reason, text, _retry_after(reply))
    status = reply.status if reply.status != 200 else answer.status or 200
    error = answer.error or None
    if error is None and (status != 200 or answer.ids is None):
        told = text if text.strip() not in ("", "{}") else f"HTTP status {status}"
        error = _MEANINGS.get(status) or ("the answer holds no ids" if status == 200 else told)
    return Delivery(status, tuple(answer.ids or ()), error, text, _retry_after(reply))


def _retry_after(reply: HttpReply) -> float | None:
    now_ms = time.time_ns() // 1_000_000
    due_ms = parse_retry_after(reply.headers.get(header.RETRY_AFTER), now_ms)
    return None if due_ms is None else (due_ms - now_ms) / 1000


Outcome = Delivery | NetworkError


def wait_before_retry(
    outcome: Outcome, attempt: int, attempts_max: int, chance: float
) -> float | None:
    """Seconds to wait before the next try, or None if this outcome stands.

    Repeated are network errors, 429 and 5xx. `attempt` counts from 0, `chance` is a
    random number in [0, 1): 100 ms doubled each time, plus up to 100 ms, or what the server asks.
    If it asks for more than callers of `send` can be made to wait, the outcome stands.
    """
    if attempt + 1 >= attempts_max:
        return None
    base = limit.SEND_BACKOFF_MS / 1000
    wait = base * 2.0**attempt + base * chance
    if isinstance(outcome, NetworkError):
        # A kept connection that the server had closed in the meantime: nothing to wait for.
        return 0.0 if outcome.trouble == "lost" and attempt == 0 else wait
    if outcome.error is None or not (outcome.status == 429 or outcome.status >= 500):
        return None
    asked = outcome.retry_after_seconds or 0.0
    return None if asked > RETRY_AFTER_SECONDS_MAX else max(wait, asked)


def is_local(url: str) -> bool:
    """Is this address one of this machine, where a development server would be?"""
    return urlsplit(url).hostname in {"localhost", "127.0.0.1", "::1"}


def accepted_ids(outcome: Outcome, where: str) -> list[str]:
    """The ids; or raises SendEventsError with the server's words and what it did accept."""
    if isinstance(outcome, NetworkError):
        missing = outcome.trouble == "refused" and is_local(where)
        hint = _START_ONE if missing else cloud_hint(where)
        told = f"Failed to send events to {where}: {outcome}{hint}"
        raise SendEventsError(told, []) from outcome
    if outcome.error is None:
        return list(outcome.ids)
    error = SendEventsError(
        f"Inngest API Error: {outcome.status} {outcome.error}", [i for i in outcome.ids if i]
    )
    if outcome.status in _KEY_REFUSED:
        error.add_note(
            "The server refuses the event key it was given: pass one it knows, as event_key=... or"
            f" in INNGEST_EVENT_KEY{cloud_hint(where)}"
        )
    error.status_code = outcome.status
    error.response_body = outcome.body
    raise error
