"""When the first and the last line of each benchmark function ran, by run key.

A peer whose functions run in the process of the driver marks in memory; one with workers of its own
has them append to a file.
"""

import asyncio
import json
import os
import time
from pathlib import Path

POLL_S = 0.002


class Marks:
    """Moments by kind (`first` or `last`) and run key. More than one per key is a repetition."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._read = 0
        self.first: dict[str, float] = {}
        self.last: dict[str, float] = {}
        self.repeated = 0

    def mark_first(self, key: str) -> None:
        """The function body begins."""
        if key not in self.first:
            self.first[key] = time.time()

    def mark_last(self, key: str) -> None:
        """The function body is about to return."""
        if key in self.last:
            self.repeated += 1
        else:
            self.last[key] = time.time()

    def clear(self) -> None:
        """Forget everything."""
        self.collect()
        self.first, self.last, self.repeated = {}, {}, 0

    def collect(self) -> None:
        """Take in what workers of other processes have written."""
        if self.path is None or not self.path.exists():
            return
        with self.path.open() as file:
            file.seek(self._read)
            text = file.read()
        whole = text.rfind("\n") + 1
        self._read += whole
        for line in text[:whole].splitlines():
            which, key, at = json.loads(line)
            target = self.first if which == "first" else self.last
            if which == "last" and key in target:
                self.repeated += 1
            target.setdefault(key, at)

    async def all_last(self, keys: list[str], timeout_s: float) -> None:
        """Wait until every key has ended; TimeoutError says how many have not."""
        deadline = time.time() + timeout_s
        while True:
            self.collect()
            if len(self.last) >= len(keys) and all(key in self.last for key in keys):
                return
            if time.time() > deadline:
                missing = sum(key not in self.last for key in keys)
                raise TimeoutError(f"{missing} of {len(keys)} runs have not ended")
            await asyncio.sleep(POLL_S)

    async def all_first(self, keys: list[str], timeout_s: float) -> None:
        """Wait until every key has begun."""
        deadline = time.time() + timeout_s
        while not all(key in self.first for key in keys):
            self.collect()
            if time.time() > deadline:
                raise TimeoutError("some runs have not begun")
            await asyncio.sleep(POLL_S)


class FileMarks:
    """The writing half, for workers in other processes."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def mark_first(self, key: str) -> None:
        """The function body begins."""
        self._write("first", key)

    def mark_last(self, key: str) -> None:
        """The function body is about to return."""
        self._write("last", key)

    def _write(self, which: str, key: str) -> None:
        os.write(self._fd, (json.dumps([which, key, time.time()]) + "\n").encode())
