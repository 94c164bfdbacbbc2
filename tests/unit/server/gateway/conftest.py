"""A server, and one worker by hand."""

from collections.abc import AsyncIterator

import pytest

from tests.unit.server.gateway.hand import Pair, server_and_hand


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    async with server_and_hand() as both:
        yield both
