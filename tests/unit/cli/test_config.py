"""`stepwell config`: every decision with its reason, keys as fingerprints (A.9, A.10)."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from stepwell.cli.main import main
from stepwell.sdk.settings import fingerprint


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("INNGEST", "STEPWELL", "KUBERNETES")):
            monkeypatch.delenv(name)


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["config", *words])


def decided(*words: str) -> dict[str, Any]:
    found = run(*words, "--json")
    assert found.exit_code == 0, found.output
    return {row["name"]: (row["value"], row["reason"]) for row in json.loads(found.output)}


def test_defaults_and_their_reasons() -> None:
    found = decided()
    assert found["mode"] == ("cloud", "default; set INNGEST_DEV=1 for development")
    assert found["api_origin"] == ("https://api.inngest.com/", "default of cloud mode")
    assert found["event_key"] == (None, "no argument event_key, no INNGEST_EVENT_KEY")
    assert found["streaming"] == ("disable", "default; no INNGEST_STREAMING")


def test_every_value_has_a_reason_that_can_be_acted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    found = decided()
    assert all(
        "no " in reason or "default of" in reason or "set " in reason
        for _, reason in found.values()
    )
    assert found["env"][1] == "no argument env, no INNGEST_ENV or 6 others"
    monkeypatch.setenv("FLY_APP_NAME", "shop")
    found = decided()
    assert found["platform"] == ("fly", "FLY_APP_NAME=shop")
    assert found["trust_proxy"] == (True, "the proxy is that of fly")


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INNGEST_DEV", "http://127.0.0.1:9999")
    monkeypatch.setenv("BRANCH_NAME", "fix-it")
    found = decided()
    assert found["mode"] == ("dev", "INNGEST_DEV=http://127.0.0.1:9999")
    assert found["event_origin"] == ("http://127.0.0.1:9999", "INNGEST_DEV")
    assert found["env"] == ("fix-it", "BRANCH_NAME")


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_keys_are_never_shown(monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    keys = {
        "INNGEST_EVENT_KEY": "event-key-1",
        "INNGEST_SIGNING_KEY": "signkey-prod-1234",
        "INNGEST_SIGNING_KEY_FALLBACK": "signkey-prod-5678",
    }
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    output = run(*words).output
    for name, value in keys.items():
        assert value not in output
        assert fingerprint(value) in output
        assert name in output


def test_a_client_is_asked_for_what_it_was_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shown_app.py").write_text(
        "import stepwell\nclient = stepwell.Inngest(app_id='a', is_dev=True, env='mine')\n"
        "@client.on('x')\nasync def handler(ctx: stepwell.Context) -> None: ...\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INNGEST_ENV", "other")
    found = decided("shown_app:client")
    assert found["mode"] == ("dev", "argument is_dev=True")
    assert found["env"] == ("mine", "argument env")


def test_values_that_cannot_be_used_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INNGEST_DEV", "maybe")
    found = run()
    assert found.exit_code == 1
    assert "INNGEST_DEV is 'maybe'" in found.output
    assert run("no_such_module_at_all").exit_code == 1
