"""Calls to be made later, in a row and side by side, and the function that makes them."""

import asyncio
import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeAlias, TypedDict, Unpack, cast

from stepwell.celery.call import When, message
from stepwell.celery.result import AsyncResult
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.step._async import Step
from stepwell.sdk.step.context import Context

Part: TypeAlias = dict[str, Any]
"""A call, a chain or a group as it travels."""
CANVAS = "celery.canvas"
"""The function that makes the calls of a chain or a group."""


class CallOptions(TypedDict, total=False):
    """The options of a call, as `Task.apply_async` has them."""

    countdown: float | None
    eta: dt.datetime | None
    expires: When | None
    queue: str | None


class Callee(Protocol):
    """A task, as a call of it sees it."""

    def app_client(self) -> Inngest:
        """The client of the application's default queue, which makes the calls of chains."""
        ...

    def leaf(self, queue: str | None, data: Mapping[str, object], immutable: bool) -> Part:
        """What a chain or group keeps of a call."""
        ...

    def apply_async(
        self,
        args: Iterable[Any] = ...,
        kwargs: Mapping[str, Any] | None = ...,
        *,
        countdown: float | None = ...,
        eta: dt.datetime | None = ...,
        expires: When | None = ...,
        queue: str | None = ...,
    ) -> AsyncResult:
        """Have a worker run it."""
        ...

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it here."""
        ...


class _Canvas(ABC):
    """What chains and groups have in common with a single call."""

    def __or__(self, other: "_Canvas") -> "chain":
        return chain(self, other)

    @abstractmethod
    def tree(self) -> Part:
        """It as it travels."""

    @abstractmethod
    def first(self) -> Callee:
        """The task that is called first."""

    def delay(self, *args: Any, **kwargs: Any) -> AsyncResult:
        """Have workers make the calls; the arguments are added to those of the first."""
        return self.apply_async(args, kwargs)

    def apply_async(
        self,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        countdown: float | None = None,
        eta: dt.datetime | None = None,
    ) -> AsyncResult:
        """The same, with a time before which nothing begins."""
        if kwargs:
            raise ConfigurationError(
                f"kwargs = {dict(kwargs)!r}: say them in the calls, as in task.s(name=value)"
            )
        client = self.first().app_client()
        data = message(args, {"tree": self.tree()}, countdown, eta, None)
        run = client.invoke_sync(f"{client.app_id}-{CANVAS}", data=data, wait=False)
        return AsyncResult(run, client=client)


class Signature(_Canvas):
    """One call of a task: `sig(…)` makes it here, `delay` and `apply_async` in a worker."""

    def __init__(
        self,
        task: Callee,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        options: CallOptions | None = None,
        immutable: bool = False,
    ) -> None:
        self.task = task
        self.args = args
        self.kwargs = dict(kwargs or {})
        self.options: CallOptions = cast(CallOptions, dict(options or {}))
        self.immutable = immutable

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task here."""
        return self.task(*self._given(args), **{**self.kwargs, **kwargs})

    def _given(self, args: Iterable[Any]) -> tuple[Any, ...]:
        return self.args if self.immutable else (*args, *self.args)

    def set(self, **options: Unpack[CallOptions]) -> "Signature":
        """The same call with options of `apply_async`."""
        merged = cast(CallOptions, {**self.options, **options})
        return Signature(self.task, self.args, self.kwargs, merged, self.immutable)

    def tree(self) -> Part:
        """The call as it travels."""
        options = self.options
        data = message(
            self.args,
            self.kwargs,
            options.get("countdown"),
            options.get("eta"),
            options.get("expires"),
        )
        return self.task.leaf(options.get("queue"), data, self.immutable)

    def first(self) -> Callee:
        """Its task."""
        return self.task

    def apply_async(
        self,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncResult:
        """Have a worker make the call; `args` come before its own."""
        merged = cast(CallOptions, {**self.options, **options})
        named = {**self.kwargs, **(kwargs or {})}
        return self.task.apply_async(self._given(args), named, **merged)


class chain(_Canvas):  # noqa: N801 - Celery's name
    """Calls one after the other; the result of each is the first argument of the next."""

    def __init__(self, *parts: "_Canvas | Iterable[_Canvas]") -> None:
        self.parts: tuple[_Canvas, ...] = _flat(_several("chain", parts))

    def __call__(self, *args: Any) -> AsyncResult:
        """Have workers make the calls."""
        return self.delay(*args)

    def tree(self) -> Part:
        """The calls as they travel."""
        return {"chain": [part.tree() for part in self.parts]}

    def first(self) -> Callee:
        """The task that is called first."""
        return self.parts[0].first()


class group(_Canvas):  # noqa: N801 - Celery's name
    """Calls side by side; its result is the list of theirs, in order."""

    def __init__(self, *parts: "_Canvas | Iterable[_Canvas]") -> None:
        self.parts: tuple[_Canvas, ...] = _several("group", parts)

    def __call__(self, *args: Any) -> AsyncResult:
        """Have workers make the calls."""
        return self.delay(*args)

    def tree(self) -> Part:
        """The calls as they travel."""
        return {"group": [part.tree() for part in self.parts]}

    def first(self) -> Callee:
        """One of its tasks."""
        return self.parts[0].first()


class chord(_Canvas):  # noqa: N801 - Celery's name
    """Calls side by side, and one whose first argument is the list of their results."""

    def __init__(self, header: Iterable[_Canvas] | group, body: _Canvas | None = None) -> None:
        self.header = header if isinstance(header, group) else group(*header)
        self.body = body

    def __call__(self, body: _Canvas | None = None) -> AsyncResult:
        """Have workers make the calls, and then that of `body`."""
        return chord(self.header, body or self.body).delay()

    def tree(self) -> Part:
        """The calls as they travel."""
        if self.body is None:
            raise ConfigurationError("chord: it has no body: call it with one, chord(header)(body)")
        return {"chain": [self.header.tree(), self.body.tree()]}

    def first(self) -> Callee:
        """One of its tasks."""
        return self.header.first()


def _several(kind: str, given: "tuple[_Canvas | Iterable[_Canvas], ...]") -> "tuple[_Canvas, ...]":
    """The parts, also if they come as one list."""
    found: list[_Canvas] = []
    for one in given:
        found += [one] if isinstance(one, _Canvas) else list(one)
    if not found:
        raise ConfigurationError(f"{kind}(): give it at least one call, such as task.s(7)")
    return tuple(found)


def _flat(parts: "tuple[_Canvas, ...]") -> "tuple[_Canvas, ...]":
    """A chain of chains is one chain."""
    return tuple(
        inner for part in parts for inner in (part.parts if isinstance(part, chain) else (part,))
    )


async def perform(ctx: Context[Any]) -> Any:
    """Make the calls of a chain or a group: what the worker's function does."""
    data = ctx.event.data
    if "countdown" in data:
        await ctx.step.sleep("countdown", dt.timedelta(seconds=data["countdown"]))
    if "eta" in data:
        await ctx.step.sleep_until("eta", dt.datetime.fromisoformat(data["eta"]))
    return await _perform(ctx.step, data["kwargs"]["tree"], data["args"], "")


async def _perform(step: Step, part: Part, given: list[Any], branch: str) -> Any:
    """Make the calls of a part; `branch` tells those of one task in different branches apart."""
    if "chain" in part:
        for one in part["chain"]:
            given = [await _perform(step, one, given, branch)]
        return given[0]
    if "group" in part:
        calls = (
            _perform(step, one, given, f"{branch} {number}")
            for number, one in enumerate(part["group"], 1)
        )
        return list(await asyncio.gather(*calls))
    task, data = part["task"], dict(part["message"])
    if not part["immutable"]:
        data["args"] = [*given, *data["args"]]
    return await step.invoke_by_id(
        f"{task}{branch}", app_id=part["app"], function_id=task, data=data
    )
