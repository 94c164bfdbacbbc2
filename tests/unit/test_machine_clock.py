"""What a server says of the clock is expected where the machine's was set, and only there."""

import inspect
import re

from stepwell.server.runtime import clock_watch
from tests.machine_clock import LATELY_S, LINE, MachineClock


class Clocks:
    wall_s = 1_000.0
    steady_s = 5.0

    def pass_(self, seconds: float) -> None:
        self.wall_s += seconds
        self.steady_s += seconds


def test_only_a_clock_that_was_set_lately_is_spoken_of() -> None:
    clocks = Clocks()
    machine = MachineClock(lambda: clocks.wall_s, lambda: clocks.steady_s)
    clocks.pass_(100)
    assert machine.lines() == ()
    for moved_s in (2.3, -2.3):
        clocks.wall_s += moved_s
        clocks.pass_(LATELY_S - 1)
        assert machine.lines() == (LINE,)
        clocks.pass_(LATELY_S - 1)
        assert machine.lines() == (LINE,)
        clocks.pass_(1)
        assert machine.lines() == ()


def test_the_line_is_the_servers_own() -> None:
    assert "the clock was set %s by %.1f s" in inspect.getsource(clock_watch)
    assert re.search(LINE, "the clock was set back by 2.3 s: leases and short waits go on")
