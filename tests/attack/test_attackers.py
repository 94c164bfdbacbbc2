"""Every attacker of `scripts/attack`, with a few fixed seeds."""

from random import Random

import pytest

from stepwell.server.api.app import routes_of
from tests.unit.server.api.harness import serving
from tools.attack.__main__ import known
from tools.attack.attackers.http_fuzz import PATHS
from tools.attack.target import Target

pytestmark = pytest.mark.asyncio(loop_scope="package")

MB = 1 << 20


SEEDS = {"clock": [1], "full_disk": [1], "poison": [3]}
"""These start processes of their own: one seed each. The poison of seed 3 ends a thread of its
process; one that ends the process takes four, and is in `test_poison.py`."""


async def test_every_route_is_attacked() -> None:
    async with serving() as api:
        routes = routes_of(api.deps)
    attacked = {path for _, path in PATHS}
    assert {route.path for route in routes} - attacked == set()


@pytest.mark.parametrize(
    ("name", "seed"),
    [(name, seed) for name in sorted(known()) for seed in SEEDS.get(name, [1, 2])],
)
async def test_the_server_holds(dev: Target, name: str, seed: int) -> None:
    before = dev.memory
    told = await known()[name](dev, Random(f"{name} {seed}"))
    assert told
    assert await dev.is_well()
    assert dev.memory - before < 64 * MB
    assert "Traceback" not in dev.logged()
