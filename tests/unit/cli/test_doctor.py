"""`stepwell doctor` finds a run that nothing will ever move, in a file and at a server."""

import sqlite3
import time
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from stepwell.cli.main import main
from stepwell.server.config import Command, ServerConfig
from stepwell.server.engine.message import record as fact
from stepwell.server.engine.row.flow import Hold, HoldKind, Slot
from stepwell.server.engine.row.run import MAIN, Item, ItemKind, WaitKind
from stepwell.server.store.sqlite.store import SqliteStore
from stepwell.testing.contract.store_world import NOW, World, run_id_of, run_number, wait_of
from tests.unit.cli.test_asking import Running
from tests.unit.server.api.harness import function, registration
from tests.unit.server.store.sqlite.test_store import Opener


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """One run of each kind: due, sleeping, waiting, ended, and two that lost what moved them."""
    path = tmp_path / "stepwell.db"
    world = World(Opener(path))
    for number in range(6):
        world.begin(number)
    world.do(
        fact.ItemDone(run_id_of(1), MAIN),
        fact.ItemAdded(Item(run_id_of(1), "s", ItemKind.SLEEP, NOW + 10**12)),
    )
    world.do(
        fact.ItemDone(run_id_of(2), MAIN),
        fact.WaitOpened(wait_of(run_number(2), "w", WaitKind.EVENT)),
    )
    world.finish(run_number(3), NOW)
    world.do(
        fact.ItemDone(run_id_of(4), MAIN),
        fact.WaitOpened(wait_of(run_number(4), "d", WaitKind.DEFER, "later")),
    )
    world.reader.close()
    world.store.close()
    # Not even the server's own records do this: the row is damaged.
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE run SET due_ms = NULL WHERE id = ?", (run_id_of(5),))
    connection.close()
    return path


def test_a_file_with_stranded_runs(database: Path) -> None:
    told = CliRunner().invoke(main, ["doctor", "--database", str(database)], env={"COLUMNS": "160"})
    assert told.exit_code == 1
    assert "2 stranded runs" in told.output
    assert [number for number in range(6) if run_id_of(number) in told.output] == [4, 5]
    assert "report it" in told.output


def test_a_server_with_stranded_runs(database: Path) -> None:
    config = ServerConfig(
        command=Command.DEV,
        port=0,
        connect_gateway_port=0,
        persist=True,
        sqlite_dir=str(database.parent),
        retention_ms=None,
    )
    with Running(config) as server:
        told = server.call("doctor")
    assert told.exit_code == 1
    assert [number for number in range(6) if run_id_of(number) in told.output] == [4, 5]


def test_a_file_that_is_in_use_is_left_alone(database: Path) -> None:
    store = SqliteStore(database)
    told = CliRunner().invoke(main, ["doctor", "--database", str(database)])
    store.close()
    assert told.exit_code == 1
    assert "in use" in told.output


def test_a_run_whose_function_is_gone_says_so_at_a_server_and_in_its_file(tmp_path: Path) -> None:
    config = ServerConfig(
        command=Command.DEV,
        port=0,
        connect_gateway_port=0,
        persist=True,
        sqlite_dir=str(tmp_path),
        retention_ms=None,
    )
    with Running(config) as server:
        url = f"{server.url}/fn/register"
        there = registration(function("order", event="shop/order"))
        assert httpx.post(url, json=there).status_code == 200
        # It is to run in an hour; by then nobody serves it.
        later = {"name": "shop/order", "data": {}, "ts": time.time_ns() // 1_000_000 + 3_600_000}
        assert httpx.post(f"{server.url}/e/key", json=later).status_code == 200
        assert server.call("doctor").exit_code == 0
        renamed = registration(function("order2", event="shop/order"))
        assert httpx.post(url, json=renamed).status_code == 200
        runs = httpx.get(f"{server.url}/v1/runs").json()["data"]
        told = server.call("run", runs[0]["run_id"])
        assert "app shop no longer serves function shop-order since" in told.output
    asked = ["doctor", "--database", str(tmp_path / "stepwell.db")]
    told = CliRunner().invoke(main, asked, env={"COLUMNS": "200"})
    assert told.exit_code == 1
    assert "1 run of shop-order: app shop no longer serves function shop-order" in told.output
    assert f"the oldest: stepwell run {runs[0]['run_id']}" in told.output


def test_a_file_with_a_batch_whose_function_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "held.db"
    world = World(Opener(path))
    key = "batch:shop-gone:1"
    world.do(fact.HoldPut(Hold(key, "shop-gone", HoldKind.BATCH, NOW, NOW + 9, "E", NOW, 2)))
    world.reader.close()
    world.store.close()
    told = CliRunner().invoke(main, ["doctor", "--database", str(path)], env={"COLUMNS": "160"})
    assert told.exit_code == 1
    assert "held for shop-gone: 2 events in a batch since" in told.output


def test_a_file_with_a_place_of_a_run_that_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "lost.db"
    world = World(Opener(path))
    run = world.begin(1)
    world.do(fact.SlotTaken(Slot("concurrency:shop-a", run.id, NOW)))
    world.finish(run, NOW)
    world.reader.close()
    world.store.close()
    told = CliRunner().invoke(main, ["doctor", "--database", str(path)], env={"COLUMNS": "200"})
    assert told.exit_code == 1
    assert f"lost: run {run.id} has ended, and a place under concurrency:shop-a" in told.output
