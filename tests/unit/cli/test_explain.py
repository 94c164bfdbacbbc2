"""`stepwell explain`: the sections of the page of errors, by code."""

from click.testing import CliRunner, Result

from stepwell.cli.main import main
from stepwell.sdk.errors import ErrorCode


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


def test_an_unknown_code_suggests_the_nearest() -> None:
    found = run("event_key_unspecifed")
    assert found.exit_code == 1
    assert "did you mean event_key_unspecified?" in found.output
    assert "lists all codes" in run("zzz").output
