"""For which events somebody waited lately: the only place that says when it is worth while to go by
it that nobody waits. Nothing depends on it but how often that is found to be wrong."""

from collections.abc import Callable, Iterable

import msgspec

from stepwell.server.engine.message.need import NOTHING, Need

WAITED_S = 10.0
"""So long, in seconds, after somebody was found to wait for a name it is looked first."""
WAITED_MAX = 1_000


class WaitedLately:
    """Names for which somebody waited, or may have, and until when that is thought to be so."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._until_s: dict[str, float] = {}

    def seen(self, names: Iterable[str]) -> None:
        """Somebody waits for events of these names, or may."""
        if len(self._until_s) > WAITED_MAX:
            self._until_s.clear()
        self._until_s.update(dict.fromkeys(names, self._now_s() + WAITED_S))

    def may_assume(self, need: Need) -> bool:
        """Whether a batch asks for nothing but whether anybody waits, and nobody did lately."""
        if not need.names or msgspec.structs.replace(need, names=frozenset()) != NOTHING:
            return False
        now_s = self._now_s()
        return not any(self._until_s.get(name, 0.0) > now_s for name in need.names)
