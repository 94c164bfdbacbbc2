"""How many requests the workers of an app take at once: told whenever that changes.

Just after a restart an app whose calls may be under way waits a moment before it is told of, so
that its workers may say first what they are still at work on.
"""

import asyncio
from collections.abc import Callable

from stepwell.server.gateway.sessions import Sessions


class Slots:
    """What was told of each app; 0 when no worker of it is there."""

    def __init__(
        self,
        sessions: Sessions,
        now_ms: Callable[[], int],
        *,
        on_slots: Callable[[str, int], None],
        had_work: Callable[[str], bool],
        reunion_s: float,
        reunion_window_s: float,
    ) -> None:
        """`reunion_s`: how long workers may report before they get work, within the first
        `reunion_window_s` of the server."""
        self.closed = False
        """Is no work given any more?"""
        self._sessions = sessions
        self._now_ms = now_ms
        self._on_slots = on_slots
        self._had_work = had_work
        self._reunion_s = reunion_s
        self._window_ms = reunion_window_s * 1000
        self._told: dict[str, int] = {}
        self._reunions: dict[str, asyncio.TimerHandle] = {}
        self._began_ms = now_ms()

    def begin(self) -> None:
        """The server begins now."""
        self._began_ms = self._now_ms()

    def stop(self) -> None:
        """Wait for nobody any more."""
        for timer in self._reunions.values():
            timer.cancel()

    def look(self, app: str) -> None:
        """Tell how many requests an app's workers take, if that has changed."""
        slots = 0 if self.closed else self._sessions.capacity(app)
        if slots and app not in self._told and self._waits_for_reunion(app):
            return
        if self._told.get(app, 0) != slots:
            self._told[app] = slots
            self._on_slots(app, slots)

    def look_at_all(self) -> None:
        """The same for every app that was told of."""
        for app in tuple(self._told):
            self.look(app)

    def _waits_for_reunion(self, app: str) -> bool:
        if app in self._reunions:
            return True
        if self._now_ms() - self._began_ms > self._window_ms or not self._had_work(app):
            return False

        def over() -> None:
            del self._reunions[app]
            self._told.setdefault(app, 0)
            self.look(app)

        loop = asyncio.get_running_loop()
        self._reunions[app] = loop.call_later(self._reunion_s, over)
        return True
