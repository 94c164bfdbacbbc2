"""Carries out cancellations of many runs: each run is told to stop by itself, a page at a time.

What was asked is stored, so a server that starts again goes on with it; to tell a run twice harms
nothing.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from stepwell.server.engine.message.action import Topic
from stepwell.server.engine.message.input import CancelAsked, CancellationEnded
from stepwell.server.engine.row.cancellation import Cancellation
from stepwell.server.engine.row.run import RunStatus
from stepwell.server.ledger import EngineFault, Ledger, LedgerClosed
from stepwell.server.runtime.asked import asked
from stepwell.server.runtime.cluster import alone
from stepwell.server.runtime.perform import Performer
from stepwell.server.store.port import Mark, Reader, RunFilter, StoreError

PAGE = 200
AGAIN_S = 5.0
GOING = (RunStatus.SCHEDULED, RunStatus.RUNNING)

log = logging.getLogger("stepwell.server")


class Canceller:
    """One per node."""

    def __init__(
        self,
        ledger: Ledger,
        reader: Reader,
        performer: Performer,
        leads: Callable[[], bool] = alone,
    ) -> None:
        """`leads` says whether it is for this process to do it."""
        self._ledger = ledger
        self._reader = reader
        self._leads = leads
        self._asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        performer.subscribe(Topic.CANCELLATION, lambda _: self._asked.set())

    def start(self) -> None:
        """Begin, with what an earlier server left."""
        self._asked.set()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Tell nobody any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def run_once(self) -> None:
        """Carry out everything that was asked."""
        for cancellation in await asked(self._reader, self._reader.open_cancellations):
            await self._carry_out(cancellation)

    async def _run(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            if not self._leads():
                continue
            try:
                await self.run_once()
            except LedgerClosed:
                return
            except (StoreError, EngineFault) as error:
                log.warning("a cancellation was put off: %s", error)
                self._asked.set()
                await asyncio.sleep(AGAIN_S)

    async def _carry_out(self, wanted: Cancellation) -> None:
        reader = self._reader
        after: Mark | None = None
        while await asked(reader, partial(reader.cancellation, wanted.id)) is not None:
            some = RunFilter(
                statuses=GOING,
                functions=(wanted.function,),
                since_ms=wanted.after_ms,
                until_ms=wanted.before_ms,
                ascending=True,
                after=after,
                limit=PAGE,
            )
            page = await asked(reader, partial(reader.runs, some))
            told = [self._ledger.submit(CancelAsked(run.id, wanted.condition)) for run in page]
            await asyncio.gather(*told)
            if len(page) < PAGE:
                await self._ledger.submit(CancellationEnded(wanted.id))
                return
            after = Mark(page[-1].queued_ms, page[-1].id)
