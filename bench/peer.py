"""What a benchmarked system is, to the workloads: something that runs six kinds of functions.

    one     one step              chain   100 steps one after another
    five    five steps            fan     100 steps in parallel
    wait    waits for its signal  sleep   sleeps for an hour

Every step returns `{"ok": True}`; a body marks its first and its last line by the run's key.
"""

from collections.abc import Sequence
from typing import Protocol

from bench.marks import Marks


class NotSupported(Exception):
    """This peer has nothing that stands for the workload."""


class Peer(Protocol):
    """One system, ready to be measured. `durability` says what an accepted item survives."""

    name: str
    durability: str
    marks: Marks

    async def start(self) -> None:
        """Start everything, with empty state."""
        ...

    async def stop(self) -> None:
        """Stop everything that was started."""
        ...

    async def run(self, kind: str, keys: Sequence[str]) -> None:
        """Start runs, as fast as the system takes them in."""
        ...

    async def resume(self, key: str) -> None:
        """Send the signal that a `wait` run waits for."""
        ...

    async def ingest(self, count: int, in_flight: int, batch: int) -> None:
        """Have items accepted that start nothing."""
        ...

    def pids(self) -> dict[str, int]:
        """Processes besides this one, by what they are: `server`, `app`. Children count too."""
        ...

    def work(self) -> dict[str, float]:
        """Counters of durable work so far (flushes, rows, commits), where the system tells."""
        ...
