"""A database that goes with its process: for whoever wants to keep nothing.

Not in memory, because disk is cheaper, and rows nobody needs now are then nobody's burden.
"""

import shutil
import tempfile
from pathlib import Path

from stepwell.server.store.sqlite.connection import Durability
from stepwell.server.store.sqlite.store import SqliteStore

_NAME = "stepwell.db"


class ScratchStore(SqliteStore):
    """A store in a folder of its own, which `close` removes."""

    def __init__(self, *, durability: Durability = "relaxed") -> None:
        """Raises OSError where no temporary folder can be made, and what `SqliteStore` raises."""
        self.folder = Path(tempfile.mkdtemp(prefix="stepwell-"))
        try:
            super().__init__(self.folder / _NAME, durability=durability)
        except BaseException:
            self._remove()
            raise

    def close(self) -> None:
        """Let go of the database, and remove it."""
        super().close()
        self._remove()

    def _remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
