"""Calls that take long: was their run cancelled meanwhile?

HTTP cannot interrupt a request that is under way, and a connection that is cut says nothing: a
proxy may have lost patience. So the server is asked, by all endpoints alike. Ours answers when the
run ends; one that answers at once is asked every few seconds. Calls that end soon ask nothing.
"""

import asyncio
import time
from collections.abc import Coroutine, Generator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from stepwell.sdk import background
from stepwell.sdk.errors import Error
from stepwell.sdk.execution.tasks import running_task
from stepwell.sdk.invoke.http_runs import HttpRunPort
from stepwell.sdk.invoke.port import RunSeen
from stepwell.sdk.net.port import NetworkError
from stepwell.sdk.net.server_api import ServerApi
from stepwell.sdk.step.cancelled import Cancelled, Watch
from stepwell.wire.execution import STATUS_FAILED, CallResponse

AFTER_SECONDS = 2.0
"""How long a call of a coroutine runs before the server is asked about it."""
PAUSE_SECONDS = 5.0
"""How often a server is asked that answers at once."""
HOLD_SECONDS = 30.0
"""How long a server may keep a question until the run ends."""
HELD_MAX = 16
"""How many questions of one endpoint servers may keep: each holds a connection."""

_CANCELLED = "cancelled"


class RunWatch:
    """Asks the servers of one endpoint about runs whose calls take long."""

    def __init__(self) -> None:
        self._held = 0

    async def over(
        self, api: ServerApi, run_id: str, work: Coroutine[Any, Any, CallResponse]
    ) -> CallResponse:
        """The answer of a call. If its run is cancelled, the task that runs here is, and what it is
        answered with nobody reads."""
        task, loop = running_task(), asyncio.get_running_loop()
        watching: asyncio.Task[bool] | None = None
        told = False

        def begin() -> None:
            nonlocal watching
            watching = loop.create_task(self._is_cancelled(api, run_id))
            watching.add_done_callback(tell)

        def tell(asked: asyncio.Task[bool]) -> None:
            nonlocal told
            if not asked.cancelled() and asked.exception() is None and asked.result():
                told = task.cancel("the run was cancelled")

        timer = loop.call_later(AFTER_SECONDS, begin)
        try:
            return await work
        except asyncio.CancelledError:
            if not told or task.cancelling() > 1:
                raise
            return CallResponse(STATUS_FAILED)
        finally:
            timer.cancel()
            if watching is not None:
                watching.cancel()
            if told:
                task.uncancel()

    @contextmanager
    def over_sync(self, api: ServerApi, run_id: str) -> Generator[Watch]:
        """What finds out about a call of blocking code, for as long as that runs."""
        begun: list[Future[None]] = []

        def begin(token: Cancelled) -> None:
            loop = background.shared().loop
            begun.append(asyncio.run_coroutine_threadsafe(self._tell(api, run_id, token), loop))

        try:
            yield begin
        finally:
            for asking in begun:
                asking.cancel()

    async def _tell(self, api: ServerApi, run_id: str, token: Cancelled) -> None:
        if await self._is_cancelled(api, run_id):
            token.set()

    async def _is_cancelled(self, api: ServerApi, run_id: str) -> bool:
        """Waits for the end of a run. False if it ended otherwise, or the server does not tell."""
        while True:
            began = time.monotonic()
            try:
                seen = await self._look(api, run_id)
            except NetworkError:
                pass  # the server is away; if it comes back, it may know
            except Error:
                return False
            else:
                if seen.ended:
                    return seen.status.lower() == _CANCELLED
            await asyncio.sleep(max(0.0, began + PAUSE_SECONDS - time.monotonic()))

    async def _look(self, api: ServerApi, run_id: str) -> RunSeen:
        runs = HttpRunPort(api)
        if self._held >= HELD_MAX:
            return await runs.look(run_id, 0)
        self._held += 1
        try:
            return await runs.look(run_id, HOLD_SECONDS)
        finally:
            self._held -= 1
