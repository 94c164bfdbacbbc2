"""A bench for flow control, over any store: functions with controls, and what became of events."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from stepwell.server.engine.message.input import Job
from stepwell.server.engine.row.flow import Dropped, Hold
from stepwell.server.engine.row.run import FunctionRow, Item, Run
from stepwell.server.store.disk import Disk
from stepwell.server.store.memory import MemoryStore
from stepwell.server.store.port import EventFilter, Store
from stepwell.server.store.sqlite.store import SqliteStore
from stepwell.testing.simulation.invariant import broken_everywhere
from stepwell.wire.function_config import FunctionConfig, Trigger, encode_function
from tests.bench import APP, NOW_MS, Bench, returned

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def controlled(name: str = "work", event: str = "go", **controls: Any) -> FunctionRow:
    """A function `shop-<name>` with whatever controls its configuration has."""
    config = FunctionConfig(
        id=f"{APP}-{name}",
        name=name,
        url="http://app.test/api",
        triggers=(Trigger(event=event),),
        **controls,
    )
    return FunctionRow(config.id, APP, name, encode_function(config), 1, NOW_MS)


@dataclass
class FlowBench(Bench):
    """As `Bench`, over any store that can be opened again."""

    open: Callable[[], Store] = MemoryStore
    registered: int = 0

    @classmethod
    def over(cls, kind: str, path: Path) -> "FlowBench":
        """A bench over a store of a kind."""
        disk = Disk()

        def open_() -> Store:
            store = (
                MemoryStore(disk) if kind == "memory" else SqliteStore(path, durability="relaxed")
            )
            store.migrate()
            return store

        return cls(store=open_(), open=open_)  # type: ignore[arg-type]

    def restart(self) -> None:
        """The process dies and comes back: rows stay, leases are gone."""
        self.close()
        self.store = self.open()  # type: ignore[assignment]
        self.catalog = self.store.catalog()
        self.reader = self.store.reader()  # type: ignore[assignment]

    def close(self) -> None:
        """Judge the rows, and let go of the store."""
        assert broken_everywhere(self.reader) == []
        self.reader.close()
        self.store.close()

    def deploy(self, *functions: FunctionRow) -> None:
        """Register the app's functions, as a new deployment."""
        self.registered += 1
        self.register(*functions, checksum=str(self.registered))

    def run(self, run_id: str) -> Run:
        run = self.reader.run(run_id)
        assert run is not None
        return run

    def item(self, run_id: str, key: str = "") -> Item | None:
        return next((item for item in self.reader.items(run_id) if item.key == key), None)

    def emitted(self, name: str) -> list[dict[str, object]]:
        events = self.reader.events(EventFilter(name=name, limit=1_000))
        return [msgspec.json.decode(event.body)["data"] for event in events][::-1]

    def at(self, ms: int) -> None:
        """So long after the beginning."""
        self.now_ms = NOW_MS + ms

    def tick_to(self, ms: int, step_ms: int = 500) -> None:
        """Time passes until `ms` after the beginning; the engine's own work is done on the way."""
        while self.now_ms < NOW_MS + ms:
            self.now_ms = min(self.now_ms + step_ms, NOW_MS + ms)
            self.claim(capacity=0)

    def runs_of(self, event_id: str) -> list[Run]:
        """The runs an event started."""
        return self.reader.runs_of_event(event_id)

    def started(self, *event_ids: str) -> list[bool]:
        """Which of these events started a run."""
        return [bool(self.runs_of(event_id)) for event_id in event_ids]

    def drops(self, event_id: str) -> list[Dropped]:
        """Why an event started no run."""
        return self.reader.dropped(event_id)

    def reasons(self, event_id: str) -> list[str]:
        """The same in words."""
        return [dropped.reason.value for dropped in self.drops(event_id)]

    def open_holds(self) -> list[Hold]:
        """Starts that are put off."""
        return self.reader.holds()

    def finish(self, job: Job, value: object = None) -> None:
        """The call of a job returns."""
        self.reply(job, returned(value))

    def all_accounted(self, function: str, *event_ids: str) -> bool:
        """Every event has a run, a recorded drop, or a place in a hold (law L3)."""
        return all(
            any(run.function == function for run in self.runs_of(event_id))
            or any(dropped.function == function for dropped in self.drops(event_id))
            or any(hold.function == function for hold in self.reader.holds_of_event(event_id))
            for event_id in event_ids
        )
