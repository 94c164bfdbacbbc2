"""Reads what the runtime wants to know, beside the event loop where that waits for a network."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from stepwell.server.store.port import Reader

Found = TypeVar("Found")


async def asked(reader: Reader, ask: Callable[[], Found]) -> Found:
    """What a question to a reader finds. Raises what the reader does."""
    return await asyncio.to_thread(ask) if reader.blocks else ask()
