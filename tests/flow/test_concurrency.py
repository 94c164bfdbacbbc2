"""Concurrency of calls: never more under a key than its limit, never a slot free beside work."""

import msgspec
import pytest

from stepwell.server.engine.message.input import (
    CancelAsked,
    Job,
    LeaseLost,
    ReplyReceived,
    Verdict,
    Work,
    WorkAsked,
)
from stepwell.server.engine.row.run import RunStatus
from stepwell.wire.function_config import Concurrency, Fairness, Throttle
from stepwell.wire.identifier import step_hash
from stepwell.wire.operation import Sleep
from tests.bench import (
    APP,
    NOW_MS,
    SEED,
    broke,
    function,
    given_,
    planned,
    progressed,
    returned,
    step_run,
)
from tests.flow.flow_bench import MINUTE, SECOND, FlowBench, controlled

ONE = (Concurrency(1),)
PER_USER = "event.data.user"


def user_of(bench: FlowBench, job: Job) -> object:
    """Whose run a job is of."""
    body = bench.reader.event(job.run.event_ids[0])
    assert body is not None
    return given_.msgspec.json.decode(body.body)["data"]["user"]


def drain(bench: FlowBench, capacity: int = 100, rounds: int = 10_000) -> list[list[object]]:
    """Everything runs, round by round: whose calls there were in each."""
    told: list[list[object]] = []
    for _ in range(rounds):
        jobs = bench.claim(capacity=capacity)
        if not jobs:
            return told
        told.append([user_of(bench, job) for job in jobs])
        for job in jobs:
            bench.finish(job)
    raise AssertionError("it does not come to its end")


def test_C1_steps_never_overlap_and_sleeps_do(bench: FlowBench) -> None:
    bench.register(controlled(concurrency=ONE))
    events = [bench.send("go") for _ in range(3)]
    for _ in events:
        (job,) = bench.claim()
        assert bench.claim() == []
        bench.reply(job, progressed(step_run("a")))
        (job,) = bench.claim()
        nap = Sleep(id=step_hash("nap"), name="nap", until="10s")
        bench.reply(job, progressed(nap))
    assert {run.status for run in bench.runs()} == {RunStatus.RUNNING}
    assert bench.claim() == []
    bench.pass_time(10 * SECOND)
    bench.claim(capacity=0)
    for _ in events:
        (job,) = bench.claim()
        assert bench.claim() == []
        bench.finish(job)
    assert {run.status for run in bench.runs()} == {RunStatus.COMPLETED}


def test_C2_each_of_many_keys_has_its_limit_and_all_go_on(bench: FlowBench) -> None:
    bench.register(controlled(concurrency=(Concurrency(2, PER_USER),)))
    for _ in range(5):
        for user in range(30):
            bench.send("go", {"user": user})
    rounds = drain(bench)
    assert all(calls.count(user) <= 2 for calls in rounds for user in range(30))
    assert [len(calls) for calls in rounds] == [60, 60, 30]


@pytest.mark.parametrize("order", [0, 1])
def test_C3_two_limits_hold_together(bench: FlowBench, order: int) -> None:
    entries = (Concurrency(20, "'api'", "env"), Concurrency(2, PER_USER))
    bench.register(controlled(concurrency=entries if order else entries[::-1]))
    for number in range(200):
        bench.send("go", {"user": number % 25})
    rounds = drain(bench)
    assert all(len(calls) <= 20 for calls in rounds)
    assert all(calls.count(user) <= 2 for calls in rounds for user in range(25))
    assert sum(map(len, rounds)) == 200
    assert [len(calls) for calls in rounds[:8]] == [20] * 8


def test_functions_share_a_key_of_the_environment(bench: FlowBench) -> None:
    shared = Concurrency(2, "'api'", "env")
    bench.register(
        controlled("one", concurrency=(shared,)),
        controlled("two", concurrency=(Concurrency(3, "'api'", "env"),)),
        controlled("other", concurrency=(Concurrency(1, "'api'", "account"),)),
    )
    for _ in range(4):
        bench.send("go", {"user": 1})
    jobs = bench.claim()
    functions = [job.run.function.removeprefix(f"{APP}-") for job in jobs]
    assert functions.count("other") == 1
    assert functions.count("one") + functions.count("two") in (2, 3)
    assert functions.count("one") <= 2
    rounds = [len(jobs)]
    while jobs:
        for job in jobs:
            bench.finish(job)
        jobs = bench.claim()
        rounds.append(len(jobs))
    assert sum(rounds) == 12


