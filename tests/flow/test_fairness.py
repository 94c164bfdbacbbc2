"""Fairness: free capacity goes round the keys by weight; nobody's backlog is everybody's."""

from stepwell.server.store.lanes import LaneIndex
from stepwell.wire.function_config import Concurrency, Fairness, Priority
from tests.bench import APP, Bench, given_
from tests.flow.flow_bench import FlowBench, controlled

PER_USER = "event.data.user"


def users(bench: FlowBench, rounds: int, capacity: int) -> list[object]:
    """Whose calls begin, in order; each round's calls return before the next."""
    told: list[object] = []
    for _ in range(rounds):
        jobs = bench.claim(capacity=capacity)
        for job in jobs:
            body = bench.reader.event(job.run.event_ids[0])
            assert body is not None
            told.append(given_.msgspec.json.decode(body.body)["data"]["user"])
            bench.finish(job)
    return told


def flood(bench: Bench, user: object, count: int, **more: object) -> None:
    events = tuple(bench.event("go", {"user": user, **more}) for _ in range(count))
    bench.submit(given_.EventsReceived(events))


def test_Q1_a_greedy_key_delays_others_by_no_more_than_two_rounds(bench: FlowBench) -> None:
    bench.register(controlled(fairness=Fairness(PER_USER)))
    flood(bench, "greedy", 900)
    for user in range(9):
        flood(bench, user, 3)
    told = users(bench, 8, 5)
    first = {user: told.index(user) for user in range(9)}
    assert max(first.values()) < 2 * 10
    assert min(told.count(user) for user in range(9)) >= 3


def test_Q1_with_a_limit_shared_by_the_keys(bench: FlowBench) -> None:
    bench.register(controlled(concurrency=(Concurrency(2),), fairness=Fairness(PER_USER)))
    flood(bench, "greedy", 500)
    for user in range(9):
        flood(bench, user, 2)
    told = users(bench, 20, 100)
    assert all(told.index(user) < 20 for user in range(9))


def test_Q2_weights_share_the_capacity(bench: FlowBench) -> None:
    bench.register(controlled(fairness=Fairness(PER_USER, "event.data.w")))
    for user, weight in (("one", 1), ("three", 3), ("half", 0.5)):
        flood(bench, user, 700, w=weight)
    told = users(bench, 300, 3)
    share = {user: told.count(user) / len(told) for user in ("one", "three", "half")}
    assert abs(share["one"] - 1 / 4.5) < 0.02
    assert abs(share["three"] - 3 / 4.5) < 0.02
    assert abs(share["half"] - 0.5 / 4.5) < 0.02


def test_Q2_weights_hold_behind_a_limit(bench: FlowBench) -> None:
    bench.register(
        controlled(concurrency=(Concurrency(1),), fairness=Fairness(PER_USER, "event.data.w"))
    )
    flood(bench, "one", 150, w=1)
    flood(bench, "three", 150, w=3)
    told = users(bench, 160, 100)
    assert abs(told.count("three") / len(told) - 0.75) < 0.03


def test_Q3_one_key_alone_has_everything(bench: FlowBench) -> None:
    bench.register(controlled(fairness=Fairness(PER_USER, "0.05")))
    flood(bench, "a", 40)
    assert len(bench.claim(capacity=25)) == 25


def test_Q4_a_flooded_function_takes_half(bench: FlowBench) -> None:
    bench.register(
        controlled("flooded", concurrency=(Concurrency(1_000, PER_USER),)),
        controlled("other", event="x", concurrency=(Concurrency(1_000),)),
    )
    for user in range(40):
        flood(bench, user, 10)
    for _ in range(10):
        bench.send("x", {"user": "other"})
    assert users(bench, 1, 20).count("other") == 10


def test_Q5_keys_that_vanish_leave_nothing(bench: FlowBench) -> None:
    bench.register(controlled(concurrency=(Concurrency(1, PER_USER),)))
    for user in range(120):
        flood(bench, user, 2)
        users(bench, 2, 100)
    bench.claim()
    assert len(lanes(bench)) == 0


def lanes(bench: FlowBench) -> LaneIndex:
    inside = vars(bench.store)
    found = inside["_lanes"] if "_lanes" in inside else inside["_parts"].memory.lanes
    assert isinstance(found, LaneIndex)
    return found


def test_Q6_turns_survive_a_restart_but_for_one_round(bench: FlowBench) -> None:
    bench.register(controlled(fairness=Fairness(PER_USER)))
    for user in range(4):
        flood(bench, user, 30)
    told: list[object] = []
    for _ in range(10):
        told += users(bench, 1, 4)
        bench.restart()
    assert {user: told.count(user) for user in range(4)} == dict.fromkeys(range(4), 10)


def test_Q7_precedence_orders_within_a_key(bench: FlowBench) -> None:
    bench.register(controlled(fairness=Fairness(PER_USER), priority=Priority("int(event.data.p)")))
    flood(bench, "low", 3, p=0)
    flood(bench, "high", 1, p=0)
    flood(bench, "high", 3, p=600)
    jobs = bench.claim(capacity=2)
    begun = [bench.reader.event(job.run.event_ids[0]) for job in jobs]
    data = [given_.msgspec.json.decode(one.body)["data"] for one in begun if one is not None]
    assert {one["user"]: one["p"] for one in data} == {"low": 0, "high": 600}


def test_keys_of_one_function_take_one_functions_share(bench: FlowBench) -> None:
    bench.register(
        controlled("many", fairness=Fairness(PER_USER)),
        controlled("few", event="x", fairness=Fairness(PER_USER)),
    )
    for user in range(30):
        flood(bench, user, 5)
    for _ in range(30):
        bench.send("x", {"user": "few"})
    jobs = bench.claim(capacity=30)
    functions = [job.run.function for job in jobs]
    assert functions.count(f"{APP}-few") == 15
