"""How far the write-ahead log is known to be good: the only place that notes it, and that compares.

A log that is damaged in its middle ends there for SQLite, which calls that the end of the log and
says nothing. So the place of the last commit is noted in a small file beside the database, after
the commit is on the disk. The note is never synced by itself: one that is behind tells less, one
that is ahead would tell of a loss that was none. Where the log is about to be emptied the note is
withdrawn first.

The place is read from the head of SQLite's index of the log (https://sqlite.org/walformat.html).
That file stays open as long as the database: to close it would take SQLite's locks away.
"""

import os
import shutil
import struct
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from stepwell.server.store.port import Unavailable

if sys.platform != "win32":
    import fcntl

_OWNER_ONLY = 0o600
_MAGIC = b"SWMARK1\n"
_NOTE = struct.Struct("<8s8sIIQ")
_CHECK = struct.Struct("<I")
_BYTES = _NOTE.size + _CHECK.size
_HEAD_BYTES = 48
_FRAMES = struct.Struct("@I")
_FRAMES_AT = 16
_SALT_AT = 32
_SALT_BYTES = 8
_NO_SALT = bytes(_SALT_BYTES)
_LOG_HEAD = struct.Struct(">8I")
_WORD = 0xFFFFFFFF


class _Place(NamedTuple):
    """A place in a log. The salt is another one each time the log begins anew."""

    salt: bytes
    frames: int


class LogMark:
    """The note of one database. Closed after the database is."""

    def __init__(self, path: str, *, is_synced: bool) -> None:
        """`path` of a database that is open, and was read from; `is_synced` says whether its
        commits are on the disk when they return. Raises `Unavailable`."""
        self._path = path
        self._is_synced = is_synced
        self._lock = threading.Lock()
        self._is_emptied = False
        self._index = -1
        try:
            self._file = os.open(f"{path}.mark", os.O_RDWR | os.O_CREAT, _OWNER_ONLY)
            self._note_map = _mapped(self._file)
            self._index = os.open(f"{path}-shm", os.O_RDONLY)
            self._index_map = mmap(self._index, 2 * _HEAD_BYTES, access=ACCESS_READ)
        except (OSError, ValueError) as error:
            raise Unavailable(
                f"cannot make {path}.mark; check the folder and its rights: {error}"
            ) from error

    def committed(self) -> None:
        """A commit is on the disk: note its place. Microseconds."""
        with self._lock:
            if self._is_emptied:
                return
            place = self._now()
            if place is not None:
                self._note(place)

    @contextmanager
    def emptying(self) -> Generator[None]:
        """The log is emptied meanwhile, or written to by somebody who does not sync."""
        with self._lock:
            self._is_emptied = True
            self._withdraw()
        try:
            yield
        finally:
            with self._lock:
                self._is_emptied = False

    def withdraw(self) -> None:
        """The database is about to be closed, and its log removed."""
        with self._lock:
            self._is_emptied = True
            self._withdraw()

    def missing(self) -> str:
        """What the log has less than was noted, as a sentence, with a copy of it; empty where it
        has all. Asked before anything is written."""
        noted = self._noted()
        found = self._now() or _Place(_NO_SALT, 0)
        if noted is None or not noted[0].frames:
            return ""
        place, was_synced, at_ms = noted
        if found.salt != place.salt and _begins_well(f"{self._path}-wal"):
            return ""  # it began anew since: all that was in it is in the database
        if found.salt == place.salt and found.frames >= place.frames:
            return ""
        when = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
        lost = f"what was acknowledged last, up to {when}, is lost"
        log = f"{self._path}-wal, the log,"
        if not _size(f"{self._path}-wal"):
            return (
                f"{log} is gone or empty, and had {place.frames} pages: {lost}, unless another"
                " program opened the database since and copied the log into it"
            )
        reason = "it is damaged"
        if not was_synced:
            reason += ", or (durability relaxed) the machine ended before it was on the disk"
        return (
            f"{log} ends after {found.frames} of {place.frames} pages: {reason}."
            f" {lost[0].upper()}{lost[1:]}; {self._copied()}"
        )

    def close(self) -> None:
        """Let go of the files."""
        self._note_map.close()
        self._index_map.close()
        for handle in (self._file, self._index):
            if handle >= 0:
                os.close(handle)
        self._file = self._index = -1

    def _copied(self) -> str:
        """Keep the log as it is: the next commit writes over what cannot be read."""
        copy = f"{self._path}-wal.damaged-{int(time.time())}"
        try:
            os.close(os.open(copy, os.O_WRONLY | os.O_CREAT, _OWNER_ONLY))
            shutil.copyfile(f"{self._path}-wal", copy)
        except OSError as error:
            return f"it could not be copied to {copy} ({error.strerror})"
        return f"the log as it was found is in {copy}"

    def _now(self) -> _Place | None:
        """The end of the log; None while somebody is writing down another."""
        head = self._index_map[: 2 * _HEAD_BYTES]
        if head[:_HEAD_BYTES] != head[_HEAD_BYTES:]:
            return None
        (frames,) = _FRAMES.unpack_from(head, _FRAMES_AT)
        return _Place(head[_SALT_AT : _SALT_AT + _SALT_BYTES], frames)

    def _noted(self) -> tuple[_Place, bool, int] | None:
        """What was noted, whether the commit was synced, and when; None if nothing can be read."""
        text = self._note_map[:_BYTES]
        if len(text) < _BYTES or _CHECK.unpack_from(text, _NOTE.size)[0] != crc32(
            text[: _NOTE.size]
        ):
            return None
        magic, salt, frames, was_synced, at_ms = _NOTE.unpack_from(text)
        return (_Place(salt, frames), bool(was_synced), at_ms) if magic == _MAGIC else None

    def _note(self, place: _Place) -> None:
        now_ms = time.time_ns() // 1_000_000
        text = _NOTE.pack(_MAGIC, place.salt, place.frames, self._is_synced, now_ms)
        self._note_map[:_BYTES] = text + _CHECK.pack(crc32(text))

    def _withdraw(self) -> None:
        self._note(_Place(_NO_SALT, 0))
        with suppress(OSError):
            self._note_map.flush()
            _sync(self._file)


def _begins_well(path: str) -> bool:
    """Whether a log has an intact head: SQLite shows the salt of one that is not, too."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(_LOG_HEAD.size)
    except OSError:
        return False
    if len(head) < _LOG_HEAD.size:
        return False
    words = struct.unpack(">6I" if head[3] & 1 else "<6I", head[:24])
    first = second = 0
    for one, other in zip(words[::2], words[1::2], strict=True):
        first = (first + one + second) & _WORD
        second = (second + other + first) & _WORD
    return _LOG_HEAD.unpack(head)[6:] == (first, second)


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def _mapped(handle: int) -> mmap:
    """A note as memory: to ask the system at each commit would take several times as long."""
    if os.fstat(handle).st_size < _BYTES:
        os.write(handle, bytes(_BYTES))
    return mmap(handle, _BYTES)


def _sync(handle: int) -> None:
    if sys.platform == "darwin":
        fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
    else:
        os.fsync(handle)
