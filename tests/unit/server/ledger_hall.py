"""A ledger over a store that tells what is done to it, and who submits to it."""

import asyncio
from collections.abc import Callable, Sequence

from stepwell.server.engine.message import input as given_
from stepwell.server.engine.message.action import Action
from stepwell.server.engine.message.input import Input
from stepwell.server.engine.message.need import Need
from stepwell.server.engine.rules import DEFAULT
from stepwell.server.engine.state.changes import Changes
from stepwell.server.engine.state.view import View
from stepwell.server.ledger import (
    Ledger,
)
from stepwell.server.store.memory import MemoryStore
from tests.bench import (
    NOW_MS,
    Bench,
    function,
)


class Clock:
    def now_ms(self) -> int:
        return NOW_MS


class Watched(MemoryStore):
    """A store that tells what is done to it, and fails when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        self.fail: Callable[[str, Changes | None], None] = lambda verb, changes: None
        self.blocks = False

    @property
    def commit_blocks(self) -> bool:  # type: ignore[override]
        return self.blocks

    def load(self, need: Need, view: View) -> None:
        self.fail("load", None)
        super().load(need, view)

    def write(self, changes: Changes) -> None:
        self.told.append("write")
        self.fail("write", changes)
        super().write(changes)

    def commit(self) -> None:
        self.fail("commit", None)
        super().commit()
        self.told.append("commit")

    def rollback(self) -> None:
        super().rollback()
        self.told.append("rollback")

    def keep(self, changes: Changes) -> None:
        super().keep(changes)
        self.told.append("keep")


class Hall:
    """A ledger, its store, and who submits to it."""

    def __init__(self, store: Watched | None = None) -> None:
        self.store = store or Watched()
        self.bench = Bench(store=self.store)
        self.bench.register(function(event="go"))
        self.store.told.clear()
        self.ledger = Ledger(self.store, Clock(), DEFAULT, self.perform)
        self.acted: list[Action] = []

    def perform(self, actions: Sequence[Action]) -> None:
        self.store.told.append("act")
        self.acted += actions

    def go(self) -> given_.EventsReceived:
        return given_.EventsReceived((self.bench.event("go"),), fresh=False)

    def submit(self, given: Input) -> "asyncio.Future[object]":
        answer = self.ledger.submit(given)
        answer.add_done_callback(lambda _: self.store.told.append("answer"))
        return answer  # type: ignore[return-value]
