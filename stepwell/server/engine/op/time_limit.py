"""How long a step may wait: a duration or a date, at most 366 days on."""

import msgspec

from stepwell.server.engine.draft import Draft
from stepwell.wire.duration import parse_when
from stepwell.wire.failure import TIMEOUT_TOO_LONG


class Limit(msgspec.Struct, frozen=True):
    """Why a time-out cannot be used."""

    name: str
    message: str


def until_ms(draft: Draft, timeout: str, *, absent_ms: int = 0) -> int | Limit:
    """When the wait gives up. Without a time-out it does after `absent_ms`."""
    if not timeout:
        return draft.now.ms + absent_ms
    try:
        until = parse_when(timeout, draft.now.ms)
    except ValueError as error:
        return Limit("InvalidDuration", str(error))
    if until > draft.now.ms + draft.rules.wait_max_ms:
        return Limit(TIMEOUT_TOO_LONG, f'the timeout "{timeout}" is more than one year')
    return until
