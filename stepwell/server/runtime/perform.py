"""Actions after the commit, to whoever listens. All of this may be lost without harm."""

import logging
from collections.abc import Callable, Sequence
from typing import TypeAlias

from stepwell.server.engine.message.action import Action, Announce, Topic, Wake, Warn
from stepwell.server.repeated import Repeated

log = logging.getLogger("stepwell.perform")

Listener: TypeAlias = Callable[[Announce], None]


class Performer:
    """Hands wakes to the pump and announcements to subscribers."""

    def __init__(self) -> None:
        self._warnings = Repeated(log)
        self.wake: Callable[[int], None] = _nobody
        self.elsewhere: Callable[[Announce], None] = _nobody_elsewhere
        """Told what listeners here are told, for those of other processes."""
        self._listeners: dict[Topic, list[Listener]] = {topic: [] for topic in Topic}

    def subscribe(self, topic: Topic, listener: Listener) -> Callable[[], None]:
        """Hear about a topic until the returned function is called. Listeners must not block."""
        self._listeners[topic].append(listener)
        return lambda: self._listeners[topic].remove(listener)

    def perform(self, actions: Sequence[Action]) -> None:
        """One wake for the earliest time, and every announcement in order."""
        earliest: int | None = None
        for action in actions:
            if isinstance(action, Wake):
                if earliest is None or action.due_ms < earliest:
                    earliest = action.due_ms
            elif isinstance(action, Warn):
                kind = action.text.partition(" for event ")[0]
                self._warnings.tell(logging.WARNING, kind, action.text)
            else:
                self.hear(action)
                self.elsewhere(action)
        if earliest is not None:
            self.wake(earliest)

    def hear(self, announced: Announce) -> None:
        """An announcement of this process, or of another."""
        listeners = self._listeners[announced.topic]
        for listener in tuple(listeners) if listeners else ():
            _tell(listener, announced)


def _tell(listener: Listener, announced: Announce) -> None:
    """A listener that fails keeps nothing from the others."""
    try:
        listener(announced)
    except Exception:
        log.exception("a listener of %s failed", announced.topic)


def _nobody_elsewhere(announced: Announce) -> None:
    """No other process uses the database."""


def _nobody(due_ms: int) -> None:
    """Before a pump exists, nobody is to be woken."""
