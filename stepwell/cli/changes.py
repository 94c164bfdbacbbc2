"""Which files of a program have changed since they were read."""

import contextlib
import os
from collections.abc import Iterable, Mapping
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

Stamp = tuple[int, int]
"""When a file was last written, in nanoseconds, and how long it is."""

Stamps = Mapping[str, Stamp]


def stamps_of(files: Iterable[str | Path]) -> dict[str, Stamp]:
    """The stamp of each file; files that are gone are left out."""
    stamps: dict[str, Stamp] = {}
    for name in files:
        with contextlib.suppress(OSError):
            seen = os.stat(name)  # noqa: PTH116 - many files, four times a second
            stamps[str(name)] = (seen.st_mtime_ns, seen.st_size)
    return stamps


def changed(before: Stamps, now: Stamps) -> list[str]:
    """Files that were written, added or removed, in order."""
    return sorted(name for name in {**before, **now} if before.get(name) != now.get(name))


class ReadFiles:
    """What the files of this process were like when they were read.

    Python asks about a source file just before it reads it for an import. Who looks only once the
    import is over takes what was written meanwhile for what was read.
    """

    def __init__(self) -> None:
        """Takes note of imports from here on, as long as the process lives."""
        self._stamps: dict[str, Stamp] = {}
        plain = SourceFileLoader.path_stats

        def path_stats(loader: SourceFileLoader, path: str) -> Mapping[str, Any]:
            self._stamps.update(stamps_of((path,)))
            return plain(loader, path)

        SourceFileLoader.path_stats = path_stats  # type: ignore[method-assign, assignment]

    def stamps(self, files: Iterable[str | Path]) -> Stamps:
        """Of each file, what it was like when it was imported or, where it was not, when it was
        asked about here first."""
        names = [str(name) for name in files]
        self._stamps.update(stamps_of(name for name in names if name not in self._stamps))
        return {name: self._stamps[name] for name in names if name in self._stamps}
