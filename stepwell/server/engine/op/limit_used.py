"""A step says how much it used of named limits, where that is not what it had taken."""

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.message import record as fact
from stepwell.server.engine.name.lane import PartKind, is_lane, lane_of
from stepwell.server.engine.op.context import Report
from stepwell.server.engine.places.lane_choice import key_of_step
from stepwell.server.engine.places.room import numbers_of, put_value
from stepwell.server.engine.row.flow import KeyKind
from stepwell.server.flow import bucket
from stepwell.wire.named_limit import LimitUsed
from stepwell.wire.operation import Operation


def correct(
    draft: Draft, report: Report, operation: Operation, used: tuple[LimitUsed, ...]
) -> None:
    """Take the rest, or give back what was too much. Only of limits that the step stands under:
    nobody else's are a call's to change. What counts at once is free with the end of the step."""
    if not is_lane(report.item.queue):
        return
    parts = {
        part.key: part for part in lane_of(report.item.queue).parts if part.kind is PartKind.LIMIT
    }
    for one in used:
        part = parts.get(key_of_step(report.run, operation, one.name, one.key))
        numbers = None if part is None else numbers_of(draft, part)
        if part is None or numbers is None or not numbers.rate:
            continue
        row = draft.flow.row(part.key)
        by = max(one.by, -part.weight)
        value = 0 if row is None else row.value
        value = bucket.corrected(numbers.bucket, value, draft.now.ms, by)
        put_value(draft, part.key, KeyKind.USE, value)
        if by < 0:
            draft.add(fact.LanesRoused(part.key, 1))
            draft.wake(draft.now.ms)
