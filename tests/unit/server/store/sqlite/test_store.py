"""What the SQLite store promises beyond the contract: few rows, no needless reads, bounded memory,
clear failures, nothing lost."""

import random
import re
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from stepwell.server.engine.message import record as fact
from stepwell.server.engine.message.need import Meeting, Need, Old
from stepwell.server.engine.row.run import MAIN, Item, ItemKind, RunStatus, WaitKind
from stepwell.server.store.port import Busy, Corrupt, RunFilter, Unavailable, Unstorable
from stepwell.server.store.sqlite import loading
from stepwell.server.store.sqlite.connection import SQL, open_keeper
from stepwell.server.store.sqlite.keeper import copy_back, return_pages
from stepwell.server.store.sqlite.store import SqliteStore
from stepwell.testing.contract.store_world import (
    APP,
    NOW,
    World,
    event_id_of,
    event_number,
    lease_of,
    run_id_of,
    run_number,
    step_of,
    wait_of,
)


class Opener:
    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self) -> SqliteStore:
        store = SqliteStore(self.path, durability="relaxed")
        store.migrate()
        return store


@pytest.fixture
def opener(tmp_path: Path) -> Opener:
    return Opener(tmp_path / "a.db")


@pytest.fixture
def world(opener: Opener) -> Iterator[World]:
    world = World(opener)
    yield world
    world.reader.close()
    world.store.close()


@pytest.fixture
def said(world: World) -> list[str]:
    """Every statement the writing connection is given."""
    statements: list[str] = []
    database(world).set_trace_callback(statements.append)
    return statements


def database(world: World) -> sqlite3.Connection:
    assert isinstance(world.store, SqliteStore)
    return world.store._db


def read(said: list[str]) -> list[str]:
    found = [statement for statement in said if statement.startswith("SELECT")]
    said.clear()
    return found


# -- rows and reads -------------------------------------------------------------------------------


def test_a_one_step_run_is_five_rows_and_each_further_step_two(world: World) -> None:
    """Beside them, its beginning, start and end are each counted by the minute and by the hour, and
    how long it took by the hour."""
    changes = database(world)
    before = changes.total_changes + 2
    run = world.begin(1)
    assert changes.total_changes - before == 2
    world.do(fact.ItemLeased(lease_of(run)))
    assert changes.total_changes - before == 2
    before += 2
    begun = msgspec.structs.replace(run, status=RunStatus.RUNNING, started_ms=NOW, version=2)
    for number in range(3):
        world.do(
            fact.StepSaved(step_of(run, f"s{number}", number)),
            fact.ItemMoved(Item(run.id, MAIN, ItemKind.CALL, NOW + number + 1, APP)),
            fact.RunChanged(begun),
        )
        assert changes.total_changes - before == 4 + 2 * number
    world.finish(msgspec.structs.replace(run, started_ms=NOW), NOW + 9)
    assert changes.total_changes - before == 9 + 2 + 1


def test_however_many_runs_a_batch_begins_its_counts_are_two_rows(world: World) -> None:
    before = database(world).total_changes
    runs = [run_number(number) for number in range(50)]
    world.do(*(fact.RunStarted(run, Item(run.id, MAIN, ItemKind.CALL, NOW, APP)) for run in runs))
    assert database(world).total_changes - before == 50 + 2


def test_a_change_that_changes_nothing_is_not_written(world: World) -> None:
    run = world.begin(1)
    before = database(world).total_changes
    world.do(
        fact.RunChanged(run),
        fact.ItemAdded(Item(run.id, MAIN, ItemKind.CALL, NOW, APP)),
        fact.ItemDone(run.id, "no such item"),
    )
    assert database(world).total_changes == before


def test_a_batch_of_one_step_runs_leaves_little_in_the_log(world: World) -> None:
    runs = [run_number(number) for number in range(100)]
    log = Path(f"{database_path(world)}-wal")
    before = log.stat().st_size
    starts = [fact.RunStarted(run, Item(run.id, MAIN, ItemKind.CALL, NOW, APP)) for run in runs]
    world.do(*(fact.EventStored(event_number(number)) for number in range(100)), *starts)
    world.do(*(fact.StepSaved(step_of(run, "a" * 40, 1)) for run in runs))
    world.do(
        *(
            fact.RunFinished(
                msgspec.structs.replace(run, status=RunStatus.COMPLETED, ended_ms=NOW, output=b"1")
            )
            for run in runs
        )
    )
    assert (log.stat().st_size - before) / 100 < 4_096


def database_path(world: World) -> str:
    assert isinstance(world.store, SqliteStore)
    return world.store.path


