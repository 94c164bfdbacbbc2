"""Which functions an event of some name starts, and which names are near it. Pure."""

from difflib import get_close_matches

import msgspec

from stepwell.server.engine.state.catalog import Catalog

NEAR_MAX = 3
_CUTOFF = 0.5


class Listening(msgspec.Struct, frozen=True):
    """The functions that listen to an event name (some of them perhaps under a condition), and the
    nearest names that any function listens to."""

    event: str
    functions: tuple[str, ...]
    near: tuple[str, ...] = ()


def listening(catalog: Catalog, name: str) -> Listening:
    """Who listens to a name. Where nobody does, the nearest names are told."""
    functions = tuple(listener.listing.slug for listener in catalog.listeners(name))
    if functions:
        return Listening(name, functions)
    heard = sorted(
        {
            trigger.event
            for listing in catalog.listings.values()
            for trigger in listing.triggers
            if trigger.event and not trigger.event.startswith("inngest/")
        }
    )
    near = get_close_matches(name, heard, NEAR_MAX, cutoff=_CUTOFF)
    return Listening(name, (), tuple(near))
