"""The due index: pages, horizons, and never forgetting what is due."""

import random

import msgspec

from stepwell.server.engine.message.need import Due
from stepwell.server.engine.row.run import Item, ItemKind, Lease
from stepwell.server.store.due import DueIndex, Place


def item(number: int, due_ms: int, queue: str = "a", key: str = "") -> Item:
    return Item(f"R{number:04d}", key, ItemKind.CALL, due_ms, queue)


class Disk:
    """Every item there is, and how often it was asked."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], Item] = {}
        self.asked = 0

    def put(self, *items: Item) -> None:
        self.items.update({(one.run_id, one.key): one for one in items})

    def more(self, queue: str, after: Place, limit: int) -> list[Item]:
        self.asked += 1
        places = {(one.due_ms, one.run_id, one.key): one for one in self.items.values()}
        following = sorted(at for at, one in places.items() if one.queue == queue and at > after)
        return [places[at] for at in following[:limit]]


def asked(index: DueIndex, now_ms: int, *, room: int = 100, limit: int = 100) -> list[str]:
    items, _, _ = index.ask(Due(now_ms, (("a", room),), limit))
    return [one.run_id for one in items]


def test_what_is_due_later_takes_no_memory_and_no_look_at_the_disk() -> None:
    disk = Disk()
    disk.put(*(item(number, 1_000_000 + number) for number in range(20_000)))
    index = DueIndex(disk.more, items_max=500, page=100)
    assert asked(index, 0) == []
    assert len(index) == 100
    looks = disk.asked
    for number in range(20_000, 20_200):
        late, soon = item(number, 9_000_000), item(number, 5, key="k")
        disk.put(late, soon)
        index.keep({(late.run_id, ""): late, (soon.run_id, "k"): soon}, {})
        assert asked(index, 10) == [soon.run_id]
        del disk.items[soon.run_id, "k"]
        index.keep({(soon.run_id, "k"): None}, {})
    assert disk.asked == looks
    assert len(index) == 100


def test_a_full_memory_leaves_the_later_half_to_the_disk() -> None:
    disk = Disk()
    index = DueIndex(disk.more, items_max=100, page=10)
    assert asked(index, 0) == []
    everything = [item(number, 1 + number * 7 % 1_000) for number in range(1_000)]
    for one in everything:
        disk.put(one)
        index.keep({(one.run_id, ""): one}, {})
        assert len(index) <= 101
    met: list[Item] = []
    while items := index.ask(Due(2_000, (("a", 7),), 7))[0]:
        met += items
        for one in items:
            del disk.items[one.run_id, ""]
            index.keep({(one.run_id, ""): None}, {})
    assert met == sorted(everything, key=lambda one: (one.due_ms, one.run_id))


def test_a_leased_item_is_not_given_until_its_lease_is_over() -> None:
    disk = Disk()
    disk.put(item(1, 1), item(2, 2))
    index = DueIndex(disk.more)
    assert asked(index, 5) == ["R0001", "R0002"]
    lease = Lease("L", "R0001", "", 0, 50)
    index.keep({}, {("R0001", ""): lease})
    assert asked(index, 5) == ["R0002"]
    index.keep({}, {("R0001", ""): None})
    assert asked(index, 5) == ["R0001", "R0002"]
    index.drop("R0001", [""])
    assert asked(index, 5) == ["R0002"]


def test_a_lease_ends_at_its_last_time_only() -> None:
    index = DueIndex(Disk().more)
    lease = Lease("L", "R0001", "", 0, 50)
    for until_ms in range(50, 250):
        index.keep({}, {("R0001", ""): msgspec.structs.replace(lease, until_ms=until_ms)})
    assert index.ask(Due(248, (), 5)) == ([], [], 249)
    _, overdue, following = index.ask(Due(249, (), 5))
    assert [one.until_ms for one in overdue] == [249]
    assert following is None
    assert index.ask(Due(249, (), 5))[1] == overdue


def test_an_item_that_moves_is_at_one_place_only() -> None:
    index = DueIndex(Disk().more)
    assert asked(index, 0) == []
    for due_ms in [*range(200), 3, 7, 3]:
        one = item(1, due_ms)
        index.keep({("R0001", ""): one}, {})
    assert asked(index, 500) == ["R0001"]
    assert index.ask(Due(2, (("a", 5),), 5))[2] == 3
    other = item(1, 3, queue="b")
    index.keep({("R0001", ""): other}, {})
    assert asked(index, 500) == []
    both = index.ask(Due(500, (("a", 5), ("b", 5)), 5))[0]
    assert both == []  # nobody had asked for b when it came: the disk has it
    index = DueIndex(Disk().more)
    index.ask(Due(0, (("a", 5), ("b", 5)), 5))
    index.keep({("R0001", ""): item(1, 1)}, {})
    index.keep({("R0001", ""): other}, {})
    assert index.ask(Due(500, (("a", 5), ("b", 5)), 5))[0] == [other]


def test_many_short_queues_are_not_cut() -> None:
    index = DueIndex(Disk().more, items_max=10, page=4)
    queues = [f"q{number}" for number in range(30)]
    room = tuple((queue, 1) for queue in queues)
    index.ask(Due(0, room, 100))
    for number, queue in enumerate(queues):
        one = item(number, number, queue)
        index.keep({(one.run_id, ""): one}, {})
    items, _, _ = index.ask(Due(100, room, 100))
    assert [one.queue for one in items] == queues


def test_any_order_of_changes_gives_what_a_full_search_gives() -> None:
    for seed in range(40):
        chance = random.Random(seed)
        disk = Disk()
        index = DueIndex(disk.more, items_max=chance.choice([4, 12, 100]), page=3)
        leases: dict[tuple[str, str], Lease] = {}
        for now in range(120):
            slot = (f"R{chance.randrange(25):04d}", "")
            one = Item(*slot, ItemKind.CALL, now + chance.randrange(30), chance.choice("ab"))
            match chance.randrange(4):
                case 0 | 1:
                    disk.put(one)
                    leases.pop(slot, None)
                    index.keep({slot: one}, {slot: None})
                case 2 if slot in disk.items:
                    leases[slot] = Lease("L", *slot, now, now + chance.randrange(1, 20))
                    index.keep({}, {slot: leases[slot]})
                case _:
                    disk.items.pop(slot, None)
                    leases.pop(slot, None)
                    index.keep({slot: None}, {slot: None})
            if chance.random() < 0.5:
                room = {queue: chance.randrange(4) for queue in "ab" if chance.random() < 0.8}
                due = Due(now, tuple(room.items()), chance.randrange(1, 6))
                assert index.ask(due) == searched(disk, leases, due)


def searched(
    disk: Disk, leases: dict[tuple[str, str], Lease], due: Due
) -> tuple[list[Item], list[Lease], int | None]:
    """The same, the plain way."""
    room = {queue: count for queue, count in due.capacity if count}
    served = {*room, ""}
    free = [one for slot, one in disk.items.items() if slot not in leases and one.queue in served]
    free.sort(key=lambda one: (one.due_ms, one.run_id, one.key))
    given: list[Item] = []
    for one in free:
        if one.due_ms <= due.now_ms and room.get(one.queue, 99) and len(given) < due.limit:
            given.append(one)
            room[one.queue] -= 1
    held = sorted(leases.values(), key=lambda lease: (lease.until_ms, lease.run_id))
    over = [lease for lease in held if lease.until_ms <= due.now_ms][: due.limit]
    times = [one.due_ms for one in free if one not in given]
    times += [lease.until_ms for lease in held if lease not in over]
    return given, over, min(times, default=None)
