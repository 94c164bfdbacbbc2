"""One process per database file. The only place that takes and gives back that right.

The lock is a file beside the database, locked by the operating system: it goes with the process,
however that ends, and the file that stays behind means nothing.
"""

import os
import sys

from stepwell.server.store.port import Unavailable

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class FileLock:
    """The right to own a database file, from construction until `release`."""

    def __init__(self, path: str) -> None:
        """Raises `Unavailable` if somebody else owns the file, or the lock cannot be made."""
        self.path = f"{path}.lock"
        try:
            self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise Unavailable(
                f"cannot make {self.path}; check the folder and its rights: {error.strerror}"
            ) from error
        try:
            _lock(self._handle)
        except OSError as error:
            owner = _read(self._handle)
            os.close(self._handle)
            who = f"process {owner}" if owner.isdigit() else "another process"
            raise Unavailable(
                f"{path} is in use by {who}; stop it, or give this server another file"
            ) from error
        os.ftruncate(self._handle, 0)
        os.write(self._handle, str(os.getpid()).encode())

    def release(self) -> None:
        """Let others own the file."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def _read(handle: int) -> str:
    try:
        return os.read(handle, 32).decode("ascii", "replace").strip()
    except OSError:
        return ""  # where a lock also keeps readers out


def _lock(handle: int) -> None:
    if sys.platform == "win32":
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
