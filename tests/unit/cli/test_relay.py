"""`stepwell relay`: the outbox is emptied by a process of its own (D-40)."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import stepwell
from stepwell.cli.main import main
from stepwell.outbox import create_table_sync
from tests.unit.cli.test_asking import FREE, Running

CONNECT = "import sqlite3\ndef connect(): return sqlite3.connect('shop.db')\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with Running(FREE) as running:
        yield running


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("INNGEST"):
            monkeypatch.delenv(name)
    return tmp_path


def left(count: int) -> None:
    """Leave events in the outbox."""
    client = stepwell.Inngest(app_id="shop", is_dev=True)
    with closing(sqlite3.connect("shop.db")) as connection:
        create_table_sync(connection)
        for number in range(count):
            client.send_sync({"name": "a", "id": str(number)}, connection=connection)
        connection.commit()


def waiting() -> int:
    with closing(sqlite3.connect("shop.db")) as connection:
        [[found]] = connection.execute("SELECT count(*) FROM stepwell_outbox").fetchall()
        return int(found)


def relay(server: Running, *words: str) -> Result:
    environ = {"INNGEST_DEV": server.url}
    return CliRunner().invoke(main, ["relay", *words], env=environ)


@pytest.mark.parametrize("database", ["sqlite:///shop.db", "shop_db:connect"])
def test_d_40_what_is_there_is_sent(server: Running, database: str, folder: Path) -> None:
    (folder / "shop_db.py").write_text(CONNECT)
    left(2)
    assert relay(server, database, "--once").output == "2 events sent\n"
    assert relay(server, database, "--once").output == "0 events sent\n"
    assert waiting() == 0


def test_d_40_the_table_can_be_made(server: Running) -> None:
    missing = relay(server, "sqlite:///shop.db", "--once")
    assert isinstance(missing.exception, sqlite3.OperationalError)
    found = relay(server, "sqlite:///shop.db", "--once", "--create-table")
    assert found.output == "0 events sent\n"


def test_d_40_it_goes_on_until_it_is_told_to_end(server: Running) -> None:
    left(1)
    words = [sys.executable, "-m", "stepwell", "relay", "sqlite:///shop.db"]
    environ = {**os.environ, "INNGEST_DEV": server.url}
    process = subprocess.Popen([*words, "--poll-interval", "0.05"], env=environ)
    try:
        for number in range(2):
            give_up = time.monotonic() + 20
            while waiting():
                assert time.monotonic() < give_up
                time.sleep(0.02)
            if number == 0:
                left(1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("database", "words"),
    [
        ("mysql://x", "give postgresql://..., sqlite:///file, or module:function"),
        ("shop.db", "give postgresql://..., sqlite:///file, or module:function"),
        ("nowhere_at_all:connect", "there is no such module"),
        ("json:nothing", "there is no function 'nothing' in json"),
    ],
)
def test_what_names_no_database_is_told(server: Running, database: str, words: str) -> None:
    found = relay(server, database, "--once")
    assert found.exit_code == 1
    assert words in found.output


def test_a_cloud_without_a_key_is_told() -> None:
    found = CliRunner().invoke(main, ["relay", "sqlite:///shop.db", "--once"])
    assert found.exit_code == 1
    assert "couldn't find an event key" in found.output
