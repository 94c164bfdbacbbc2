"""What our commands do with a process that is theirs alone: the loop it runs, and how often Python
looks for circles of objects in it (docs/decisions/013)."""

import asyncio
import contextlib
import gc
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

if sys.platform != "win32":
    import resource

    import uvloop

    _loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = uvloop.new_event_loop
else:
    _loop_factory = None

GARBAGE_THRESHOLDS: Final = (10_000, 20, 20)
"""Thousands of objects are in flight, few of them in circles: with Python's own threshold of 700
new ones, looking for circles takes a fifth to a third of the time."""

DESCRIPTORS: Final = 65_536

T = TypeVar("T")


def run_loop(main: Coroutine[Any, Any, T]) -> T:
    """Like asyncio.run, on the quickest loop there is for this system."""
    with asyncio.Runner(loop_factory=_loop_factory) as runner:
        return runner.run(main)


def take_all_descriptors() -> None:
    """As many files and sockets as the system lets this process have: shells allow few."""
    if sys.platform == "win32":
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if most == resource.RLIM_INFINITY else min(most, DESCRIPTORS)
    with contextlib.suppress(ValueError, OSError):  # some systems know a limit of their own
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), most))


def look_for_circles_seldom() -> None:
    """What lives by now lives as long as the process, and is not looked at."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
