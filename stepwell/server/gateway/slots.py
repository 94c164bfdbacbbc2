"""How many requests the workers of an app take at once: told whenever that changes.

Just after a restart an app whose calls may be under way waits a moment before it is told of, so
that its workers may say first what they are still at work on.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from stepwell.server.engine.name.held import held_place, is_held
from stepwell.server.gateway.sessions import Sessions
from stepwell.wire.function_config import CODE_PIN

AskHadWork: TypeAlias = Callable[[str, Callable[[bool], None]], None]
"""Asks whether calls of an app may have been under way when the server stopped. The answer is given
at once, or later on the event loop."""


class Slots:
    """What was told of each app; 0 when no worker of it is there."""

    def __init__(
        self,
        sessions: Sessions,
        now_ms: Callable[[], int],
        *,
        on_slots: Callable[[str, int], None],
        had_work: AskHadWork,
        pinned: Callable[[str], Sequence[str]],
        reunion_s: float,
        reunion_window_s: float,
    ) -> None:
        """`had_work` is asked about an app, and answers when it knows; `pinned` names the functions
        of an app whose runs stay with their code; `reunion_s`: how long workers may report before
        they get work, within the first `reunion_window_s` of the server."""
        self.closed = False
        """Is no work given any more?"""
        self._sessions = sessions
        self._now_ms = now_ms
        self._on_slots = on_slots
        self._had_work = had_work
        self._pinned = pinned
        self._reunion_s = reunion_s
        self._window_ms = reunion_window_s * 1000
        self._told: dict[str, int] = {}
        self._places: dict[str, set[str]] = {}
        """The places of each app that were told of and are open."""
        self._reunions: dict[str, asyncio.TimerHandle | None] = {}
        """Apps whose workers report before they get work, and until when; None as long as nobody
        has said whether there was any."""
        self._began_ms = now_ms()

    def begin(self) -> None:
        """The server begins now."""
        self._began_ms = self._now_ms()

    def stop(self) -> None:
        """Wait for nobody any more."""
        for timer in self._reunions.values():
            if timer is not None:
                timer.cancel()
        self._reunions.clear()

    def look(self, app: str) -> None:
        """Tell how many requests an app's workers take, if that has changed."""
        slots = 0 if self.closed else self._sessions.capacity(app)
        if slots and app not in self._told and self._waits_for_reunion(app):
            return
        self._tell(app, slots)
        self._look_at_pinned(app)

    def _tell(self, place: str, slots: int) -> None:
        if self._told.get(place, 0) != slots:
            self._told[place] = slots
            self._on_slots(place, slots)

    def _look_at_pinned(self, app: str) -> None:
        """Where calls wait for the code that their run began under, its workers take them."""
        wanted = () if self.closed else self._pinned(app)
        before = self._places.get(app, set())
        if not wanted and not before:
            return
        found = {
            held_place(app, CODE_PIN, slug, code): slots
            for (slug, code), slots in self._sessions.code_capacity(app, wanted).items()
        }
        for place in before - found.keys():
            self._tell(place, 0)
            del self._told[place]
        for place, slots in found.items():
            self._tell(place, slots)
        self._places[app] = set(found)

    def look_at_all(self) -> None:
        """The same for every app that was told of."""
        for app in tuple(self._told):
            if not is_held(app):
                self.look(app)

    def _waits_for_reunion(self, app: str) -> bool:
        if app in self._reunions:
            return True
        if self._now_ms() - self._began_ms > self._window_ms:
            return False
        self._reunions[app] = None
        self._had_work(app, partial(self._answered, app))
        return True

    def _answered(self, app: str, had_work: bool) -> None:
        if app not in self._reunions:
            return  # stopped meanwhile
        if had_work:
            loop = asyncio.get_running_loop()
            self._reunions[app] = loop.call_later(self._reunion_s, self._reunion_over, app)
        else:
            self._reunion_over(app)

    def _reunion_over(self, app: str) -> None:
        del self._reunions[app]
        self._told.setdefault(app, 0)
        self.look(app)
