"""What one report is about, while its operations take effect one after another."""

from dataclasses import dataclass

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.row.run import Item, Lease, Run
from stepwell.wire.operation import Operation


@dataclass(slots=True)
class Report:
    """The run and item a call reported on, and what its operations have asked for so far.

    `discover` says that the function is to be called again; `retried`, that the item already was
    put off for another attempt.
    """

    run: Run
    item: Item
    lease: Lease | None
    operations: tuple[Operation, ...]
    delay_ms: int | None = None
    no_retry: bool = False
    discover: bool = False
    retried: bool = False

    def is_met(self, draft: Draft, operation: Operation) -> bool:
        """Whether the step is over or under way already, so that reporting it again is nothing
        new. What the reporting item itself stands for may take another form."""
        run_id, step_id = self.run.id, operation.id
        if draft.is_saved(run_id, step_id) or draft.wait(run_id, step_id) is not None:
            return True
        return step_id != self.item.key and draft.item(run_id, step_id) is not None

    def began_ms(self, now_ms: int) -> int:
        """When the call began that reports."""
        return now_ms if self.lease is None else self.lease.granted_ms
