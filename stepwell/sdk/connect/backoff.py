"""What a worker does after a failure: how long it waits, which key it tries, when it gives up.

Pure functions over what happened; `chance` is a number from 0 up to 1 that the shell drew. Nothing
here remembers.
"""

from typing import Final

import msgspec

from stepwell.wire.connect_limit import (
    CLOSE_BAD_DATA,
    CLOSE_GOING_AWAY,
    CLOSE_POLICY,
    REASON_AUTH_FAILED,
    REASON_GATEWAY_CLOSING,
    REASON_HELLO_TIMEOUT,
)
from stepwell.wire.connect_word import SyncFailed

SCHEDULE_S: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
JITTER: Final = 0.2
DRAIN_DELAY_S: Final = (0.5, 1.5)
LIMIT_DELAY_MIN_S: Final = 30.0
CONFIG_DELAY_MIN_S: Final = 60.0

TOO_MANY_CONNECTIONS: Final = (
    "You have reached the maximum number of concurrent connections. Please disconnect other "
    "active workers to continue. A plan or a server may allow more."
)
UNAUTHORIZED: Final = (
    "unauthorized: the server refused every signing key this worker has; check "
    "INNGEST_SIGNING_KEY and INNGEST_SIGNING_KEY_FALLBACK"
)


def delay_s(failures: int, chance: float, *, max_s: float = SCHEDULE_S[-1]) -> float:
    """The wait in seconds after `failures` failures in a row, with a fifth of jitter either way.

    No failure yet (a connection that worked was lost): at once.
    """
    if failures <= 0:
        return 0.0
    wait = min(SCHEDULE_S[min(failures, len(SCHEDULE_S) - 1)], max_s)
    return wait * (1 - JITTER + 2 * JITTER * chance)


class StartFailure(msgspec.Struct, frozen=True):
    """A start call that did not give a place to connect. `status` is None if nobody answered."""

    message: str
    status: int | None = None
    advice: str = ""
    """What the user may have forgotten, as the end of a sentence."""


class Situation(msgspec.Struct, frozen=True):
    """What a verdict depends on besides the failure itself."""

    failures: int
    """Failures in a row, this one included."""
    first: bool
    """No connection has been ready yet: the user is watching, mistakes are worth an exception."""
    keys: int
    """How many signing keys there are."""
    keys_refused: int
    """How many of them were refused in a row, this time included."""
    tokens_refused: int
    """How many session tokens a gateway refused in a row, this time included."""
    chance: float
    delay_max_s: float = SCHEDULE_S[-1]


class Verdict(msgspec.Struct, frozen=True):
    """What to do next."""

    delay_s: float
    words: str
    fatal: bool = False
    loud: bool = False
    """Worth the level of an error: nothing goes on until somebody acts."""
    switch_key: bool = False
    unauthorized: bool = False


def after_start(failure: StartFailure, given: Situation) -> Verdict:
    """Judge a failed start call."""
    wait = delay_s(given.failures, given.chance, max_s=given.delay_max_s)
    match failure.status:
        case 401 | 403 if given.keys_refused < given.keys:
            return Verdict(
                0.0, "the signing key was refused; trying the other one", switch_key=True
            )
        case 401 | 403:
            slow = max(wait, LIMIT_DELAY_MIN_S)
            return Verdict(
                slow,
                UNAUTHORIZED + failure.advice,
                fatal=given.first,
                loud=True,
                switch_key=True,
                unauthorized=True,
            )
        case 429:
            return Verdict(max(wait, LIMIT_DELAY_MIN_S), TOO_MANY_CONNECTIONS, loud=True)
        case 400:
            words = f"the server did not understand the start call: {failure.message}"
            return Verdict(max(wait, LIMIT_DELAY_MIN_S), words)
        case _:
            return Verdict(wait, f"the start call failed: {failure.message}{failure.advice}")


class Closure(msgspec.Struct, frozen=True):
    """A socket that ended, by the peer or because we gave it up."""

    code: int
    reason: str
    sync_failed: SyncFailed | None = None
    was_active: bool = False


def after_close(closure: Closure, given: Situation) -> Verdict:
    """Judge the end of a socket nobody here wanted to end."""
    wait = delay_s(given.failures, given.chance, max_s=given.delay_max_s)
    if closure.sync_failed is not None:
        problem = closure.sync_failed
        words = f"the server refused the apps of this worker: {problem.code} {problem.message}"
        slow = max(wait, CONFIG_DELAY_MIN_S)
        return Verdict(slow, words.rstrip(), fatal=given.first, loud=True)
    named = f"{closure.code} {closure.reason}".rstrip()
    if closure.code == CLOSE_GOING_AWAY and closure.reason == REASON_GATEWAY_CLOSING:
        low, high = DRAIN_DELAY_S
        return Verdict(low + (high - low) * given.chance, "the gateway is draining")
    if closure.code == CLOSE_POLICY and closure.reason == REASON_AUTH_FAILED:
        # The token may simply have expired; only a second time in a row may it be the key.
        again = given.tokens_refused > 1
        return Verdict(
            wait if again else 0.0,
            "the gateway refused the session token",
            switch_key=again and given.keys > 1,
        )
    if closure.code == CLOSE_POLICY and closure.reason != REASON_HELLO_TIMEOUT:
        words = f"the gateway refused this worker: {named}"
        return Verdict(max(wait, CONFIG_DELAY_MIN_S), words, fatal=given.first)
    if closure.code == CLOSE_BAD_DATA:
        words = f"the gateway could not read this worker: {named}"
        return Verdict(max(wait, SCHEDULE_S[1]), words)
    return Verdict(wait, f"the connection ended: {named}")
