"""How long work that pauses keeps others waiting: the processor time from pause to pause."""

import gc
from collections.abc import Callable
from time import thread_time

from stepwell.wire.long_json import T, Turns


def stretches(work: Callable[[], Turns[T]]) -> tuple[T, list[float]]:
    """The result, and the seconds of each stretch, the shorter of two tries: to be judged against
    their sum, as both grow on a machine that is busy or slow. The garbage collector rests."""
    gc.disable()
    try:
        result, first = _once(work())
        _, second = _once(work())
    finally:
        gc.enable()
    return result, [min(both) for both in zip(first, second, strict=True)]


def _once(work: Turns[T]) -> tuple[T, list[float]]:
    seconds: list[float] = []
    while True:
        began = thread_time()
        try:
            next(work)
        except StopIteration as end:
            seconds.append(thread_time() - began)
            return end.value, seconds
        seconds.append(thread_time() - began)
