"""A claim looks at what is due, and not at everything that ever was."""

from collections.abc import Iterable, Iterator

import msgspec
import psycopg
import pytest

from stepwell.server.engine.message import record as fact
from stepwell.server.engine.row.run import MAIN, Item, ItemKind
from stepwell.server.store.postgres.connection import SQL
from stepwell.server.store.postgres.lower_bound import (
    LEASES,
    MARGIN_MS,
    WHOLE_MS,
    WHOLE_SHARE,
    LowerBound,
)
from stepwell.server.store.postgres.store import PostgresStore
from stepwell.testing.contract.store_world import APP, NOW, World, lease_of, run_id_of
from tests.postgres import Opener, told

DEAD = 2_000
LONG_AGO = NOW - 10 * MARGIN_MS
_ENDED = """INSERT INTO stepwell.run SELECT
    '01R' || lpad(n::text, 23, '0'), 'f', 'a', NULL,
    1, '', NULL, 300, 1, 1, NULL, -1, 0, NULL, 0, ''
FROM generate_series(1, 20000) AS n"""


@pytest.fixture
def world(engine_database: str) -> Iterator[World]:
    world = World(Opener(engine_database))
    yield world
    world.store.rollback()
    world.reader.close()
    world.store.close()


def read(world: World, index: str) -> int:
    """How many entries of an index the transaction has read, dead ones among them."""
    store = world.store
    assert isinstance(store, PostgresStore)
    counted = "SELECT pg_stat_get_xact_tuples_returned(%s::regclass)"
    row = store._session.connection.execute(counted, (f"stepwell.{index}",)).fetchone()
    assert row is not None
    return int(row[0])


def entries(
    world: World, now_ms: int, indexes: Iterable[str] = ("item_by_due", "lease_by_end")
) -> dict[str, int]:
    """What one claim reads."""
    world.store.rollback()
    before = {index: read(world, index) for index in indexes}
    world.due(now_ms)
    return {index: read(world, index) - count for index, count in before.items()}


def test_what_was_done_is_not_passed_by_each_claim(world: World, engine_database: str) -> None:
    run = world.begin(1)
    with psycopg.connect(engine_database) as idle:
        idle.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        idle.execute("SELECT count(*) FROM stepwell.item")
        for statement in (
            (
                "INSERT INTO stepwell.item SELECT 'gone', n::text, "
                f"{LONG_AGO}, queue, 1, 0, '', 0, '', 0"
                f" FROM generate_series(1, {DEAD}) AS n, unnest(ARRAY['{APP}', '']) AS queue"
                " ON CONFLICT DO NOTHING"
            ),
            "DELETE FROM stepwell.item WHERE run_id = 'gone'",
            (
                f"INSERT INTO stepwell.lease SELECT 'gone', n::text, '', 0, {LONG_AGO}, 0, 0,"
                f" '{{}}', '{{}}', '' FROM generate_series(1, {DEAD}) AS n"
            ),
            "DELETE FROM stepwell.lease WHERE run_id = 'gone'",
        ):
            told(engine_database, statement)
        first = entries(world, NOW)
        assert min(first.values()) >= DEAD
        following = entries(world, NOW + 1)
        assert max(following.values()) < DEAD / 10
        assert world.keys_due(NOW + 1) == [(run.id, MAIN)]


def test_leases_that_would_have_ended_later_are_not_passed_by_each_claim(
    world: World, engine_database: str
) -> None:
    run = world.begin(1)
    world.do(fact.ItemLeased(lease_of(run)))
    ends_ms = lease_of(run).until_ms
    with psycopg.connect(engine_database) as idle:
        idle.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        idle.execute("SELECT count(*) FROM stepwell.item")
        told(
            engine_database,
            "INSERT INTO stepwell.lease SELECT 'gone', n::text, '', 0,"
            f" {ends_ms - 2 * MARGIN_MS}, 0, 0, '{{}}', '{{}}', ''"
            f" FROM generate_series(1, {DEAD}) AS n",
        )
        told(engine_database, "DELETE FROM stepwell.lease WHERE run_id = 'gone'")
        now_ms = ends_ms - 3 * MARGIN_MS
        assert entries(world, now_ms)["lease_by_end"] >= DEAD
        following = entries(world, now_ms + 1, ("lease_by_end", "lease_pkey"))
        assert max(following.values()) < DEAD / 10
    world.store.rollback()
    sooner = world.begin(2)
    lease = msgspec.structs.replace(lease_of(sooner), until_ms=now_ms + 2)
    world.do(fact.ItemLeased(lease))
    assert [one.run_id for one in world.due(now_ms + 3).overdue()] == [sooner.id]


