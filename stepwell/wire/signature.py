"""The only place that signs and verifies: request signatures and hashed bearer keys.

Pure: bytes, key and the present moment come in. All comparisons take constant time.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from urllib.parse import parse_qsl

from stepwell.wire import limit
from stepwell.wire.canonical import jcs, jcs_of_canonical

_PREFIX = re.compile(r"signkey-\w+-", re.ASCII)


class SignatureError(ValueError):
    """A signature that is missing, malformed, too old, from the future, or of another key."""


class SigningKeyError(ValueError):
    """A signing key of a form nobody can use."""


def split_key(signing_key: str) -> tuple[str, str]:
    """A signing key as (prefix, hex text): `signkey-prod-12ab` gives `signkey-prod-` and `12ab`."""
    found = _PREFIX.match(signing_key)
    end = found.end() if found else 0
    return signing_key[:end], signing_key[end:]


def _mac(body: bytes, signing_key: str, time_text: str) -> str:
    key = split_key(signing_key)[1].encode()
    return hmac.new(key, body + time_text.encode(), hashlib.sha256).hexdigest()


def sign(body: bytes, signing_key: str, now_ms: int) -> str:
    """The value of `X-Inngest-Signature` for exactly these bytes (empty for a GET)."""
    time_text = str(now_ms // 1000)
    return f"t={time_text}&s={_mac(body, signing_key, time_text)}"


def sign_canonical(body: bytes, signing_key: str, now_ms: int) -> str:
    """The same for a body in canonical form that the server sends to an app.

    Its form by RFC 8785 is what is signed: the official SDKs read the body and verify that.
    """
    return sign(jcs_of_canonical(body), signing_key, now_ms)


def _parsed(signature: str | None) -> tuple[str, str]:
    if not signature:
        raise SignatureError("the header X-Inngest-Signature is missing: sign the request")
    fields = dict(parse_qsl(signature))
    time_text, mac = fields.get("t", ""), fields.get("s", "")
    if not (time_text.isascii() and time_text.isdecimal() and len(time_text) <= 12 and mac):
        raise SignatureError(
            "the header X-Inngest-Signature is malformed: it must read t=<unix seconds>&s=<hex>"
        )
    return time_text, mac


def _check_time(time_text: str, now_ms: int) -> None:
    age_ms = now_ms - int(time_text) * 1000
    if age_ms > limit.SIGNATURE_AGE_MS_MAX:
        raise SignatureError("the signature is older than 5 minutes: sign again, check the clocks")
    if age_ms < -limit.SIGNATURE_AGE_MS_MAX:
        raise SignatureError("the signature is from the future: check the clocks of both sides")


def _bodies(body: bytes) -> Iterable[bytes]:
    """What a peer may have signed: the bytes as they came, or their form by RFC 8785."""
    yield body
    try:
        form = jcs(body) if body else body
    except ValueError:
        return
    if form != body:
        yield form


def verify(body: bytes, signature: str | None, signing_keys: Iterable[str], now_ms: int) -> str:
    """The first of `signing_keys` (primary, then fallback) that made `signature` over `body`.

    Accepts a signature over the raw bytes or over their form by RFC 8785, at most 5 minutes old or
    ahead. Sign the answer with the key this returns. Raises SignatureError.
    """
    time_text, mac = _parsed(signature)
    _check_time(time_text, now_ms)
    keys = [key for key in signing_keys if key]
    for form in _bodies(body):
        for key in keys:
            if hmac.compare_digest(_mac(form, key, time_text).encode(), mac.lower().encode()):
                return key
    raise SignatureError("the signature does not match: the peer uses another signing key")


def hashed_key(signing_key: str) -> str:
    """The bearer token of a signing key: its prefix and the SHA-256 of its decoded hex.

    Raises SigningKeyError if what follows the prefix is no hex of even length.
    """
    prefix, text = split_key(signing_key)
    try:
        decoded = bytes.fromhex(text)
    except ValueError:
        raise SigningKeyError(
            "the signing key is malformed: after an optional signkey-<env>- it must be hexadecimal,"
            " with an even number of digits"
        ) from None
    return prefix + hashlib.sha256(decoded).hexdigest()


def bearer(signing_key: str) -> str:
    """The value of `Authorization` for requests to the API."""
    return f"Bearer {hashed_key(signing_key)}"


def is_authorized(authorization: str | None, signing_keys: Iterable[str]) -> bool:
    """Whether `Authorization` holds one of the keys, hashed or not, with or without its prefix."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return False
    given = split_key(token.strip())[1].lower().encode()
    held = False
    for key in signing_keys:
        raw = split_key(key)[1]
        for accepted in (split_key(hashed_key(key))[1], raw.lower()):
            held |= bool(raw) and hmac.compare_digest(given, accepted.encode())
    return held