def test_going_on_with_a_run_reads_nothing(world: World, said: list[str]) -> None:
    run = world.begin(1)
    read(said)
    need = Need(runs=frozenset({run.id}), steps=frozenset({(run.id, "a"), (run.id, "b")}))
    world.look(need)
    world.do(fact.StepSaved(step_of(run, "a", 1)), need=need)
    world.do(fact.ItemMoved(Item(run.id, MAIN, ItemKind.CALL, NOW + 9, APP)))
    assert world.look(need).is_saved(run.id, "a")
    assert world.look(Need(bodies=frozenset({event_id_of(1)}))).body(event_id_of(1)) is not None
    world.finish(run, NOW)
    catalog = ("FROM app", "function", "FROM flow_key WHERE kind")
    assert [line for line in read(said) if not any(part in line for part in catalog)] == []


def test_looking_for_work_reads_nothing_but_the_first_time(world: World, said: list[str]) -> None:
    world.keys_due()
    read(said)
    for number in range(20):
        run = world.begin(number)
        assert world.keys_due() == [(run.id, MAIN)]
        world.do(fact.ItemLeased(lease_of(run)))
        assert world.keys_due() == []
    assert [line for line in read(said) if "due_ms" in line] == []


def test_an_event_nobody_waits_for_reads_nothing(world: World, said: list[str]) -> None:
    run = world.begin(1)
    world.do(fact.WaitOpened(wait_of(run, "g", WaitKind.SIGNAL, "sent")))
    read(said)
    view = world.look(Need(meetings=(Meeting("E", "sent", b"{}"),)))
    assert view.meeting("E", "sent", "") == []
    assert [line for line in read(said) if "FROM wait" in line] == []


@pytest.mark.parametrize(("paths", "queries", "seen"), [(20, 20, 20), (300, 1, 100)])
def test_however_many_paths_are_waited_by_an_event_asks_little(
    world: World, said: list[str], paths: int, queries: int, seen: int
) -> None:
    run = world.begin(1)
    world.do(
        *(
            fact.WaitOpened(
                msgspec.structs.replace(
                    wait_of(run, f"w{n:03}", WaitKind.EVENT, "sent"), path=f'["p{n}"]', value="1.0"
                )
            )
            for n in range(paths)
        )
    )
    read(said)
    body = msgspec.json.encode({f"p{n}": 1 for n in range(paths)})
    view = world.look(Need(meetings=(Meeting("E", "sent", body, "", 100),)))
    assert len([line for line in read(said) if "FROM wait" in line]) == queries
    found = view.meeting("E", "sent", "")
    assert [wait.step_id for wait in found] == [f"w{n:03}" for n in range(seen)]


def test_sleeping_runs_take_no_memory(world: World, said: list[str]) -> None:
    sleepers = 12_000
    for first in range(0, sleepers, 2_000):
        records: list[fact.Record] = []
        for number in range(first, first + 2_000):
            run = run_number(number)
            records.append(fact.RunStarted(run, Item(run.id, MAIN, ItemKind.CALL, NOW, APP)))
            records.append(fact.ItemDone(run.id, MAIN))
            records.append(fact.ItemAdded(Item(run.id, "s", ItemKind.SLEEP, NOW + 10**9 + number)))
        world.do(*records)
    world.reopen()
    assert isinstance(world.store, SqliteStore)
    memory = world.store._ready.memory
    assert world.due().next_due_ms == NOW + 10**9
    assert len(memory.due) == 1_024
    run = world.begin(sleepers + 1)
    assert world.keys_due() == [(run.id, MAIN)]
    assert len(memory.due) == 1_025


def test_a_store_at_rest_gives_its_memory_back(world: World, said: list[str]) -> None:
    assert isinstance(world.store, SqliteStore)
    run = world.begin(1)
    world.store.tidy()
    assert "PRAGMA shrink_memory" not in said
    recent = world.store._ready.memory.recent
    assert recent.runs.peek(run.id) is not None
    world.store.tidy()
    assert "PRAGMA shrink_memory" in said
    assert recent.runs.peek(run.id) is None
    said.clear()
    world.store.tidy()
    assert "PRAGMA shrink_memory" not in said
    world.do(fact.StepSaved(step_of(run, "a", 1)))
    assert world.look(Need(steps=frozenset({(run.id, "a")}))).is_saved(run.id, "a")


