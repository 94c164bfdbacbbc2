"""Which lanes are shown to a claim (the store's memory of who rests behind what)."""

from stepwell.server.engine.message.record import LaneRested, LanesRoused
from stepwell.server.engine.name.lane import Part, PartKind, lane_name
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
    assert index.lanes.firsts(KEY) == ()


def test_a_place_rouses_one_lane_of_each_limit_however_many_rest() -> None:
    """So a place costs the same with ten or a hundred thousand lanes behind its key."""
    part = Part(PartKind.STEP, "account.", KEY)
    names = [lane_name("app", f"f{n}", (part,)) for n in range(40)]
    index = LaneIndex(dict.fromkeys(names, 0).get)
    for name in names:
        index.added(name, 0)
    index.ask(("app",), 1)
    rested = [LaneRested(name, KEY, 0, bound=n % 2 + 1) for n, name in enumerate(names)]
    index.apply(rested, [])
    assert index.ask(("app",), 1)[0] == []
    for first in (0, 2, 4):
        index.apply([], [KEY])
        found, _ = index.ask(("app",), 1)
        assert [seen.queue for seen in found if seen.is_lane] == names[: first + 2]


def test_who_is_let_by_is_of_the_same_limit() -> None:
    part = Part(PartKind.STEP, "account.", KEY)
    there, wide, narrow = (
        lane_name(place, name, (part,))
        for place, name in (("other", "wide"), ("app", "wide"), ("app", "narrow"))
    )
    index = LaneIndex(dict.fromkeys((there, wide, narrow), 0).get)
    for name in (there, wide, narrow):
        index.added(name, 0)
    index.ask(PLACES, 1)
    index.apply([LaneRested(name, KEY, 0, bound=3) for name in (there, wide)], [])
    index.apply([LaneRested(narrow, KEY, 0, bound=1), LanesRoused(KEY, 1, 3)], [])
    found, _ = index.ask(("app",), 1)
    assert [seen.queue for seen in found if seen.is_lane] == [wide]
