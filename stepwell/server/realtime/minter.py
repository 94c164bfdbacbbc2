"""The tokens that subscribers show: which topics they may hear of.

A token is a JSON Web Token (HS256) of the shape the official server gives. It lives a minute,
because whoever asks for one connects at once; who is connected stays so. Pure: secret and time are
given.
"""

import hashlib
import hmac
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from stepwell.wire.realtime import TOPICS_MAX, TopicPlace, problem_of_name

ISSUER: Final = "rt.inngest.com"
LIFE_S: Final = 60
_LEEWAY_S: Final = 5
_ALGORITHM: Final = "HS256"


class TokenRefused(ValueError):
    """A token that opens nothing. The text says why."""


class Minter(msgspec.Struct, frozen=True):
    """Makes and checks the tokens of one server, or of all that have its signing key."""

    secret: bytes
    account_id: str
    env_id: str

    @classmethod
    def of(
        cls, signing_keys: tuple[str, ...], chance: bytes, account_id: str, env_id: str
    ) -> "Minter":
        """Signed with what follows from the signing key, with `chance` where there is none."""
        secret = signing_keys[0].encode() if signing_keys else chance
        return cls(hmac.digest(secret, b"stepwell realtime", hashlib.sha256), account_id, env_id)

    def mint(
        self, topics: Iterable[TopicPlace], *, now_ms: int, token_id: str, life_s: int = LIFE_S
    ) -> str:
        """A token for these topics."""
        now_s = now_ms // 1_000
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "sub": self.account_id,
            "iat": now_s,
            "exp": now_s + life_s,
            "jti": token_id,
            "env": self.env_id,
            "topics": [
                {"kind": "run", "env_id": self.env_id, "channel": one.channel, "name": one.topic}
                for one in topics
            ],
            "publish": False,
        }
        import jwt  # noqa: PLC0415 - it brings all of cryptography, and few subscribe

        return jwt.encode(claims, self.secret, algorithm=_ALGORITHM)

    def topics_of(self, text: str, *, now_ms: int) -> tuple[TopicPlace, ...]:
        """The topics a token is for. Raises TokenRefused."""
        import jwt  # noqa: PLC0415 - as above

        try:
            claims = jwt.decode(
                text,
                self.secret,
                algorithms=[_ALGORITHM],
                issuer=ISSUER,
                # By the clock of the server, which is not always the machine's.
                options={"verify_exp": False, "verify_iat": False, "require": ["exp", "iat"]},
            )
        except jwt.InvalidTokenError as error:
            raise TokenRefused(str(error)) from None
        if int(claims["exp"]) + _LEEWAY_S < now_ms // 1_000:
            raise TokenRefused("the token has expired: ask for a new one")
        return tuple(TopicPlace(one["channel"], one["name"]) for one in claims["topics"])


def problem_of_topics(topics: Iterable[TopicPlace]) -> str:
    """What is wrong with the topics that somebody asks for; nothing if they can be had."""
    wanted = tuple(topics)
    if not wanted or len(wanted) > TOPICS_MAX:
        return f"{len(wanted)} topics: name between 1 and {TOPICS_MAX}"
    for place, one in enumerate(wanted):
        problem = problem_of_name(f"[{place}].channel", one.channel) or problem_of_name(
            f"[{place}].name", one.topic
        )
        if problem:
            return problem
    return ""
