"""Named limits from the command line: listed, given other numbers, and as the code says again."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import stepwell
from stepwell.cli.main import main
from tests.unit.cli.test_asking import FIXED, FREE, Running


def call(server: Running, *arguments: str) -> Result:
    env = {**dict.fromkeys(FIXED), "STEPWELL_URL": server.url, "COLUMNS": "160"}
    return CliRunner().invoke(main, ["limits", *arguments], env=env)


def test_a_limit_from_its_making_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Running(FREE) as server:
        assert call(server).stdout.strip() == "no limits"
        made = call(server, "set", "openai", "--rate", "500", "--period", "1m")
        assert made.stdout.strip() == "openai allows 500 per 1m; 0 in use, 0 waiting", made.output
        call(server, "set", "openai", "--concurrency", "3")
        listed = call(server).stdout.splitlines()
        assert listed[1].split() == ["openai", "3", "at", "once", "an", "operator", "0", "0"]
        client = stepwell.Inngest(app_id="shop", is_production=False, base_url=server.url)
        (state,) = client.limits_sync()
        assert (state.name, state.concurrency, state.is_changed) == ("openai", 3, True)
        assert client.set_limit_sync("openai", rate=7, period="1h").period == "1h"
        assert call(server, "reset", "openai").stdout.strip() == "openai allows anything"
        with pytest.raises(stepwell.Error, match="HTTP 404: Limit not found"):
            client.reset_limit_sync("openai")


def test_what_cannot_be_names_the_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Running(FREE) as server:
        assert "say what it allows: --concurrency N" in call(server, "set", "openai").output
        missing = call(server, "set", "openai", "--rate", "5").output
        assert "period is missing: rate needs it, as in rate 500 per period 1m" in missing
        assert "no name of a limit" in call(server, "set", "a b", "--concurrency", "1").output
        assert call(server, "reset", "none").exit_code == 1
