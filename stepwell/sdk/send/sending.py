"""One call of `send`: seed, hooks, judgement, tries, result; in both colours.

The only place that draws seeds.
"""

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import msgspec

from stepwell.sdk.errors import ConfigurationError, InngestWarning, SendEventsError, warn
from stepwell.sdk.events.event import Event
from stepwell.sdk.events.schemas import EventSchemas
from stepwell.sdk.net.port import NetworkError
from stepwell.sdk.send.delivery import (
    Delivery,
    EventBatch,
    EventPort,
    Outcome,
    accepted_ids,
    wait_before_retry,
)
from stepwell.sdk.send.outgoing import Body, Sendable, collect_for, encode_in_parts, inheriting
from stepwell.sdk.send.result import SendEventsResult
from stepwell.wire import limit
from stepwell.wire.identifier import ENTROPY_BYTES, Seed, format_seed, parse_seed, seed_after

LARGE_EVENT_BYTES = 256 * 1024
"""Half of what the cloud's default plan takes: from here on a warning is logged."""


class SendResult(list[str]):
    """The ids of the events that were sent, in their order: a list, and `.ids` for good measure.

    What hooks added to the result are attributes of it.
    """

    def __init__(self, ids: Iterable[str] = (), added: Mapping[str, object] | None = None) -> None:
        super().__init__(ids)
        self._added = added or {}

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in self._added:
            return self._added[name]
        raise AttributeError(f"the result of send() has no {name!r}: no hook added it")

    @property
    def ids(self) -> list[str]:
        """The ids as a plain list."""
        return list(self)


class SendHooks(Protocol):
    """The middleware of one call of `send`."""

    async def before_send_events(self, events: list[Event]) -> None:
        """Events are about to be sent, and may be changed."""
        ...

    async def after_send_events(self, result: SendEventsResult) -> None:
        """They were sent, or refused."""
        ...

    async def send(self, events: list[Event], work: Callable[[], Awaitable[Any]]) -> Any:
        """Around the sending; `work` returns the ids."""
        ...

    def send_sync(self, events: list[Event], work: Callable[[], Any]) -> Any:
        """The same for blocking code."""
        ...

    def before_send_events_sync(self, events: list[Event]) -> None:
        """The same for blocking code."""
        ...

    def after_send_events_sync(self, result: SendEventsResult) -> None:
        """The same for blocking code."""
        ...


