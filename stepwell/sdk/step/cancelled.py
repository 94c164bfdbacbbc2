"""The token by which code that blocks learns that its run was cancelled: the only place for it.

A coroutine is sent `CancelledError`. A thread cannot be interrupted, so it has to ask.
"""

import threading
from collections.abc import Callable
from typing import TypeAlias

_CHANGING = threading.Lock()
"""Held for an instant where a token is set or first waited for."""


class Cancelled:
    """True once the run of this call was cancelled, or nobody waits for the call any more.

        while not ctx.cancelled:
            work_a_little()

    Whoever would rather sleep than look waits: `ctx.cancelled.wait(5)`.
    """

    __slots__ = ("_event", "_told", "_watch")

    def __init__(self, watch: "Watch | None" = None) -> None:
        """`watch`, if given, is asked to find out, once somebody looks."""
        # Made when somebody waits: it would cost more than the rest of most calls' making.
        self._event: threading.Event | None = None
        self._told = False
        self._watch = watch

    def __bool__(self) -> bool:
        """Was it cancelled?"""
        if self._watch is not None:
            self._begin()
        return self._told

    def wait(self, seconds: float | None = None) -> bool:
        """Block until it is cancelled, or for so many seconds; returns whether it was.

        Meant for blocking code: in a coroutine it would block the loop.
        """
        if self._watch is not None:
            self._begin()
        with _CHANGING:
            if self._told:
                return True
            event = self._event = self._event or threading.Event()
        return event.wait(seconds)

    def set(self) -> None:
        """Say that it was cancelled."""
        with _CHANGING:
            self._told = True
            if self._event is not None:
                self._event.set()

    @property
    def told(self) -> bool:
        """Was somebody told? Asks nobody to find out."""
        return self._told

    def _begin(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch(self)


Watch: TypeAlias = Callable[[Cancelled], object]
"""Begins to find out whether a run is cancelled, and sets the token when it is."""
