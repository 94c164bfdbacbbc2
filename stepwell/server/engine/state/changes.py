"""What a batch of decisions changed, as rows a store can write: each once, as it ends up."""

from dataclasses import dataclass, field
from typing import TypeAlias

from stepwell.server.engine.message.record import LaneRested, LaneServed, LanesRoused
from stepwell.server.engine.row.annotation import Annotation, AnnotationSlot
from stepwell.server.engine.row.bulk import Bulk, BulkMove
from stepwell.server.engine.row.cancellation import Cancellation
from stepwell.server.engine.row.flow import Dropped, FlowKey, Held, Hold, Slot
from stepwell.server.engine.row.key import ApiKey, AuditEntry
from stepwell.server.engine.row.run import (
    AppRow,
    EventRow,
    FunctionRow,
    FunctionVersion,
    Item,
    Lease,
    Note,
    Run,
    Step,
    Wait,
)

Place: TypeAlias = tuple[str, str]
"""A run and what hangs on it: a key, or a step."""

LaneChange: TypeAlias = LaneServed | LaneRested | LanesRoused


@dataclass(slots=True)
class Changes:
    """Rows to write in one transaction. In the mappings, `None` means: remove the row.

    `gone` says when functions were removed: they are remembered elsewhere. `versions` are what
    functions came to be, by their place: the newest of each function stay.
    Slots are by key and run. What was held by `closed_holds` before goes; `held` comes after that.
    `undropped`, by event and function, goes before `dropped` comes.

    `cancellations_done` says when cancellations that are still there were carried out;
    `bulks_over`, since when bulks that go on do so no longer, and whether they were stopped;
    `revoked_keys`, since when keys open nothing; `refused`, with which status what is in the audit
    was refused.

    `ended` names runs that ended: all their items, leases and waits go, whether or not they were
    loaded. `lanes` and `freed` (keys that let go of a call or a run, as often as they did) are for
    whoever knows which lanes rest; nothing is lost if they are forgotten. `leases` may be kept in
    memory by a store whose process is the only one: when such a process dies, every lease it
    granted is over.
    """

    events: list[EventRow] = field(default_factory=list[EventRow])
    started: dict[str, Run] = field(default_factory=dict[str, Run])
    runs: dict[str, Run] = field(default_factory=dict[str, Run])
    ended: set[str] = field(default_factory=set[str])
    items: dict[Place, Item | None] = field(default_factory=dict[Place, Item | None])
    waits: dict[Place, Wait | None] = field(default_factory=dict[Place, Wait | None])
    leases: dict[Place, Lease | None] = field(default_factory=dict[Place, Lease | None])
    steps: list[Step] = field(default_factory=list[Step])
    notes: list[Note] = field(default_factory=list[Note])
    apps: dict[str, AppRow | None] = field(default_factory=dict[str, AppRow | None])
    functions: dict[str, FunctionRow | None] = field(default_factory=dict[str, FunctionRow | None])
    gone: dict[str, int] = field(default_factory=dict[str, int])
    versions: dict[tuple[str, int, int], FunctionVersion] = field(
        default_factory=dict[tuple[str, int, int], FunctionVersion]
    )
    keys: dict[str, FlowKey | None] = field(default_factory=dict[str, FlowKey | None])
    slots: dict[Place, Slot | None] = field(default_factory=dict[Place, Slot | None])
    holds: dict[str, Hold | None] = field(default_factory=dict[str, Hold | None])
    held: list[Held] = field(default_factory=list[Held])
    closed_holds: set[str] = field(default_factory=set[str])
    dropped: list[Dropped] = field(default_factory=list[Dropped])
    undropped: list[Place] = field(default_factory=list[Place])
    lanes: list[LaneChange] = field(default_factory=list[LaneChange])
    freed: list[str] = field(default_factory=list[str])
    cancellations: dict[str, Cancellation | None] = field(
        default_factory=dict[str, Cancellation | None]
    )
    cancellations_done: dict[str, int] = field(default_factory=dict[str, int])
    bulks: list[Bulk] = field(default_factory=list[Bulk])
    bulk_moves: dict[str, BulkMove] = field(default_factory=dict[str, BulkMove])
    bulks_over: dict[str, tuple[int, bool]] = field(default_factory=dict[str, tuple[int, bool]])
    api_keys: list[ApiKey] = field(default_factory=list[ApiKey])
    revoked_keys: dict[str, int] = field(default_factory=dict[str, int])
    audit: list[AuditEntry] = field(default_factory=list[AuditEntry])
    refused: dict[str, int] = field(default_factory=dict[str, int])
    annotations: dict[tuple[str, AnnotationSlot], Annotation] = field(
        default_factory=dict[tuple[str, AnnotationSlot], Annotation]
    )
    forgotten_runs: list[str] = field(default_factory=list[str])
    forgotten_events: list[str] = field(default_factory=list[str])
    forgotten_functions: list[str] = field(default_factory=list[str])

    @property
    def rows(self) -> int:
        """How many rows there are to write, leases aside."""
        touched = self.touched_runs
        items = sum(1 for run_id, key in self.items if key or run_id not in touched)
        parts = (self.events, self.started, self.runs, self.waits, self.steps, self.notes)
        return items + sum(map(len, parts)) + len(self.apps) + len(self.functions) + self.flow_rows

    @property
    def flow_rows(self) -> int:
        """How many rows of flow control there are to write."""
        holds = len(self.holds) + len(self.held)
        drops = len(self.dropped) + len(self.undropped)
        return len(self.keys) + len(self.slots) + holds + drops

    @property
    def bulk_rows(self) -> int:
        """How many rows about what is done to many runs there are to write."""
        return len(self.bulks) + len(self.bulk_moves) + len(self.bulks_over)

    @property
    def access_rows(self) -> int:
        """How many rows about keys and what was changed with them there are to write."""
        return len(self.api_keys) + len(self.revoked_keys) + len(self.audit) + len(self.refused)

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
            or self.flow_rows
            or self.cancellations
            or self.cancellations_done
            or self.access_rows
            or self.bulk_rows
            or self.annotations
            or self.forgotten_runs
            or self.forgotten_events
            or self.forgotten_functions
        )

    def to_write(self, *, is_shared: bool) -> bool:
        """Whether there is anything to write: leases only where other processes must see them."""
        return self.durable or (is_shared and bool(self.leases))
