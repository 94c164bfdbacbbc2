"""Priority: seconds of precedence, within a bound, where there is a backlog."""

import pytest

from stepwell.wire.failure import Failure
from stepwell.wire.function_config import Concurrency, Priority, Throttle
from tests.bench import APP, NOW_MS, function, given_
from tests.flow.flow_bench import SECOND, FlowBench, controlled

ONE = (Concurrency(1),)


def order(bench: FlowBench, rounds: int = 100) -> list[object]:
    """In which order calls begin, by `data.n`; each returns before the next begins."""
    told: list[object] = []
    for _ in range(rounds):
        jobs = bench.claim()
        if not jobs:
            break
        for job in jobs:
            body = bench.reader.event(job.run.event_ids[0])
            assert body is not None
            told.append(given_.msgspec.json.decode(body.body)["data"]["n"])
            bench.finish(job)
    return told


def test_P1_a_run_with_precedence_overtakes_those_that_wait(bench: FlowBench) -> None:
    bench.register(controlled(concurrency=ONE, priority=Priority('event.data.p == "hi" ? 600 : 0')))
    for number in range(6):
        bench.send("go", {"n": number, "p": "hi" if number == 5 else "lo"})
    assert order(bench) == [5, 0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("expression", "first"),
    [
        ("event.data.n == 2 ? 5000 : 0", 2),
        ("event.data.n == 2 ? -5000 : 0", 0),
        ("int(event.data.bad)", 0),
        ("event.data.n == 2 ? 'x' : 'y'", 0),
        ("event.data.n == 2 ? 1.9 : 0.9", 2),
        ("event.data.n == 2 ? 0.9 : 0.1", 0),
    ],
)
def test_P2_numbers_are_cut_and_bounded_and_all_else_is_nothing(
    bench: FlowBench, expression: str, first: int
) -> None:
    bench.register(controlled(concurrency=ONE, priority=Priority(expression)))
    for number in range(3):
        bench.send("go", {"n": number, "bad": "x"})
    told = order(bench)
    assert told[0] == first
    assert sorted(map(str, told)) == ["0", "1", "2"]


def test_P2_the_bound_is_ten_minutes_either_way(bench: FlowBench) -> None:
    bench.register(controlled(concurrency=ONE, priority=Priority("int(event.data.p)")))
    bench.send("go", {"n": 0, "p": 0})
    bench.pass_time(601 * SECOND)
    bench.send("go", {"n": 1, "p": 10_000})
    bench.pass_time(1 * SECOND)
    bench.send("go", {"n": 2, "p": -10_000})
    assert order(bench) == [0, 1, 2]


def test_P3_other_functions_are_not_concerned(bench: FlowBench) -> None:
    bench.register(
        controlled("one", concurrency=ONE, priority=Priority("600")),
        controlled("two", concurrency=ONE),
        function("three", event="go"),
    )
    for number in range(2):
        bench.send("go", {"n": number})
    names = [sorted(job.run.function for job in bench.claim(capacity=4))]
    assert names == [[f"{APP}-one", f"{APP}-three", f"{APP}-three", f"{APP}-two"]]


def test_P4_nothing_starves(bench: FlowBench) -> None:
    """A stream of runs with the highest precedence, and one without: it waits ten minutes more."""
    bench.register(controlled(concurrency=ONE, priority=Priority("int(event.data.p)")))
    bench.send("go", {"n": -1, "p": 0})
    waited = None
    for second in range(0, 700, 10):
        bench.at(second * SECOND)
        bench.send("go", {"n": second, "p": 600})
        (job,) = bench.claim()
        body = bench.reader.event(job.run.event_ids[0])
        assert body is not None
        if given_.msgspec.json.decode(body.body)["data"]["n"] == -1:
            waited = second
        bench.finish(job)
    assert waited is not None
    assert waited <= 610


def test_P5_retries_have_no_precedence(bench: FlowBench) -> None:
    bench.register(controlled(concurrency=ONE, priority=Priority("event.data.n == 0 ? 600 : 0")))
    bench.send("go", {"n": 0})
    bench.reply(bench.job(), given_.Broke(Failure(name="E", message="m"), b"{}"))
    bench.at(10 * SECOND)
    for number in (1, 2):
        bench.send("go", {"n": number})
    bench.at(60 * SECOND)
    told = order(bench)
    assert told[0] == 1 or told[:2] == [0, 1]
    assert sorted(map(str, told)) == ["0", "1", "2"]


def test_P6_equals_come_in_the_order_of_arrival(bench: FlowBench) -> None:
    bench.register(controlled(concurrency=ONE, priority=Priority("event.data.n < 10 ? 5 : 0")))
    events = tuple(bench.event("go", {"n": number}) for number in range(20))
    bench.submit(given_.EventsReceived(events))
    assert order(bench) == list(range(20))


def test_P7_precedence_works_under_a_throttle(bench: FlowBench) -> None:
    bench.register(controlled(throttle=Throttle(1, "10s"), priority=Priority("int(event.data.p)")))
    for number, precedence in enumerate((0, 0, 50, 100)):
        bench.send("go", {"n": number, "p": precedence})
    told: list[object] = []
    for ten in range(5):
        bench.at(ten * 10_000)
        told += order(bench)
    assert told == [3, 2, 0, 1]


def test_without_a_backlog_a_negative_precedence_puts_nothing_off(bench: FlowBench) -> None:
    bench.register(controlled(priority=Priority("-600")))
    bench.send("go", {"n": 0})
    assert bench.now_ms == NOW_MS
    assert order(bench) == [0]
