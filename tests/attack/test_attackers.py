"""Every attacker of `scripts/attack`, with a few fixed seeds."""

from random import Random

import pytest

from tools.attack.__main__ import known
from tools.attack.target import Target

pytestmark = pytest.mark.asyncio(loop_scope="package")

MB = 1 << 20


SLOW = {"clock", "full_disk", "poison"}
"""They start servers of their own: one seed each."""


@pytest.mark.parametrize(
    ("name", "seed"),
    [(name, seed) for name in sorted(known()) for seed in ([1] if name in SLOW else [1, 2])],
)
async def test_the_server_holds(dev: Target, name: str, seed: int) -> None:
    before = dev.memory
    told = await known()[name](dev, Random(f"{name} {seed}"))
    assert told
    assert await dev.is_well()
    assert dev.memory - before < 64 * MB
    assert "Traceback" not in dev.logged()
