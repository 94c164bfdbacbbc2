"""What only the PostgreSQL store promises: who was taken for dead commits nothing, connections come
back, and messages say what is wrong."""

import threading

import msgspec
import pytest

from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.need import Need
from stepwell.server.engine.row.run import MAIN, Item, ItemKind
from stepwell.server.engine.state.view import View
from stepwell.server.store.port import Conflict, Corrupt, Stale, Unavailable, Unstorable
from stepwell.server.store.postgres import states
from stepwell.server.store.postgres.connection import Wanted, name_of
from stepwell.server.store.postgres.migrating import migrations
from stepwell.server.store.postgres.piece import Answer, Piece
from stepwell.server.store.postgres.store import PostgresStore
from stepwell.testing.contract.store_world import (
    NOW,
    World,
    event_number,
    lease_of,
    run_number,
    step_of,
    wait_of,
)
from tests.postgres import Opener, told


@pytest.fixture
def opener(engine_database: str) -> Opener:
    return Opener(engine_database)


def test_a_server_that_shares_with_nobody_is_not_joined(opener: Opener) -> None:
    first = opener.open()
    told(opener.url, "UPDATE stepwell.node SET shares = false")
    renew = "UPDATE stepwell.node SET alive_until = alive_until + interval '1 s'"
    second = PostgresStore(opener.url)
    timer = threading.Timer(0.1, lambda: told(opener.url, renew))
    timer.start()
    with pytest.raises(Unavailable, match=r"of an older version \(.+, process \d+\)"):
        second.migrate()
    timer.join()
    second.close()
    first.close()


def test_what_a_dead_process_leased_is_free_where_nobody_lives(opener: Opener) -> None:
    world = World(opener)
    run = world.begin(1)
    world.do(fact.ItemLeased(lease_of(run)))
    told(opener.url, "UPDATE stepwell.node SET alive_until = clock_timestamp() - interval '1 ms'")
    world.reader.close()
    second = opener.open()
    assert not second.ended_in_order
    reader = second.reader()
    assert reader.leases(run.id) == []
    reader.close()
    second.close()
    # The first one was not dead after all: what it says changes nothing.
    view = world.prepare([fact.StepSaved(step_of(run, "late", 1))])
    world.store.write(view.changes)
    with pytest.raises(Unavailable, match="took this one for dead"):
        world.store.commit()
    world.store.rollback()
    assert told(opener.url, "SELECT * FROM stepwell.step") == []
    world.store.close()


