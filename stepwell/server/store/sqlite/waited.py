"""The event names that are waited for, and by which equalities: counted in memory, so that an
event nobody waits for asks the database nothing."""

from stepwell.server.engine.row.run import Wait
from stepwell.server.store.meeting import MEETABLE


class Waited:
    """How many waits there are for each event name and path. A container of names."""

    def __init__(self) -> None:
        self._paths: dict[str, dict[str, int]] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._paths

    def paths(self, name: str) -> tuple[str, ...]:
        """The paths that index waits for an event name; empty when nobody waits."""
        return tuple(self._paths.get(name, ()))

    def count(self, name: str, path: str, by: int) -> None:
        """So many more waits, or fewer."""
        paths = self._paths.setdefault(name, {})
        left = paths.get(path, 0) + by
        if left > 0:
            paths[path] = left
            return
        paths.pop(path, None)
        if not paths:
            del self._paths[name]

    def opened(self, wait: Wait) -> None:
        """A wait began."""
        if wait.kind in MEETABLE:
            self.count(wait.name, wait.path, 1)

    def closed(self, wait: Wait) -> None:
        """A wait is over."""
        if wait.kind in MEETABLE:
            self.count(wait.name, wait.path, -1)