def test_C4_a_limit_lowered_or_raised_while_calls_run(bench: FlowBench) -> None:
    bench.deploy(controlled(concurrency=(Concurrency(10),)))
    for _ in range(40):
        bench.send("go")
    jobs = bench.claim()
    assert len(jobs) == 10
    bench.deploy(controlled(concurrency=(Concurrency(3),)))
    for job in jobs[:7]:
        assert bench.claim() == []
        bench.finish(job)
    assert bench.claim() == []
    bench.finish(jobs[7])
    assert len(bench.claim()) == 1
    bench.deploy(controlled(concurrency=(Concurrency(10),)))
    assert len(bench.claim()) == 7
    bench.deploy(controlled())
    assert len(bench.claim()) == 22


def test_C5_a_key_that_changed_is_that_of_new_work(bench: FlowBench) -> None:
    bench.deploy(controlled(concurrency=(Concurrency(1, PER_USER),)))
    old = [bench.send("go", {"user": "a", "team": "t"}) for _ in range(2)]
    bench.deploy(controlled(concurrency=(Concurrency(1, "event.data.team"),)))
    new = [bench.send("go", {"user": "b", "team": "t"}) for _ in range(2)]
    jobs = bench.claim()
    begun = {job.run.event_ids[0] for job in jobs}
    assert begun == {old[0], new[0]}
    for job in jobs:
        bench.finish(job)
    assert {job.run.event_ids[0] for job in bench.claim()} == {old[1], new[1]}


def test_C6_a_lost_worker_gives_its_slot_back_when_its_lease_ends(bench: FlowBench) -> None:
    bench.register(controlled(concurrency=ONE))
    bench.send("go")
    bench.send("go")
    (job,) = bench.claim()
    bench.pass_time(59 * SECOND)
    assert bench.claim() == []
    bench.pass_time(2 * SECOND)
    bench.claim(capacity=0)
    (other,) = bench.claim()
    assert other.run.id != job.run.id
    assert bench.claim() == []
    bench.finish(other)
    (again,) = bench.claim()
    assert (again.run.id, again.item.losses) == (job.run.id, 1)
    assert bench.reply(job, returned()).verdict is Verdict.FENCED
    bench.finish(again)
    assert bench.claim() == []


def test_C7_within_a_key_the_first_comes_first(bench: FlowBench) -> None:
    bench.register(controlled(concurrency=(Concurrency(3, PER_USER),)))
    events = tuple(bench.event("go", {"user": n % 2}) for n in range(400))
    bench.submit(given_.EventsReceived(events[:250]))
    bench.submit(given_.EventsReceived(events[250:]))
    order: list[str] = []
    while jobs := bench.claim():
        for job in jobs:
            order.append(job.run.event_ids[0])
            bench.finish(job)
    sent = [event.id for event in events]
    assert [event for event in order if event in set(sent[::2])] == sent[::2]
    assert [event for event in order if event in set(sent[1::2])] == sent[1::2]


def test_C8_a_node_that_dies_between_claim_and_call_loses_no_slot(bench: FlowBench) -> None:
    bench.register(controlled(concurrency=ONE))
    for _ in range(3):
        bench.send("go")
    for _ in range(3):
        assert len(bench.claim()) == 1
        bench.restart()
        (job,) = bench.claim()
        assert bench.claim() == []
        bench.finish(job)
    assert all(run.ended for run in bench.runs())


def test_a_worker_that_outlives_its_server_gets_its_slot_back_only_if_it_is_free(
    bench: FlowBench,
) -> None:
    bench.register(controlled(concurrency=ONE))
    bench.send("go")
    bench.send("go")
    (job,) = bench.claim()
    bench.restart()
    assert bench.submit_extension(job).verdict is Verdict.APPLIED
    assert bench.claim() == []
    bench.restart()
    (first,) = bench.claim()
    assert first.run.id == job.run.id
    bench.pass_time(1)
    bench.submit(LeaseLost(first.lease.id, first.run.id, first.lease.key))
    (other,) = bench.claim()
    assert other.run.id != job.run.id
    assert bench.submit_extension(job).verdict is Verdict.FENCED
    bench.finish(other)


