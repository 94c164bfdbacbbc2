"""Waiting for the end of a run, and what it returned."""

import asyncio
import time
from typing import Any

import msgspec

from stepwell.sdk.errors import (
    ConfigurationError,
    OutputUnserializableError,
    RunFailedError,
    RunTimeoutError,
)
from stepwell.sdk.function.function import Function
from stepwell.sdk.invoke.port import PAUSE_SECONDS, RunPort, RunSeen
from stepwell.sdk.net.port import NetworkError
from stepwell.sdk.value.codec import CodecError, codec_of
from stepwell.sdk.value.duration import Duration, duration_ms
from stepwell.sdk.value.failure import deserialize_error
from stepwell.wire import limit

WAIT_SECONDS = 20.0
"""How long the server is asked to hold one request; one that does not hold it is asked again."""


class Patience:
    """How long a run is waited for, and at which pace a server is asked that answers at once."""

    def __init__(self, run_id: str, timeout: Duration | None) -> None:
        self._run_id = run_id
        self._began = time.monotonic()
        self._limit = float("inf") if timeout is None else _seconds_of(timeout)
        self._pause, self._pause_max = PAUSE_SECONDS
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
