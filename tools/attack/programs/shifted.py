"""`stepwell` with a wall clock that somebody sets: so many seconds are added as stand in a file,
which is read again each time. `python -m tools.attack.programs.shifted FILE ARGUMENTS`."""

import runpy
import sys
import time
from pathlib import Path


def shift(file: Path) -> None:
    """Have this process see another time."""
    wall_ns, wall = time.time_ns, time.time

    def seconds() -> float:
        try:
            return float(file.read_text() or 0)
        except (OSError, ValueError):
            return 0.0

    time.time_ns = lambda: wall_ns() + int(seconds() * 1e9)
    time.time = lambda: wall() + seconds()


if __name__ == "__main__":
    shift(Path(sys.argv[1]))
    sys.argv = ["stepwell", *sys.argv[2:]]
    runpy.run_module("stepwell", run_name="__main__")
