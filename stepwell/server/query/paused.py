"""How a function stands that was paused, or let go on, as the API tells it."""

import msgspec


class Paused(msgspec.Struct, frozen=True):
    """Whether a function rests now, and whether that is a change."""

    function: str
    paused: bool
    changed: bool
