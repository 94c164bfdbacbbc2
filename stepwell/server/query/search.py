"""Runs and events whose contents satisfy an expression: looked for one by one, in the order of the
list, for as long as the asker allows. Pure but for what the reader reads.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

import msgspec

from stepwell.expr.dialect import Program
from stepwell.server.engine.row.bulk import BulkFilter
from stepwell.server.engine.row.run import EventRow, Run, RunStatus
from stepwell.server.store.port import EventFilter, Mark, Reader, RunFilter, RunTime
from stepwell.server.store.reading import mark_of

PAGE, PAGE_MAX = 100, 800
"""So many are read at first, and at most twice as many each time after; between them it is asked
whether time is up."""

COUNTED = 500
"""So many are counted at a time."""

T = TypeVar("T")


class Condition(NamedTuple):
    """What must hold, and what time it is in it."""

    program: Program
    now_ms: int

    def holds(self, variables: Mapping[str, object]) -> bool:
        """Whether it does; what cannot be judged does not hold."""
        return self.program.holds(variables, self.now_ms)


class Hits(NamedTuple, Generic[T]):
    """What was found; `last` is the place of what was looked at last, where there may be more;
    `partial` says that the search ended before the page was full."""

    found: Sequence[T]
    last: Mark | None
    partial: bool


def search_runs(
    reader: Reader, wanted: RunFilter, condition: Condition, goes_on: Callable[[], bool]
) -> Hits[Run]:
    """As many runs of the list as `wanted.limit` that satisfy the condition."""
    roots = condition.program.roots

    def looked(after: Mark | None, size: int) -> Iterator[tuple[Run, Mark, bool]]:
        page = reader.runs(msgspec.structs.replace(wanted, after=after, limit=size))
        firsts = [run.event_ids[0] for run in page if run.event_ids]
        bodies = reader.event_bodies(firsts if "event" in roots else [])
        for run in page:
            holds = condition.holds(_of_run(run, bodies, roots))
            yield run, mark_of(run, wanted.time), holds

    return _searched(looked, wanted.after, wanted.limit, goes_on)


def bulk_runs(
    reader: Reader,
    wanted: BulkFilter,
    condition: Condition | None,
    after: Mark | None,
    limit: int,
    goes_on: Callable[[], bool],
) -> Hits[Run]:
    """The runs a bulk is about, a page of them after a place, the earliest by its time first."""
    listed = RunFilter(
        statuses=tuple(RunStatus(number) for number in wanted.statuses),
        functions=wanted.functions,
        apps=wanted.apps,
        time=RunTime(wanted.time),
        since_ms=wanted.since_ms,
        until_ms=wanted.until_ms,
        ascending=True,
        after=after,
        limit=limit,
    )
    if condition is not None:
        return search_runs(reader, listed, condition, goes_on)
    found = reader.runs(listed)
    last = mark_of(found[-1], listed.time) if len(found) == limit else None
    return Hits(found, last, partial=False)


def count_runs(
    reader: Reader,
    wanted: BulkFilter,
    condition: Condition | None,
    goes_on: Callable[[], bool],
) -> tuple[int, bool]:
    """How many runs a bulk is about, and whether there may be more than were counted in time."""
    count, after = 0, None
    while True:
        hits = bulk_runs(reader, wanted, condition, after, COUNTED, goes_on)
        count, after = count + len(hits.found), hits.last
        if after is None:
            return count, False
        if not goes_on():
            return count, True


def search_events(
    reader: Reader, wanted: EventFilter, condition: Condition, goes_on: Callable[[], bool]
) -> Hits[EventRow]:
    """As many events of the list as `wanted.limit` that satisfy the condition."""

    def looked(after: Mark | None, size: int) -> Iterator[tuple[EventRow, Mark, bool]]:
        for event in reader.events(msgspec.structs.replace(wanted, after=after, limit=size)):
            holds = condition.holds({"event": _decoded(event.body)})
            yield event, Mark(event.received_ms, event.id), holds

    return _searched(looked, wanted.after, wanted.limit, goes_on)


def _searched(
    looked: Callable[[Mark | None, int], Iterator[tuple[T, Mark, bool]]],
    after: Mark | None,
    limit: int,
    goes_on: Callable[[], bool],
) -> Hits[T]:
    """Page by page, until there is enough, or no more, or no more time. `looked` gives a page of
    a size after a place: each entry, its place, and whether it satisfies."""
    found: list[T] = []
    seen, size = 0, PAGE
    while True:
        count = 0
        for entry, place, holds in looked(after, size):
            count, after = count + 1, place
            if holds:
                found.append(entry)
                if len(found) == limit:
                    return Hits(found, after, partial=False)
        if count < size:
            return Hits(found, None, partial=False)
        if not goes_on():
            return Hits(found, after, partial=True)
        seen += count
        # As many as will fill the page, where it goes on like that.
        missing = (limit - len(found)) * seen // max(len(found), 1)
        size = min(max(missing, PAGE), 2 * size, PAGE_MAX)


def _of_run(run: Run, bodies: Mapping[str, bytes], roots: frozenset[str]) -> dict[str, object]:
    """The variables of a run; what it has not is missing. `bodies` are those of events by id."""
    told: dict[str, object] = {}
    if run.event_ids and run.event_ids[0] in bodies:
        told["event"] = _decoded(bodies[run.event_ids[0]])
    if run.output is not None:
        name = "output" if run.status is RunStatus.COMPLETED else "error"
        if name in roots:
            told[name] = _decoded(run.output)
    return told


def _decoded(raw: bytes) -> object:
    found: object = msgspec.json.decode(raw)
    return found
