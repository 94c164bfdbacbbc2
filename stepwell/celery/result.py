"""What became of a call: the result of a task that others wait for."""

from typing import Any

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.invoke.port import RunSeen
from stepwell.sdk.invoke.waiting import ended_sync, result_of

_STATES = {
    "scheduled": "PENDING",
    "queued": "PENDING",
    "completed": "SUCCESS",
    "failed": "FAILURE",
    "cancelled": "REVOKED",
}


class AsyncResult:
    """A call of a task, or of a chain, group or chord. `id` is the id of its run."""

    def __init__(self, id: str, *, client: Inngest) -> None:
        self.id = id
        self._client = client

    def __repr__(self) -> str:
        return f"<AsyncResult: {self.id}>"

    def get(self, timeout: float | None = None) -> Any:
        """What the task returned; waits for it, for `timeout` seconds at most. Blocks.

        Raises RunFailedError, which names the task's exception, RunTimeoutError if it took longer,
        NetworkError if nobody answers.
        """
        limit_ms = None if timeout is None else round(timeout * 1000)
        return result_of(ended_sync(self._client.run_port, self.id, limit_ms), self.id)

    def _seen(self) -> RunSeen:
        return self._client.run_port.look_sync(self.id, 0.0)

    @property
    def state(self) -> str:
        """PENDING, STARTED, SUCCESS, FAILURE or REVOKED; a task that waits to be tried again is
        STARTED."""
        return _STATES.get(self._seen().status.lower(), "STARTED")

    @property
    def status(self) -> str:
        """Another name of `state`."""
        return self.state

    def ready(self) -> bool:
        """Has it ended?"""
        return self._seen().ended

    def successful(self) -> bool:
        """Has it returned something?"""
        return self.state == "SUCCESS"

    def failed(self) -> bool:
        """Has it failed for good?"""
        return self.state == "FAILURE"
