"""Work that pauses, done on the event loop: others have their turn at each pause."""

import asyncio
from collections.abc import Callable

from stepwell.wire.long_json import T, Turns


async def in_turns(work: Turns[T]) -> T:
    """The result of `work`. What it raises is raised here."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result
        await asyncio.sleep(0)


def by_turns(work: Turns[T], then: Callable[[T], None]) -> None:
    """The same where nobody can wait: `then` is told the result, at once if there is no pause.

    `work` must not raise.
    """
    try:
        next(work)
    except StopIteration as end:
        then(end.value)
        return
    asyncio.get_running_loop().call_soon(by_turns, work, then)
