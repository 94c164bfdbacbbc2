"""Exports each run that ends, as spans, to a collector: the only place that speaks to one.

Nothing waits for it. What a collector does not take is lost, and the log says so.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from itertools import islice

import aiohttp
import msgspec

from stepwell.server.clock import Clock
from stepwell.server.query.offline import timeline_in
from stepwell.server.query.v2.run_trace import trace_v2
from stepwell.server.repeated import Repeated
from stepwell.server.store.port import Reader, StoreError
from stepwell.server.telemetry.run_spans import spans_of
from stepwell.wire import otlp
from stepwell.wire.event import decode_event
from stepwell.wire.outside import decode

WAITING_MAX = 10_000
"""So many runs may wait to be exported."""
BATCH_MAX = 100
GATHER_S = 1.0
"""Runs that end within this time go together."""
TIMEOUT_S = 10.0

log = logging.getLogger("stepwell.server")


class _Meta(msgspec.Struct):
    traceparent: str = ""


_META = msgspec.json.Decoder(_Meta)


class Exporter:
    """One per server."""

    def __init__(self, reader: Reader, clock: Clock, url: str) -> None:
        """`url` is where the collector takes traces (OTLP over HTTP)."""
        self._reader = reader
        self._clock = clock
        self._url = url
        self._ended: deque[str] = deque()
        self._heard = asyncio.Event()
        self._refusals = Repeated(log)
        self._task: asyncio.Task[None] | None = None

    def hear(self, run_id: str) -> None:
        """A run has ended. Never blocks."""
        if len(self._ended) >= WAITING_MAX:
            self._lost(f"over {WAITING_MAX} runs wait to be exported")
            return
        self._ended.append(run_id)
        self._heard.set()

    def start(self) -> None:
        """Begin to export."""
        self._task = asyncio.create_task(self._run(), name="exporter")

    async def stop(self) -> None:
        """Export what has ended so far, as long as the collector takes it."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait({self._task})
        async with aiohttp.ClientSession() as session:
            while self._ended and await self._export_some(session):
                pass

    async def _run(self) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                await self._heard.wait()
                self._heard.clear()
                await asyncio.sleep(GATHER_S)
                while self._ended:
                    await self._export_some(session)

    async def _export_some(self, session: aiohttp.ClientSession) -> bool:
        """Whether the collector took them. Tried once: who is away must not fill the memory."""
        batch = [*islice(self._ended, BATCH_MAX)]
        taken = await self._export(session, batch)
        for _ in batch:
            self._ended.popleft()
        return taken

    async def _export(self, session: aiohttp.ClientSession, run_ids: list[str]) -> bool:
        """Whether the collector took them."""
        try:
            body = await asyncio.to_thread(self._encoded, run_ids)
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
            headers = {"content-type": "application/json"}
            async with session.post(
                self._url, data=body, headers=headers, timeout=timeout
            ) as answer:
                if answer.status < 300:
                    return True
                self._lost(f"{self._url} answered {answer.status}")
        except (aiohttp.ClientError, TimeoutError, OSError, StoreError) as error:
            self._lost(f"{self._url}: {error or type(error).__name__}")
        return False

    def _lost(self, why: str) -> None:
        text = f"traces of runs are lost: {why}; see --system-trace-endpoint"
        self._refusals.tell(logging.WARNING, "traces", text)

    def _encoded(self, run_ids: list[str]) -> bytes:
        spans = tuple(span for run_id in run_ids for span in self._spans(run_id))
        about = otlp.Resource(otlp.attributes({"service.name": "stepwell"}))
        of_server = otlp.ScopeSpans(otlp.Scope("stepwell.server"), spans)
        return otlp.encode_export(otlp.Export((otlp.ResourceSpans(about, (of_server,)),)))

    def _spans(self, run_id: str) -> Iterator[otlp.OtlpSpan]:
        run, now_ms = self._reader.run(run_id), self._clock.now_ms()
        root = timeline_in(self._reader, run_id, now_ms)
        if run is None or root is None:
            return
        trace = trace_v2(run_id, root, now_ms, with_output=False)
        yield from spans_of(run, trace, self._sender(run.event_ids))

    def _sender(self, event_ids: tuple[str, ...]) -> str:
        """The trace context of who sent the first event of a run; empty if nobody traced."""
        event = self._reader.event(event_ids[0]) if event_ids else None
        meta = None if event is None else decode_event(event.body).meta
        if meta is None:
            return ""
        try:
            return decode(meta, _META).traceparent
        except msgspec.DecodeError:
            return ""