def wall_ms() -> int:
    """The machine's time, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Sending(msgspec.Struct, frozen=True, kw_only=True):
    """What a call of `send` needs to know. `port` may raise if there is no event key.

    `hooks` is None if there is no middleware to ask; `seed` None means a fresh one. `schemas` judge
    what the user wrote, before middleware encrypts it. `sessions` are those that the events inherit
    from the run that sends them; `strict` refuses here what servers would.
    `now_ms` tells when events happened that do not say so.
    """

    port: Callable[[], EventPort]
    where: str
    env: str | None
    seed: str | None
    tries_max: int
    split: bool
    schemas: EventSchemas | None
    hooks: SendHooks | None
    logger: Any
    sessions: Mapping[str, str]
    strict: bool
    now_ms: Callable[[], int] = wall_ms

    def __post_init__(self) -> None:
        """Servers ignore a seed they cannot read, so a repetition would be sent twice."""
        if self.seed is not None and parse_seed(self.seed) is None:
            raise ConfigurationError(
                f"seed = {self.seed!r} is no seed of event ids: give milliseconds since 1970, a"
                " comma and the base64 of 10 bytes, such as 1700000000000,AAAAAAAAAAAAAA=="
            )


def new_seed(now_ms: int) -> str:
    """What makes the ids of one call repeatable: the same for each of its tries."""
    return format_seed(Seed(now_ms, secrets.token_bytes(ENTROPY_BYTES)))


async def send(given: Sendable | Iterable[Sendable], sending: Sending) -> SendResult:
    """Send events. Raises EventValidationError, EventKeyUnspecifiedError or SendEventsError."""
    hooks = sending.hooks
    events, schemas = _collected(given, sending)
    work = partial(_sent, events, schemas, sending, sending.now_ms())
    if hooks is None:
        return SendResult(await work())
    await hooks.before_send_events(events)
    error: SendEventsError | None = None
    try:
        seen = SendEventsResult(ids=list(await hooks.send(events, work)))
    except SendEventsError as found:
        error, seen = found, SendEventsResult(ids=list(found.ids), error=str(found))
    await hooks.after_send_events(seen)
    return _concluded(seen, error)


def _collected(
    given: Sendable | Iterable[Sendable], sending: Sending
) -> tuple[list[Event], EventSchemas | None]:
    """The events; and the schemas, if nobody looks at the events before they are written."""
    at_once_max = limit.EVENTS_PER_REQUEST_MAX if sending.hooks is None else 0
    return collect_for(given, sending.schemas, at_once_max=at_once_max, strict=sending.strict)


async def _sent(
    events: Sequence[Event], schemas: EventSchemas | None, sending: Sending, now_ms: int
) -> list[str]:
    ids: list[str] = []
    try:
        for batch in _batches(events, schemas, sending, now_ms):
            ids += accepted_ids(await _deliver(sending, batch), sending.where)
    except SendEventsError as error:
        error.ids = [*ids, *error.ids]  # what earlier requests of the same call achieved
        raise
    return ids


async def deliver(batch: EventBatch, sending: Sending) -> list[str]:
    """Send a batch that is ready. Raises SendEventsError."""
    return accepted_ids(await _deliver(sending, batch), sending.where)


def send_sync(given: Sendable | Iterable[Sendable], sending: Sending) -> SendResult:
    """The same for blocking code."""
    hooks = sending.hooks
    events, schemas = _collected(given, sending)
    work = partial(_sent_sync, events, schemas, sending, sending.now_ms())
    if hooks is None:
        return SendResult(work())
    hooks.before_send_events_sync(events)
    error: SendEventsError | None = None
    try:
        seen = SendEventsResult(ids=list(hooks.send_sync(events, work)))
    except SendEventsError as found:
        error, seen = found, SendEventsResult(ids=list(found.ids), error=str(found))
    hooks.after_send_events_sync(seen)
    return _concluded(seen, error)


def _sent_sync(
    events: Sequence[Event], schemas: EventSchemas | None, sending: Sending, now_ms: int
) -> list[str]:
    ids: list[str] = []
    try:
        for batch in _batches(events, schemas, sending, now_ms):
            ids += accepted_ids(_deliver_sync(sending, batch), sending.where)
    except SendEventsError as error:
        error.ids = [*ids, *error.ids]  # what earlier requests of the same call achieved
        raise
    return ids


def _concluded(seen: SendEventsResult, error: SendEventsError | None) -> SendResult:
    """What the caller gets once every hook has seen, and perhaps changed, the result (S3)."""
    if seen.error is None:
        return SendResult(seen.ids, seen.model_extra)
    if error is None or str(error) != seen.error:
        raise SendEventsError(seen.error, seen.ids) from error
    error.ids = list(seen.ids)
    raise error


def _batches(
    events: Sequence[Event], schemas: EventSchemas | None, sending: Sending, now_ms: int
) -> list[EventBatch]:
    """The requests of one call. All events are judged before the first of them leaves."""
    if not events:
        sending.logger.warning("send() called with no events: nothing was sent")
        warn(InngestWarning("send() called with no events"))
        return []
    most = limit.EVENTS_PER_REQUEST_MAX
    if len(events) > most and not sending.split:
        raise SendEventsError(
            f"{len(events)} events in one call, at most {most} fit into a request; pass split=True "
            "to send them in several"
        )
    sessions = sending.sessions
    leaving = [inheriting(event, sessions) for event in events] if sessions else events
    text, fresh = sending.seed or _drawn_seed(now_ms, sending), sending.seed is None
    seed = parse_seed(text)
    batches: list[EventBatch] = []
    sent = 0
    for body in encode_in_parts(leaving, now_ms, schemas, most=most, strict=sending.strict):
        _warn_if_large(events[sent : sent + body.count], body, sending)
        # A seed names each id by its place in the request: those of a further one go on from there.
        told = "" if seed is None else format_seed(seed_after(seed, sent)) if sent else text
        batches.append(EventBatch(body.body, body.count, told, sending.env, fresh=fresh))
        sent += body.count
    return batches


def _drawn_seed(now_ms: int, sending: Sending) -> str:
    """A new seed; empty where the machine has no source of chance."""
    try:
        return new_seed(now_ms)
    except (NotImplementedError, OSError) as error:
        sending.logger.debug("Event-sending retries disabled: no seed could be drawn: %s", error)
        return ""


def _warn_if_large(events: Sequence[Event], body: Body, sending: Sending) -> None:
    if body.largest_bytes > LARGE_EVENT_BYTES:
        sending.logger.warning(
            "event %r is large: %d bytes; servers may refuse more than %d",
            events[body.largest_index].name,
            body.largest_bytes,
            2 * LARGE_EVENT_BYTES,
        )


async def _deliver(sending: Sending, batch: EventBatch) -> Outcome:
    port, attempt = sending.port(), 0
    while True:
        outcome: Outcome
        try:
            outcome = await port.deliver(batch)
        except NetworkError as error:
            outcome = error
        wait = _wait(outcome, attempt, batch, sending)
        if wait is None:
            return outcome
        await asyncio.sleep(wait)
        attempt += 1


def _deliver_sync(sending: Sending, batch: EventBatch) -> Outcome:
    port, attempt = sending.port(), 0
    while True:
        outcome: Outcome
        try:
            outcome = port.deliver_sync(batch)
        except NetworkError as error:
            outcome = error
        wait = _wait(outcome, attempt, batch, sending)
        if wait is None:
            return outcome
        time.sleep(wait)
        attempt += 1


def _wait(outcome: Outcome, attempt: int, batch: EventBatch, sending: Sending) -> float | None:
    if isinstance(outcome, Delivery) and outcome.error is None:
        return None
    if not batch.seed:
        return None  # a repetition would be taken for further events
    wait = wait_before_retry(outcome, attempt, sending.tries_max, random.random())
    if wait is not None:
        reason = outcome.error if isinstance(outcome, Delivery) else outcome
        sending.logger.debug("sending events again in %.2f s: %s", wait, reason)
    return wait
