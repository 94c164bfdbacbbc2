"""A server that stands still, and goes on later with what it had begun."""

from collections.abc import Callable
from random import Random

from stepwell.testing.simulation.faults import Fault, Plan
from stepwell.testing.virtual_time import Later

PAUSES_S = (0.5, 12.0, 80.0)
"""How long: less than it is taken for alive, more, and more than a lease."""


class Standing:
    """Whether a server stands still. What it has begun stands still with it."""

    def __init__(self, plan: Plan, chance: Random, now_s: Callable[[], float]) -> None:
        self.plan = plan
        self.chance = chance
        self.now_s = now_s
        self.until_s = 0.0

    def check(self, *, may_begin: bool = True) -> None:
        """Raises `Later` while it does."""
        if may_begin and self.plan.strikes(Fault.PAUSED):
            self.until_s = self.now_s() + self.chance.choice(PAUSES_S)
        if self.now_s() < self.until_s:
            raise Later(self.until_s - self.now_s())
