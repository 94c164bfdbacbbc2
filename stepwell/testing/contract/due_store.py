"""What any store says is due, in which order, and how much of it at once. A part of the contract of
stores."""

import msgspec

from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.need import NOTHING
from stepwell.server.engine.row.run import MAIN, Item, ItemKind
from stepwell.testing.contract.store_world import (
    APP,
    NOW,
    World,
    lease_of,
    run_id_of,
    run_number,
)


class DueStoreContract:
    """Inherited by the whole contract."""

    more_than_fits = 12_000
    """So many items are more than the store keeps in memory."""

    def test_due_first_come_first_served(self, world: World) -> None:
        times = [5, 3, 9, 3, 1]
        for number, at in enumerate(times):
            world.begin(number, due_ms=NOW + at)
        extra = Item(run_id_of(2), "s", ItemKind.CALL, NOW + 3, APP)
        world.do(fact.ItemAdded(extra))
        wanted = [(4, MAIN), (1, MAIN), (2, "s"), (3, MAIN), (0, MAIN), (2, MAIN)]
        for _ in range(2):
            expected = [(run_id_of(number), key) for number, key in wanted]
            assert world.keys_due(NOW + 9) == expected
            assert world.keys_due(NOW + 3) == expected[:4]
            assert world.due(NOW + 3).next_due_ms == NOW + 5
            assert world.due(NOW).next_due_ms == NOW + 1
            world.reopen()

    def test_due_respects_the_room_of_each_queue_and_the_limit(self, world: World) -> None:
        for number in range(4):
            world.begin(number)
            world.do(
                fact.ItemAdded(
                    Item(run_id_of(number), "g", ItemKind.GATEWAY, NOW, "@gateway", secret=b"asked")
                ),
                fact.ItemAdded(Item(run_id_of(number), "t", ItemKind.SLEEP, NOW)),
            )
        every = world.due(capacity={APP: 2, "@gateway": 1, "unknown": 5})
        queues = [item.queue for item in every.due()]
        assert sorted(queues) == ["", "", "", "", "@gateway", APP, APP]
        assert every.next_due_ms == NOW
        only = world.due(capacity={APP: 0})
        assert [item.queue for item in only.due()] == [""] * 4
        assert only.next_due_ms is None
        few = world.due(limit=3, capacity={APP: 9, "@gateway": 9})
        assert [(i.run_id, i.key) for i in few.due()] == [
            (run_id_of(0), MAIN),
            (run_id_of(0), "g"),
            (run_id_of(0), "t"),
        ]
        assert few.next_due_ms == NOW

    def test_what_was_shown_and_not_taken_is_shown_again(self, world: World) -> None:
        for number in range(3):
            world.begin(number)
        before = world.keys_due()
        assert world.keys_due() == before
        world.do(fact.ItemLeased(lease_of(run_number(1))))
        assert world.keys_due() == [before[0], before[2]]

    def test_a_queue_nobody_serves_does_not_hold_up_others(self, world: World) -> None:
        records: list[fact.Record] = []
        for number in range(300):
            run = msgspec.structs.replace(run_number(number), app="away")
            records.append(fact.RunStarted(run, Item(run.id, MAIN, ItemKind.CALL, NOW, "away")))
        world.do(*records)
        last = world.begin(999, due_ms=NOW + 1)
        for _ in range(2):
            assert world.keys_due(NOW + 1) == [(last.id, MAIN)]
            assert len(world.keys_due(capacity={"away": 7})) == 7
            world.reopen()

    def test_leases_that_ran_out_are_shown(self, world: World) -> None:
        one, two = world.begin(1), world.begin(2)
        world.do(
            fact.ItemLeased(lease_of(one, until_ms=NOW + 50)),
            fact.ItemLeased(lease_of(two, until_ms=NOW + 20)),
        )
        assert world.due(NOW).next_due_ms == NOW + 20
        assert [lease.run_id for lease in world.due(NOW + 20).overdue()] == [two.id]
        assert [lease.run_id for lease in world.due(NOW + 50).overdue()] == [two.id, one.id]
        assert [lease.run_id for lease in world.due(NOW + 50, limit=1).overdue()] == [two.id]
        world.do(fact.ItemLeased(lease_of(two, until_ms=NOW + 90)))
        late = world.due(NOW + 60)
        assert [lease.run_id for lease in late.overdue()] == [one.id]
        assert late.due() == []
        assert late.next_due_ms == NOW + 90
        freed = Item(one.id, MAIN, ItemKind.CALL, NOW + 60, APP, losses=1)
        world.do(fact.ItemMoved(freed))
        again = world.due(NOW + 60)
        assert (again.due(), again.overdue()) == ([freed], [])

    def test_more_is_due_than_fits_in_memory(self, world: World) -> None:
        count, batch = self.more_than_fits, 1_000
        for first in range(0, count, batch):
            records: list[fact.Record] = []
            for number in range(first, first + batch):
                run = run_number(number)
                due_ms = NOW + (number * 7_919) % count
                records.append(fact.RunStarted(run, Item(run.id, MAIN, ItemKind.CALL, due_ms, APP)))
            world.do(*records)
        world.reopen()
        met = 0
        while True:
            view = world.due(NOW + count, limit=2_000, capacity={APP: 2_000})
            items = view.due()
            if not items:
                break
            assert [item.due_ms for item in items] == [NOW + met + n for n in range(len(items))]
            met += len(items)
            world.do(*(fact.ItemDone(i.run_id, MAIN) for i in items), need=NOTHING)
        assert met == count
