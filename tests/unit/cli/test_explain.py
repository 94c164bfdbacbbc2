"""`stepwell explain`: the sections of the page of errors, by code."""

import re
from pathlib import Path

from click.testing import CliRunner, Result

from stepwell.cli.main import main
from stepwell.sdk.errors import ErrorCode
from stepwell.wire.failure import STATE_OVERFLOWED, STEPS_OVERFLOWED, TIMEOUT_TOO_LONG

ROOT = Path(__file__).parents[3]


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["explain", *words])


def test_every_code_is_explained() -> None:
    codes = run().output.split()
    assert {code.value for code in ErrorCode} < set(codes)
    for code in codes:
        assert run(code).output.startswith("`"), code


def test_case_and_dashes_do_not_matter() -> None:
    assert run("Step-Nested").output == run("step_nested").output
    assert "INNGEST_EVENT_KEY" in run("EVENT_KEY_UNSPECIFIED").output
    assert "InngestWarning" in run("warning").output


def test_the_names_a_server_gives_are_explained_too() -> None:
    assert "4 MiB" in run("output_too_large").output
    assert run("InngestInvokeTimeoutError").output.startswith("`InngestInvokeTimeoutError`. An")
    assert run("ai-gateway-error").exit_code == 1
    assert run("AIGatewayError").output == run("GatewayError").output
    assert run("Unable to reach SDK URL").exit_code == 0
    names = {"WorkerLost", "ProcessEnded", STEPS_OVERFLOWED, STATE_OVERFLOWED, TIMEOUT_TOO_LONG}
    assert [name for name in names if run(name).exit_code] == []


def test_what_pages_ask_to_have_explained_is() -> None:
    pages = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    asked = {
        code for page in pages for code in re.findall(r"stepwell explain (\w+)", page.read_text())
    }
    assert asked > {"CODE"}
    assert [code for code in asked - {"CODE"} if run(code).exit_code] == []


def test_an_unknown_code_suggests_the_nearest() -> None:
    found = run("event_key_unspecifed")
    assert found.exit_code == 1
    assert "did you mean event_key_unspecified?" in found.output
    assert "lists all codes" in run("zzz").output
