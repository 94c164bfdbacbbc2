"""The flags of `dev` and `start`: all of them are told, and what cannot be used is refused."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stepwell.cli.main import main
from stepwell.server.config import Command, settings_of


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
