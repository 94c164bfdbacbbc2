"""What calls are told, read for many of them at once where reading waits for a network: the calls
that one claim gave ask together."""

import asyncio

from stepwell.server.engine.row.run import Run
from stepwell.server.store.port import CallState, Reader, Unavailable

RUNS_MAX = 64
"""Of so many runs the state is read at once: each may be megabytes."""
RETRY_S = 0.5


class States:
    """Reads what calls are told. One per dispatcher."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._asked: list[tuple[Run, asyncio.Future[CallState | None]]] = []
        self._reading: asyncio.Task[None] | None = None

    async def of(self, run: Run) -> CallState | None:
        """What a call of a run is told; None if the run has ended. A database that is away is
        waited for: the call has its lease still, and uses no attempt."""
        if not self._reader.blocks:
            return self._reader.call_states((run,)).get(run.id)
        loop = asyncio.get_running_loop()
        state: asyncio.Future[CallState | None] = loop.create_future()
        self._asked.append((run, state))
        if self._reading is None:
            self._reading = loop.create_task(self._read_all())
        return await state

    def close(self) -> None:
        """Read no more. Nobody waits any longer."""
        if self._reading is not None:
            self._reading.cancel()

    async def _read_all(self) -> None:
        try:
            while self._asked:
                some, self._asked = self._asked[:RUNS_MAX], self._asked[RUNS_MAX:]
                await self._read(some)
        finally:
            self._reading = None

    async def _read(self, asked: "list[tuple[Run, asyncio.Future[CallState | None]]]") -> None:
        runs = list({run.id: run for run, _ in asked}.values())
        while True:
            try:
                found = await asyncio.to_thread(self._reader.call_states, runs)
            except Unavailable:
                await asyncio.sleep(RETRY_S)
            except Exception as error:  # noqa: BLE001 - whoever asked is told
                for _, state in asked:
                    if not state.done():
                        state.set_exception(error)
                return
            else:
                for run, state in asked:
                    if not state.done():
                        state.set_result(found.get(run.id))
                return
