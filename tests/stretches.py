"""How long work that pauses keeps others waiting: the processor time from pause to pause."""

from time import thread_time

from stepwell.wire.long_json import T, Turns


def stretches(work: Turns[T]) -> tuple[T, list[float]]:
    """The result, and the seconds of each stretch. To be judged against their sum: both grow on a
    machine that is busy or slow."""
    seconds: list[float] = []
    while True:
        began = thread_time()
        try:
            next(work)
        except StopIteration as end:
            seconds.append(thread_time() - began)
            return end.value, seconds
        seconds.append(thread_time() - began)
