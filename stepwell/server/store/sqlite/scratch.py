"""A database that goes with its process: for whoever wants to keep nothing.

Not in memory, because disk is cheaper, and rows nobody needs now are then nobody's burden. What a
process that was killed left behind is removed by the next that makes such a database.
"""

import os
import shutil
import tempfile
import time
from pathlib import Path

from stepwell.server.store.port import Unavailable
from stepwell.server.store.sqlite.connection import Durability
from stepwell.server.store.sqlite.file_lock import FileLock
from stepwell.server.store.sqlite.store import SqliteStore

PREFIX = "stepwell-scratch-"
NAME = "stepwell.db"
MAKING_S = 60.0
"""So long after a folder was made its owner may not have locked it yet."""


class ScratchStore(SqliteStore):
    """A store in a folder of its own, which `close` removes."""

    def __init__(self, *, durability: Durability = "relaxed") -> None:
        """Raises OSError where no temporary folder can be made, and what `SqliteStore` raises."""
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        sweep(self.folder.parent, time.time() - MAKING_S)
        try:
            super().__init__(self.folder / NAME, durability=durability)
        except BaseException:
            self._remove()
            raise

    def close(self) -> None:
        """Let go of the database, and remove it."""
        super().close()
        self._remove()

    def _remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def sweep(place: Path, before_s: float) -> None:
    """Remove the scratch databases in a folder whose processes are gone: ours alone, those not
    touched since `before_s` (seconds since 1970), and none that cannot be locked."""
    for folder in place.glob(f"{PREFIX}*"):
        try:
            seen = folder.lstat()
            ours = not hasattr(os, "getuid") or seen.st_uid == os.getuid()
            if not ours or folder.is_symlink() or seen.st_mtime > before_s:
                continue
            lock = FileLock(str(folder / NAME))
        except (OSError, Unavailable):
            continue
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)
