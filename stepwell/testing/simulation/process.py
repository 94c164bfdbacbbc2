"""One server of a simulated world, through its lives: it dies, is buried, and another process takes
its place. The only place that starts and ends simulated processes."""

import asyncio
from random import Random
from typing import Protocol

from stepwell.server.node import Node
from stepwell.server.store.port import StoreError
from stepwell.testing.simulation.faults import FaultyPerformer, FaultyStore, Plan
from stepwell.testing.simulation.ground import Ground
from stepwell.testing.simulation.judge import Judge
from stepwell.testing.simulation.model_driver import GatewayModel, ModelDriver
from stepwell.testing.simulation.options import Options
from stepwell.testing.simulation.workload import APP
from stepwell.testing.virtual_time import VirtualClock, VirtualLoop

AGAIN_S = 1.0


class Surroundings(Protocol):
    """What a process needs of its world."""

    loop: VirtualLoop
    ground: Ground
    plan: Plan
    judge: Judge
    options: Options
    driver: ModelDriver
    gateway: GatewayModel


class Process:
    """Which node runs at the moment, if any."""

    def __init__(self, world: Surroundings, chance: Random, clock: VirtualClock) -> None:
        """`chance` draws how long it stays dead; `clock` is what it takes for the time."""
        self._world = world
        self._chance = chance
        self.clock = clock
        self.node: Node | None = None
        self.crash: asyncio.Future[None] = world.loop.create_future()
        self.deaths: list[asyncio.Task[None]] = []

    def boot(self) -> None:
        """Start a process over whatever rows there are."""
        world = self._world
        store = FaultyStore(
            world.ground.open(),
            world.plan,
            crashed=lambda: self._crashed(node, store),
            committed=world.judge.committed,
            kept=lambda changes: world.judge.kept(node.reader, changes),
        )
        node = Node(
            store,
            clock=self.clock,
            retention_ms=world.options.retention_ms,
            poll_ms=world.options.poll_ms,
            performer=FaultyPerformer(world.plan, store.die),
        )
        node.reach(APP, world.driver, world.options.capacity)
        node.reach_gateway(world.gateway, world.options.capacity)
        self.node, self.crash = node, world.loop.create_future()
        world.judge.listen(node)
        if store.is_shared:
            node.ledger.chance = self._chance.random
            world.loop.create_task(node.start())
            return
        node.pump.start()
        if world.options.retention_ms:
            node.janitor.start()

    def _crashed(self, node: Node, store: FaultyStore) -> None:
        """The process died in the middle of something; another one starts after a while."""
        if self.node is not node:
            return
        if not store.is_shared:
            self._world.judge.died()
        self.node = None
        self.crash.set_result(None)
        self._world.ground.kill(store.inner)
        self.deaths.append(self._world.loop.create_task(self._bury(node, store)))

    async def _bury(self, node: Node, store: FaultyStore) -> None:
        if store.is_shared:
            await node.take_nothing_new()
        else:
            node.pump.stop()
            await node.janitor.stop()
        await node.dispatcher.close(0)
        await asyncio.sleep(self._chance.choice((0.01, 3.0, 90.0)))
        node.reader.close()
        if not store.is_shared:
            store.inner.close()
        await self._begin_again()

    async def _begin_again(self) -> None:
        while True:
            try:
                self.boot()
            except StoreError:
                await asyncio.sleep(AGAIN_S)
            else:
                return

    async def stop(self) -> None:
        """End in good order."""
        node, self.node = self.node, None
        if node is not None:
            await node.stop()

    async def restart(self) -> None:
        """End in order, as an upgrade does, and begin again."""
        node, self.node = self.node, None
        if node is None:
            return
        self.crash.set_result(None)
        try:
            await node.stop()
        except StoreError:
            self._world.ground.kill(node.store)
        await self._begin_again()