def test_every_look_up_has_an_index(world: World) -> None:
    """But for small lists, and the search for what must not be."""
    listed = {"stranded", "waited", "apps", "functions", "events_after"}
    listed |= {"holds", "flow_keys", "lanes", "forget_bulks", "lost_slots"}
    scans: list[str] = []
    for name, statement in SQL.items():
        if name in listed or name.startswith(("insert", "put")):
            continue
        numbered = [int(number) for number in re.findall(r"\?(\d+)", statement)]
        asked: dict[str, int] | list[int] = [1] * max(numbered, default=statement.count("?"))
        if not asked:
            asked = dict.fromkeys(re.findall(r":(\w+)", statement), 1)
        plan = database(world).execute(f"EXPLAIN QUERY PLAN {statement}", asked)
        scans += [f"{name}: {row[3]}" for row in plan if row[3].startswith("SCAN")]
    # An app is forgotten rarely, and has few functions; the rest are lists that were handed in, and
    # what a statement itself has found so far.
    allowed = ("CONSTANT ROW", "function", "json_each", "known", "subquery", "of_items", "of_runs")
    assert [scan for scan in scans if not any(word in scan for word in allowed)] == []


LISTS = ("runs_down", "runs_up", "deferred_down", "deferred_up")


def test_no_look_up_of_the_hot_path_sorts(world: World) -> None:
    for name in ("due_main", "due_item", "meeting", "signal", "look_back", "old_runs", *LISTS):
        statement = SQL[name]
        numbered = [int(number) for number in re.findall(r"\?(\d+)", statement)]
        asked: dict[str, int] | list[int] = [1] * max(numbered, default=statement.count("?"))
        if not asked:
            asked = dict.fromkeys(re.findall(r":(\w+)", statement), 1)
        plan = database(world).execute(f"EXPLAIN QUERY PLAN {statement}", asked)
        assert [row[3] for row in plan if "TEMP B-TREE" in row[3]] == [], name


def test_runs_with_many_steps_are_forgotten_a_few_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "OLD_STEPS_MAX", 7)
    for number in range(6):
        run = world.begin(number)
        world.do(*(fact.StepSaved(step_of(run, f"s{n}", n)) for n in range(3)))
        world.finish(run, NOW + number)
    big = world.begin(6)
    world.do(*(fact.StepSaved(step_of(big, f"s{n}", n)) for n in range(20)))
    world.finish(big, NOW + 6)
    named: list[int] = []
    while old := world.look(Need(old=Old(NOW + 50, 100))).old_runs:
        named.append(len(old))
        world.do(*(fact.RunForgotten(run_id) for run_id in old))
    assert named == [2, 2, 2, 1]
    assert database(world).execute("SELECT count(*) FROM step").fetchone() == (0,)


def test_the_disk_stays_bounded_however_long_a_server_runs(world: World) -> None:
    """Wave after wave of runs, each forgotten before the next: the file stops growing."""
    path = Path(getattr(world.store, "path", ""))
    connection = open_keeper(str(path))
    sizes: list[int] = []
    for wave in range(6):
        first = wave * 300
        for number in range(first, first + 300, 50):
            records: list[fact.Record] = []
            for one in range(number, number + 50):
                run = run_number(one)
                event = msgspec.structs.replace(event_number(one), body=b"e" * 2_000)
                step = step_of(run, "a", one, b"s" * 2_000)
                item = Item(run.id, MAIN, ItemKind.CALL, NOW, APP)
                ended = msgspec.structs.replace(
                    run, status=RunStatus.COMPLETED, ended_ms=NOW + wave, output=b"o" * 500
                )
                records += [fact.EventStored(event), fact.RunStarted(run, item)]
                records += [fact.StepSaved(step), fact.RunFinished(ended)]
            world.do(*records)
        while True:
            old = world.look(Need(old=Old(NOW + 1_000_000, 200)))
            if not old.old_runs and not old.old_events:
                break
            gone = [fact.RunForgotten(run_id) for run_id in old.old_runs]
            world.do(*gone, *(fact.EventForgotten(event_id) for event_id in old.old_events))
        copy_back(connection, str(path))
        sizes.append(path.stat().st_size)
        if wave == 3:
            # What is free is given back, too.
            while return_pages(connection):
                pass
            copy_back(connection, str(path))
            assert path.stat().st_size < sizes[0] / 4
    connection.close()
    assert max(sizes) <= sizes[0] * 1.1
    for table in ("event", "run", "step", "item", "wait", "note", "run_event"):
        count = database(world).execute(f"SELECT count(*) FROM {table}").fetchone()
        assert count == (0,), table


# -- what goes wrong ------------------------------------------------------------------------------