def test_a_lost_connection_is_made_anew(opener: Opener) -> None:
    world = World(opener)
    run = world.begin(1)
    assert world.reader.run(run.id) == run
    told(
        opener.url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    assert world.reader.run(run.id) == run
    with pytest.raises(Unavailable):
        world.run(run.id)
    world.store.rollback()
    assert world.run(run.id).run(run.id) == run
    world.reader.close()
    world.store.close()


def test_rows_that_are_others_by_now_are_a_conflict(opener: Opener) -> None:
    world = World(opener)
    run = world.begin(1)
    item = world.due().due()[0]
    world.store.rollback()
    for change in (
        f"UPDATE stepwell.item SET due_ms = due_ms + 1 WHERE run_id = '{run.id}'",
        f"DELETE FROM stepwell.item WHERE run_id = '{run.id}'",
    ):
        view = world.due(NOW + 1)
        told(opener.url, change)
        view.apply(fact.ItemDone(item.run_id, MAIN))
        with pytest.raises(Conflict):
            world.commit(view)
        world.store.rollback()
    world.reader.close()
    world.store.close()


def test_what_no_row_can_hold_is_refused_and_harms_nothing(opener: Opener) -> None:
    world = World(opener)
    for name in ("a\0b", "\udc80"):
        view = world.prepare([fact.EventStored(event_number(1, name))])
        with pytest.raises(Unstorable):
            world.commit(view)
        world.store.rollback()
    world.do(fact.EventStored(event_number(1)))
    assert world.look(Need(events=frozenset({event_number(1).id}))).knows_event(event_number(1).id)
    world.reader.close()
    world.store.close()


def test_a_newer_schema_is_refused_and_left_alone(database: str) -> None:
    store = PostgresStore(database)
    store.migrate()
    store.close()
    told(database, "UPDATE stepwell.schema_version SET version = 999")
    older = PostgresStore(database)
    known = max(migrations())
    with pytest.raises(Corrupt, match=rf"has schema 999, and this version .* knows {known} at"):
        older.migrate()
    older.close()
    assert told(database, "SELECT version FROM stepwell.schema_version") == [(999,)]


def test_who_may_not_make_a_schema_may_be_given_one(database: str) -> None:
    told(database, "CREATE ROLE guest LOGIN; CREATE SCHEMA stepwell AUTHORIZATION guest")
    store = PostgresStore(database.replace("//postgres@", "//guest@"))
    store.migrate()
    assert store.newest_place() == 0
    store.close()
    told(database, "DROP OWNED BY guest; DROP ROLE guest")


def test_no_message_tells_a_password() -> None:
    url = "postgresql://ann:s3cret@127.0.0.1:1/shop"
    assert name_of(url) == "the database 'shop' at 127.0.0.1:1"
    with pytest.raises(Unavailable) as refused:
        PostgresStore(url)
    assert "s3cret" not in str(refused.value)
    with pytest.raises(Unavailable, match="cannot be read"):
        PostgresStore("postgresql://ann:s3cret@[/shop")


def test_statements_are_planned_once_and_now_and_then_anew(
    opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(opener)
    assert isinstance(world.store, PostgresStore)
    session = world.store._session
    asked: list[bytes] = []
    ask = Piece.ask

    def heard(piece: Piece, statement: bytes, wanted: Wanted = ()) -> Answer:
        asked.append(statement)
        return ask(piece, statement, wanted)

    monkeypatch.setattr(Piece, "ask", heard)
    for number in range(1, 9):
        world.begin(number)
    planned = b"SELECT sum(custom_plans), sum(generic_plans) > 8 FROM pg_prepared_statements"
    assert session.connection.execute(planned).fetchone() == (0, True)
    assert b"DISCARD PLANS" not in asked
    monkeypatch.setattr(session, "_plan_at_s", 0.0)
    world.run("none")
    world.run("none")
    assert asked.count(b"DISCARD PLANS") == 1
    world.store.close()


NAMES = Need(names=frozenset({"paid"}))


def assumed(world: World) -> View:
    """A batch that stores an event, and goes by that nobody waits for it."""
    view = world.look()
    assert world.store.assume(NAMES, view)
    view.apply(fact.EventStored(event_number(9, "paid")))
    return view


def events(opener: Opener) -> int:
    return len(told(opener.url, "SELECT 1 FROM stepwell.event WHERE name = 'paid'"))


def test_that_nobody_waits_is_assumed_and_made_sure_of_with_the_commit(opener: Opener) -> None:
    world = World(opener)
    world.commit(assumed(world))
    assert events(opener) == 1
    # What needs a look needs a look.
    for need in (Need(), Need(runs=frozenset({"r"})), Need(names=NAMES.names, events=NAMES.names)):
        assert not world.store.assume(need, world.look())
    world.store.close()


def test_what_was_assumed_and_is_not_so_is_a_conflict_and_looked_for_then(opener: Opener) -> None:
    world = World(opener)
    run = world.begin(1)
    wait = wait_of(run, "w", name="paid")
    for verb in ("commit", "load", "confirm"):
        world.store._loader.waited._until_s.clear()
        view = assumed(world)
        other = World(opener)
        other.do(fact.WaitOpened(wait))
        with pytest.raises(Conflict):
            if verb == "commit":
                world.commit(view)
            elif verb == "load":
                world.store.load(Need(runs=frozenset({run.id})), view)
            else:
                world.store.confirm()
        world.store.rollback()
        assert not world.store.assume(NAMES, world.look())
        assert world.waits("paid")
        world.store.rollback()
        other.do(fact.WaitClosed(wait))
        other.store.rollback()
        other.store.close()
    assert events(opener) == 0
    world.store.close()


def test_who_is_taken_for_dead_or_knows_old_functions_assumes_in_vain(opener: Opener) -> None:
    world = World(opener)
    view = assumed(world)
    told(opener.url, "UPDATE stepwell.common SET catalog = catalog + 1")
    with pytest.raises(Conflict):
        world.commit(view)
    world.store.rollback()
    with pytest.raises(Stale):
        world.store.load(NAMES, view)
    world.store.rollback()
    world.store._loader.waited._until_s.clear()
    view = assumed(world)
    told(opener.url, "DELETE FROM stepwell.node")
    with pytest.raises(Conflict):
        world.commit(view)
    world.store.rollback()
    world.store.load(NAMES, view)
    world.store.write(view.changes)
    with pytest.raises(Unavailable, match="took this one for dead"):
        world.store.commit()
    world.store.rollback()
    assert events(opener) == 0
    world.store.close()


def test_a_commit_tells_no_more_of_states_than_so_many_bytes(
    opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(states, "BYTES_MAX", 1_000)
    world = World(opener)
    runs = [world.begin(number) for number in (1, 2, 3)]
    for run in runs:
        world.do(*(fact.StepSaved(step_of(run, f"s{n}", n, b"x" * 200)) for n in (1, 2)))
    leases = [lease_of(run) for run in runs]
    world.do(*(fact.ItemLeased(lease) for lease in leases))
    told_of = [world.store.state_of(lease.id) for lease in leases]
    assert [state is not None and len(state.steps) for state in told_of] == [2, 2, False]
    # What is not told with the commit is read after it.
    assert {len(state.steps) for state in world.reader.call_states(runs).values()} == {2}
    # So are events.
    monkeypatch.setattr(states, "BYTES_MAX", 500)
    late = [run_number(number) for number in (4, 5)]
    for number, run in zip((4, 5), late, strict=True):
        item = Item(run.id, MAIN, ItemKind.CALL, NOW, "shop")
        event = event_number(number, body=b'"' + b"x" * 300 + b'"')
        world.do(fact.EventStored(event), fact.RunStarted(run, item))
    leases = [lease_of(run) for run in late]
    world.do(*(fact.ItemLeased(lease) for lease in leases))
    assert [world.store.state_of(one.id) is not None for one in leases] == [True, False]
    world.reader.close()
    world.store.close()


def test_a_commit_tells_of_all_runs_that_begin_and_of_few_that_may_have_steps(
    opener: Opener,
) -> None:
    world = World(opener)
    many = 2 * states.RUNS_MAX
    fresh = [world.begin(number) for number in range(many)]
    going = [world.begin(number) for number in range(many, 2 * many)]
    going = [msgspec.structs.replace(run, started_ms=NOW) for run in going]
    world.do(*map(fact.RunChanged, going))
    again = [
        msgspec.structs.replace(run_number(number), original=fresh[0].id)
        for number in range(2 * many, 3 * many)
    ]
    for run in again:
        world.do(fact.RunStarted(run, Item(run.id, MAIN, ItemKind.CALL, NOW, "shop")))
    for some, count in ((fresh, many), (going, states.RUNS_MAX), (again, states.RUNS_MAX)):
        leases = [lease_of(run) for run in some]
        world.do(*map(fact.ItemLeased, leases))
        told_of = [world.store.state_of(lease.id) is not None for lease in leases]
        assert told_of.count(True) == count
    world.reader.close()
    world.store.close()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_one_of_the_leases_that_a_batch_changes_was_ended_by_somebody(
    opener: Opener, count: int
) -> None:
    world = World(opener)
    leases = [lease_of(world.begin(number)) for number in range(count)]
    world.do(*map(fact.ItemLeased, leases))
    longer = [msgspec.structs.replace(one, until_ms=one.until_ms + 1) for one in leases]
    view = world.prepare([fact.ItemLeased(lease) for lease in longer])
    told(opener.url, f"DELETE FROM stepwell.lease WHERE run_id = '{leases[-1].run_id}'")
    with pytest.raises(Conflict):
        world.commit(view)
    world.store.rollback()
    world.reader.close()
    world.store.close()
