"""One process per database file. The only place that takes and gives back that right.

Two locks of the operating system, which go with the process, however that ends. One is on a file
beside the database, which says who has it; what stays behind of it means nothing. The other is on
the database itself, so that neither a removed lock file nor another name for the same file lets a
second process in. It lies far beyond what SQLite locks for its own purposes.
"""

import os
import struct
import sys
from pathlib import Path

from stepwell.server.store.port import Unavailable

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

FAR = 2**62
"""The byte of the database that is locked: SQLite locks bytes at 2**30."""
OWNER_ONLY = 0o600

Identity = tuple[int, int]

_owned: set[Identity] = set()
"""The databases this process has. To close a file a second time would take SQLite's locks away."""


class FileLock:
    """The right to own a database file, from construction until `release`. Makes the file."""

    def __init__(self, path: str) -> None:
        """Raises `Unavailable` if somebody else owns the file, or the lock cannot be made."""
        self.path = f"{path}.lock"
        self.identity: Identity | None = None
        """Which file the database is."""
        self._database = -1
        self._handle = _opened(self.path)
        try:
            self._take(path)
        except BaseException:
            self.release()
            raise

    def _take(self, path: str) -> None:
        try:
            _lock(self._handle)
        except OSError as error:
            owner = _read(self._handle)
            raise _in_use(path, f"process {owner}" if owner.isdigit() else "another one") from error
        known = _identity(path)
        if known in _owned:
            raise _in_use(path, f"process {os.getpid()}")
        self._database = _opened(path)
        try:
            _lock_far_byte(self._database)
        except OSError as error:
            raise _in_use(path, "another process, perhaps by another name") from error
        found = os.fstat(self._database)
        self.identity = found.st_dev, found.st_ino
        _owned.add(self.identity)
        os.ftruncate(self._handle, 0)
        os.write(self._handle, str(os.getpid()).encode())

    def release(self) -> None:
        """Let others own the file. SQLite must have let go of it."""
        if self.identity is not None:
            _owned.discard(self.identity)
            self.identity = None
        for handle in (self._database, self._handle):
            if handle >= 0:
                os.close(handle)
        self._database = self._handle = -1


def _in_use(path: str, who: str) -> Unavailable:
    return Unavailable(f"{path} is in use by {who}; stop it, or give this server another file")


def _identity(path: str) -> Identity | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _opened(path: str) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, OWNER_ONLY)
    except OSError as error:
        raise Unavailable(
            f"cannot make {path}; check the folder and its rights: {error.strerror}"
        ) from error


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


def _lock_far_byte(handle: int) -> None:
    """Lock a byte of the open file, not of the process: SQLite opens and closes it besides."""
    if sys.platform == "win32":
        os.lseek(handle, FAR, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    elif hasattr(fcntl, "F_OFD_SETLK"):
        wanted = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, FAR, 1, 0)
        fcntl.fcntl(handle, fcntl.F_OFD_SETLK, wanted)
    # Elsewhere the lock file alone must do.