def test_C9_cancelling_frees_the_slot_in_the_same_commit(bench: FlowBench) -> None:
    bench.register(controlled(concurrency=ONE))
    bench.send("go")
    bench.send("go")
    (job,) = bench.claim()
    asked = given_.WorkAsked("01JABCDEFGHJKMNPQRSTVW", ((APP, 9),), 9, 60_000)
    answers = bench.submit_all([CancelAsked(job.run.id), asked])
    assert isinstance(answers[1], given_.Work)
    assert len(answers[1].jobs) + len(bench.claim()) == 1


def test_C10_one_keys_backlog_hides_no_other_key(bench: FlowBench) -> None:
    bench.register(controlled(concurrency=(Concurrency(1, PER_USER),)))
    bench.submit(given_.EventsReceived(tuple(bench.event("go", {"user": "a"}) for _ in range(900))))
    (job,) = bench.claim()
    bench.send("go", {"user": "b"})
    (other,) = bench.claim()
    assert user_of(bench, other) == "b"
    assert bench.looks <= 5
    bench.finish(job)
    assert [user_of(bench, one) for one in bench.claim()] == ["a"]


def test_a_lane_at_rest_is_not_looked_at(bench: FlowBench) -> None:
    bench.register(controlled(concurrency=(Concurrency(1, PER_USER),)))
    for _ in range(3):
        for user in range(50):
            bench.send("go", {"user": user})
    jobs = bench.claim()
    assert len(jobs) == 50
    bench.claim()
    asked = given_.WorkAsked("01JABCDEFGHJKMNPQRSTVW", ((APP, 9),), 9, 60_000)
    decision = bench.foreseen(asked)
    assert decision.records == ()
    assert bench.looks == 1
    bench.finish(jobs[7])
    assert len(bench.claim()) == 1


def test_parallel_steps_stand_under_the_limit(bench: FlowBench) -> None:
    bench.register(controlled(concurrency=(Concurrency(2),)))
    bench.send("go")
    bench.reply(bench.job(), progressed(*(planned(f"s{n}") for n in range(5))))
    sizes: list[int] = []
    while jobs := bench.claim():
        sizes.append(len(jobs))
        for job in jobs:
            target = job.item.target
            if target == "step":
                bench.finish(job)
                continue
            name = next(f"s{n}" for n in range(5) if step_hash(f"s{n}") == target)
            bench.reply(job, progressed(step_run(name)))
    assert sizes == [2, 2, 1, 1]


def test_work_that_is_given_back_keeps_no_slot(bench: FlowBench) -> None:
    bench.register(controlled(concurrency=ONE))
    bench.send("go")
    for _ in range(3):
        (job,) = bench.claim()
        bench.submit(LeaseLost(job.lease.id, job.run.id, job.lease.key, begun=False))
    bench.finish(bench.job())


def test_functions_without_limits_are_served_beside_a_flooded_one(bench: FlowBench) -> None:
    bench.register(
        controlled(concurrency=(Concurrency(50, PER_USER),)), function("free", event="x")
    )
    for number in range(60):
        bench.send("go", {"user": number % 2})
    free = [bench.send("x", {"user": "free"}) for _ in range(20)]
    jobs = bench.claim(capacity=20)
    users = [user_of(bench, job) for job in jobs]
    assert users.count("free") == 10
    assert abs(users.count(0) - users.count(1)) <= 1
    assert len(free) == 20


def test_the_slot_of_a_call_that_waits_between_tries_is_free(bench: FlowBench) -> None:
    bench.register(controlled(concurrency=ONE))
    bench.send("go")
    bench.send("go")
    failed = bench.job()
    bench.reply(failed, given_.Broke(given_.Failure(name="E", message="m"), b"{}"))
    (other,) = bench.claim()
    assert other.run.id != failed.run.id
    bench.pass_time(50 * SECOND)
    assert bench.claim() == []
    bench.finish(other)
    (again,) = bench.claim()
    assert (again.run.id, again.item.attempt) == (failed.run.id, 1)


def test_what_is_not_due_yet_is_not_called_early(bench: FlowBench) -> None:
    bench.register(controlled(concurrency=(Concurrency(5),)))
    bench.send("go")
    bench.reply(bench.job(), given_.Broke(given_.Failure(name="E", message="m"), b"{}"))
    bench.send("go", ts=NOW_MS + 5 * SECOND)
    bench.send("go")
    assert len(bench.claim()) == 1
    assert bench.claim() == []
    assert bench.next_due_ms == NOW_MS + 5 * SECOND
    bench.at(5 * SECOND)
    assert len(bench.claim()) == 1


