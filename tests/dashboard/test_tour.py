"""`scripts/demo --tour`: the server it fills has a run of every shape."""

import asyncio
import time
from collections.abc import Callable

import pytest

from demo.seeds import fill
from demo.tour import tour
from stepwell.embedded import attach
from stepwell.server.config import ServerConfig
from stepwell.server.serving import Server

SHAPES = {
    "one step",
    "a thousand steps",
    "a hundred at once",
    "waiting",
    "cancelled",
    "batch",
    "a tree",
    "an agent",
    "huge",
    "many scripts",
    "clock skew",
}
GIVE_UP_S = 120


# Its own functions run on the loop, and one of them makes and returns 18,000 lines.
@pytest.mark.stalls("Dispatcher._run")
@pytest.mark.slow
async def test_the_tour_has_a_run_of_every_shape() -> None:
    server = Server(ServerConfig(host="127.0.0.1", port=0, connect_gateway_port=0, poll=False))
    await server.start()
    try:
        await attach(server.node, tour, list(tour.functions), alone=False)
        server.release_apps()
        url = server.url.replace("localhost", "127.0.0.1")
        runs = await asyncio.to_thread(fill, url, _until)
    finally:
        tour.attach(None)
        await server.stop()
    assert set(runs) >= SHAPES
    assert len(set(runs.values())) == len(runs)


def _until(what: str, holds: Callable[[], bool]) -> None:
    """Waits, but for the run that is tried twenty times: that takes twenty seconds of sleep."""
    if "retrying" in what:
        return
    give_up = time.monotonic() + GIVE_UP_S
    while not holds():
        assert time.monotonic() < give_up, what
        time.sleep(0.05)
