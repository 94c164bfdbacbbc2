"""A token opens the topics it names, for a while, and nothing else does."""

import jwt
import pytest

from stepwell.server.realtime.minter import LIFE_S, Minter, TokenRefused, problem_of_topics
from stepwell.wire.realtime import NAME_CHARS_MAX, TOPICS_MAX, TopicPlace

NOW_MS = 1_743_130_137_367
TOPICS = (TopicPlace("order:1", "status"), TopicPlace("order:2", "status"))
ENV = "00000000-0000-4000-b000-000000000000"
MINTER = Minter.of(("abcd",), b"chance", "account", ENV)


def test_a_token_has_the_shape_of_the_official_server() -> None:
    text = MINTER.mint(TOPICS[:1], now_ms=NOW_MS, token_id="01J")
    assert jwt.decode(text, options={"verify_signature": False}) == {
        "iss": "rt.inngest.com",
        "sub": "account",
        "iat": NOW_MS // 1_000,
        "exp": NOW_MS // 1_000 + LIFE_S,
        "jti": "01J",
        "env": ENV,
        "topics": [{"kind": "run", "env_id": ENV, "channel": "order:1", "name": "status"}],
        "publish": False,
    }
    assert MINTER.topics_of(text, now_ms=NOW_MS + LIFE_S * 1_000) == TOPICS[:1]


def test_who_may_not_is_told_why() -> None:
    text = MINTER.mint(TOPICS, now_ms=NOW_MS, token_id="01J")
    with pytest.raises(TokenRefused, match="expired: ask for a new one"):
        MINTER.topics_of(text, now_ms=NOW_MS + (LIFE_S + 7) * 1_000)
    claims = jwt.decode(text, options={"verify_signature": False})
    unsigned = jwt.encode(claims, None, algorithm="none")
    elsewhere = jwt.encode({**claims, "iss": "elsewhere"}, MINTER.secret, algorithm="HS256")
    timeless = jwt.encode({"iss": claims["iss"], "topics": []}, MINTER.secret, algorithm="HS256")
    for wrong in (text[:-2] + "xx", unsigned, elsewhere, timeless, "", "a.b.c", "é.é.é"):
        with pytest.raises(TokenRefused):
            MINTER.topics_of(wrong, now_ms=NOW_MS)
    for other in (("other",), ()):
        with pytest.raises(TokenRefused):
            Minter.of(other, b"x", "account", ENV).topics_of(text, now_ms=NOW_MS)


def test_a_server_that_is_started_again_with_its_key_knows_its_tokens() -> None:
    text = MINTER.mint(TOPICS, now_ms=NOW_MS, token_id="01J")
    again = Minter.of(("abcd",), b"other chance", "account", ENV)
    assert again.topics_of(text, now_ms=NOW_MS) == TOPICS


@pytest.mark.parametrize(
    ("topics", "told"),
    [
        ([], "0 topics: name between 1 and 100"),
        ([TOPICS[0]] * (TOPICS_MAX + 1), "101 topics: name between 1 and 100"),
        ([TOPICS[0], TopicPlace("", "status")], "[1].channel = '': give a name"),
        ([TopicPlace("c", "x" * (NAME_CHARS_MAX + 1))], "[0].name has 257 characters, at most 256"),
    ],
)
def test_topics_are_bounded(topics: list[TopicPlace], told: str) -> None:
    assert problem_of_topics(topics).startswith(told)
