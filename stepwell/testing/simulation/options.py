"""How wild a simulated world is."""

from random import Random

import msgspec

from stepwell.testing.simulation.faults import SHARED, Fault
from stepwell.testing.simulation.workload import Pace


class Options(msgspec.Struct, frozen=True):
    """How wild a world is. `odds` are per opportunity; `events` is how many users send; `skew_ms`,
    how far the clock of each of the `servers` is off at most; `restarts`, how often one of them, or
    what they share, is stopped in order."""

    odds: dict[Fault, float] = msgspec.field(default_factory=dict[Fault, float])
    events: int = 12
    meddling: int = 6
    spread_ms: int = 120_000
    pace: Pace = "short"
    poll_ms: int = 5_000
    capacity: int = 20
    retention_ms: int = 0
    controlled: bool = False
    servers: int = 1
    skew_ms: int = 0
    restarts: int = 0


def options_of(seed: int) -> Options:
    """A world for a seed: some calm, most with a few faults, some without any action.

    Each fault is drawn by itself: another one in the list leaves the worlds without it as they are.
    """
    draw = Random(f"{seed}/options")
    odds: dict[Fault, float] = {}
    mood = draw.random()
    if mood > 0.15:
        alone = [fault for fault in Fault if fault not in SHARED]
        drawn = {fault: Random(f"{seed}/{fault.value}") for fault in alone}
        odds = {
            fault: chance.choice((0.01, 0.05, 0.2))
            for fault, chance in drawn.items()
            if chance.random() < 0.25
        }
    if mood > 0.9:
        odds[Fault.LOST_ACTIONS] = 1.0
    return Options(
        odds=odds,
        events=draw.randint(3, 14),
        meddling=draw.randint(0, 8),
        spread_ms=draw.choice((1_000, 60_000, 300_000)),
        capacity=draw.choice((1, 3, 50)),
        poll_ms=draw.choice((5_000, 60_000)),
        retention_ms=draw.choice((0, 0, 0, 90_000)),
    )
