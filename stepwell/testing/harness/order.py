"""In which order things happen that may happen in any: parallel steps, calls that begin together.

What goes first is decided by waiting: each call and each step waits a drawn number of turns of the
event loop before it begins, and before its result is stored.
"""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from random import Random

from stepwell.testing.harness.errors import HarnessError

TURNS = (0, 0, 1, 2, 3, 5, 8, 13, 30)
"""How long is waited. The longest is longer than the shortest steps take from begin to end."""
TURNS_MAX = 1_000


class Order:
    """One order, by the number of turns that each thing waits; after these nothing waits."""

    def __init__(self, turns: Sequence[int] = ()) -> None:
        """Raises HarnessError for what is no number of turns."""
        for turn in turns:
            if not 0 <= turn <= TURNS_MAX:
                raise HarnessError(f"Order: {turn} turns: give numbers from 0 to {TURNS_MAX}")
        self.turns = tuple(turns)

    def __repr__(self) -> str:
        return f"Order({list(self.turns)})"

    def drawn(self) -> Iterator[int]:
        """How long each thing waits, from the first on."""
        return chain(self.turns, repeat(0))


class SeededOrder(Order):
    """An order that a seed draws, however many things there are."""

    def __init__(self, seed: int) -> None:
        """Raises HarnessError for what is no seed."""
        super().__init__()
        if isinstance(seed, bool) or not isinstance(seed, int):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise HarnessError(f"order = {seed!r}: give a whole number, the seed that was printed")
        self.seed = seed

    def __repr__(self) -> str:
        return f"SeededOrder({self.seed})"

    def drawn(self) -> Iterator[int]:
        """How long each thing waits, from the first on."""
        chance = Random(f"{self.seed}/order")
        while True:
            yield chance.choice(TURNS)


async def wait_turns(drawn: Iterator[int]) -> None:
    """Let others go first, as long as the next number says."""
    for _ in range(next(drawn)):
        await asyncio.sleep(0)
