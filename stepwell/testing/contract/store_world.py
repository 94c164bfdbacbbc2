"""A store in use, as by a ledger, and rows to use it with: what the tests of stores share.

`World` drives a store the way the ledger does: load, apply, write, commit, keep.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.need import NOTHING, Due, Need
from stepwell.server.engine.row.run import (
    MAIN,
    AppRow,
    EventRow,
    FunctionRow,
    Item,
    ItemKind,
    Lease,
    Run,
    RunStatus,
    Step,
    Wait,
    WaitKind,
)
from stepwell.server.engine.state.view import View
from stepwell.server.store.port import Reader, Store

NOW = 1_750_000_000_000
APP = "shop"
FUNCTION = "shop-order"


class Opener(Protocol):
    """How a test file opens its store. What it opened last is closed or abandoned by `reopen`."""

    def open(self) -> Store:
        """A migrated store over what was committed so far; nothing at first."""
        ...


class World:
    """A store in use, as by a ledger."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self.store = opener.open()
        self.reader: Reader = self.store.reader()

    def reopen(self) -> None:
        """End the process that has the store, and begin another."""
        self.reader.close()
        self.store.close()
        self.store = self._opener.open()
        self.reader = self.store.reader()

    def look(self, need: Need = NOTHING) -> View:
        """What a decision would see."""
        view = View(self.store.catalog(), self.store.waited)
        self.store.load(need, view)
        return view

    def prepare(self, records: Sequence[fact.Record], need: Need | None = None) -> View:
        """A view with records applied, nothing written."""
        view = self.look(need_of(records) if need is None else need)
        for record in records:
            view.apply(record)
        return view

    def do(self, *records: fact.Record, need: Need | None = None) -> View:
        """One batch, committed. Without a need, every run the records name is loaded."""
        view = self.prepare(records, need)
        if view.changes.to_write(is_shared=self.store.is_shared):
            self.commit(view)
        self.store.keep(view.changes)
        return view

    def commit(self, view: View) -> None:
        """Write down what a view changed."""
        self.store.write(view.changes)
        self.store.commit()

    def waits(self, name: str) -> bool:
        """Whether anybody waits for events of a name."""
        return self.look(Need(names=frozenset({name}))).is_waited(name)

    def run(self, run_id: str) -> View:
        """One run with what hangs on it."""
        return self.look(Need(runs=frozenset({run_id})))

    def due(
        self, now_ms: int = NOW, *, limit: int = 100, capacity: dict[str, int] | None = None
    ) -> View:
        """What is due."""
        room = {APP: 100} if capacity is None else capacity
        return self.look(Need(due=Due(now_ms, tuple(room.items()), limit)))

    def keys_due(
        self, now_ms: int = NOW, *, limit: int = 100, capacity: dict[str, int] | None = None
    ) -> list[tuple[str, str]]:
        """What is due, by run and key, in order."""
        view = self.due(now_ms, limit=limit, capacity=capacity)
        return [(item.run_id, item.key) for item in view.due()]

    def begin(self, number: int, *, dedup: str = "", due_ms: int = NOW, parent: str = "") -> Run:
        """A run with its event and its first item."""
        run = run_number(number, dedup=dedup, parent=parent)
        item = Item(run.id, MAIN, ItemKind.CALL, due_ms, APP)
        self.do(fact.EventStored(event_number(number)), fact.RunStarted(run, item))
        return run

    def finish(self, run: Run, ended_ms: int) -> None:
        """The run completes."""
        ended = msgspec.structs.replace(
            run, status=RunStatus.COMPLETED, ended_ms=ended_ms, started_ms=1, output=b"1"
        )
        self.do(fact.RunFinished(ended))


def need_of(records: Iterable[fact.Record]) -> Need:
    """Every run that the records name."""
    runs: set[str] = set()
    for record in records:
        match record:
            case fact.RunChanged(run) | fact.RunFinished(run):
                runs.add(run.id)
            case fact.ItemAdded(row) | fact.ItemMoved(row) | fact.ItemLeased(row):
                runs.add(row.run_id)
            case fact.WaitOpened(row) | fact.WaitClosed(row) | fact.StepSaved(row):
                runs.add(row.run_id)
            case fact.ItemDone(run_id, _):
                runs.add(run_id)
            case _:
                pass
    return Need(runs=frozenset(runs))


# -- rows by number -------------------------------------------------------------------------------


def run_id_of(number: int) -> str:
    """Ids have one length, and grow with time."""
    return f"R{number:025d}"


def event_id_of(number: int) -> str:
    """The id of the event of a run."""
    return f"E{number:025d}"


def event_number(number: int, name: str = "shop/order.placed", body: bytes = b"{}") -> EventRow:
    """An event."""
    return EventRow(event_id_of(number), name, NOW + number, NOW + number, body)


def run_number(number: int, *, dedup: str = "", parent: str = "") -> Run:
    """A run that begins."""
    return Run(
        id=run_id_of(number),
        function=FUNCTION,
        app=APP,
        event_ids=(event_id_of(number),),
        queued_ms=NOW + number,
        dedup=dedup,
        parent=parent,
    )


def step_of(
    run: Run, step_id: str, place: int, memo: bytes = b'{"data":1}', *, op: str = "StepRun"
) -> Step:
    """A saved step."""
    return Step(run.id, step_id, place, op, f"step {step_id}", memo, NOW, NOW + 5, 2)


def wait_of(run: Run, step_id: str, kind: WaitKind = WaitKind.EVENT, name: str = "paid") -> Wait:
    """An open wait."""
    return Wait(run.id, step_id, kind, name, NOW, NOW + 60_000, label="a wait")


def lease_of(run: Run, key: str = MAIN, until_ms: int = NOW + 30_000) -> Lease:
    """A lease on an item."""
    return Lease(f"L-{run.id}-{key}", run.id, key, NOW, until_ms)


def app_named(name: str) -> AppRow:
    """A registered app."""
    app = AppRow(name, "http://localhost/x", "serve", "py:1", "flask", "v1", "abc", NOW, "away")
    return msgspec.structs.replace(app, former=("ab0", "ab1"))


def function_named(app: str, name: str, event: str = "shop/order.placed") -> FunctionRow:
    """A registered function with one trigger."""
    slug = f"{app}-{name}"
    config = msgspec.json.encode(
        {
            "id": slug,
            "name": name,
            "triggers": [{"event": event}],
            "steps": {
                "step": {
                    "id": "step",
                    "name": "step",
                    "runtime": {"type": "http", "url": "http://localhost/x"},
                }
            },
        }
    )
    return FunctionRow(slug, app, name, config, 1, NOW)
