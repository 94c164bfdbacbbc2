"""Named limits as a client looks at them and changes them while runs go on. Ours."""

from abc import ABC, abstractmethod
from typing import TypeVar, cast
from urllib.parse import quote

import msgspec

from stepwell.sdk.errors import ConfigurationError, Error
from stepwell.sdk.net.engine_port import LimitPort
from stepwell.sdk.net.port import HttpReply
from stepwell.sdk.net.server_api import ApiRequest, ServerApi
from stepwell.sdk.step.limit import limit
from stepwell.sdk.value.duration import Duration
from stepwell.wire.limit_state import LimitNumbers, LimitState
from stepwell.wire.outside import decode

T = TypeVar("T")
_PATH = "/api/v2/limits"
_PAGE = 100


class _Page(msgspec.Struct):
    cursor: str | None = None


class _Many(msgspec.Struct):
    data: list[LimitState]
    page: _Page = msgspec.field(default_factory=_Page)


class _One(msgspec.Struct):
    data: LimitState


class _Refusal(msgspec.Struct):
    message: str


class _Refused(msgspec.Struct):
    errors: tuple[_Refusal, ...] = ()


class LimitKeeper(ABC):
    """Looks at named limits, and gives them other numbers; `Inngest` is one."""

    _timeout_seconds: float
    _limit_port: LimitPort | None = None

    @property
    @abstractmethod
    def api(self) -> ServerApi:
        """The server's API."""

    async def limits(self) -> list[LimitState]:
        """Every named limit: what it allows now, what is in use of it, and how much waits."""
        if self._limit_port is not None:
            return await self._limit_port.limits()
        found: list[LimitState] = []
        cursor = ""
        while True:
            reply = await self.api.ask(self._asked("GET", f"?limit={_PAGE}{cursor}"))
            many = _read(reply, _Many)
            found += many.data
            if not many.page.cursor:
                return found
            cursor = f"&cursor={quote(many.page.cursor, safe='')}"

    def limits_sync(self) -> list[LimitState]:
        """The same as `limits`, for blocking code."""
        if self._limit_port is not None:
            return self._limit_port.limits_sync()
        found: list[LimitState] = []
        cursor = ""
        while True:
            reply = self.api.ask_sync(self._asked("GET", f"?limit={_PAGE}{cursor}"))
            many = _read(reply, _Many)
            found += many.data
            if not many.page.cursor:
                return found
            cursor = f"&cursor={quote(many.page.cursor, safe='')}"

    async def set_limit(
        self,
        name: str,
        *,
        concurrency: int | None = None,
        rate: int | None = None,
        period: Duration | None = None,
    ) -> LimitState:
        """Give a named limit other numbers, at once: `concurrency`, or `rate` and `period`.

        They hold, whatever the code says, until `reset_limit`. What is under way goes on. Raises
        ConfigurationError for numbers that cannot be, Error if the server refuses.
        """
        numbers = _numbers(name, concurrency, rate, period)
        if self._limit_port is not None:
            return await self._limit_port.set_limit(name, numbers)
        reply = await self.api.ask(self._asked("POST", _one(name), numbers))
        return _read(reply, _One).data

    def set_limit_sync(
        self,
        name: str,
        *,
        concurrency: int | None = None,
        rate: int | None = None,
        period: Duration | None = None,
    ) -> LimitState:
        """The same as `set_limit`, for blocking code."""
        numbers = _numbers(name, concurrency, rate, period)
        if self._limit_port is not None:
            return self._limit_port.set_limit_sync(name, numbers)
        reply = self.api.ask_sync(self._asked("POST", _one(name), numbers))
        return _read(reply, _One).data

    async def reset_limit(self, name: str) -> LimitState:
        """Let the numbers hold again that the code gives a limit. Raises Error if there is none."""
        if self._limit_port is not None:
            return await self._limit_port.reset_limit(name)
        return _read(await self.api.ask(self._asked("DELETE", _one(name))), _One).data

    def reset_limit_sync(self, name: str) -> LimitState:
        """The same as `reset_limit`, for blocking code."""
        if self._limit_port is not None:
            return self._limit_port.reset_limit_sync(name)
        return _read(self.api.ask_sync(self._asked("DELETE", _one(name))), _One).data

    def _asked(self, method: str, below: str, body: LimitNumbers | None = None) -> ApiRequest:
        return ApiRequest(
            method=method,
            path=_PATH + below,
            body=None if body is None else msgspec.json.encode(body),
            timeout_seconds=self._timeout_seconds,
        )


def _one(name: str) -> str:
    return f"/{quote(name, safe='')}"


def _numbers(
    name: str, concurrency: int | None, rate: int | None, period: Duration | None
) -> LimitNumbers:
    if not isinstance(cast(object, name), str) or not name:
        raise ConfigurationError(f"name = {name!r}: name the limit")
    made = limit(name, concurrency=concurrency, rate=rate, period=period)
    if not (made.concurrency or made.rate):
        raise ConfigurationError(
            f'limit "{name}": say what it allows: concurrency=..., or rate=... and period=...'
        )
    return LimitNumbers(made.concurrency, made.rate, made.period)


def _read(reply: HttpReply, kind: type[T]) -> T:
    try:
        if reply.status == 200:
            return decode(reply.body, msgspec.json.Decoder(kind))
        told = decode(reply.body, msgspec.json.Decoder(_Refused))
        said = "; ".join(one.message for one in told.errors)
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = ""
    text = said or reply.body[:300].decode(errors="replace")
    raise Error(f"the server's limits cannot be had: HTTP {reply.status}: {text}")
