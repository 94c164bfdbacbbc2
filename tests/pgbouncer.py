"""A PgBouncer of the tests' own, in transaction mode, before the server of `tests/postgres.py`: the
only place that starts one.

Use the fixture `pooled_database`: the database of `engine_database`, through the pooler.
"""

import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from tests.postgres import Postgres, free_port, other_user, program

MISSING = "PgBouncer is missing: install it (Debian and Ubuntu: apt-get install pgbouncer)"
START_SECONDS = 30


def _path() -> str | None:
    """Where it is: Debian keeps it where only the system's administrator looks."""
    kept = Path("/usr/sbin/pgbouncer")
    return program("pgbouncer") or (str(kept) if kept.exists() else None)


@pytest.fixture(scope="session")
def pgbouncer_port(postgres: Postgres) -> Iterator[int]:
    """The port of a running PgBouncer, the same for the whole session."""
    path = _path()
    if path is None:
        pytest.skip(MISSING)
    port, user = free_port(), other_user()
    with tempfile.TemporaryDirectory(prefix="stepwell-pgbouncer-") as name:
        folder = Path(name)
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": port,
            "unix_socket_dir": "",
            "auth_type": "any",
            "pool_mode": "transaction",
            "default_pool_size": 6,
            "logfile": folder / "log",
        }
        told = "".join(f"{key} = {value}\n" for key, value in settings.items())
        database = f"* = host=127.0.0.1 port={postgres.port} user=postgres\n"
        (folder / "ini").write_text(f"[databases]\n{database}[pgbouncer]\n{told}")
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        process = subprocess.Popen(
            [path, "--quiet", str(folder / "ini")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=None if user is None else user.pw_uid,
            group=None if user is None else user.pw_gid,
            extra_groups=None if user is None else [],
        )
        try:
            _wait_until_ready(process, port)
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(START_SECONDS)


def _wait_until_ready(process: "subprocess.Popen[bytes]", port: int) -> None:
    limit = time.monotonic() + START_SECONDS
    while time.monotonic() < limit and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise AssertionError("PgBouncer did not start")


@pytest.fixture
def pooled_database(engine_database: str, pgbouncer_port: int) -> str:
    """The URL of an empty database with the engine's tables, through the pooler."""
    url = re.sub(r":\d+/", f":{pgbouncer_port}/", engine_database)
    with psycopg.connect(url, prepare_threshold=None) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    return f"{url}?pgbouncer=true"
