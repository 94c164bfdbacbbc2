"""Named limits become true: what code declares of them, and what an operator changes since.

A change holds from the commit on: what has a place keeps it, and what waits is looked at again.
"""

from collections.abc import Iterable

import msgspec

from stepwell.server.engine.draft import Draft
from stepwell.server.engine.message.input import Done, LimitDropped, LimitSet, Verdict
from stepwell.server.engine.places.lane_choice import limit_of_step
from stepwell.server.engine.row.flow import FlowKey, KeyKind
from stepwell.server.engine.row.limit import numbers_id, row_of_limit
from stepwell.server.engine.row.run import Run
from stepwell.server.flow.named_limit import NO_NUMBERS, NamedLimit, Numbers
from stepwell.wire.duration import DurationError, parse_duration_ms
from stepwell.wire.function_config import FunctionConfig
from stepwell.wire.named_limit import StepLimit
from stepwell.wire.operation import StepPlanned


class Declared(msgspec.Struct, frozen=True):
    """What code says of a limit; numbers of nothing say that it only names it."""

    name: str
    numbers: Numbers


def of_functions(configs: Iterable[FunctionConfig]) -> list[Declared]:
    """What functions declare."""
    return [
        Declared(one.name, _numbers(one.concurrency, one.rate, one.period))
        for config in configs
        for one in config.limits
    ]


def of_step(run: Run, operation: StepPlanned, limit: StepLimit) -> Declared:
    """What a step declares."""
    numbers = _numbers(limit.concurrency, limit.rate, limit.period)
    return Declared(limit_of_step(run, operation, limit.name), numbers)


def _numbers(concurrency: int, rate: int, period: str) -> Numbers:
    try:
        return Numbers(concurrency, rate, parse_duration_ms(period) if period else 0)
    except DurationError:
        return NO_NUMBERS


def declare(draft: Draft, found: Iterable[Declared]) -> None:
    """Store what is new of limits. Who only names one that has numbers leaves it as it is."""
    limits = dict(draft.view.catalog.limits)
    for one in found:
        known = limits.get(one.name)
        if known is not None and one.numbers in (NO_NUMBERS, known.declared):
            continue
        limit = msgspec.structs.replace(known or NamedLimit(one.name), declared=one.numbers)
        limits[one.name] = limit
        _put(draft, limit)


def set_limit(draft: Draft, given: LimitSet) -> Done:
    """An operator says what holds, whatever the code says."""
    known = draft.view.catalog.limits.get(given.name) or NamedLimit(given.name)
    numbers = Numbers(given.concurrency, given.rate, given.period_ms)
    if known.changed == numbers:
        return Done(Verdict.ALREADY, given.name)
    _put(draft, msgspec.structs.replace(known, changed=numbers))
    return Done(Verdict.APPLIED, given.name)


def drop_limit(draft: Draft, given: LimitDropped) -> Done:
    """What the code says holds again. A limit that nobody changed is forgotten, until code that
    names it is registered, or a step of it begins."""
    known = draft.view.catalog.limits.get(given.name)
    if known is None:
        return Done(Verdict.GONE, given.name, f"there is no limit {given.name}")
    if known.changed is None or known.declared == NO_NUMBERS:
        draft.flow.put(FlowKey(numbers_id(given.name), KeyKind.LIMIT, draft.now.ms))
        draft.wake(draft.now.ms)
    else:
        _put(draft, msgspec.structs.replace(known, changed=None))
    return Done(Verdict.APPLIED, given.name)


def _put(draft: Draft, limit: NamedLimit) -> None:
    draft.flow.put(row_of_limit(limit))
    draft.wake(draft.now.ms)
