"""Attacks a server of its own for some minutes, and prints what that did to it.

    scripts/attack [--minutes 5] [--seed N] [--only http_fuzz,slow_clients]

Every module of `tools/attack/attackers` is an attacker: its `attack(target, chance)` does something
bounded to the server at `target`, by the choices of `chance`, says in a sentence what it did, and
raises AssertionError where the server did not hold. With the same seed it does the same again.
"""

import argparse
import asyncio
import pkgutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from random import Random

from tools.attack import attackers
from tools.attack.target import Target, target

Attack = Callable[[Target, Random], Awaitable[str]]


def known() -> dict[str, Attack]:
    """Every attacker, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(attackers.__path__))
    return {name: import_module(f"{attackers.__name__}.{name}").attack for name in names}


async def attacked(minutes: float, seed: int, chosen: dict[str, Attack]) -> list[str]:
    """Attack by turns until the time is up, each at least once. What did not hold."""
    problems: list[str] = []
    end = time.monotonic() + minutes * 60
    with tempfile.TemporaryDirectory() as folder:
        async with target(Path(folder)) as made:
            probing = asyncio.ensure_future(made.probe())
            first = seed
            try:
                while time.monotonic() < end or seed == first:
                    for name, attack in chosen.items():
                        if problem := await _one(made, name, attack, seed):
                            problems.append(problem)
                    seed += 1
            finally:
                probing.cancel()
    return problems


async def _one(made: Target, name: str, attack: Attack, seed: int) -> str:
    made.calm()
    problem = ""
    try:
        told = await attack(made, Random(f"{name} {seed}"))
        if not await made.is_well():
            raise AssertionError("the server does not answer")
    except AssertionError as error:
        told = problem = f"{name} --seed {seed}: {error}"
    late, worked = await _stalls_ms(made)
    print(
        f"seed {seed:<6} {name:<14} {made.memory >> 20:5} MB {made.descriptors:5} files"
        f" {made.longest_s * 1000:6.0f} ms  loop {late:5.0f} ms, its own {worked:5.0f} ms  {told}",
        flush=True,
    )
    return problem


async def _stalls_ms(made: Target) -> tuple[float, float]:
    try:
        late, worked = await made.stalls_s()
    except OSError:
        return 0.0, 0.0
    return late * 1000, worked * 1000


def main() -> None:
    """Attack as the command line says."""
    parser = argparse.ArgumentParser(prog="scripts/attack", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--minutes", type=float, default=5.0, help="how long [5]")
    parser.add_argument("--seed", type=int, default=1, help="where to begin [1]")
    parser.add_argument("--only", default="", help="attackers, with commas between them")
    wanted = parser.parse_args()
    there = known()
    names = [name for name in wanted.only.split(",") if name] or list(there)
    if strangers := set(names) - set(there):
        sys.exit(f"no attacker is called {', '.join(strangers)}; there are {', '.join(there)}")
    chosen = {name: there[name] for name in names}
    problems = asyncio.run(attacked(wanted.minutes, wanted.seed, chosen))
    if problems:
        sys.exit("\n".join(["it did not hold:", *problems]))


if __name__ == "__main__":
    main()
