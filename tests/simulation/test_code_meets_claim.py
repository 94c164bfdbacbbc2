"""A claim that holds a call back because of its code, while that code is registered again and its
runs are looked at: on two servers, whose pieces come in an order that is drawn.

Law: no call waits for code that is registered.
"""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import TypeAlias

import msgspec
import pytest

from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.need import Need
from stepwell.server.engine.name.held import held_place, is_held
from stepwell.server.engine.row.run import MAIN, Item, ItemKind
from stepwell.server.engine.state.changes import Changes
from stepwell.server.engine.state.view import View
from stepwell.server.store.port import EVERY_NAME, Conflict
from stepwell.testing.contract.store_world import NOW, app_named, run_number
from stepwell.testing.simulation.faults import Plan
from stepwell.testing.simulation.shared.database import Database
from stepwell.testing.simulation.shared.store import SharedStore
from stepwell.testing.virtual_time import Later
from stepwell.wire.function_config import CODE_PAUSE

ORDERS = 400
Verb: TypeAlias = Callable[[], None]
Batch: TypeAlias = Callable[[SharedStore], Iterator[Verb]]


class Story:
    """What two servers do to one run."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.now_s = 0.0
        self.database = Database(Plan(self.chance, {}), _nobody, lambda: self.now_s)
        self.run, self.other = run_number(1), run_number(2)
        self.held = held_place(self.run.app, CODE_PAUSE, self.run.function, "old")
        call = Item(self.run.id, MAIN, ItemKind.CALL, NOW, queue=self.run.queue)
        changes = Changes()
        changes.started = {run.id: run for run in (self.run, self.other)}
        changes.items[self.run.id, MAIN] = call
        self.database.put(changes, "node0")

    def play(self) -> Item:
        """Where the call is in the end."""
        going = [self._side("0", [self._claim]), self._side("1", [self._register, self._review])]
        while going:
            one = self.chance.choice(going)
            self.now_s += 0.001
            if not next(one, False):
                going.remove(one)
        (item,) = self.database.disk.items.of(self.run.id)
        return item

    # -- what servers do ------------------------------------------------------------------------

    def _claim(self, store: SharedStore) -> Iterator[Verb]:
        """Under other code than the run's its call waits; it is looked at in a second piece."""
        view = View(catalog := store.catalog(), EVERY_NAME)
        yield lambda: store.load(Need(runs=frozenset({self.other.id})), view)
        yield lambda: store.load(Need(runs=frozenset({self.run.id})), view)
        if "old code" not in catalog.apps:
            self._move(view, self.held)
        yield from _written(store, view)

    def _register(self, store: SharedStore) -> Iterator[Verb]:
        view = View(store.catalog(), EVERY_NAME)
        view.apply(fact.AppStored(app_named("old code")))
        yield from _written(store, view)

    def _review(self, store: SharedStore) -> Iterator[Verb]:
        """What waits for it goes where it is served."""
        view = View(store.catalog(), EVERY_NAME)
        yield lambda: store.load(Need(runs=frozenset({self.run.id})), view)
        if is_held(view.items_of(self.run.id)[0].queue):
            self._move(view, self.run.queue)
        yield from _written(store, view)

    def _move(self, view: View, queue: str) -> None:
        (item,) = view.items_of(self.run.id)
        view.apply(fact.ItemMoved(msgspec.structs.replace(item, queue=queue)))

    # -- one piece after another ----------------------------------------------------------------

    def _side(self, number: str, batches: Sequence[Batch]) -> Iterator[bool]:
        """The pieces of one server's batches, each again where others were first."""
        store = SharedStore(self.database, f"node{number}", self.chance)
        store.migrate()
        for batch in batches:
            verbs = batch(store)
            while (verb := next(verbs, None)) is not None:
                yield True
                while not self._done(verb):
                    yield True
                if self._failed:
                    store.rollback()
                    verbs = batch(store)

    def _done(self, verb: Verb) -> bool:
        self._failed = False
        try:
            verb()
        except Later:
            return False
        except Conflict:
            self._failed = True
        return True


def _written(store: SharedStore, view: View) -> Iterator[Verb]:
    def write_and_commit() -> None:
        store.write(view.changes)
        store.commit()

    yield write_and_commit


def _nobody(changes: Changes) -> None:
    """No lease ends."""


@pytest.mark.parametrize("part", range(4))
def test_no_call_waits_for_code_that_is_registered(part: int) -> None:
    for seed in range(part, ORDERS, 4):
        assert not is_held(Story(seed).play().queue), f"order {seed}"
