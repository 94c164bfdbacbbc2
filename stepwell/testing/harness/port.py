"""The clients' way to the engine of a test: no client of it ever reaches for the network.

The engine starts with the first thing that is sent, whoever sends it: the test, or the application.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import msgspec

from stepwell.embedded import InProcess
from stepwell.sdk.invoke.port import Invoked, RunSeen
from stepwell.sdk.realtime.port import Listening, Publication
from stepwell.sdk.send.delivery import Delivery, EventBatch
from stepwell.server.node import Node
from stepwell.testing.harness.errors import HarnessError
from stepwell.wire.identifier import ENTROPY_BYTES, Seed, format_seed
from stepwell.wire.limit_state import LimitNumbers, LimitState
from stepwell.wire.metadata import MetadataTarget, Updates
from stepwell.wire.realtime import TopicPlace


class HarnessPort(InProcess):
    """The way to a running engine. Chance is seeded: ids are the same in each test. `published` is
    told what is told to subscribers."""

    def __init__(
        self,
        node: Node,
        loop: asyncio.AbstractEventLoop,
        entropy: Callable[[int], bytes],
        published: list[Publication],
    ) -> None:
        super().__init__(node, loop, entropy)
        self._published = published

    async def publish(self, publication: Publication) -> None:
        """Tell whoever subscribes, and the test."""
        self._published.append(publication)
        await super().publish(publication)

    def publish_sync(self, publication: Publication) -> None:
        """The same for blocking code, which must not be on the engine's own loop."""
        super().publish_sync(publication)
        self._published.append(publication)

    async def deliver(self, batch: EventBatch) -> Delivery:
        """Store the events; answers after the commit."""
        return await super().deliver(self._seeded(batch))

    def deliver_sync(self, batch: EventBatch) -> Delivery:
        """The same for blocking code, which must not be on the engine's own loop."""
        return super().deliver_sync(self._seeded(batch))

    def _seeded(self, batch: EventBatch) -> EventBatch:
        if not batch.fresh:
            return batch
        seed = Seed(self.now_ms(), self._entropy(ENTROPY_BYTES))
        return msgspec.structs.replace(batch, seed=format_seed(seed))


Begin: TypeAlias = Callable[[], Awaitable[InProcess]]
"""Starts the engine on the running loop, if it does not run, and gives the way to it."""


class BeginningPort:
    """The way to an engine that begins when it is first used."""

    def __init__(
        self,
        begin: Begin,
        loop: Callable[[], asyncio.AbstractEventLoop | None],
        now_ms: Callable[[], int],
    ) -> None:
        """`loop` is where the engine is to run; None, if that is not known yet, is the loop of the
        first coroutine that sends."""
        self._begin = begin
        self._loop = loop
        self.now_ms = now_ms

    async def deliver(self, batch: EventBatch) -> Delivery:
        """As `HarnessPort`."""
        return await (await self._port()).deliver(batch)

    def deliver_sync(self, batch: EventBatch) -> Delivery:
        """As `HarnessPort`."""
        return self._port_sync("send").deliver_sync(batch)

    async def start(self, invoked: Invoked) -> str:
        """As `HarnessPort`."""
        return await (await self._port()).start(invoked)

    def start_sync(self, invoked: Invoked) -> str:
        """As `HarnessPort`."""
        return self._port_sync("invoke").start_sync(invoked)

    async def look(self, run_id: str, wait_seconds: float) -> RunSeen:
        """As `HarnessPort`."""
        return await (await self._port()).look(run_id, wait_seconds)

    def look_sync(self, run_id: str, wait_seconds: float) -> RunSeen:
        """As `HarnessPort`."""
        return self._port_sync("invoke").look_sync(run_id, wait_seconds)

    async def signal(self, name: str, data: msgspec.Raw) -> str | None:
        """As `HarnessPort`."""
        return await (await self._port()).signal(name, data)

    def signal_sync(self, name: str, data: msgspec.Raw) -> str | None:
        """As `HarnessPort`."""
        return self._port_sync("send_signal").signal_sync(name, data)

    async def annotate(self, run_id: str, target: MetadataTarget, updates: Updates) -> None:
        """As `HarnessPort`."""
        await (await self._port()).annotate(run_id, target, updates)

    def annotate_sync(self, run_id: str, target: MetadataTarget, updates: Updates) -> None:
        """As `HarnessPort`."""
        self._port_sync("metadata").annotate_sync(run_id, target, updates)

    async def publish(self, publication: Publication) -> None:
        """As `HarnessPort`."""
        await (await self._port()).publish(publication)

    def publish_sync(self, publication: Publication) -> None:
        """As `HarnessPort`."""
        self._port_sync("realtime.publish").publish_sync(publication)

    async def listen(self, topics: Sequence[TopicPlace], since: str) -> Listening:
        """As `HarnessPort`."""
        return await (await self._port()).listen(topics, since)

    async def limits(self) -> list[LimitState]:
        """As `HarnessPort`."""
        return await (await self._port()).limits()

    def limits_sync(self) -> list[LimitState]:
        """As `HarnessPort`."""
        return self._port_sync("limits").limits_sync()

    async def set_limit(self, name: str, numbers: LimitNumbers) -> LimitState:
        """As `HarnessPort`."""
        return await (await self._port()).set_limit(name, numbers)

    def set_limit_sync(self, name: str, numbers: LimitNumbers) -> LimitState:
        """As `HarnessPort`."""
        return self._port_sync("set_limit").set_limit_sync(name, numbers)

    async def reset_limit(self, name: str) -> LimitState:
        """As `HarnessPort`."""
        return await (await self._port()).reset_limit(name)

    def reset_limit_sync(self, name: str) -> LimitState:
        """As `HarnessPort`."""
        return self._port_sync("reset_limit").reset_limit_sync(name)

    async def _port(self) -> InProcess:
        loop = self._loop()
        if loop is None or loop is asyncio.get_running_loop():
            return await self._begin()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._begun(), loop))

    def _port_sync(self, verb: str) -> InProcess:
        loop = self._loop()
        if loop is None or loop is _running():
            raise HarnessError(
                f"{verb}_sync in a test that is a coroutine: call it from another thread, as with"
                f" asyncio.to_thread, or use `await client.{verb}`; in a fixture, make the engine"
                " begin first: `await stepwell.run_until_idle()`"
            )
        return asyncio.run_coroutine_threadsafe(self._begun(), loop).result()

    async def _begun(self) -> InProcess:
        return await self._begin()


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
