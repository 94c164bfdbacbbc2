"""`stepwell migrate` plans, applies and verifies."""

from click.testing import CliRunner

from stepwell.cli.verbs.migrate import migrate
from stepwell.server.store.postgres.migrating import migrations
from tests.postgres import told


def ran(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(migrate, words)
    return result.exit_code, result.output


def test_a_database_is_planned_brought_and_verified(database: str) -> None:
    uri = "--postgres-uri", database
    newest = max(migrations())
    code, said = ran(*uri, "--plan")
    assert code == 0
    assert "is at schema 0\n" in said
    assert "to do: 1. The tables of the first version." in said
    assert said.count("to do: ") == newest
    code, said = ran(*uri, "--verify")
    assert code == 1
    assert "is missing: column run.id text not null" in said
    code, said = ran(*uri)
    assert code == 0, said
    assert said.endswith("verified: the tables are those of this version\n")
    code, said = ran(*uri, "--plan")
    assert f"is at schema {newest}\nnothing is to be done\n" in said
    told(database, "ALTER TABLE stepwell.run DROP COLUMN parts; ALTER TABLE stepwell.run ADD x int")
    code, said = ran(*uri, "--verify")
    assert code == 1
    assert "is missing: column run.parts integer not null" in said
    assert "is not of this version: column run.x integer" in said
    assert "differs from this version in 2 places" in said


def test_what_cannot_be_done_is_said_in_a_sentence(database: str) -> None:
    ran("--postgres-uri", database)
    told(database, "UPDATE stepwell.schema_version SET version = 999")
    code, said = ran("--postgres-uri", database)
    assert code == 1
    assert "has schema 999, and this version of Stepwell knows" in said
    code, said = ran("--postgres-uri", "postgresql://nobody@127.0.0.1:1/x")
    assert code == 1
    assert "cannot be reached" in said
    assert ran("--postgres-uri", database, "--plan", "--verify")[0] == 2
