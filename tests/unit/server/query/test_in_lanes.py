"""What the diagnosis asks of the database for many runs of a function."""

from collections.abc import Mapping, Sequence
from typing import cast

from stepwell.server.engine.row.run import MAIN, Item, ItemKind, Run
from stepwell.server.query.in_lanes import in_lanes
from stepwell.server.query.rest import Hindrance, Rest
from stepwell.server.store.port import Reader, RunFilter

RUNS = [Run(f"R{number}", "shop-f", "shop", (), number + 1) for number in range(40)]


class Listing:
    """A reader of forty runs, of which every second has a call that would begin."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def runs(self, wanted: RunFilter) -> list[Run]:
        return RUNS[: wanted.limit]

    def open_items(self, run_ids: Sequence[str]) -> Mapping[str, list[Item]]:
        self.asked.append(len(run_ids))
        return {run_id: [Item(run_id, MAIN, ItemKind.CALL, 1, "shop")] for run_id in run_ids[::2]}


def test_items_of_all_runs_of_a_function_are_asked_for_at_once() -> None:
    listing = Listing()
    paused = Rest(Hindrance.PAUSED, "it rests")
    found = in_lanes(cast("Reader", listing), ["shop-f"], lambda run: paused, 5)
    assert (found, listing.asked) == (RUNS[::2], [40])