def test_a_limit_and_a_throttle_are_asked_together(bench: FlowBench) -> None:
    bench.register(controlled(concurrency=ONE, throttle=Throttle(2, "10s")))
    for _ in range(4):
        bench.send("go")
    first = bench.job()
    assert bench.claim() == []
    bench.finish(first)
    second = bench.job()
    bench.finish(second)
    assert bench.claim() == []
    assert bench.next_due_ms == NOW_MS + 5 * SECOND


def test_a_place_is_not_kept_for_an_app_that_takes_no_calls(bench: FlowBench) -> None:
    shared = (Concurrency(1, "'api'", "account"),)
    bench.register(controlled(concurrency=shared))
    away = controlled("away", "gone", concurrency=shared)
    bench.register(msgspec.structs.replace(away, slug="other-away", app="other"), app="other")
    bench.send("go")
    job = bench.job()
    bench.send("gone")
    assert bench.claim(queue="other") == []
    for _ in range(3):
        bench.send("go")
        bench.finish(job)
        job = bench.job()
    bench.finish(job)
    assert [job.run.app for job in bench.claim(queue="other")] == ["other"]


def test_C5_starts_that_wait_for_a_throttle_keep_their_limit(bench: FlowBench) -> None:
    throttle = Throttle(1, "1s", burst=50)
    bench.deploy(controlled(throttle=throttle, concurrency=(Concurrency(1, PER_USER),)))
    for _ in range(3):
        bench.send("go", {"user": "a"})
    bench.deploy(controlled(throttle=throttle, concurrency=(Concurrency(1, "event.name"),)))
    assert len(bench.claim()) == 1


def test_L4_what_a_lane_has_for_later_is_not_forgotten_with_its_turn(bench: FlowBench) -> None:
    """A lane has one call that is due and one that is not: the pump hears of the second, too."""
    bench.register(controlled(fairness=Fairness("event.data.user")))
    bench.send("go", {"user": "amy"})
    bench.reply(bench.job(), broke(delay_ms=3 * SECOND))
    bench.send("go", {"user": "amy"})
    assert len(bench.claim()) == 1
    assert bench.next_due_ms == NOW_MS + 3 * SECOND


def test_a_late_reply_and_a_claim_in_one_commit_begin_no_call_that_was_put_off(
    bench: FlowBench,
) -> None:
    bench.register(controlled(concurrency=(Concurrency(1),)))
    bench.send("go")
    lease = bench.job().lease
    bench.submit(LeaseLost(lease.id, lease.run_id, lease.key))
    late = ReplyReceived(lease.id, lease.run_id, lease.key, broke())
    asked = WorkAsked(SEED, ((APP, 10),), 10, 60_000)
    assert attempts(bench, late, asked, asked) == []
    bench.pass_time(MINUTE)
    assert attempts(bench, asked, asked) == [1]


def attempts(bench: FlowBench, *batch: given_.Input) -> list[int]:
    """Which attempts begin when these are decided in one commit."""
    found = [answer for answer in bench.submit_all([*batch]) if isinstance(answer, Work)]
    return [job.item.attempt for work in found for job in work.jobs]


@pytest.mark.parametrize("scope", ["env", "account"])
@pytest.mark.parametrize("control", ["concurrency", "run_concurrency"])
def test_a_place_goes_to_whom_its_own_limit_lets_begin(
    bench: FlowBench, control: str, scope: str
) -> None:
    """Functions share a number, each under its own limit: who has waited longest and must wait on
    holds up nobody whose limit is larger."""
    bench.register(
        controlled("narrow", "narrow", **{control: (Concurrency(1, "'api'", scope),)}),
        controlled("wide", "wide", **{control: (Concurrency(3, "'api'", scope),)}),
    )
    for _ in range(3):
        bench.send("wide")
    under_way = bench.claim()
    assert bench.claim() == []
    bench.send("narrow")
    assert bench.claim() == []
    for _ in range(3):
        bench.send("wide")
        bench.finish(under_way.pop(0))
        (job,) = bench.claim()
        assert job.run.function == f"{APP}-wide"
        under_way.append(job)
    for job in under_way:
        assert bench.claim() == []
        bench.finish(job)
    (job,) = bench.claim()
    assert job.run.function == f"{APP}-narrow"
