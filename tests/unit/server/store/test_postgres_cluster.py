"""Two processes on one PostgreSQL database: what each of them sees of the other, and waits for."""

import threading
import time
from collections.abc import Callable, Iterator

import msgspec
import psycopg
import pytest

from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.need import Meeting, Need
from stepwell.server.engine.name.held import held_place
from stepwell.server.engine.row.flow import FlowKey, KeyKind
from stepwell.server.engine.row.run import MAIN, Wait, WaitKind
from stepwell.server.engine.state.view import View
from stepwell.server.store.port import Conflict, Hint, Stale, Unavailable
from stepwell.server.store.postgres import cluster, presence, session
from stepwell.server.store.postgres.connection import Connection
from stepwell.server.store.postgres.locks import locks_of, row_of_name
from stepwell.server.store.postgres.presence import Presence
from stepwell.server.store.postgres.session import Session
from stepwell.server.store.postgres.store import PostgresStore
from stepwell.testing.contract.store_world import (
    NOW,
    World,
    app_named,
    event_number,
    lease_of,
    run_id_of,
)
from stepwell.wire.function_config import CODE_PAUSE
from tests.postgres import Opener, told

Two = tuple[World, World]


@pytest.fixture
def two(engine_database: str) -> Iterator[Two]:
    opener = Opener(engine_database)
    worlds = World(opener), World(opener)
    yield worlds
    for world in worlds:
        world.reader.close()
        world.store.rollback()
        world.store.close()


def until(holds: Callable[[], object]) -> None:
    """Return when it holds: the test's own limit of time tells when it never does."""
    while not holds():
        time.sleep(0.005)


