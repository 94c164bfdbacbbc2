"""Keys are made, shown once, listed and revoked from the command line."""

from click.testing import CliRunner, Result

from stepwell.cli.main import main
from stepwell.server.config import Command, ServerConfig
from tests.unit.cli.test_asking import FIXED, Running, register

CLOSED = ServerConfig(
    command=Command.START,
    host="localhost",
    port=0,
    connect_gateway_port=0,
    signing_keys=("signkey-test-12345678",),
    event_keys=("k",),
)


def call(server: Running, key: str, *arguments: str) -> Result:
    env = {**dict.fromkeys(FIXED), "STEPWELL_URL": server.url, "STEPWELL_API_KEY": key}
    return CliRunner().invoke(main, arguments, env={**env, "COLUMNS": "160"})


def test_a_key_from_its_making_to_its_end(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Running(CLOSED) as server:
        register(server, authorization="Bearer 12345678")
        made = call(server, "12345678", "keys", "create", "ci")
        assert made.exit_code == 0, made.output
        key = made.stdout.strip()
        assert key.startswith("swk_")
        assert "may read" in made.stderr
        assert call(server, key, "runs").stdout.strip() == "no runs"
        refused = call(server, key, "pause", "shop-order")
        assert refused.exit_code == 1
        assert "it takes one of the role 'operate'" in refused.output
        listed = call(server, "12345678", "keys", "list").stdout
        id_ = made.stderr.split()[1]
        assert [id_, "read", "ci"] == listed.splitlines()[1].split()[:3]
        assert key not in listed
        gone = call(server, "12345678", "keys", "revoke", id_)
        assert gone.stdout.strip() == f"key {id_} (ci) opens nothing any more"
        away = call(server, key, "runs")
        assert "refuses the key it was given" in away.output
        assert call(server, "12345678", "keys", "revoke", "nothing").exit_code == 1
