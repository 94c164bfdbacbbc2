"""Where runs are started and looked at: the port, and what passes through it.

The server is asked through it, so that an engine inside the process can take its place.
"""

from typing import Protocol

import msgspec

PAUSE_SECONDS = (0.05, 1.0)
"""How long to pause between looks at a server that answers at once: first, and at most."""
_COMPLETED = "completed"
_ENDED = frozenset({_COMPLETED, "failed", "cancelled"})


class Invoked(msgspec.Struct, frozen=True):
    """A function that is to run: its composite id, its data, and what makes the request repeatable.

    `user` and `v` go into the event the run sees.
    """

    slug: str
    data: msgspec.Raw
    seed: str
    user: msgspec.Raw | None = None
    v: str | None = None

    def body(self) -> bytes:
        """What is posted."""
        fields: dict[str, object] = {"data": self.data}
        if self.user is not None:
            fields["user"] = self.user
        if self.v is not None:
            fields["v"] = self.v
        return msgspec.json.encode(fields)


class RunSeen(msgspec.Struct, frozen=True):
    """A run as it was when somebody looked. `output` is its result, or its error."""

    run_id: str
    status: str
    output: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def completed(self) -> bool:
        """Did it return something?"""
        return self.status.lower() == _COMPLETED

    @property
    def ended(self) -> bool:
        """Will it stay as it is?"""
        return self.status.lower() in _ENDED


class RunPort(Protocol):
    """Where runs are started and looked at."""

    async def start(self, invoked: Invoked) -> str:
        """Start a function; returns the run's id. Raises Error if it cannot be started."""
        ...

    def start_sync(self, invoked: Invoked) -> str:
        """The same for blocking code."""
        ...

    async def look(self, run_id: str, wait_seconds: float) -> RunSeen:
        """The run when it has ended, or as it is after at most so long. Raises NetworkError."""
        ...

    def look_sync(self, run_id: str, wait_seconds: float) -> RunSeen:
        """The same for blocking code."""
        ...
