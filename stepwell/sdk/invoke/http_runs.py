"""Runs at a server, by its HTTP API: how they are started and looked at."""

import asyncio
import random
import time
from collections.abc import Generator
from typing import Any, TypeVar, cast
from urllib.parse import quote

import msgspec

from stepwell.sdk.errors import Error
from stepwell.sdk.invoke.port import PAUSE_SECONDS, Invoked, RunSeen
from stepwell.sdk.net.port import HttpReply, NetworkError
from stepwell.sdk.net.server_api import ApiRequest, ServerApi
from stepwell.sdk.send.delivery import Delivery, Outcome, wait_before_retry
from stepwell.wire import header, limit
from stepwell.wire.outside import decode

_START_SECONDS_MAX = 10.0
_ANSWER_SECONDS = 30.0


class _Started(msgspec.Struct):
    id: str = ""
    run_id: str | None = None
    status: int = 200
    error: str | None = None


class _Answer(msgspec.Struct):
    data: msgspec.Raw = msgspec.Raw(b"null")
    error: str | None = None
    status: int | None = None


Asking = Generator[ApiRequest | float, HttpReply | NetworkError | None, Any]
"""Yields requests to be made and pauses in seconds; is told what came of a request."""


class HttpRunPort:
    """A server's API. Official servers do not tell the run's id at once: it is looked for."""

    def __init__(self, api: ServerApi) -> None:
        self._api = api

    async def start(self, invoked: Invoked) -> str:
        """POST it, as often as it takes; the seed makes that safe."""
        return cast(str, await self._perform(_starting(invoked)))

    def start_sync(self, invoked: Invoked) -> str:
        """The same for blocking code."""
        return cast(str, self._perform_sync(_starting(invoked)))

    async def look(self, run_id: str, wait_seconds: float) -> RunSeen:
        """GET it once."""
        return _seen(await self._api.ask(_look(run_id, wait_seconds)), run_id)

    def look_sync(self, run_id: str, wait_seconds: float) -> RunSeen:
        """The same for blocking code."""
        return _seen(self._api.ask_sync(_look(run_id, wait_seconds)), run_id)

    async def _perform(self, asking: Asking) -> object:
        told: HttpReply | NetworkError | None = None
        while True:
            try:
                asked = asking.send(told)
            except StopIteration as done:
                return done.value
            told = None
            if not isinstance(asked, ApiRequest):
                await asyncio.sleep(asked)
                continue
            try:
                told = await self._api.ask(asked)
            except NetworkError as error:
                told = error

    def _perform_sync(self, asking: Asking) -> object:
        told: HttpReply | NetworkError | None = None
        while True:
            try:
                asked = asking.send(told)
            except StopIteration as done:
                return done.value
            told = None
            if not isinstance(asked, ApiRequest):
                time.sleep(asked)
                continue
            try:
                told = self._api.ask_sync(asked)
            except NetworkError as error:
                told = error


def _starting(invoked: Invoked) -> Asking:
    request = ApiRequest(
        method="POST",
        path=f"/invoke/{quote(invoked.slug, safe='')}",
        body=invoked.body(),
        headers={header.EVENT_ID_SEED: invoked.seed, header.CONTENT_TYPE: header.JSON},
        timeout_seconds=_ANSWER_SECONDS,
    )
    attempt = 0
    while True:
        reply = yield request
        assert reply is not None
        tries = limit.SEND_ATTEMPTS_MAX
        wait = wait_before_retry(_outcome(reply), attempt, tries, random.random())
        if wait is None:
            break
        yield wait
        attempt += 1
    if isinstance(reply, NetworkError):
        raise reply
    started = _decoded(reply, _Started)
    if reply.status != 200 or started.error or not started.id:
        raise Error(f'invoke "{invoked.slug}": {_refusal(reply)}')
    return started.run_id or (yield from _run_of(started.id, invoked.slug))


def _run_of(event_id: str, slug: str) -> Generator[ApiRequest | float, Any, str]:
    pause, pause_max = PAUSE_SECONDS
    waited = 0.0
    while waited < _START_SECONDS_MAX:
        reply = yield ApiRequest(
            method="GET", path=f"/v1/events/{event_id}/runs", timeout_seconds=_ANSWER_SECONDS
        )
        if isinstance(reply, HttpReply):
            runs = msgspec.json.decode(_decoded(reply, _Answer).data, type=list[_Run] | None)
            if runs:
                return runs[0].run_id
        yield pause
        waited, pause = waited + pause, min(pause * 2, pause_max)
    raise Error(
        f'invoke "{slug}": event {event_id} was accepted but started no run: is the function'
        " registered, and does its flow control let it start?"
    )


class _Run(msgspec.Struct):
    run_id: str
    status: str = ""
    output: msgspec.Raw = msgspec.Raw(b"null")


def _look(run_id: str, wait_seconds: float) -> ApiRequest:
    query = f"?wait={wait_seconds:.3f}" if wait_seconds > 0 else ""
    return ApiRequest(
        method="GET",
        path=f"/v1/runs/{quote(run_id, safe='')}{query}",
        timeout_seconds=wait_seconds + _ANSWER_SECONDS,
    )


def _seen(reply: HttpReply, run_id: str) -> RunSeen:
    answer = _decoded(reply, _Answer)
    if reply.status != 200 or answer.error:
        raise Error(f"run {run_id}: {_refusal(reply)}")
    run = msgspec.json.decode(answer.data, type=_Run)
    return RunSeen(run.run_id, run.status, run.output)


S = TypeVar("S", _Started, _Answer)


def _decoded(reply: HttpReply, kind: type[S]) -> S:
    try:
        return decode(reply.body, msgspec.json.Decoder(kind))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return kind(error=_text(reply))


def _text(reply: HttpReply) -> str:
    return reply.body[:300].decode(errors="replace").strip() or "no body"


def _refusal(reply: HttpReply) -> str:
    answer = _decoded(reply, _Answer)
    return f"HTTP {reply.status}: {answer.error or _text(reply)}"


def _outcome(reply: HttpReply | NetworkError) -> Outcome:
    if isinstance(reply, NetworkError):
        return reply
    return Delivery(reply.status, (), None if reply.status == 200 else "refused")
