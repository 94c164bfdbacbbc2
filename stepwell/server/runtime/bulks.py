"""Carries out what is to be done to many runs: a few at a time, no faster than was asked.

What was asked and how far it has come is stored, so a server that starts again goes on with it.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial

from stepwell.expr.dialect import compile_search
from stepwell.server.clock import Clock
from stepwell.server.engine.message.action import Topic
from stepwell.server.engine.message.input import (
    BulkEnded,
    BulkMoved,
    BulkReplayed,
    ReplayAsked,
    Replayed,
)
from stepwell.server.engine.row.bulk import Bulk, BulkMove
from stepwell.server.ledger import EngineFault, Ledger, LedgerClosed
from stepwell.server.query.search import Condition, bulk_runs
from stepwell.server.runtime.asked import asked
from stepwell.server.runtime.cluster import alone
from stepwell.server.runtime.perform import Performer
from stepwell.server.store.port import Mark, Reader, RunTime, StoreError
from stepwell.server.store.reading import mark_of

PAGE = 50
AGAIN_S = 5.0
BEHIND_S = 0.5
"""So far behind its pace it tries to catch up with it."""
LOOK_S = 1.0
"""So long runs of one page are looked for, before others have their turn."""

log = logging.getLogger("stepwell.server")


class Bulks:
    """One per node."""

    def __init__(
        self,
        ledger: Ledger,
        reader: Reader,
        performer: Performer,
        clock: Clock,
        leads: Callable[[], bool] = alone,
    ) -> None:
        """`leads` says whether it is for this process to do it."""
        self._ledger = ledger
        self._reader = reader
        self._clock = clock
        self._leads = leads
        self._asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._under_way: dict[str, asyncio.Task[None]] = {}
        performer.subscribe(Topic.BULK, lambda _: self._asked.set())

    def start(self) -> None:
        """Begin, with what an earlier server left."""
        self._asked.set()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Do nothing more to anything."""
        tasks = [*self._under_way.values(), *([] if self._task is None else [self._task])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            if not self._leads():
                continue
            try:
                for bulk in await asked(self._reader, self._reader.open_bulks):
                    self._take_up(bulk.id)
            except StoreError as error:
                log.warning("what is done to many runs was put off: %s", error)
                self._asked.set()
                await asyncio.sleep(AGAIN_S)

    def _take_up(self, id_: str) -> None:
        if id_ in self._under_way:
            return
        task = asyncio.get_running_loop().create_task(self._carry_out(id_))
        self._under_way[id_] = task
        task.add_done_callback(lambda _: self._under_way.pop(id_, None))

    async def _carry_out(self, id_: str) -> None:
        due = time.monotonic()
        while self._leads():
            try:
                bulk = await asked(self._reader, partial(self._reader.bulk, id_))
                if bulk is None or bulk.ended_ms:
                    return
                if await self._page(bulk):
                    return
                now = time.monotonic()
                # What one page came late by, the next ones make up for, within bounds.
                due = max(due + min(PAGE, bulk.rate) / bulk.rate, now - BEHIND_S)
                await asyncio.sleep(max(due - now, 0))
            except LedgerClosed:
                return
            except (StoreError, EngineFault) as error:
                log.warning("what is done to many runs was put off: %s", error)
                await asyncio.sleep(AGAIN_S)

    async def _page(self, bulk: Bulk) -> bool:
        """Do it to some more; says whether there are no others."""
        action = bulk.action
        if action == "replay":
            return await self._replay(bulk)
        until = time.monotonic() + LOOK_S
        program = compile_search(bulk.filter.query) if bulk.filter.query else None
        condition = None if program is None else Condition(program, self._clock.now_ms())
        before = bulk.moved
        hits = await asyncio.to_thread(
            lambda: bulk_runs(
                self._reader,
                bulk.filter,
                condition,
                Mark(before.at_ms, before.run_id) if before.run_id else None,
                min(PAGE, bulk.rate),
                lambda: time.monotonic() < until,
            )
        )
        last = hits.last or (
            mark_of(hits.found[-1], RunTime(bulk.filter.time)) if hits.found else None
        )
        if last is not None:
            moved = BulkMove(last.at_ms, last.id, before.done, before.refused)
            ids = tuple(run.id for run in hits.found)
            await self._ledger.submit(BulkMoved(bulk.id, action, ids, moved))
        if hits.last is None:
            await self._ledger.submit(BulkEnded(bulk.id))
        return hits.last is None

    async def _replay(self, bulk: Bulk) -> bool:
        """Let some more events start their runs. A function that is gone, or rests, stops it."""
        wanted = bulk.filter
        page = min(PAGE, bulk.rate)
        asked = ReplayAsked(
            wanted.functions[0], wanted.since_ms, wanted.until_ms, wanted.reasons, page
        )
        answer = await self._ledger.submit(BulkReplayed(bulk.id, asked, bulk.moved))
        if isinstance(answer, Replayed) and answer.more:
            return False
        await self._ledger.submit(BulkEnded(bulk.id, stopped=not isinstance(answer, Replayed)))
        return True
