"""Removes what is older than the retention period, in small batches, and gives the space back; ends
runs that have waited too long for an app that serves their function."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Protocol

from stepwell.server.clock import Clock
from stepwell.server.engine.message.input import LeftUnserved, PruneAsked, Pruned
from stepwell.server.engine.row.run import RunStatus
from stepwell.server.ledger import EngineFault, Ledger, LedgerClosed
from stepwell.server.query.other_code import waiting_for_code
from stepwell.server.runtime.asked import asked
from stepwell.server.runtime.cluster import alone
from stepwell.server.store.port import Reader, RunFilter, StoreError
from stepwell.wire.function_config import CODE_PIN, Code, decode_function

PRUNE_BATCH = 200
PRUNE_EVERY_S = 60.0
BETWEEN_BATCHES_S = 0.05

log = logging.getLogger("stepwell.janitor")


class Tidy(Protocol):
    """What a store may offer to give space back to the system, a little at a time."""

    def tidy(self) -> None:
        """Do a bounded amount of clean-up."""
        ...


class Janitor:
    """One per database."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        retention_ms: int,
        tidy: Tidy | None = None,
        *,
        reader: Reader | None = None,
        unserved_ms: int = 0,
        leads: Callable[[], bool] = alone,
    ) -> None:
        """`retention_ms` 0 keeps everything for ever; with `unserved_ms` 0 runs wait for ever for
        their function to come back. `reader` is asked which do; `leads`, whether it is for this
        process to do it."""
        self._ledger = ledger
        self._clock = clock
        self._retention_ms = retention_ms
        self._tidy = tidy
        self._reader = reader
        self._unserved_ms = unserved_ms
        self._leads = leads
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to clean."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Clean no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def run_once(self) -> Pruned:
        """Remove everything that is old by now."""
        runs = events = 0
        while self._retention_ms > 0:
            before_ms = self._clock.now_ms() - self._retention_ms
            pruned = await self._ledger.submit(PruneAsked(before_ms, PRUNE_BATCH))
            assert isinstance(pruned, Pruned)
            runs, events = runs + pruned.runs, events + pruned.events
            if not pruned.runs and not pruned.events:
                break  # a store may name fewer than it was asked for, and others the next time
            await asyncio.sleep(BETWEEN_BATCHES_S)
        if self._tidy is not None:
            self._tidy.tidy()
        return Pruned(runs, events)

    async def give_up(self) -> int:
        """Fail the runs that nobody has served for too long; gives how many."""
        if self._reader is None or not self._unserved_ms:
            return 0
        now_ms = self._clock.now_ms()
        given_up = 0
        for function in await asked(self._reader, self._reader.gone_functions):
            waited_ms = now_ms - function.gone_ms
            if waited_ms >= self._unserved_ms:
                given_up += await self._give_up_on(function.slug, waited_ms, self._reader)
        for function in await asked(self._reader, self._reader.functions):
            code = decode_function(function.config).code
            # What rests waits for a person, whoever has its code.
            if code.on_change == CODE_PIN and function.slug not in self._ledger.catalog.paused:
                given_up += await self._give_up_pinned(function.slug, code, now_ms, self._reader)
        return given_up

    async def _give_up_pinned(self, slug: str, code: Code, now_ms: int, reader: Reader) -> int:
        """The same for runs that nobody has served who has their code."""
        waiting = await asked(reader, partial(waiting_for_code, reader, slug, code))
        waited = ((run, now_ms - rest.since_ms) for run, rest in waiting)
        late = [(run, ms) for run, ms in waited if ms >= self._unserved_ms]
        answers = [self._ledger.submit(LeftUnserved(run.id, ms)) for run, ms in late]
        told = await asyncio.gather(*answers)
        if told:
            count = len(told)
            log.warning("old code of function %s is served no longer: %d runs failed", slug, count)
        return len(told)

    async def _give_up_on(self, slug: str, waited_ms: int, reader: Reader) -> int:
        going = (RunStatus.SCHEDULED, RunStatus.RUNNING)
        wanted = RunFilter(statuses=going, functions=(slug,), limit=PRUNE_BATCH)
        ended = 0
        while runs := await asked(reader, partial(reader.runs, wanted)):
            answers = [self._ledger.submit(LeftUnserved(run.id, waited_ms)) for run in runs]
            told = await asyncio.gather(*answers)
            log.warning("function %s is served no longer: %d runs failed", slug, len(told))
            ended += len(told)
            if len(runs) < wanted.limit:
                break
        return ended

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(PRUNE_EVERY_S)
            if not self._leads():
                continue
            try:
                await self.run_once()
                await self.give_up()
            except LedgerClosed:
                return
            except (StoreError, EngineFault) as error:
                log.warning("clean-up was put off: %s", error)
            except Exception:
                # If nobody cleaned any more, nobody would notice before the disk is full.
                log.exception("clean-up has a fault and was put off")
