"""The only place that makes and reads identifiers: ULIDs, step hashes, ids of apps and functions.

Nothing here draws chance or reads a clock: time and random bytes come in as arguments, everything
else is derived from names, so that the same input always gives the same id.
"""

import base64
import binascii
import hashlib
import re
from functools import lru_cache
from uuid import NAMESPACE_OID, uuid5

import msgspec

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
_DIGITS = str.maketrans(_ALPHABET, "0123456789ABCDEFGHIJKLMNOPQRSTUV")
_ULID = re.compile("[0-7][0-9A-HJKMNP-TV-Z]{25}")

ENTROPY_BYTES = 10
FIRST_SEEDED = 1
"""The place of the first event of a request to `/e`, for `seeded_ulid`."""
ULID_TIME_MS_MAX = 2**48 - 1


@lru_cache(maxsize=64)
def _time_letters(time_ms: int) -> str:
    if not 0 <= time_ms <= ULID_TIME_MS_MAX:
        raise ValueError(f"time_ms {time_ms} is not within 0 and 2**48 - 1 milliseconds")
    return "".join(_PAIRS[time_ms >> shift & 1023] for shift in (40, 30, 20, 10, 0))


def ulid_at(time_ms: int, randomness: bytes) -> str:
    """The ULID of an instant (milliseconds since 1970) and exactly 10 random bytes."""
    if len(randomness) != ENTROPY_BYTES:
        raise ValueError(f"a ULID needs exactly 10 random bytes, got {len(randomness)}")
    n = int.from_bytes(randomness, "big")
    p = _PAIRS
    return (
        _time_letters(time_ms)
        + p[n >> 70]
        + p[n >> 60 & 1023]
        + p[n >> 50 & 1023]
        + p[n >> 40 & 1023]
        + p[n >> 30 & 1023]
        + p[n >> 20 & 1023]
        + p[n >> 10 & 1023]
        + p[n & 1023]
    )


def is_ulid(text: str) -> bool:
    """Whether `text` is a ULID in its upper-case form."""
    return _ULID.fullmatch(text) is not None


def ulid_time_ms(ulid: str) -> int:
    """The instant a ULID carries, in milliseconds since 1970. Raises ValueError if it is none."""
    if not is_ulid(ulid):
        raise ValueError(f"{ulid!r} is no ULID: 26 letters of Crockford's base 32")
    return number_of(ulid[:10])


def number_of(letters: str) -> int:
    """The number that letters of a ULID stand for."""
    return int(letters.translate(_DIGITS), 32)


class Seed(msgspec.Struct, frozen=True):
    """What an SDK sends to make the ids of one request repeatable."""

    time_ms: int
    entropy: bytes


def parse_seed(header: str | None) -> Seed | None:
    """The value of `X-Inngest-Event-Id-Seed`; None if absent or malformed, which is no error."""
    time_text, _, entropy_text = (header or "").partition(",")
    if not (time_text.isascii() and time_text.isdecimal()) or len(time_text) > 15:
        return None
    try:
        entropy = base64.b64decode(entropy_text, validate=True)
    except (binascii.Error, ValueError):
        return None
    time_ms = int(time_text)
    if not 0 < time_ms <= ULID_TIME_MS_MAX or len(entropy) != ENTROPY_BYTES:
        return None
    return Seed(time_ms, entropy)


def format_seed(seed: Seed) -> str:
    """A seed as the value of its header."""
    return f"{seed.time_ms},{base64.b64encode(seed.entropy).decode()}"


def seeded_ulid(seed: Seed, index: int) -> str:
    """The id of event number `index` of a request: from `FIRST_SEEDED` on `/e`, 0 on `/invoke`."""
    return ulid_at(seed.time_ms, seed_after(seed, index).entropy)


def seed_after(seed: Seed, count: int) -> Seed:
    """The seed of a further request whose ids go on where so many of this one's end."""
    tail = (int.from_bytes(seed.entropy[6:], "big") + count) % 2**32
    return Seed(seed.time_ms, seed.entropy[:6] + tail.to_bytes(4, "big"))


@lru_cache(maxsize=16_384)
def step_hash(step_id: str) -> str:
    """The id under which a step travels: the SHA-1 of what the user wrote."""
    return hashlib.sha1(step_id.encode(errors="surrogatepass"), usedforsecurity=False).hexdigest()


def derived_ulid(time_ms: int, *parts: str) -> str:
    """The ULID that `time_ms` and the parts, in their order, always give."""
    text = "\0".join(parts) + "".join([f"\0{len(part)}" for part in parts])
    digest = hashlib.sha1(text.encode(errors="surrogatepass"), usedforsecurity=False).digest()
    return ulid_at(time_ms, digest[:ENTROPY_BYTES])


@lru_cache(maxsize=1024)
def app_uuid(name: str) -> str:
    """The id of the app of this name, the same on every server."""
    return str(uuid5(NAMESPACE_OID, name))


@lru_cache(maxsize=4096)
def function_uuid(slug: str) -> str:
    """The id of the function with this composite id (`app-function`)."""
    return str(uuid5(NAMESPACE_OID, f"function:{slug}"))


def event_key_hash(event_key: str) -> str:
    """What introspection says of an event key: its SHA-256 in hex."""
    return hashlib.sha256(event_key.encode()).hexdigest()
