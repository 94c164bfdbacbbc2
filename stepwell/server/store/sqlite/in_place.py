"""Are the files of a database still where they were opened? The only place that compares them.

A file that was deleted or moved away can be written to until its last handle is closed, and
nothing of that is ever found again. SQLite does not notice.
"""

from pathlib import Path
from typing import TypeAlias

from stepwell.server.store.port import Unavailable

Identity: TypeAlias = tuple[int, int]
"""Device and number of a file."""


class InPlace:
    """The database and its log, as they are now. Two look-ups of a name, microseconds."""

    def __init__(self, path: str, database: Identity | None) -> None:
        """`path` of a database that is open; `database`, which file that is."""
        log = Path(f"{path}-wal")
        self._files = [(Path(path), database), (log, _identity(log))]
        self._gone = ""

    def check(self) -> None:
        """Raises `Unavailable` once a file is gone, and from then on whatever becomes of it: what
        was refused meanwhile may be in it."""
        if self._gone:
            raise Unavailable(self._gone)
        for path, identity in self._files:
            if identity is None or _identity(path) != identity:
                self._gone = (
                    f"{path} is no longer where it was opened: it was deleted, moved or replaced."
                    " Nothing more is accepted; put it back and start again"
                )
                raise Unavailable(self._gone)

    @property
    def gone(self) -> bool:
        """Whether a file was found gone before."""
        return bool(self._gone)


def _identity(path: Path) -> Identity | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