def test_calls_under_way_are_not_read_by_each_claim(world: World) -> None:
    runs = [world.begin(number) for number in range(60)]
    leases = [lease_of(run, until_ms=NOW + 1_000 + n // 2) for n, run in enumerate(runs)]
    world.do(*map(fact.ItemLeased, leases))
    store = world.store
    assert isinstance(store, PostgresStore)
    wanted = {"since": 0, "now": NOW, "limit": 101}
    assert len(list(store._session.ask_named("leases_ending", wanted))) == 1
    # The first that ends says when to look again; those that have ended are all found.
    assert world.due(NOW).next_due_ms == NOW + 1_000
    view = world.due(NOW + 1_003)
    assert [one.id for one in view.overdue()] == [lease.id for lease in leases[:8]]
    assert view.next_due_ms == NOW + 1_004
    few = world.due(NOW + 1_003, limit=5)
    assert len(few.overdue()) == 5
    assert few.next_due_ms == NOW + 1_002


def test_whether_runs_go_on_is_looked_for_by_their_ids(world: World, engine_database: str) -> None:
    """Not in an index of all that went on: what the database knows of a table it learnt when hardly
    any did."""
    told(engine_database, _ENDED)
    told(engine_database, "ANALYZE stepwell.run")
    with psycopg.connect(engine_database) as db:
        db.execute("SET plan_cache_mode = force_generic_plan")
        db.execute("PREPARE going AS " + SQL["runs_going"].decode().replace("%b", "$1"))
        plan = db.execute("EXPLAIN EXECUTE going(ARRAY['a'])").fetchall()
    assert "run_pkey" in str(plan)


def test_what_others_put_before_the_bound_is_found(world: World, engine_database: str) -> None:
    assert world.keys_due(NOW) == []
    world.store.rollback()
    other = World(Opener(engine_database))
    late = other.begin(1, due_ms=LONG_AGO)
    other.reader.close()
    other.store.close()
    assert world.keys_due(NOW + WHOLE_MS * WHOLE_SHARE) == [(late.id, MAIN)]


def test_what_this_process_puts_before_the_bound_is_found_at_once(world: World) -> None:
    assert world.keys_due(NOW) == []
    run = world.begin(1, due_ms=LONG_AGO)
    assert world.keys_due(NOW + 1) == [(run.id, MAIN)]
    # Its own work, too, and when a clock went back.
    own = Item("own", "", ItemKind.FANOUT, LONG_AGO - 2 * MARGIN_MS)
    world.do(fact.ItemAdded(own))
    assert world.keys_due(LONG_AGO - MARGIN_MS) == [("own", "")]


def test_a_queue_that_had_no_room_is_looked_at_as_a_whole(
    world: World, engine_database: str
) -> None:
    world.begin(1)
    told(engine_database, f"UPDATE stepwell.item SET due_ms = {LONG_AGO}")
    assert world.keys_due(NOW, capacity={APP: 0}) == []
    assert world.keys_due(NOW + 1) == [(run_id_of(1), MAIN)]


def test_a_lease_of_a_process_that_is_gone_is_found_at_once(
    world: World, engine_database: str
) -> None:
    run = world.begin(1)
    world.do(fact.ItemLeased(lease_of(run)))
    assert world.due(NOW).overdue() == []
    world.store.rollback()
    told(engine_database, "UPDATE stepwell.lease SET until_ms = 0")
    assert [lease.run_id for lease in world.due(NOW + 1).overdue()] == [run.id]


def test_everything_is_looked_at_now_and_then() -> None:
    bound = LowerBound()
    assert bound.of("a", NOW) == 0
    bound.looked("a", None, NOW, took_ms=1)
    assert bound.of("a", NOW + 1) == NOW - MARGIN_MS
    assert bound.of("b", NOW + 1) == 0
    assert bound.of("a", NOW + WHOLE_MS) == 0
    # The oldest that waits is the bound; a look that takes long is taken more rarely.
    bound.looked("a", NOW - 60_000, NOW, took_ms=500)
    assert bound.of("a", NOW + 500 * WHOLE_SHARE - 1) == NOW - 60_000 - MARGIN_MS
    assert bound.of("a", NOW + 500 * WHOLE_SHARE) == 0
    later_ms = NOW + 500 * WHOLE_SHARE
    bound.looked("c", later_ms + 50_000, later_ms, took_ms=1)
    assert bound.of("c", later_ms + 1) == later_ms - MARGIN_MS
    bound.looked(LEASES, later_ms + 50_000, later_ms, took_ms=1)
    assert bound.of(LEASES, later_ms + 1) == later_ms + 50_000 - MARGIN_MS


def test_what_is_put_before_the_bound_lowers_it() -> None:
    bound = LowerBound()
    bound.added("a", 5)
    assert bound.of("a", NOW) == 0
    bound.looked("a", None, NOW, took_ms=1)
    bound.added("a", NOW)
    assert bound.of("a", NOW) == NOW - MARGIN_MS
    bound.added("a", 5)
    assert bound.of("a", NOW) == 5
    assert bound.of("a", NOW - 1) == 0  # the clock went back
    bound.looked("a", None, NOW, took_ms=1)
    bound.forget()
    assert bound.of("a", NOW) == 0
