"""How many per period, counted exactly: the times of those admitted are remembered."""

import msgspec

_read = msgspec.msgpack.Decoder(tuple[int, ...])
_write = msgspec.msgpack.Encoder()


class Counted(msgspec.Struct, frozen=True):
    """Whether there was room; what to remember; and, if there was none, when there will be."""

    admitted: bool
    data: bytes
    next_ms: int = 0


def count(limit: int, period_ms: int, data: bytes, now_ms: int) -> Counted:
    """Admit one if fewer than `limit` were in the period that ends now."""
    times = _read.decode(data) if data else ()
    lately = tuple(at for at in times if at > now_ms - period_ms)
    if len(lately) >= limit:
        return Counted(False, data, lately[len(lately) - limit] + period_ms)
    return Counted(True, _write.encode((*lately, now_ms)))
