"""What a batch of decisions changed, as rows a store can write: each once, as it ends up."""

from dataclasses import dataclass, field
from typing import TypeAlias

from stepwell.server.engine.row import (
    AppRow,
    EventRow,
    FunctionRow,
    Item,
    Lease,
    Note,
    Run,
    Step,
    Wait,
)

Slot: TypeAlias = tuple[str, str]
"""A run and what hangs on it: a key, or a step."""


@dataclass(slots=True)
class Changes:
    """Rows to write in one transaction. In the mappings, `None` means: remove the row.

    `gone` says when functions were removed: they are remembered elsewhere.

    `ended` names runs that ended: all their items, leases and waits go, whether or not they were
    loaded. `leases` may be kept in memory by a store whose process is the only one: when such a
    process dies, every lease it granted is over.
    """

    events: list[EventRow] = field(default_factory=list[EventRow])
    started: dict[str, Run] = field(default_factory=dict[str, Run])
    runs: dict[str, Run] = field(default_factory=dict[str, Run])
    ended: set[str] = field(default_factory=set[str])
    items: dict[Slot, Item | None] = field(default_factory=dict[Slot, Item | None])
    waits: dict[Slot, Wait | None] = field(default_factory=dict[Slot, Wait | None])
    leases: dict[Slot, Lease | None] = field(default_factory=dict[Slot, Lease | None])
    steps: list[Step] = field(default_factory=list[Step])
    notes: list[Note] = field(default_factory=list[Note])
    apps: dict[str, AppRow | None] = field(default_factory=dict[str, AppRow | None])
    functions: dict[str, FunctionRow | None] = field(default_factory=dict[str, FunctionRow | None])
    gone: dict[str, int] = field(default_factory=dict[str, int])
    forgotten_runs: list[str] = field(default_factory=list[str])
    forgotten_events: list[str] = field(default_factory=list[str])

    @property
    def rows(self) -> int:
        """How many rows there are to write, leases aside."""
        touched = self.touched_runs
        items = sum(1 for run_id, key in self.items if key or run_id not in touched)
        parts = (self.events, self.started, self.runs, self.waits, self.steps, self.notes)
        return items + sum(map(len, parts)) + len(self.apps) + len(self.functions)

    @property
    def touched_runs(self) -> set[str]:
        """Runs whose own row is written: their first item goes with it."""
        return self.started.keys() | self.runs.keys()

    @property
    def durable(self) -> bool:
        """Whether anything but leases changed."""
        return bool(
            self.events
            or self.started
            or self.runs
            or self.items
            or self.waits
            or self.steps
            or self.notes
            or self.apps
            or self.functions
            or self.forgotten_runs
            or self.forgotten_events
        )
