"""How late the loop is: by a clock that the test sets."""

from stepwell.server.loop_watch import LOOK_EVERY_S, SLICE_S, SLICES, LoopWatch


class _Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_the_longest_of_the_last_minutes_is_kept_and_then_forgotten() -> None:
    clock, told = _Clock(), list[float]()
    watch = LoopWatch(told.append, clock)
    watch.start()
    clock.now += LOOK_EVERY_S + 0.2
    watch.look()
    clock.now += LOOK_EVERY_S
    watch.look()
    assert [round(lag, 6) for lag in told] == [0.2, 0.0]
    assert round(watch.longest_s, 6) == 0.2
    for _ in range(SLICES - 1):
        clock.now += SLICE_S
        watch.look()
        watch._due = clock.now + LOOK_EVERY_S
    assert round(watch.longest_s) == SLICE_S
    clock.now = 10_000.0
    watch._due = clock.now
    watch.look()
    assert watch.longest_s == 0.0
    watch.stop()


async def test_what_the_loop_itself_worked_is_told_apart_from_a_busy_machine() -> None:
    clock, worked = _Clock(), _Clock()
    watch = LoopWatch(lambda lag: None, clock, worked)
    watch.start()
    clock.now += LOOK_EVERY_S + 0.7
    worked.now += 0.03
    watch.look()
    assert round(watch.longest_s, 6) == 0.7
    assert round(watch.longest_work_s, 6) == 0.03
    clock.now += LOOK_EVERY_S + 0.2
    worked.now += 0.25
    watch.look()
    assert round(watch.longest_work_s, 6) == 0.2
    watch.stop()
