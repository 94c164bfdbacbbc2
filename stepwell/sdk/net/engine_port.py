"""What a client talks to that has an engine in its own process: nothing of it needs a network.

The only place for the ports of signals, of limits and of what is said of runs, and for what stands
where a server would be.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.net.port import HttpReply
from stepwell.wire.limit_state import LimitNumbers, LimitState
from stepwell.wire.metadata import MetadataTarget, Updates


class SignalPort(Protocol):
    """Where signals go."""

    async def signal(self, name: str, data: msgspec.Raw) -> str | None:
        """Send a signal; the id of the run that waited for it, None if none did."""
        ...

    def signal_sync(self, name: str, data: msgspec.Raw) -> str | None:
        """The same for blocking code."""
        ...


class LimitPort(Protocol):
    """Where named limits are kept."""

    async def limits(self) -> list[LimitState]:
        """Every named limit."""
        ...

    def limits_sync(self) -> list[LimitState]:
        """The same for blocking code."""
        ...

    async def set_limit(self, name: str, numbers: LimitNumbers) -> LimitState:
        """Give a limit other numbers."""
        ...

    def set_limit_sync(self, name: str, numbers: LimitNumbers) -> LimitState:
        """The same for blocking code."""
        ...

    async def reset_limit(self, name: str) -> LimitState:
        """Let the numbers of the code hold again. Raises Error where there is no such limit."""
        ...

    def reset_limit_sync(self, name: str) -> LimitState:
        """The same for blocking code."""
        ...


class AnnotationPort(Protocol):
    """Where metadata and scores are kept."""

    async def annotate(self, run_id: str, target: MetadataTarget, updates: Updates) -> None:
        """Keep what is said of a run or a part of it, whole. Raises Error if it cannot be."""
        ...

    def annotate_sync(self, run_id: str, target: MetadataTarget, updates: Updates) -> None:
        """The same for blocking code."""
        ...


class NoServer:
    """Refuses every request: the engine runs in this process, and nobody named a server."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_seconds: float,
    ) -> HttpReply:
        """Raises ConfigurationError."""
        raise _refused(method, url)

    def request_sync(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_seconds: float,
    ) -> HttpReply:
        """Raises ConfigurationError."""
        raise _refused(method, url)


def _refused(method: str, url: str) -> ConfigurationError:
    return ConfigurationError(
        f"{method} {url} was not sent: the engine runs in this process, which has no such API, and"
        " no server is named: run `stepwell start` and leave the engine out, or give the client the"
        " base_url of a server"
    )
