"""Every task of a handler, seen from outside: what it waits for, and when it moves.

A strand stands between a task and its coroutine. It forwards everything, remembers the future the
coroutine waits for, and, once the call has ended, turns whatever wakes the task into `Suspended`.

Law: a task that a handler starts, by whatever library, is a strand of the call; tasks started
inside a step's handler are not.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterator
from types import CellType, CodeType, TracebackType
from typing import Any, Protocol, cast

from stepwell.sdk.step.suspension import HOME, INSIDE_STEP, Suspended


class Watcher(Protocol):
    """The call that strands report to."""

    open: bool
    """Tasks started now belong to the call."""

    @property
    def closing(self) -> bool:
        """The call has ended; strands are to be left."""
        ...

    def began(self, strand: "Strand") -> None:
        """A task was started."""
        ...

    def moved(self) -> None:
        """Some strand was resumed."""
        ...

    def ended(self, strand: "Strand") -> None:
        """A strand's coroutine has come to its end."""
        ...

    def unwinds(self, strand: "Strand") -> None:
        """A strand is about to be left, the call having ended."""
        ...


class Strand(Coroutine[Any, Any, Any]):
    """A coroutine of a handler, under observation. Awaitable by the task that runs the handler."""

    __slots__ = (
        "__weakref__",
        "_inner",
        "_is_main",
        "_watcher",
        "busy",
        "joined",
        "task",
        "unwinding",
        "waiting_on",
    )

    def __init__(
        self,
        inner: Coroutine[Any, Any, Any],
        watcher: Watcher,
        host: asyncio.Task[Any] | None = None,
    ) -> None:
        """Observe a coroutine; `host` is the task that awaits it, if it is the handler itself."""
        self._inner = inner
        self._watcher = watcher
        self._is_main = host is not None
        self.task = host
        self.waiting_on: Any = None
        self.unwinding = False
        self.joined = False
        self.busy = False
        """A step runs in the task: what it waits for is that step's own affair."""

    @property
    def inner(self) -> Coroutine[Any, Any, Any]:
        """The coroutine itself."""
        return self._inner

    def send(self, value: Any) -> Any:
        """Resume the coroutine until it waits again."""
        if self._watcher.closing and not self.unwinding:
            return self._unwind()
        self.waiting_on = None
        self._watcher.moved()
        try:
            self.waiting_on = self._inner.send(value)
        except BaseException as error:
            self._ended(error)
            raise
        return self.waiting_on

    def throw(
        self,
        typ: Any,
        val: Any = None,
        tb: TracebackType | None = None,
        /,
    ) -> Any:
        """Resume the coroutine with an exception."""
        if self._watcher.closing and not self.unwinding:
            return self._unwind()
        return self._throw(_exception(typ, val, tb))

    def _throw(self, error: BaseException) -> Any:
        self.waiting_on = None
        self._watcher.moved()
        try:
            self.waiting_on = self._inner.throw(error)
        except BaseException as raised:
            self._ended(raised)
            raise
        return self.waiting_on

    def _unwind(self) -> Any:
        self.unwinding = True
        self._watcher.unwinds(self)
        return self._throw(Suspended())

    def _ended(self, error: BaseException) -> None:
        self._watcher.ended(self)
        if self._is_main:
            return
        self.task = None  # which knows this strand: both are freed at once
        if isinstance(error, Suspended):
            # For the loop, and for whoever waited for it, the task was cancelled.
            raise asyncio.CancelledError from None
        if isinstance(error, SystemExit):
            # It would end the loop, and every other run with it.
            raise RuntimeError(f"a task of the handler raised SystemExit: {error}") from error  # noqa: TRY004

    def close(self) -> None:
        """End the coroutine at once."""
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        """The strand itself drives: it has all a generator needs for `await`."""
        return cast(Generator[Any, Any, Any], self)

    def __iter__(self) -> Iterator[Any]:
        return cast(Iterator[Any], self)

    def __next__(self) -> Any:
        return self.send(None)

    def __getattr__(self, name: str) -> Any:
        """What asyncio and debuggers ask of a coroutine: `cr_frame`, `cr_running` and the like."""
        return getattr(self._inner, name)


def _exception(typ: Any, val: Any, tb: TracebackType | None) -> BaseException:
    """What the three forms of `throw` mean."""
    error: Any = val
    if isinstance(typ, BaseException):
        error = typ
    elif not isinstance(val, BaseException):
        error = typ() if val is None else typ(val)
    return cast(BaseException, error if tb is None else error.with_traceback(tb))


class _Factory:
    """The loop's task factory, with ours before it."""

    def __init__(self, before: Any) -> None:
        self._before = before
        # anyio knows an eager factory by these two, and takes the constructor out of the closure
        # to start tasks of its own lazily; what it takes must be ours.
        closure = getattr(before, "__closure__", None)
        if closure and getattr(before, "__code__", None) is not None:
            self.__code__: CodeType = before.__code__
            self._construct = closure[0].cell_contents
            self.__closure__ = (CellType(self._lazily),)

    def __call__(
        self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any
    ) -> asyncio.Task[Any]:
        if self._before is None:
            return _started(asyncio.Task[Any], coro, loop=loop, **options)
        return _started(self._before, loop, coro, **options)

    def _lazily(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        return _started(self._construct, coro, **options)


def _started(
    make: Callable[..., asyncio.Task[Any]], *given: Any, **options: Any
) -> asyncio.Task[Any]:
    """Make a task; if a handler runs here, out of a strand of it. The coroutine comes last."""
    home = HOME.get()
    watcher: Watcher | None = None if home is None else home.watcher
    if watcher is None or not watcher.open or INSIDE_STEP.get() is not None:
        return make(*given, **options)
    strand = Strand(given[-1], watcher)
    watcher.began(strand)
    task = strand.task = make(*given[:-1], strand, **options)
    return task


def watch(loop: asyncio.AbstractEventLoop) -> None:
    """See to it that tasks started on a loop are seen; a factory the loop has is kept."""
    before = loop.get_task_factory()
    if not isinstance(before, _Factory):
        loop.set_task_factory(_Factory(before))
