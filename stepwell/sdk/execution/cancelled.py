"""The token by which code that blocks learns that its run was cancelled: the only place for it.

A coroutine is sent `CancelledError`. A thread cannot be interrupted, so it has to ask.
Sources: features E-173, D-18; http.md 6.12 (a call under way is not interrupted by the wire).
"""

import threading
from collections.abc import Callable
from typing import TypeAlias


class Cancelled:
    """True once the run of this call was cancelled, or nobody waits for the call any more.

        while not ctx.cancelled:
            work_a_little()

    Whoever would rather sleep than look waits: `ctx.cancelled.wait(5)`.
    """

    __slots__ = ("_event", "_watch")

    def __init__(self, watch: "Watch | None" = None) -> None:
        """`watch`, if given, is asked to find out, once somebody looks."""
        self._event = threading.Event()
        self._watch = watch

    def __bool__(self) -> bool:
        """Was it cancelled?"""
        if self._watch is not None:
            self._begin()
        return self._event.is_set()

    def wait(self, seconds: float | None = None) -> bool:
        """Block until it is cancelled, or for so many seconds; returns whether it was.

        Meant for blocking code: in a coroutine it would block the loop.
        """
        if self._watch is not None:
            self._begin()
        return self._event.wait(seconds)

    def set(self) -> None:
        """Say that it was cancelled."""
        self._event.set()

    @property
    def told(self) -> bool:
        """Was somebody told? Asks nobody to find out."""
        return self._event.is_set()

    def _begin(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch(self)


Watch: TypeAlias = Callable[[Cancelled], object]
"""Begins to find out whether a run is cancelled, and sets the token when it is."""
