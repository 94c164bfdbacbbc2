"""The flags of `dev` and `start`: all of them are told, and what cannot be used is refused."""

from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from stepwell.cli.main import main
from stepwell.cli.running import show_settings
from stepwell.server.config import (
    Command,
    ServerConfig,
    Surroundings,
    fingerprint,
    server_config,
    settings_of,
)


def called(*arguments: str, env: dict[str, str] | None = None) -> Result:
    clean = dict.fromkeys(("INNGEST_SIGNING_KEY", "INNGEST_EVENT_KEY", "INNGEST_CONFIG"), None)
    return CliRunner().invoke(main, arguments, env={**clean, **(env or {})})


@pytest.mark.parametrize("command", list(Command))
def test_help_lists_every_flag_with_its_default_and_variable(command: Command) -> None:
    told = " ".join(called(command.value, "--help").output.split())
    for setting in settings_of(command):
        assert f"--{setting.flag}" in told
        if setting.flag not in {"signing-key", "signing-key-fallback", "event-key"}:
            assert f"env: {setting.variables[1]}]" in told
    assert told.count("[default: ") >= len(settings_of(command))


def test_verbs_are_listed() -> None:
    told = called("--help")
    assert told.exit_code == 0
    for verb in ("dev", "start", "send", "runs", "run", "doctor", "version"):
        assert f"  {verb} " in told.output
    assert called("nonsense").exit_code == 2


def test_version_is_told() -> None:
    assert called("version").output.strip()
    assert called("--version").output.startswith("stepwell, version ")


def test_production_does_not_run_without_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = called("start")
    assert refused.exit_code == 1
    assert "signing-key is required" in refused.output
    assert "at least one event-key is required" in refused.output


def test_every_bad_flag_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    flags = ("--port", "x", "-u", "nowhere", "--durability", "some")
    refused = called("dev", *flags, env={"INNGEST_TICK": "0"})
    assert refused.exit_code == 1
    for said in ("port (--port): 'x'", "'nowhere' is no URL", "durability", "tick (INNGEST_TICK)"):
        assert said in refused.output


def shown(config: ServerConfig, *, everything: bool) -> list[list[str]]:
    console = Console(file=StringIO(), width=200)
    show_settings(console, config, everything=everything)
    assert isinstance(console.file, StringIO)
    return [line.split() for line in console.file.getvalue().splitlines()]


def test_production_tells_mode_url_and_the_fingerprints_of_its_keys(tmp_path: Path) -> None:
    flags = {"signing-key": "signkey-prod-12ab", "event-key": ("k1", "k2"), "port": 8300}
    config = server_config(Command.START, flags, Surroundings({}, tmp_path, tmp_path))
    told = {line[0]: line[1:] for line in shown(config, everything=True)}
    assert told["mode"][0] == "production:"
    assert told["url"] == ["http://localhost:8300"]
    assert told["signing-key"] == [fingerprint("signkey-prod-12ab"), "flag"]
    assert told["event-key"] == [f"{fingerprint('k1')},", fingerprint("k2"), "flag"]
    assert told["durability"] == ["full", "default"]


def test_development_tells_what_was_chosen_and_no_more(tmp_path: Path) -> None:
    config = server_config(Command.DEV, {"port": 0}, Surroundings({}, tmp_path, tmp_path))
    told = shown(config, everything=False)
    assert [line[0] for line in told] == ["mode", "url", "port"]
    assert told[1][1:] == ["a", "free", "port", "of", "localhost"]
