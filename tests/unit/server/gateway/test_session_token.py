"""The tokens workers show to the gateway."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.server.gateway.session_token import (
    LEEWAY_S,
    Entitlement,
    TokenRefused,
    check,
    mint,
)
from tests.recordings import connect_recordings, recording

SECRET = b"s" * 32
RIGHT = Entitlement("account", "env", 7)
NOW = 1_795_380_982.0


def minted(now_s: float = NOW) -> str:
    return mint(RIGHT, SECRET, now_s=now_s, token_id="01M82GQD22YAD5N7ZJ0G4R7H96")


def forged(claims: dict[str, Any], secret: bytes = SECRET, algorithm: str = "HS256") -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    body = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims)}"
    mac = hmac.digest(secret, body.encode(), hashlib.sha256)
    return f"{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


GOOD = {
    "iss": "connect.inngest.com",
    "aud": ["gateway.connect.inngest.com"],
    "sub": "account",
    "env": "env",
    "iat": int(NOW),
    "exp": int(NOW + 300),
    "jti": "x",
    "entitlements": {"appsPerConnection": 0},
}


def test_what_is_minted_is_accepted_for_five_minutes() -> None:
    assert check(minted(), SECRET, now_s=NOW) == RIGHT
    assert check(minted(), SECRET, now_s=NOW + 300 + LEEWAY_S - 1) == RIGHT
    with pytest.raises(TokenRefused, match="expired"):
        check(minted(), SECRET, now_s=NOW + 302 + LEEWAY_S)
    with pytest.raises(TokenRefused, match="future"):
        check(minted(NOW + 100), SECRET, now_s=NOW)


def test_claims_are_those_of_the_reference() -> None:
    """The recorded tokens, signed with our own secret, are good; their claims are ours too."""
    (start,) = [e for e in recording("sync") if e.get("path_and_query") == "/v0/connect/start"]
    theirs = claims_of(start["response_body"]["fields"]["session_token"])
    ours = claims_of(minted())
    assert set(ours) == set(theirs)
    right = check(forged(theirs), SECRET, now_s=theirs["iat"])
    assert right.account_id == theirs["sub"]
    assert right.apps_max == 10
    assert connect_recordings()


def claims_of(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    loaded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return loaded


@pytest.mark.parametrize(
    "changes",
    [{"iss": "x"}, {"aud": ["x"]}, {"aud": "x"}, {"exp": NOW - 100}, {"iat": NOW + 100}],
)
def test_claims_that_do_not_fit_are_refused(changes: dict[str, Any]) -> None:
    assert check(forged(GOOD), SECRET, now_s=NOW)
    with pytest.raises(TokenRefused):
        check(forged(GOOD | changes), SECRET, now_s=NOW)


def test_only_our_own_signature_counts() -> None:
    for token in (
        forged(GOOD, b"other"),
        forged(GOOD, algorithm="none"),
        forged(GOOD, algorithm="HS512"),
        minted()[:-2] + "xx",
        minted().rsplit(".", 1)[0] + ".",
    ):
        with pytest.raises(TokenRefused):
            check(token, SECRET, now_s=NOW)


@given(st.text(max_size=60) | st.tuples(st.text(), st.text(), st.text()).map(".".join))
def test_no_text_raises_anything_else(text: str) -> None:
    with pytest.raises(TokenRefused):
        check(text, SECRET, now_s=NOW)
