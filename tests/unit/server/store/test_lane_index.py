"""Which lanes are shown to a claim (the store's memory of who rests behind what)."""

from stepwell.server.engine.lane import Part, PartKind, lane_name
from stepwell.server.engine.record import LaneRested
from stepwell.server.store.lanes import LaneIndex

KEY = "concurrency:f::"
PLACES = ("app", "other", "@gateway")
LANES = {place: lane_name(place, "f", (Part(PartKind.STEP, "fn.", KEY),)) for place in PLACES}


class Index:
    """An index, and when the first item of each lane is due."""

    def __init__(self, *order: str) -> None:
        self.due: dict[str, int | None] = {LANES[place]: 0 for place in order}
        self.lanes = LaneIndex(self.due.get)
        for place in order:
            self.lanes.added(LANES[place], 0)
        assert self.shown() == {*order}
        self.lanes.apply([LaneRested(LANES[place], KEY, 0) for place in order], [])
        assert self.shown() == set()

    def shown(self, *places: str) -> set[str]:
        found, _ = self.lanes.ask(places or PLACES, 1)
        return {place for place in PLACES for seen in found if seen.queue == LANES[place]}


def test_one_lane_is_roused_for_each_slot() -> None:
    index = Index("app", "other")
    index.lanes.apply([], [KEY])
    assert index.shown() == {"app"}
    index.lanes.apply([], [KEY])
    assert index.shown() == {"app", "other"}


def test_who_leaves_rouses_a_lane_of_a_place_that_was_looked_at_before() -> None:
    index = Index("@gateway", "app")
    index.due[LANES["@gateway"]] = None
    index.lanes.apply([], [KEY])
    assert index.shown() == {"app"}


def test_a_slot_is_not_kept_for_a_place_that_nobody_reaches() -> None:
    index = Index("other", "app")
    assert index.shown("app") == set()
    index.lanes.apply([], [KEY])
    assert index.shown("app") == {"app"}


def test_a_place_that_comes_back_has_its_turn() -> None:
    index = Index("other", "app")
    assert index.shown("app") == set()
    index.lanes.apply([], [KEY, KEY])
    assert index.shown() == {"other", "app"}
    assert index.lanes.first(KEY) is None
