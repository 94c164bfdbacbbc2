"""Keeps the files small: copies the log back into the database, and returns free pages, and memory
that is free at rest. On a thread and a connection of its own, so that no commit waits for it."""

import ctypes
import logging
import sqlite3
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TypeAlias

from stepwell.server.store.port import Busy, Unavailable
from stepwell.server.store.sqlite.connection import open_keeper

LOG_BYTES = 16 * 1024 * 1024
"""After about so much was written, the log is copied back."""
LOG_FILE_BYTES_MAX = 64 * 1024 * 1024
"""A log that grew beyond this (a reader was slow) is cut when everything in it is copied back."""
REST_S = 5.0
"""When nothing was written for so long, the log gives its space back."""
AGAIN_S = 1.0
"""When something hindered the copying, it is tried again after so long."""
FREE_PAGES_STEP = 128
FREE_PAGES_STEPS_MAX = 32

log = logging.getLogger("stepwell.sqlite")

Emptying: TypeAlias = Callable[[], AbstractContextManager[None]]


class Keeper:
    """One thread. It sleeps until it is told that there is something to do."""

    def __init__(self, path: str, emptying: Emptying = nullcontext) -> None:
        """`emptying` is held while the log is emptied."""
        self._path = path
        self._emptying = emptying
        self._wanted = threading.Event()
        self._stopped = False
        self._tidy = False
        self._trims = False
        self._written = 0
        self._commits = 0
        self._is_log_used = False
        self._thread = threading.Thread(target=self._run, name="stepwell-keeper", daemon=True)
        self._thread.start()

    def wrote(self, log_bytes: int) -> None:
        """The log grew by about so much."""
        self._commits += 1
        self._written += log_bytes
        if not self._is_log_used:
            self._is_log_used = True
            self._wanted.set()
        if self._written >= LOG_BYTES:
            self._written = 0
            self._wanted.set()

    def tidy(self) -> None:
        """Return some free pages soon."""
        self._tidy = True
        self._wanted.set()

    def trim(self) -> None:
        """Return the memory of the process that is free, soon."""
        self._trims = True
        self._wanted.set()

    def stop(self) -> None:
        """Finish. Returns when the thread has ended."""
        self._stopped = True
        self._wanted.set()
        self._thread.join()

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        behind = False
        commits = 0
        while True:
            rests = REST_S if self._is_log_used else None
            woken = self._wanted.wait(AGAIN_S if behind else rests)
            self._wanted.clear()
            if self._stopped:
                break
            at_rest = not woken and self._is_log_used and commits == self._commits
            commits = self._commits
            try:
                connection = connection or open_keeper(self._path)
                if at_rest:
                    # Said first: what is written from now on wakes this thread again.
                    self._is_log_used = False
                    with self._emptying():
                        self._is_log_used = not empty_log(connection)
                        return_pages(connection)
                behind = not copy_back(connection, self._path, self._emptying)
                if self._tidy:
                    self._tidy = False
                    with self._emptying():
                        return_pages(connection)
                if self._trims:
                    self._trims = False
                    trim_heap()
            except (sqlite3.OperationalError, Busy, Unavailable) as error:
                log.info("the log of %s was not copied back yet: %s", self._path, error)
                behind = True
            except Exception:
                # Whatever it is, a thread that ended would let the log grow for ever.
                log.exception("cannot copy the log of %s back; stop and check the file", self._path)
                behind = True
        if connection is not None:
            connection.close()


def copy_back(connection: sqlite3.Connection, path: str, emptying: Emptying = nullcontext) -> bool:
    """Copy the log into the database without holding anybody up. Whether all of it was copied."""
    _, frames, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    done = bool(frames == copied)
    if done and _size(f"{path}-wal") > LOG_FILE_BYTES_MAX:
        # Nothing is left to copy but what came this instant: quick, or given up at once.
        with emptying():
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return done


def empty_log(connection: sqlite3.Connection) -> bool:
    """Copy everything back and cut the log to nothing, unless somebody reads or writes just now."""
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def return_pages(connection: sqlite3.Connection) -> int:
    """Return free pages to the system in small transactions. How many remain free."""
    free = _free_pages(connection)
    for _ in range(FREE_PAGES_STEPS_MAX):
        if not free:
            break
        # As a script, because a single statement would stop after its first page.
        connection.executescript(f"PRAGMA incremental_vacuum({FREE_PAGES_STEP})")
        left = _free_pages(connection)
        if left >= free:
            break
        free = left
    return free


def trim_heap() -> None:
    """Have the C library return what is free to the system. glibc keeps it otherwise; others return
    it by themselves, and have no such function."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def _free_pages(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA freelist_count").fetchone()[0])


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except FileNotFoundError:
        return 0
