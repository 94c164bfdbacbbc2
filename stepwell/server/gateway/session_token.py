"""The tokens a worker gets from the API and shows to the gateway: who may connect, and how much.

A token is a JSON Web Token, signed with HMAC-SHA-256 under a secret of this server; it lives five
minutes, because a worker dials at once. Opaque to workers. Pure: secret, time and id are given.
"""

import base64
import binascii
import hashlib
import hmac
from typing import Final

import msgspec

from stepwell.wire.connect_limit import APPS_PER_CONNECTION_MAX, SESSION_TOKEN_S

ISSUER: Final = "connect.inngest.com"
AUDIENCE: Final = "gateway.connect.inngest.com"
LEEWAY_S: Final = 30.0
_HEADER: Final = {"alg": "HS256", "typ": "JWT"}


class TokenRefused(ValueError):
    """A token that gives no right to connect. The text is for the log, never for a peer."""


class Entitlement(msgspec.Struct, frozen=True):
    """What the holder of a token may do."""

    account_id: str
    env_id: str
    apps_max: int = APPS_PER_CONNECTION_MAX


class _Limits(msgspec.Struct, rename="camel"):
    apps_per_connection: int = 0


class _Claims(msgspec.Struct):
    iss: str
    aud: list[str] | str
    sub: str
    env: str
    exp: float
    iat: float
    jti: str = ""
    entitlements: _Limits = msgspec.field(default_factory=_Limits)


class _Head(msgspec.Struct):
    alg: str


def mint(entitlement: Entitlement, secret: bytes, *, now_s: float, token_id: str) -> str:
    """A token for one worker, good for five minutes from `now_s` (seconds since 1970)."""
    claims = _Claims(
        iss=ISSUER,
        aud=[AUDIENCE],
        sub=entitlement.account_id,
        env=entitlement.env_id,
        iat=int(now_s),
        exp=int(now_s + SESSION_TOKEN_S),
        jti=token_id,
        entitlements=_Limits(entitlement.apps_max),
    )
    head = _encoded(msgspec.json.encode(_HEADER))
    body = f"{head}.{_encoded(msgspec.json.encode(claims))}"
    return f"{body}.{_encoded(_mac(body, secret))}"


def check(text: str, secret: bytes, *, now_s: float) -> Entitlement:
    """What a token entitles to. Raises TokenRefused for anything this server would not accept."""
    parts = text.split(".")
    if len(parts) != 3:
        raise TokenRefused("not a token")
    head, body, signature = parts
    try:
        if not hmac.compare_digest(_decoded(signature), _mac(f"{head}.{body}", secret)):
            raise TokenRefused("not signed by this server")
        algorithm = msgspec.json.decode(_decoded(head), type=_Head).alg
        claims = msgspec.json.decode(_decoded(body), type=_Claims)
    except (ValueError, msgspec.DecodeError) as error:
        raise TokenRefused(f"not a token: {error}") from None
    if algorithm != "HS256":
        raise TokenRefused("not signed by this server")
    audience = [claims.aud] if isinstance(claims.aud, str) else claims.aud
    if claims.iss != ISSUER or AUDIENCE not in audience:
        raise TokenRefused("meant for somebody else")
    if claims.exp + LEEWAY_S < now_s or claims.iat - LEEWAY_S > now_s:
        raise TokenRefused("expired, or of the future")
    limit = claims.entitlements.apps_per_connection or APPS_PER_CONNECTION_MAX
    return Entitlement(claims.sub, claims.env, limit)


def _mac(text: str, secret: bytes) -> bytes:
    return hmac.digest(secret, text.encode(), hashlib.sha256)


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
