"""What any store does with what people ask for: keys, the audit, what is
done to many runs. A part
of the contract of stores."""

import msgspec

from stepwell.server.engine.message import record as fact
from stepwell.server.engine.row.bulk import Bulk, BulkFilter, BulkMove
from stepwell.server.engine.row.cancellation import Cancellation
from stepwell.server.engine.row.key import ApiKey, AuditEntry, Role
from stepwell.testing.contract.store_world import APP, FUNCTION, NOW, World


class AdminStoreContract:
    """Inherited by the whole contract."""

    def test_keys_are_found_by_their_hash_and_revoked_once(self, world: World) -> None:
        made = [ApiKey(f"K{n}", "ci", Role(n), f"hash{n}", NOW, "ann") for n in (1, 2, 3)]
        world.do(*(fact.KeyStored(key) for key in made))
        world.do(fact.KeyEnded("K2", NOW + 5), fact.KeyEnded("none", NOW))
        world.do(fact.KeyEnded("K2", NOW + 9))
        revoked = msgspec.structs.replace(made[1], revoked_ms=NOW + 5)
        for _ in range(2):
            assert world.reader.api_keys("", 9) == [made[2], revoked, made[0]]
            assert world.reader.api_keys("K3", 1) == [revoked]
            assert world.reader.api_key("K1") == world.reader.api_key_of("hash1") == made[0]
            assert world.reader.api_key_of("hash2") == revoked
            assert world.reader.api_key("none") is world.reader.api_key_of("none") is None
            world.reopen()

    def test_what_was_changed_by_hand_is_kept(self, world: World) -> None:
        def entry(n: int) -> AuditEntry:
            return AuditEntry(f"A{n:06}", NOW + n, "ann", "K1", "cancel_run", "R1", "{}")

        world.do(fact.ChangeWritten(entry(0)), fact.ChangeWritten(entry(1)))
        world.do(fact.ChangeMarked("A000000", 404), fact.ChangeMarked("none", 400))
        refused = msgspec.structs.replace(entry(0), status=404)
        for _ in range(2):
            assert world.reader.audit("", 9) == [entry(1), refused]
            assert world.reader.audit("A000001", 9) == [refused]
            assert world.reader.audit("", 1) == [entry(1)]
            world.reopen()

    def test_cancellations_are_kept_until_they_are_forgotten(self, world: World) -> None:
        made = [Cancellation(f"C{n}", APP, FUNCTION, n, NOW, "x", NOW) for n in range(3)]
        assert world.reader.open_cancellations() == []
        world.do(*(fact.CancellationStored(one) for one in made))
        world.do(fact.CancellationDone("C1", NOW + 5), fact.CancellationForgotten("C2"))
        done = msgspec.structs.replace(made[1], ended_ms=NOW + 5)
        for _ in range(2):
            assert world.reader.cancellations("", 9) == [done, made[0]]
            assert world.reader.cancellations("", 1) == [done]
            assert world.reader.cancellations("C1", 9) == [made[0]]
            assert world.reader.open_cancellations() == [made[0]]
            assert world.reader.cancellation("C1") == done
            assert world.reader.cancellation("C2") is None
            world.reopen()
        # What was forgotten meanwhile does not come back by being done.
        world.do(fact.CancellationForgotten("C0"))
        world.do(fact.CancellationDone("C0", NOW))
        assert world.reader.cancellation("C0") is None

    def test_what_is_done_to_many_runs_is_kept(self, world: World) -> None:
        wanted = BulkFilter(NOW, 1, (3, 4), ("a-b",), ("a",), "event.data.n == 1")
        made = [Bulk(f"B{n}", "rerun", wanted, n, NOW, "ann", 7, more=n > 1) for n in (1, 2, 3)]
        world.do(*(fact.BulkStored(bulk) for bulk in made))
        move = BulkMove(NOW - 5, "R1", 3, 1)
        world.do(fact.BulkAdvanced("B1", move), fact.BulkAdvanced("none", move))
        world.do(fact.BulkOver("B2", NOW + 5, stopped=True), fact.BulkOver("none", 1, stopped=True))
        # What was stopped has not come to its end besides.
        world.do(fact.BulkOver("B2", NOW + 9, stopped=False))
        moved = msgspec.structs.replace(made[0], moved=move)
        over = msgspec.structs.replace(made[1], ended_ms=NOW + 5, stopped=True)
        for _ in range(2):
            assert world.reader.bulks("", 9) == [made[2], over, moved]
            assert world.reader.bulks("B3", 1) == [over]
            assert world.reader.open_bulks() == [moved, made[2]]
            assert (world.reader.bulk("B2"), world.reader.bulk("none")) == (over, None)
            world.reopen()
