"""`stepwell copy` copies, counts or refuses, and says which."""

from contextlib import closing
from pathlib import Path

import psycopg
from click.testing import CliRunner

from stepwell.cli.verbs.copy_store import copy_store
from stepwell.server.engine.row.run import EventRow
from stepwell.server.engine.state.changes import Changes
from stepwell.server.store.sqlite.store import SqliteStore


def ran(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(copy_store, words)
    return result.exit_code, result.output


def stopped_server(path: Path) -> str:
    """The place of a file with one event."""
    with closing(SqliteStore(path)) as store:
        store.migrate()
        store.write(Changes(events=[EventRow("e1", "order", 1, 1, b"{}")]))
        store.commit()
    return f"sqlite:{path}"


def test_a_file_is_counted_copied_and_copied_back(tmp_path: Path, database: str) -> None:
    file = stopped_server(tmp_path / "there.db")
    places = "--from", file, "--to", database
    code, said = ran(*places, "--dry-run")
    assert code == 0, said
    counts = "event                     1\nrows                      1\n"
    assert said == f"{counts}nothing was copied: it is a dry run\n"
    with psycopg.connect(database) as connection:
        found = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'stepwell'")
        assert found.fetchone() is None
    code, said = ran(*places)
    assert code == 0, said
    assert said.endswith(f"{counts}copied, and compared\n")
    for more in ((), ("--dry-run",)):
        code, said = ran(*places, *more)
        assert code == 1
        assert "is not empty: its table event has rows" in said
    back = tmp_path / "back.db"
    assert ran("--from", database, "--to", f"sqlite:{back}", "--dry-run")[0] == 0
    assert not back.exists()
    code, said = ran("--from", database, "--to", f"sqlite:{back}")
    assert code == 0, said
    with closing(SqliteStore(back)) as store:
        store.migrate()
        assert store.reader().event("e1") == EventRow("e1", "order", 1, 1, b"{}")
    code, said = ran("--from", database, "--to", f"sqlite:{back}", "--dry-run")
    assert code == 1
    assert "back.db is there already" in said


def test_what_cannot_be_read_as_a_place_is_said_without_a_password() -> None:
    code, said = ran("--from", "mysql://me:secret@host/x", "--to", "sqlite:x.db")
    assert code == 2
    assert "give sqlite:FILE or postgresql://user:password@host:5432/database" in said
    assert "secret" not in said
    code, said = ran("--from", "sqlite:a.db", "--to", "sqlite:b.db")
    assert code == 2
    assert "give one sqlite: and one postgresql: place" in said
    code, said = ran("--from", "sqlite:/none/a.db", "--to", "postgresql://nobody@127.0.0.1:1/x")
    assert code == 1
    assert "/none/a.db is not there; give the file of the server that was stopped" in said
