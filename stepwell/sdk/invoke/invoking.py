"""Runs that ordinary code starts and, if it likes, waits for: the only place of the SDK for them.

What a web route does with `client.invoke`. The server is asked through a port, so that an engine
inside the process can take its place. Sources: server.md 1.8, 6.3; features B-51.
"""

import asyncio
import random
import time
from collections.abc import Generator, Mapping
from typing import Any, Literal, Protocol, TypeVar, cast, overload
from urllib.parse import quote

import msgspec

from stepwell.sdk.errors import (
    ConfigurationError,
    Error,
    OutputUnserializableError,
    RunFailedError,
    RunTimeoutError,
)
from stepwell.sdk.events.event import MinimalEvent
from stepwell.sdk.function.function import Function
from stepwell.sdk.invoke.hooks import InvocationHooks
from stepwell.sdk.net.port import HttpReply, NetworkError
from stepwell.sdk.net.server_api import ApiRequest, ServerApi
from stepwell.sdk.send.delivery import Delivery, Outcome, wait_before_retry
from stepwell.sdk.send.sending import new_seed
from stepwell.sdk.value.codec import CodecError, codec_of, encode_any
from stepwell.sdk.value.duration import Duration, duration_ms
from stepwell.sdk.value.failure import deserialize_error
from stepwell.wire import header, limit

T = TypeVar("T")

WAIT_SECONDS = 20.0
"""How long the server is asked to hold one request; one that does not hold it is asked again."""
_PAUSE_SECONDS = (0.05, 1.0)
_START_SECONDS_MAX = 10.0
_ANSWER_SECONDS = 30.0
_COMPLETED = "completed"
_ENDED = frozenset({_COMPLETED, "failed", "cancelled"})


class Invoked(msgspec.Struct, frozen=True):
    """A function that is to run: its composite id, its data, and what makes the request repeatable.

    `user` and `v` go into the event the run sees.
    """

    slug: str
    data: msgspec.Raw
    seed: str
    user: msgspec.Raw | None = None
    v: str | None = None

    def body(self) -> bytes:
        """What is posted."""
        fields: dict[str, object] = {"data": self.data}
        if self.user is not None:
            fields["user"] = self.user
        if self.v is not None:
            fields["v"] = self.v
        return msgspec.json.encode(fields)


class RunSeen(msgspec.Struct, frozen=True):
    """A run as it was when somebody looked. `output` is its result, or its error."""

    run_id: str
    status: str
    output: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def completed(self) -> bool:
        """Did it return something?"""
        return self.status.lower() == _COMPLETED

    @property
    def ended(self) -> bool:
        """Will it stay as it is?"""
        return self.status.lower() in _ENDED


class RunPort(Protocol):
    """Where runs are started and looked at."""

    async def start(self, invoked: Invoked) -> str:
        """Start a function; returns the run's id. Raises Error if it cannot be started."""
        ...

    def start_sync(self, invoked: Invoked) -> str:
        """The same for blocking code."""
        ...

    async def look(self, run_id: str, wait_seconds: float) -> RunSeen:
        """The run when it has ended, or as it is after at most so long. Raises NetworkError."""
        ...

    def look_sync(self, run_id: str, wait_seconds: float) -> RunSeen:
        """The same for blocking code."""
        ...


