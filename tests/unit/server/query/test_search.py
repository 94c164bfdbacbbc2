"""How much a search reads."""

from typing import cast

import pytest

from stepwell.expr.dialect import compile_search
from stepwell.server.engine.row.run import EventRow
from stepwell.server.query.search import PAGE, PAGE_MAX, Condition, search_events
from stepwell.server.store.port import EventFilter, Reader

MANY = 20_000


class Listing:
    """A reader of many events, the newest first, that knows how many it gave at a time."""

    def __init__(self) -> None:
        self.given: list[int] = []

    def events(self, wanted: EventFilter) -> list[EventRow]:
        newest = MANY if wanted.after is None else wanted.after.at_ms - 1
        numbers = range(newest, max(newest - wanted.limit, 0), -1)
        self.given.append(len(numbers))
        body = b'{"data":{"n":%d}}'
        return [EventRow(f"E{n:05d}", "a", n, n, body % n) for n in numbers]


@pytest.mark.parametrize(
    ("every", "read_most"), [(1, PAGE), (2, PAGE), (7, 400), (50, 3_000), (MANY, MANY)]
)
def test_a_search_reads_about_as_many_as_fill_its_page(every: int, read_most: int) -> None:
    listing = Listing()
    condition = Condition(compile_search(f"event.data.n % {every} == 0"), 0)
    wanted = EventFilter(limit=50)
    hits = search_events(cast("Reader", listing), wanted, condition, lambda: True)
    expected = [n for n in range(MANY, 0, -1) if n % every == 0][:50]
    assert [event.ts for event in hits.found] == expected
    assert sum(listing.given) <= read_most
    # Many are read in few pages.
    assert max(listing.given) <= PAGE_MAX
    assert len(listing.given) <= 4 + sum(listing.given) // PAGE_MAX
