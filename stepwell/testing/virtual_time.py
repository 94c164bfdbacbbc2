"""The only place where time is pretended: an event loop whose clock jumps to its next timer.

Whatever is scheduled happens in the order of its time, at once. A year of sleeps takes as long as
the work between them. It holds while nothing but timers is waited for: a socket or a thread does
not move this clock, and when neither timer nor callback is left the loop says so instead of
waiting for ever. What is handed to an executor is done in the loop itself, after a pretended
delay, so that a commit "on another thread" happens at a repeatable instant.
"""

import asyncio
import math
import selectors
from collections.abc import Callable, Coroutine
from contextvars import Context
from random import Random
from typing import Any, TypeVar, TypeVarTuple

EPOCH_MS = 1_800_000_000_000
"""When virtual time begins, in milliseconds since 1970: some day in January 2027."""
_SHUFFLE_S = 1e-6

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


class Later(Exception):
    """Raised by what an executor was given: it has to wait, and is to be called again after so many
    seconds. Nobody else hears of it."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"again in {seconds} s")
        self.seconds = seconds


class NothingLeft(RuntimeError):
    """The loop would wait for ever: no timer, no callback and no ready socket is left."""


class _JumpingSelector(selectors.BaseSelector):
    """Waits for nothing: hands the time it was told to wait to the loop's clock."""

    def __init__(self, jump: Callable[[float], None]) -> None:
        self._real = selectors.DefaultSelector()
        self._jump = jump

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._real.select(0)
        if ready:
            return ready
        if timeout is None:
            raise NothingLeft("nothing is scheduled any more, but somebody still waits")
        if timeout > 0:
            self._jump(timeout)
        return []

    def get_map(self) -> Any:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time. `loop.time()` begins at 0 and counts seconds."""

    def __init__(self, chance: Random | None = None) -> None:
        """With `chance`, timers of one instant fire in an order it draws, and executors take as
        long as it says; without, in the order of their making, and no time."""
        self._virtual_s = 0.0
        self._chance = chance
        self.executor_delay_s: Callable[[], float] = lambda: 0.0
        super().__init__(_JumpingSelector(self._advance))

    def time(self) -> float:
        """Seconds since virtual time began."""
        return self._virtual_s

    def _advance(self, seconds: float) -> None:
        # One step beyond: at a year, the loop's tolerance is finer than a float can tell.
        self._virtual_s = math.nextafter(self._virtual_s + seconds, math.inf)

    def call_at(
        self,
        when: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """As the loop's own; among timers of one instant the order is drawn."""
        if self._chance is not None:
            when += self._chance.random() * _SHUFFLE_S
        return super().call_at(when, callback, *args, context=context)

    def run_in_executor(
        self, executor: object, func: Callable[[*_Ts], _T], *args: *_Ts
    ) -> asyncio.Future[_T]:
        """Call `func` in this loop, after `executor_delay_s()` of virtual time."""
        done: asyncio.Future[_T] = self.create_future()

        def work() -> None:
            if done.cancelled():
                return
            try:
                done.set_result(func(*args))
            except Later as wait:
                self.call_later(wait.seconds, work)
            except Exception as error:  # noqa: BLE001 - whoever waits is told, as with a thread
                done.set_exception(error)

        self.call_later(self.executor_delay_s(), work)
        return done


class VirtualClock:
    """The wall clock of a virtual loop: the clock port of a node."""

    def __init__(self, loop: asyncio.AbstractEventLoop, epoch_ms: int = EPOCH_MS) -> None:
        self._loop = loop
        self._epoch_ms = epoch_ms
        self.skew_ms = 0

    def now_ms(self) -> int:
        """Milliseconds since 1970. `skew_ms` may be set to pretend that somebody set the clock."""
        return self._epoch_ms + self.skew_ms + int(self._loop.time() * 1000 + 0.5)


def run_virtually(
    main: Callable[[VirtualLoop], Coroutine[Any, Any, _T]], chance: Random | None = None
) -> _T:
    """Run a coroutine to its end on virtual time. Raises what it raises, or `NothingLeft`."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(chance)) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        return runner.run(main(loop))