def invoked(
    function: Function[Any, Any] | str,
    data: object,
    user: Mapping[str, object] | None,
    v: str | None,
) -> Invoked:
    """What `client.invoke` was told. Raises ConfigurationError for what JSON cannot carry."""
    slug = function.id if isinstance(function, Function) else function
    if isinstance(data, MinimalEvent):
        whole = cast(Any, data)
        data, v, user = whole.data, v or whole.v, user or whole.user
    try:
        payload = encode_any({} if data is None else data)
        about = None if user is None else encode_any(user)
    except CodecError as error:
        raise ConfigurationError(f'invoke "{slug}": data: {error}') from None
    if bytes(payload)[:1] != b"{":
        raise ConfigurationError(
            f'invoke "{slug}": data: {type(data).__name__} is no object; wrap it, as in'
            " {'value': ...}"
        )
    return Invoked(slug, payload, new_seed(time.time_ns() // 1_000_000), about, v)


# Waiting


class Patience:
    """How long a run is waited for, and at which pace a server is asked that answers at once."""

    def __init__(self, run_id: str, timeout: Duration | None) -> None:
        self._run_id = run_id
        self._began = time.monotonic()
        self._limit = float("inf") if timeout is None else _seconds_of(timeout)
        self._pause, self._pause_max = _PAUSE_SECONDS
        self._failures = 0
        self._asked = (self._began, 0.0)

    def hold(self) -> float:
        """How long the server may hold the next request."""
        seconds = max(min(WAIT_SECONDS, self._left()), 0.0)
        self._asked = (time.monotonic(), seconds)
        return seconds

    def _left(self) -> float:
        return self._began + self._limit - time.monotonic()

    def pause(self, seen: RunSeen | NetworkError) -> float:
        """How long to wait before the next look. Raises RunTimeoutError, or what is seen if the
        server stays away."""
        if self._left() <= 0:
            raise RunTimeoutError(
                f"run {self._run_id} has not ended within {self._limit:g} s; it goes on",
                self._run_id,
            ) from (seen if isinstance(seen, NetworkError) else None)
        if isinstance(seen, NetworkError):
            self._failures += 1
            if self._failures >= limit.SEND_ATTEMPTS_MAX:
                raise seen
        else:
            self._failures = 0
            began, asked = self._asked
            if time.monotonic() - began >= asked / 2:
                return 0.0  # it did hold the request
        pause, self._pause = self._pause, min(self._pause * 2, self._pause_max)
        return min(pause, max(self._left(), 0.0))


async def ended(port: RunPort, run_id: str, timeout: Duration | None) -> RunSeen:
    """The run, once it has ended. Raises RunTimeoutError, or NetworkError if nobody answers."""
    patience = Patience(run_id, timeout)
    while True:
        seen: RunSeen | NetworkError
        try:
            seen = await port.look(run_id, patience.hold())
            if seen.ended:
                return seen
        except NetworkError as error:
            seen = error
        await asyncio.sleep(patience.pause(seen))


def ended_sync(port: RunPort, run_id: str, timeout: Duration | None) -> RunSeen:
    """The same for blocking code."""
    patience = Patience(run_id, timeout)
    while True:
        seen: RunSeen | NetworkError
        try:
            seen = port.look_sync(run_id, patience.hold())
            if seen.ended:
                return seen
        except NetworkError as error:
            seen = error
        time.sleep(patience.pause(seen))


def result_of(seen: RunSeen, function: Function[Any, Any] | str) -> Any:
    """What an ended run returned. Raises RunFailedError with its error as the cause."""
    if seen.completed:
        codec = function.codec if isinstance(function, Function) else codec_of(object)
        try:
            return codec.decode(seen.output)
        except CodecError as error:
            raise OutputUnserializableError(
                f"run {seen.run_id}: its result does not fit the type its function is declared"
                f" with: {error}"
            ) from error
    told: object = msgspec.json.decode(seen.output)
    cause = None if told is None else deserialize_error(told)
    words = "" if cause is None else f": {cause.name}: {cause}"
    raise RunFailedError(f"run {seen.run_id} {seen.status.lower()}{words}", seen.run_id) from cause


def _seconds_of(timeout: Duration) -> float:
    try:
        seconds = duration_ms(timeout) / 1000
    except ValueError as error:
        raise ConfigurationError(f"timeout = {timeout!r}: {error}") from None
    if seconds < 0:
        raise ConfigurationError(f"timeout = {timeout!r}: give a length of time above nothing")
    return seconds


# The server


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
    pause, pause_max = _PAUSE_SECONDS
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
        return msgspec.json.decode(reply.body, type=kind)
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


# The client's half


class Invoker:
    """What a client can do with functions besides declaring them."""

    _run_port: RunPort | None = None

    @property
    def api(self) -> ServerApi:
        """The server's API."""
        raise NotImplementedError

    @property
    def run_port(self) -> RunPort:
        """Where runs are started and looked at: the server, unless a port was put in its place."""
        return self._run_port or HttpRunPort(self.api)

    @run_port.setter
    def run_port(self, port: RunPort | None) -> None:
        """Start runs through this port; None goes back to the server."""
        self._run_port = port

    @overload
    async def invoke(
        self,
        function: Function[T, Any],
        *,
        data: object = ...,
        user: Mapping[str, object] | None = ...,
        v: str | None = ...,
        wait: Literal[True] = ...,
        timeout: Duration | None = ...,
    ) -> T: ...

    @overload
    async def invoke(
        self,
        function: str,
        *,
        data: object = ...,
        user: Mapping[str, object] | None = ...,
        v: str | None = ...,
        wait: Literal[True] = ...,
        timeout: Duration | None = ...,
    ) -> Any: ...

    @overload
    async def invoke(
        self,
        function: Function[Any, Any] | str,
        *,
        data: object = ...,
        user: Mapping[str, object] | None = ...,
        v: str | None = ...,
        wait: Literal[False],
        timeout: Duration | None = ...,
    ) -> str: ...

    async def invoke(
        self,
        function: Function[Any, Any] | str,
        *,
        data: object = None,
        user: Mapping[str, object] | None = None,
        v: str | None = None,
        wait: bool = True,
        timeout: Duration | None = None,
    ) -> Any:
        """Run a function, and give what it returns; with `wait=False` the id of its run, at once.

        For code outside of functions, such as a web route; inside one use `ctx.step.invoke`.

        Args:
            function: A function, or its composite id such as "shop-ship-order".
            data: What the event that starts it carries, an object.
            user: About whom it is.
            v: The version of the data.
            wait: Wait until the run has ended.
            timeout: How long at most: milliseconds, a timedelta, or text such as "30s"; by default
                as long as it takes.

        Raises RunFailedError if the run failed or was cancelled, RunTimeoutError if it took longer
        (it goes on), Error if the function cannot be started, NetworkError if nobody answers.
        """
        port, hooks = self.run_port, InvocationHooks(self, function)
        asked = invoked(function, data, user, v)
        leaving = await hooks.leaving(asked.data)
        run_id = await port.start(msgspec.structs.replace(asked, data=leaving))
        if not wait:
            return run_id
        seen = await ended(port, run_id, timeout)
        if seen.completed:
            output = await hooks.returned(seen.output)
            seen = msgspec.structs.replace(seen, output=output)
        return result_of(seen, function)

    @overload
    def invoke_sync(
        self,
        function: Function[T, Any],
        *,
        data: object = ...,
        user: Mapping[str, object] | None = ...,
        v: str | None = ...,
        wait: Literal[True] = ...,
        timeout: Duration | None = ...,
    ) -> T: ...

    @overload
    def invoke_sync(
        self,
        function: str,
        *,
        data: object = ...,
        user: Mapping[str, object] | None = ...,
        v: str | None = ...,
        wait: Literal[True] = ...,
        timeout: Duration | None = ...,
    ) -> Any: ...

    @overload
    def invoke_sync(
        self,
        function: Function[Any, Any] | str,
        *,
        data: object = ...,
        user: Mapping[str, object] | None = ...,
        v: str | None = ...,
        wait: Literal[False],
        timeout: Duration | None = ...,
    ) -> str: ...

    def invoke_sync(
        self,
        function: Function[Any, Any] | str,
        *,
        data: object = None,
        user: Mapping[str, object] | None = None,
        v: str | None = None,
        wait: bool = True,
        timeout: Duration | None = None,
    ) -> Any:
        """The same as `invoke`, for blocking code."""
        port, hooks = self.run_port, InvocationHooks(self, function)
        asked = invoked(function, data, user, v)
        leaving = hooks.leaving_sync(asked.data)
        run_id = port.start_sync(msgspec.structs.replace(asked, data=leaving))
        if not wait:
            return run_id
        seen = ended_sync(port, run_id, timeout)
        if seen.completed:
            output = hooks.returned_sync(seen.output)
            seen = msgspec.structs.replace(seen, output=output)
        return result_of(seen, function)
