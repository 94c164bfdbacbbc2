"""Events, runs that begin to wait for them, and time-outs, on several servers at once: whose next
piece of a batch comes next is drawn, between any two pieces.

Law: a wait ends exactly once. Whoever commits second has seen the other.

    python -m tests.simulation.orders 1000000    # so many: half an hour of processor time
    python -m tests.simulation.orders 1 4711     # one of them again
"""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import TypeAlias

from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.need import LookBack, Meeting, Need
from stepwell.server.engine.row.run import EventRow, Run, Wait, WaitKind
from stepwell.server.engine.state.changes import Changes
from stepwell.server.engine.state.view import View
from stepwell.server.store.port import EVERY_NAME, Conflict
from stepwell.testing.contract.store_world import NOW, event_number, run_number
from stepwell.testing.simulation.faults import Plan
from stepwell.testing.simulation.shared.database import Database
from stepwell.testing.simulation.shared.store import SharedStore
from stepwell.testing.virtual_time import Later

TOLD = 10_000
"""After so many it is told how far it is."""
SERVERS = 3
NAME = "paid"

Verb = Callable[[], None]


class Story:
    """One story: what each server does, and what ended which wait."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.now_s = 0.0
        self.ends: Counter[str] = Counter()
        self.database = Database(Plan(self.chance, {}), _nobody, lambda: self.now_s)
        self.stores = [
            SharedStore(self.database, f"node{number}", self.chance) for number in range(SERVERS)
        ]
        for store in self.stores:
            store.migrate()
        self._numbers = 0

    def number(self) -> int:
        """Another number each time."""
        self._numbers += 1
        return self._numbers

    def play(self) -> None:
        """Let all of them do what they do, until nobody has anything left."""
        draw = self.chance
        waiting = [self._begun(open_wait=True) for _ in range(draw.randint(0, 2))]
        sides = [self._event(event_number(self.number(), NAME)) for _ in range(draw.randint(1, 2))]
        beginning = [self._begun() for _ in range(draw.randint(1, 2))]
        sides += [self._waits(run) for run in beginning]
        sides += [self._times_out(run) for run in waiting]
        draw.shuffle(sides)
        going = [_Side(self, self.stores[n], sides[n::SERVERS]) for n in range(SERVERS)]
        while going:
            one = draw.choice(going)
            self.now_s += 0.001
            if not one.step():
                going.remove(one)
        for run in (*beginning, *waiting):
            assert self.ends[run.id] == 1, (run.id, self.ends)
            assert not self.database.disk.waits.of(run.id)

    def _view(self) -> View:
        return View(self.stores[0].catalog(), EVERY_NAME)

    def _begun(self, *, open_wait: bool = False) -> Run:
        run = run_number(self.number())
        changes = Changes()
        changes.started[run.id] = run
        if open_wait:
            wait = _wait_of(run)
            changes.waits[run.id, wait.step_id] = wait
        self.database.put(changes, "node0")
        return run

    # -- what servers do: verbs of one batch, and what it ends if it is kept --------------------

    def _event(self, event: EventRow) -> "_Batch":
        def batch(store: SharedStore, ended: list[str]) -> Iterator[Verb]:
            view = self._view()
            need = Need(names=frozenset({NAME}))
            if not store.assume(need, view):
                yield lambda: store.load(need, view)
            if view.is_waited(NAME):
                meeting = Meeting(event.id, NAME, event.body)
                yield lambda: store.load(Need(meetings=(meeting,)), view)
                runs = frozenset(wait.run_id for wait in view.meeting(event.id, NAME, ""))
                yield lambda: store.load(Need(runs=runs), view)
                for wait in view.meeting(event.id, NAME, ""):
                    view.apply(fact.WaitClosed(wait))
                    ended.append(wait.run_id)
            view.apply(fact.EventStored(event))
            yield from _written(store, view)

        return batch

    def _waits(self, run: Run) -> "_Batch":
        def batch(store: SharedStore, ended: list[str]) -> Iterator[Verb]:
            view = self._view()
            look = LookBack(NAME, NOW - 1_000, 1_000, run_id=run.id)
            need = Need(runs=frozenset({run.id}), waits=frozenset({NAME}), look_back=(look,))
            yield lambda: store.load(need, view)
            if view.look_back(look):
                ended.append(run.id)
                yield store.rollback
                return
            view.apply(fact.WaitOpened(_wait_of(run)))
            yield from _written(store, view)

        return batch

    def _times_out(self, run: Run) -> "_Batch":
        def batch(store: SharedStore, ended: list[str]) -> Iterator[Verb]:
            view = self._view()
            yield lambda: store.load(Need(runs=frozenset({run.id})), view)
            wait = view.wait(run.id, "w")
            if wait is None:
                yield store.rollback
                return
            view.apply(fact.WaitClosed(wait))
            ended.append(run.id)
            yield from _written(store, view)

        return batch


_Batch: TypeAlias = Callable[[SharedStore, list[str]], Iterator[Verb]]


class _Side:
    """One server: its batches one after the other, each again where others were first."""

    def __init__(self, story: Story, store: SharedStore, batches: list[_Batch]) -> None:
        self._story = story
        self._store = store
        self._left = batches
        self._verbs: Iterator[Verb] = iter(())
        self._verb: Verb | None = None
        self._ended: list[str] = []

    def step(self) -> bool:
        """Do a piece. Whether anything is left."""
        if self._verb is None:
            self._verb = next(self._verbs, None)
        if self._verb is None:
            return self._begin_next()
        try:
            self._verb()
        except Later:
            return True
        except Conflict:
            self._store.rollback()
            self._begin_again()
        self._verb = None
        return True

    def _begin_next(self) -> bool:
        self._story.ends.update(self._ended)
        self._ended = []
        if not self._left:
            return False
        self._batch = self._left.pop()
        self._begin_again()
        return True

    def _begin_again(self) -> None:
        self._ended = []
        self._verbs = self._batch(self._store, self._ended)


def _written(store: SharedStore, view: View) -> Iterator[Verb]:
    def write_and_commit() -> None:
        store.write(view.changes)
        store.commit()

    yield write_and_commit


def _wait_of(run: Run) -> Wait:
    return Wait(run.id, "w", WaitKind.EVENT, NAME, opened_ms=NOW, until_ms=NOW + 9)


def _nobody(changes: Changes) -> None:
    """No lease ends."""


def play(seeds: Iterable[int]) -> int:
    """Play so many. Raises AssertionError for the first that goes wrong; returns their number."""
    played = 0
    for seed in seeds:
        try:
            Story(seed).play()
        except AssertionError as broken:
            again = f"python -m tests.simulation.orders 1 {seed}"
            raise AssertionError(f"seed {seed} ({again}): {broken}") from broken
        played += 1
    return played


def main(arguments: list[str]) -> None:
    """Play so many, from a seed on."""
    count = int(arguments[0]) if arguments else 10_000
    first = int(arguments[1]) if len(arguments) > 1 else 0
    began_s = time.process_time()
    for start in range(first, first + count, TOLD):
        end = min(start + TOLD, first + count)
        play(range(start, end))
        used_s = time.process_time() - began_s
        sys.stdout.write(f"{end - first} orders held, {used_s:.0f} s of processor\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