def test_a_full_disk_refuses_clearly_and_loses_nothing(world: World) -> None:
    run = world.begin(1)
    pages = database(world).execute("PRAGMA page_count").fetchone()[0]
    database(world).execute(f"PRAGMA max_page_count = {pages + 5}")
    big = [fact.StepSaved(step_of(run, f"s{n}", n, b"x" * 20_000)) for n in range(5)]
    view = world.prepare(big)
    with pytest.raises(Unavailable, match=r"no space is left for .*a\.db; free some"):
        world.store.write(view.changes)
    world.store.rollback()
    assert world.reader.steps(run.id) == []
    assert world.run(run.id).run(run.id) == run
    assert world.keys_due() == [(run.id, MAIN)]
    database(world).execute(f"PRAGMA max_page_count = {pages + 500}")
    world.do(*big)
    assert len(world.reader.steps(run.id)) == 5


def test_a_value_that_fits_no_row_is_refused_and_nothing_else_is(world: World) -> None:
    far = Item(run_id_of(1), MAIN, ItemKind.CALL, 2**63, APP)
    bad = world.prepare([fact.RunStarted(run_number(1), far)])
    with pytest.raises(Unstorable, match="a value fits no row"):
        world.store.write(bad.changes)
    world.store.rollback()
    world.begin(2)
    assert [run.id for run in world.reader.runs(RunFilter())] == [run_id_of(2)]


def test_a_second_store_on_the_file_is_refused(world: World) -> None:
    with pytest.raises(Unavailable, match=r"a\.db is in use by process \d+; stop it, or give"):
        SqliteStore(database_path(world))


def test_another_writer_is_waited_for_by_nobody(world: World) -> None:
    other = sqlite3.connect(database_path(world), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    view = world.prepare([fact.EventStored(event_number(1))])
    with pytest.raises(Busy, match="another program holds the write lock"):
        world.store.write(view.changes)
    world.store.rollback()
    other.execute("COMMIT")
    other.close()
    world.begin(1)


def test_what_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"this is no database" * 500)
    with pytest.raises(Corrupt, match="no intact Stepwell database"):
        SqliteStore(path)
    assert path.read_bytes() == b"this is no database" * 500
    path.unlink()
    store = SqliteStore(path)
    store.close()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="check the folder"):
        SqliteStore(tmp_path / "no" / "a.db")


def test_a_change_of_a_run_that_is_not_there_is_our_error(world: World) -> None:
    ghost = run_number(1)
    for record in (
        fact.RunChanged(ghost),
        fact.StepSaved(step_of(ghost, "a", 1)),
        fact.WaitOpened(wait_of(ghost, "w")),
        fact.ItemAdded(Item(ghost.id, MAIN, ItemKind.CALL, NOW, APP)),
    ):
        view = world.prepare([record])
        with pytest.raises(Corrupt, match="there is no such run"):
            world.store.write(view.changes)
        world.store.rollback()


def test_closing_twice_is_closing_once(opener: Opener) -> None:
    store = opener.open()
    store.load(Need(runs=frozenset({"R"})), World(Opener(opener.path.with_name("b.db"))).look())
    store.close()
    store.close()


# -- nothing is lost ------------------------------------------------------------------------------


@pytest.mark.parametrize("durability", ["full", "relaxed"])
def test_a_process_that_dies_leaves_every_commit_and_nothing_else(
    tmp_path: Path, durability: str
) -> None:
    """The files as they lie there when it dies, opened by the next."""
    chance = random.Random(3)
    store = SqliteStore(tmp_path / "a.db", durability=durability)  # type: ignore[arg-type]
    store.migrate()
    assert store.commit_blocks == (durability == "full")

    class Given:
        def open(self) -> SqliteStore:
            return store

    world = World(Given())
    for number in range(30):
        world.begin(number)
        view = world.prepare([fact.EventStored(event_number(1_000 + number))])
        store.write(view.changes)
        if chance.random() < 0.2:
            for ending in ("", "-wal"):
                shutil.copy(f"{store.path}{ending}", tmp_path / f"after.db{ending}")
            after = SqliteStore(tmp_path / "after.db")
            after.migrate()
            reader = after.reader()
            assert reader.run(run_id_of(number)) == run_number(number)
            assert reader.event(event_id_of(number)) == event_number(number)
            assert reader.event(event_id_of(1_000 + number)) is None
            reader.close()
            after.close()
        store.rollback()
    world.reader.close()
    store.close()


def test_a_commit_may_happen_on_another_thread(world: World) -> None:
    view = world.prepare([fact.EventStored(event_number(1))])
    world.store.write(view.changes)
    thread = threading.Thread(target=world.store.commit)
    thread.start()
    thread.join()
    world.store.keep(view.changes)
    assert world.reader.event(event_id_of(1)) == event_number(1)
