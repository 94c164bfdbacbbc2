"""Who may pass: signatures by key and time, and servers of the other kind."""

import pytest

from stepwell.sdk.serve.gate import Passed, Refused, judge, kind_mismatch
from stepwell.sdk.serve.request import ServeRequest
from stepwell.sdk.settings import Options, Settings, resolve
from stepwell.wire.signature import sign

NOW = 1_700_000_000_000
KEY, OLD = "signkey-test-12345678", "signkey-test-87654321"


def settings(*, dev: bool = False) -> Settings:
    return resolve(Options(is_dev=dev, signing_key=KEY, signing_key_fallback=OLD), {})


def request(signature: str | None, body: bytes = b"{}", **headers: str) -> ServeRequest:
    found = {name.replace("_", "-"): value for name, value in headers.items()}
    if signature is not None:
        found["x-inngest-signature"] = signature
    return ServeRequest(method="POST", url="http://h/x", headers=found, query={}, body=body)


def test_the_key_that_signed_is_known() -> None:
    for key in (KEY, OLD):
        assert judge(request(sign(b"{}", key, NOW)), settings(), NOW) == Passed(key)


@pytest.mark.parametrize(
    ("signature", "reason"),
    [
        (None, "missing"),
        ("x", "malformed"),
        (sign(b"{}", KEY, NOW - 301_000), "older than 5 minutes"),
        (sign(b"{}", KEY, NOW + 302_000), "from the future"),
        (sign(b"{}", "signkey-test-00", NOW), "another signing key"),
    ],
)
def test_f44_refusals_say_why(signature: str | None, reason: str) -> None:
    verdict = judge(request(signature), settings(), NOW)
    assert isinstance(verdict, Refused)
    assert reason in verdict.reason


def test_development_asks_nobody() -> None:
    assert judge(request("nonsense"), settings(dev=True), NOW) == Passed(None)


@pytest.mark.parametrize("kind", [None, "cloud", "strange"])
def test_kinds_that_agree(kind: str | None) -> None:
    headers = {} if kind is None else {"x_inngest_server_kind": kind}
    assert kind_mismatch(request(None, **headers), settings()) is None


def test_f52_kinds_that_do_not_agree_are_named_both() -> None:
    told = kind_mismatch(request(None, x_inngest_server_kind="dev"), settings())
    assert told is not None
    assert "'dev'" in told
    assert "'cloud' mode" in told
    assert "INNGEST_DEV=1" in told
    other = kind_mismatch(request(None, x_inngest_server_kind="cloud"), settings(dev=True))
    assert other is not None
    assert "unset INNGEST_DEV" in other
