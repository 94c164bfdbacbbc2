"""Servers to attack: one for all tests that leave it as they found it."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tools.attack.target import Target, target


@pytest_asyncio.fixture(loop_scope="package", scope="package")
async def dev(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Target]:
    """A server for development."""
    async with target(tmp_path_factory.mktemp("attacked")) as made:
        yield made
