"""Which files a process has read have changed since."""

import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

Stamp = tuple[int, int]
"""When a file was last written, in nanoseconds, and how long it is."""

Stamps = Mapping[str, Stamp]


def stamps_of(files: Iterable[str | Path]) -> Stamps:
    """The stamp of each file; files that are gone are left out."""
    stamps: dict[str, Stamp] = {}
    for name in files:
        with contextlib.suppress(OSError):
            seen = os.stat(name)  # noqa: PTH116 - many files, four times a second
            stamps[str(name)] = (seen.st_mtime_ns, seen.st_size)
    return stamps


def stamps_read(files: Iterable[str | Path], begun_ns: int, known: Stamps) -> Stamps:
    """The stamps that `files` had when they were read, after `begun_ns` of the wall clock.

    `known` are stamps from before that moment. A file that was written since is left out, so that
    a later look finds it changed: what it held when it was read cannot be told. A file from the
    future was written by another clock, and tells nothing.
    """
    names = {str(name) for name in files}
    now_ns = time.time_ns()
    stamps = stamps_of(names).items()
    read = {name: stamp for name, stamp in stamps if not begun_ns < stamp[0] <= now_ns}
    return read | {name: stamp for name, stamp in known.items() if name in names}


def changed(before: Stamps, now: Stamps) -> list[str]:
    """Files that were written, added or removed, in order."""
    return sorted(name for name in {**before, **now} if before.get(name) != now.get(name))