def until_one_waits(url: str) -> None:
    """Return when somebody waits for a row of somebody else."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    until(lambda: told(url, waiting))


def migrated(url: str) -> None:
    """Begin to use a database, and let go of it."""
    store = PostgresStore(url)
    store.migrate()
    store.close()


def _write(world: World, view: View) -> None:
    """Write what a view changed, and have the database do so: nothing is committed yet."""
    world.store.write(view.changes)
    world.store._session.send()


def test_what_is_due_is_given_to_one_of_them(two: Two) -> None:
    first, second = two
    runs = [first.begin(number) for number in range(4)]
    assert len(first.keys_due(limit=2)) == 2
    # Those are locked, and one more: the other is given what is left, and does not wait.
    assert second.keys_due() == [(runs[3].id, MAIN)]
    second.store.rollback()
    view = first.due(limit=2)
    for run in runs[:2]:
        view.apply(fact.ItemLeased(lease_of(run)))
    first.store.write(view.changes)
    first.store.commit()
    assert second.keys_due() == [(run.id, MAIN) for run in runs[2:]]


def test_a_lease_that_ran_out_is_taken_back_by_one_of_them(two: Two) -> None:
    first, second = two
    run = first.begin(1)
    lease = lease_of(run)
    first.do(fact.ItemLeased(lease))
    late_ms = lease.until_ms + 1
    assert [one.run_id for one in first.due(late_ms).overdue()] == [run.id]
    assert second.due(late_ms).overdue() == []
    assert [one.run_id for one in first.due(late_ms).overdue()] == [run.id]


def test_a_catalog_that_another_changed_is_read_again(two: Two) -> None:
    first, second = two
    stale = second.store.catalog()
    first.do(fact.AppStored(app_named("shop")))
    view = View(stale, second.store.waited)
    with pytest.raises(Stale):
        second.store.load(Need(runs=frozenset({run_id_of(1)})), view)
    second.store.rollback()
    with pytest.raises(Stale):
        view.apply(fact.AppStored(app_named("mine")))
        second.commit(view)
    second.store.rollback()
    assert "shop" in second.look().catalog.apps
    second.do(fact.AppStored(app_named("mine")))
    assert set(first.look().catalog.apps) == {"shop", "mine"}


def test_a_call_is_not_held_for_code_that_was_registered_meanwhile(two: Two) -> None:
    first, second = two
    run, other = first.begin(1), first.begin(2)
    held = held_place(run.app, CODE_PAUSE, run.function, "old")
    view = first.look()
    first.store.load(Need(runs=frozenset({other.id})), view)
    second.do(fact.AppStored(app_named("shop")))
    # What was looked for first is as it was: only what is put where nobody looks is at stake.
    first.store.load(Need(runs=frozenset({run.id})), view)
    (item,) = view.items_of(run.id)
    view.apply(fact.ItemMoved(msgspec.structs.replace(item, queue=held)))
    with pytest.raises(Conflict):
        first.commit(view)
    first.store.rollback()
    view = first.run(run.id)
    view.apply(fact.ItemMoved(msgspec.structs.replace(item, queue=held)))
    first.commit(view)
    assert [one.queue for one in second.run(run.id).items_of(run.id)] == [held]
    second.store.rollback()


def test_each_knows_what_workers_at_the_others_bring(two: Two) -> None:
    first, second = (world.store.cluster for world in two)
    assert first is not None and second is not None
    assert first.served == second.served == frozenset()
    first.serve(frozenset({"a", "b"}))
    second.serve(frozenset({"b", "c"}))
    until(lambda: first.served == {"b", "c"} and second.served == {"a", "b"})
    second.serve(frozenset())
    until(lambda: first.served == frozenset())


def test_two_who_change_the_catalog_at_once_do_not_both_do_so(
    two: Two, engine_database: str
) -> None:
    first, second = two
    views = [world.prepare([fact.AppStored(app_named("shop"))]) for world in two]
    for world, view in zip(two, views, strict=True):
        world.store.load(Need(runs=frozenset({run_id_of(1)})), view)
    _write(first, views[0])
    failed: list[Exception] = []

    def write() -> None:
        try:
            second.commit(views[1])
        except Conflict as error:
            failed.append(error)

    writing = threading.Thread(target=write)
    writing.start()
    until_one_waits(engine_database)
    first.store.commit()
    writing.join()
    assert len(failed) == 1


@pytest.mark.parametrize(
    "need",
    [
        Need(keys=frozenset({"concurrency:f:k"})),
        Need(holds=frozenset({"debounce:f:k"})),
        Need(dedups=frozenset({("f", "once")})),
        Need(signals=frozenset({"go"})),
    ],
)
def test_what_is_not_there_is_decided_about_by_one_at_a_time(
    two: Two, engine_database: str, need: Need
) -> None:
    first, second = two
    first.look(need)
    looking = threading.Thread(target=second.look, args=(need,))
    looking.start()
    until_one_waits(engine_database)
    first.store.rollback()
    looking.join()


def test_an_event_sees_a_wait_that_is_being_opened(two: Two, engine_database: str) -> None:
    first, second = two
    run = first.begin(1)
    event = event_number(2, "paid")
    wait = Wait(run.id, "w", WaitKind.EVENT, "paid", opened_ms=NOW, until_ms=NOW + 1)
    view = first.prepare([fact.WaitOpened(wait)])
    _write(first, view)
    found: list[list[Wait]] = []

    def meet() -> None:
        seen = second.look(Need(meetings=(Meeting(event.id, "paid", event.body),)))
        found.append(seen.meeting(event.id, "paid", ""))

    meeting = threading.Thread(target=meet)
    meeting.start()
    until_one_waits(engine_database)
    first.store.commit()
    meeting.join()
    assert found == [[wait]]
    # Events of one name do not wait for each other.
    first.look(Need(meetings=(Meeting(event.id, "paid", event.body),)))


def test_a_name_that_somebody_begins_to_wait_for_is_known_by_the_others(
    two: Two, engine_database: str
) -> None:
    first, second = two
    run = first.begin(1)
    need = Need(names=frozenset({"paid", "shipped"}))
    wait = Wait(run.id, "w", WaitKind.EVENT, "paid", opened_ms=NOW, until_ms=NOW + 1)
    view = first.prepare([fact.WaitOpened(wait)])
    _write(first, view)
    found: list[bool] = []

    def look() -> None:
        seen = second.look(need)
        found.extend(map(seen.is_waited, ("paid", "shipped", "not asked for")))

    looking = threading.Thread(target=look)
    looking.start()
    until_one_waits(engine_database)
    first.store.commit()
    looking.join()
    assert found == [True, False, True]


def test_a_wait_is_opened_after_the_events_that_are_being_stored(
    two: Two, engine_database: str
) -> None:
    first, second = two
    first.look(Need(meetings=(Meeting(event_number(2).id, "paid", b"{}"),)))
    need = Need(waits=frozenset({"paid"}))
    opening = threading.Thread(target=second.look, args=(need,))
    opening.start()
    until_one_waits(engine_database)
    first.store.rollback()
    opening.join()


def test_one_leads_until_it_is_gone(two: Two, engine_database: str) -> None:
    first, _ = two
    clusters = [world.store.cluster for world in two]
    assert [one.leads for one in clusters if one] == [True, False]
    assert clusters[0].secret == clusters[1].secret != b""
    first.store.rollback()
    first.store.close()
    until(lambda: clusters[1].leads)


@pytest.mark.logs("^this server was taken for dead", "^a server is gone without a word")
def test_who_dies_has_its_leases_lost_by_the_others(two: Two, engine_database: str) -> None:
    first, second = two
    run = first.begin(1)
    first.do(fact.ItemLeased(lease_of(run)))
    node = told(engine_database, "SELECT node FROM stepwell.lease")[0][0]
    gone = "UPDATE stepwell.node SET alive_until = clock_timestamp() - interval '1 s', id = 'x'"
    told(engine_database, f"{gone} WHERE id = '{node}'; UPDATE stepwell.lease SET node = 'x'")
    until(lambda: told(engine_database, "SELECT 1 FROM stepwell.lease WHERE until_ms = 0"))
    assert [one.run_id for one in second.due().overdue()] == [run.id]
    # The one that was taken for dead says that it lives.
    until(lambda: len(told(engine_database, "SELECT 1 FROM stepwell.node")) == 2)


def test_a_lease_of_a_commit_that_was_cut_off_is_nobodys(
    two: Two, engine_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = two
    run = first.begin(1)
    commit = Session.commit

    def cut_off(session: Session) -> None:
        commit(session)
        raise Unavailable("nobody can tell")

    with monkeypatch.context() as patched:
        patched.setattr(Session, "commit", cut_off)
        with pytest.raises(Unavailable):
            first.do(fact.ItemLeased(lease_of(run)))
    assert first.reader.leases(run.id) != []
    until(lambda: told(engine_database, "SELECT 1 FROM stepwell.lease WHERE until_ms = 0"))
    assert [one.run_id for one in second.due().overdue()] == [run.id]


def test_who_is_alone_learns_that_it_is_not_any_more(engine_database: str) -> None:
    first, second = PostgresStore(engine_database), PostgresStore(engine_database)
    try:
        first.migrate()
        assert first._presence.is_alone
        first.cluster.listen(lambda hint: None)
        second.migrate()
        assert not second._presence.is_alone
        second.cluster.listen(lambda hint: None)
        until(lambda: not first._presence.is_alone)
    finally:
        first.close()
        second.close()


def test_who_begins_does_not_wait_for_batches_of_those_that_live(
    two: Two, engine_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(session._NEVER_IDLE, "lock_timeout", "20ms")
    monkeypatch.setattr(presence, "STILL_S", 0)
    with psycopg.connect(engine_database) as busy:
        assert len(busy.execute(b"SELECT 1 FROM stepwell.node FOR KEY SHARE").fetchall()) == len(
            two
        )
        migrated(engine_database)


def test_who_begins_waits_for_a_dead_one_that_stands_still_in_a_batch(
    engine_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(session._NEVER_IDLE, "lock_timeout", "20ms")
    refused: list[Conflict] = []
    take = Presence._take

    def until_it_goes_on(self: Presence, connection: Connection) -> object:
        try:
            return take(self, connection)
        except Conflict as conflict:
            refused.append(conflict)
            standing.rollback()
            raise

    migrated(engine_database)
    with psycopg.connect(engine_database) as standing:
        standing.execute(
            "INSERT INTO stepwell.node VALUES ('dead', 'dead', now(), now() - interval '1 s', true)"
        )
        standing.commit()
        standing.execute(b"SELECT 1 FROM stepwell.node FOR KEY SHARE")
        monkeypatch.setattr(Presence, "_take", until_it_goes_on)
        migrated(engine_database)
    assert len(refused) == 1
    assert told(engine_database, "SELECT id FROM stepwell.node") == []


def test_they_tell_each_other_where_something_is_to_be_done(two: Two) -> None:
    first, second = two
    heard: list[Hint] = []
    came = threading.Event()

    def hear(hint: Hint) -> None:
        heard.append(hint)
        came.set()

    for world in two:
        assert world.store.cluster is not None
    first.store.cluster.listen(lambda hint: None)
    second.store.cluster.listen(hear)
    run = first.begin(1)
    while not came.wait(0.05):
        # A message from before the other listened is heard by nobody.
        first.store.cluster.tell("run.started", run.id)
        first.do(fact.ItemLeased(lease_of(run)))
    assert all(isinstance(hint, Hint) for hint in heard)


def test_names_fall_to_rows_and_waits_go_before_events() -> None:
    meeting = Meeting("e", "paid", b"{}")
    assert locks_of(Need(meetings=(meeting,))).together == [row_of_name("paid")]
    locks = locks_of(Need(meetings=(meeting,), waits=frozenset({"paid"})))
    assert locks == ([row_of_name("paid")], [])


def test_a_row_of_flow_control_is_no_change_of_the_catalog(two: Two) -> None:
    first, second = two
    second.look(Need(runs=frozenset({run_id_of(1)})))
    second.store.rollback()
    first.do(fact.FlowKeyPut(FlowKey("rate:f:k", KeyKind.RATE, NOW, 1)), need=Need())
    view = View(second.look().catalog, second.store.waited)
    second.store.load(Need(runs=frozenset({run_id_of(1)})), view)


def test_announcements_go_in_messages_that_fit() -> None:
    told = tuple(("published", f"{number}" * 3_000) for number in range(5))
    hint = Hint(is_due=True, freed=("key",), told=told)
    first, *rest = cluster.messages_of(hint)
    assert first == Hint(is_due=True, freed=("key",))
    assert [one for part in rest for one in part.told] == list(told)
    assert all(len(msgspec.json.encode(part)) < cluster.BYTES_MAX for part in rest)
    assert list(cluster.messages_of(Hint())) == []
