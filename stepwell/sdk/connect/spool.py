"""A directory that keeps unacknowledged answers through a restart of the process.

One file per answer, written whole or not at all, removed once the server has it. What a killed
process left behind, the next one flushes. One worker owns a directory at a time; the lock is the
system's and ends with the process, however it ends. A crash of the process loses nothing; a crash
of the machine may lose what the system had not written yet.
"""

import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from stepwell.sdk.errors import ConfigurationError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_SUFFIX = ".reply"
_SAFE = re.compile(r"[0-9A-Za-z_-]{1,120}")


class Spool:
    """The answers of one worker on disk."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        """Open and lock a directory, made if needed. Raises ConfigurationError if that fails."""
        self._directory = Path(directory)
        self._lock: BinaryIO | None = None
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            lock = (self._directory / "lock").open("ab")
        except OSError as error:
            raise ConfigurationError(
                f"outbox_directory {str(directory)!r} cannot be used: {error}"
            ) from error
        try:
            _lock(lock)
        except OSError as error:
            lock.close()
            raise ConfigurationError(
                f"outbox_directory {str(directory)!r} is used by another worker; give each worker"
                " a directory of its own"
            ) from error
        self._lock = lock

    def load(self) -> dict[str, bytes]:
        """What an earlier process left, oldest first. Half-written files are removed."""
        found: list[tuple[float, str, bytes]] = []
        for path in self._directory.iterdir():
            if path.suffix == ".part":
                path.unlink(missing_ok=True)
            elif path.suffix == _SUFFIX:
                with suppress(OSError):
                    found.append((path.stat().st_mtime, path.stem, path.read_bytes()))
        return {name: payload for _, name, payload in sorted(found)}

    def keep(self, request_id: str, payload: bytes) -> bool:
        """Write an answer; False if it could not be written, which the caller should say."""
        path = self._path(request_id)
        if path is None:
            return False
        part = path.with_suffix(".part")
        try:
            part.write_bytes(payload)
            part.replace(path)
        except OSError:
            return False
        return True

    def forget(self, request_id: str) -> None:
        """The server has the answer."""
        path = self._path(request_id)
        if path is not None:
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let another worker use the directory."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _path(self, request_id: str) -> Path | None:
        """Request ids come from the network: only harmless ones become names of files."""
        if not _SAFE.fullmatch(request_id):
            return None
        return self._directory / f"{request_id}{_SUFFIX}"


if sys.platform == "win32":

    def _lock(lock: BinaryIO) -> None:
        msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
else:

    def _lock(lock: BinaryIO) -> None:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
