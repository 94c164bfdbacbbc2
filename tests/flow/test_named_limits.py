"""Named limits: shared by functions and steps, changed while running, never more than they say."""

from pathlib import Path

import msgspec
import pytest

from stepwell.server.engine.message.input import (
    Answer,
    CancelAsked,
    Input,
    Job,
    LeaseLost,
    LimitDropped,
    LimitSet,
    ReplyReceived,
    Work,
    WorkAsked,
)
from stepwell.server.engine.row.run import ItemKind, RunStatus
from stepwell.wire.failure import Failure
from stepwell.wire.function_config import Concurrency
from stepwell.wire.identifier import step_hash
from stepwell.wire.named_limit import FunctionLimit, LimitUsed, StepLimit
from stepwell.wire.operation import StepError, StepPlanned, StepRun
from tests.bench import APP, NOW_MS, SEED, progressed, returned
from tests.flow.flow_bench import SECOND, FlowBench, controlled

TWO = FunctionLimit("gpu", concurrency=2)
PER_USER = FunctionLimit("gpu", key="event.data.user", concurrency=1)


def asked(step: str, *limits: StepLimit) -> StepPlanned:
    return StepPlanned(id=step_hash(step), name=step, limits=limits)


def ran(step: str, *used: LimitUsed) -> StepRun:
    return StepRun(id=step_hash(step), name=step, data=msgspec.Raw(b"1"), used=used)


def begin(bench: FlowBench, count: int, *limits: StepLimit) -> list[str]:
    """So many runs, each of which has found a step under limits."""
    events = [bench.send("go") for _ in range(count)]
    find(bench, *limits)
    return events


def find(bench: FlowBench, *limits: StepLimit) -> None:
    """First calls find a step that stands under limits."""
    jobs = bench.claim()
    assert all(not job.lease.key for job in jobs)
    for job in jobs:
        bench.reply(job, progressed(asked("ask", *limits)))


def holder(bench: FlowBench, *limits: StepLimit) -> Job:
    """A step under limits that is under way."""
    begin(bench, 1, *limits)
    return bench.job()


def steps_at(bench: FlowBench, until_ms: int, step_ms: int = 500) -> list[float]:
    """When steps began, in seconds after the beginning; every one returns at once."""
    found: list[float] = []
    while bench.now_ms < NOW_MS + until_ms:
        for job in bench.claim():
            if job.lease.key:
                found.append((bench.now_ms - NOW_MS) / 1000)
            bench.reply(job, progressed(ran("ask")) if job.lease.key else returned())
        bench.now_ms = min(bench.now_ms + step_ms, NOW_MS + until_ms)
    return found


# -- functions ------------------------------------------------------------------------------------


def test_functions_that_name_a_limit_share_it(bench: FlowBench) -> None:
    bench.register(controlled(limits=(TWO,)), controlled("other", "went", limits=(TWO,)))
    for name in ("go", "went", "go", "went"):
        bench.send(name)
    first, second = bench.claim()
    assert bench.claim() == []
    bench.finish(first)
    (third,) = bench.claim()
    bench.finish(second)
    bench.finish(third)
    bench.finish(bench.job())
    assert all(run.ended for run in bench.runs())


def test_each_value_of_a_key_has_the_limit_to_itself(bench: FlowBench) -> None:
    bench.register(controlled(limits=(PER_USER,)))
    for user in "aab":
        bench.send("go", {"user": user})
    assert len(bench.claim()) == 2


def test_a_weight_counts_as_so_many(bench: FlowBench) -> None:
    limit = FunctionLimit("gpu", weight="event.data.size", concurrency=10)
    bench.register(controlled(limits=(limit,)))
    for size in (6, 5, 4):
        bench.send("go", {"size": size})
    jobs = bench.claim()
    assert len(jobs) == 2
    assert sum(job.lease.loads[0] for job in jobs) <= 10
    for job in jobs:
        bench.finish(job)
    bench.finish(bench.job())


def test_what_weighs_more_than_there_is_runs_alone(bench: FlowBench) -> None:
    limit = FunctionLimit("gpu", weight="event.data.size", concurrency=10)
    bench.register(controlled(limits=(limit,)))
    for size in (3, 50):
        bench.send("go", {"size": size})
    job = bench.job()
    assert bench.claim() == []
    bench.finish(job)
    huge = bench.job()
    bench.send("go", {"size": 1})
    assert bench.claim() == []
    bench.finish(huge)
    bench.finish(bench.job())


def test_a_rate_is_taken_once_by_a_run(bench: FlowBench) -> None:
    bench.register(controlled(limits=(FunctionLimit("mail", rate=2, period="10s"),)))
    for _ in range(3):
        bench.send("go")
    jobs = bench.claim()
    assert len(jobs) == 2
    bench.reply(jobs[0], progressed(ran("a")))
    bench.finish(bench.job())
    assert bench.claim() == []
    bench.pass_time(5 * SECOND)
    bench.finish(bench.job())


# -- Y1, Y4: changed while running ----------------------------------------------------------------


def test_Y1_a_change_holds_at_once_up_and_down(bench: FlowBench) -> None:
    bench.register(controlled(limits=(TWO,)))
    for _ in range(12):
        bench.send("go")
    jobs = bench.claim()
    assert len(jobs) == 2
    bench.submit(LimitSet("gpu", concurrency=5))
    jobs += bench.claim()
    assert len(jobs) == 5
    bench.submit(LimitSet("gpu", concurrency=1))
    for job in jobs[:4]:
        bench.finish(job)
        assert bench.claim() == [], "those that have a place keep it; nobody new begins"
    bench.finish(jobs[4])
    assert len(bench.claim()) == 1


def test_what_an_operator_says_outlives_a_deployment_and_a_restart(bench: FlowBench) -> None:
    bench.deploy(controlled(limits=(TWO,)))
    bench.submit(LimitSet("gpu", concurrency=1))
    bench.deploy(controlled(limits=(FunctionLimit("gpu", concurrency=7),)))
    bench.restart()
    for _ in range(9):
        bench.send("go")
    (job,) = bench.claim()
    assert bench.catalog.limits["gpu"].declared.concurrency == 7
    bench.submit(LimitDropped("gpu"))
    assert len(bench.claim()) == 6
    bench.finish(job)


def test_the_code_changes_its_numbers_by_a_deployment(bench: FlowBench) -> None:
    bench.deploy(controlled(limits=(TWO,)))
    for _ in range(9):
        bench.send("go")
    assert len(bench.claim()) == 2
    bench.deploy(controlled(limits=(FunctionLimit("gpu", concurrency=5),)))
    assert len(bench.claim()) == 3
    bench.deploy(controlled(limits=(FunctionLimit("gpu"),)))
    assert bench.claim() == [], "who only names a limit says nothing of its numbers"


def test_Y4_a_limit_may_go_while_it_is_used(bench: FlowBench) -> None:
    bench.register(controlled(limits=(TWO,)))
    for _ in range(4):
        bench.send("go")
    jobs = bench.claim()
    bench.submit(LimitDropped("gpu"))
    jobs += bench.claim()
    assert len(jobs) == 4
    for job in jobs:
        bench.finish(job)
    assert bench.catalog.limits == {}
    assert bench.submit(LimitDropped("gpu")).reason == "there is no limit gpu"


def test_a_rate_may_become_a_limit_of_what_is_under_way(bench: FlowBench) -> None:
    bench.register(controlled(limits=(FunctionLimit("mail", rate=1, period="1h"),)))
    for _ in range(5):
        bench.send("go")
    assert len(bench.claim()) == 1
    bench.submit(LimitSet("mail", concurrency=3))
    assert len(bench.claim()) == 2


# -- steps ----------------------------------------------------------------------------------------


def test_steps_stand_under_a_limit_and_the_rest_of_their_run_does_not(bench: FlowBench) -> None:
    bench.register(controlled())
    begin(bench, 3, StepLimit("gpu", concurrency=2))
    jobs = bench.claim()
    assert [job.item.kind for job in jobs] == [ItemKind.CALL] * 2
    bench.send("go")
    other = bench.job()
    assert other.lease.keys == ()
    bench.reply(jobs[0], progressed(ran("ask")))
    assert len(bench.claim()) == 2, "the next step, and the first run goes on"


def test_a_step_stands_under_the_limits_of_its_function_too(bench: FlowBench) -> None:
    one = Concurrency(1, "event.data.user")
    bench.register(controlled(concurrency=(one,), limits=(FunctionLimit("gpu", concurrency=9),)))
    for user in "aab":
        bench.send("go", {"user": user})
    for job in bench.claim():
        bench.reply(job, progressed(asked("ask", StepLimit("gpu", weight=4))))
    jobs = bench.claim()
    assert all(len(job.lease.keys) == 2 for job in jobs)
    assert max(sum(job.lease.loads) for job in jobs) == 5


@pytest.mark.parametrize("end", ["lost", "cancelled", "failed"])
def test_a_place_is_free_when_its_step_ends(bench: FlowBench, end: str) -> None:
    bench.register(controlled())
    begin(bench, 2, StepLimit("gpu", concurrency=1))
    (job,) = bench.claim()
    assert bench.claim() == []
    if end == "lost":
        bench.submit(LeaseLost(job.lease.id, job.run.id, job.lease.key))
    elif end == "cancelled":
        bench.submit(CancelAsked(job.run.id))
    else:
        failure = StepError(id=step_hash("ask"), name="ask", failure=Failure("E", "m"))
        bench.reply(job, progressed(failure))
    assert len(bench.claim()) == 1


def test_tokens_are_taken_by_weight(bench: FlowBench) -> None:
    bench.register(controlled())
    begin(bench, 3, StepLimit("tpm", weight=400, rate=1_000, period="10s"))
    assert steps_at(bench, 20_000) == [0, 0, 2.0]


def test_Y3_a_step_corrects_what_it_took(bench: FlowBench) -> None:
    bench.register(controlled())
    limit = StepLimit("tpm", weight=500, rate=1_000, period="10s")
    begin(bench, 3, limit)
    first, second = bench.claim()
    bench.reply(first, progressed(ran("ask", LimitUsed("tpm", by=300))))
    bench.reply(second, progressed(ran("ask", LimitUsed("tpm", by=-100))))
    # 1,200 are used; 500 are there again when 700 of them are given back: in 7 seconds.
    assert steps_at(bench, 20_000) == [7.0]


def test_a_step_that_used_less_makes_room_at_once(bench: FlowBench) -> None:
    bench.register(controlled())
    begin(bench, 2, StepLimit("tpm", weight=1_000, rate=1_000, period="1h"))
    (job,) = bench.claim()
    assert bench.claim() == []
    bench.reply(job, progressed(ran("ask", LimitUsed("tpm", by=-1_000_000))))
    assert [job.lease.key for job in bench.claim() if job.lease.key]


def test_a_step_corrects_no_limit_but_its_own(bench: FlowBench) -> None:
    bench.register(controlled())
    begin(bench, 1, StepLimit("tpm", rate=10, period="10s"))
    bench.submit(LimitSet("other", rate=10, period_ms=10_000))
    bench.reply(bench.job(), progressed(ran("ask", LimitUsed("other", by=10))))
    assert bench.reader.flow_key("limit:other:") is None


def test_a_step_may_have_a_limit_of_its_own(bench: FlowBench) -> None:
    bench.register(controlled(), controlled("other", "went"))
    own = StepLimit(concurrency=1)
    begin(bench, 2, own)
    jobs = bench.claim()
    bench.send("went")
    find(bench, own)
    jobs += bench.claim()
    assert sorted(job.lease.keys[0] for job in jobs) == [
        "limit:shop-other.ask:",
        "limit:shop-work.ask:",
    ]


def test_a_restart_forgets_no_token(bench: FlowBench) -> None:
    bench.register(controlled())
    begin(bench, 2, StepLimit("tpm", weight=10, rate=10, period="10s"))
    (job,) = bench.claim()
    bench.reply(job, progressed(ran("ask")))
    bench.finish(bench.job())
    bench.restart()
    assert bench.claim() == []
    assert steps_at(bench, 20_000) == [10.0]


# -- whose turn it is -----------------------------------------------------------------------------


def test_what_is_heavy_is_not_overtaken_for_ever(bench: FlowBench) -> None:
    bench.register(controlled())
    begin(bench, 10, StepLimit("gpu", concurrency=10))
    jobs = bench.claim()
    begin(bench, 1, StepLimit("gpu", weight=8))
    assert bench.claim() == []
    begin(bench, 20, StepLimit("gpu"))
    begun: list[Job] = []
    for job in jobs:
        bench.reply(job, progressed(ran("ask")))
        begun += [job for job in bench.claim() if job.lease.key]
    assert [job.lease.loads for job in begun] == [(1,), (8,), (1,)], "one was there before it"


def test_the_end_of_what_waits_in_front_lets_the_others_by(bench: FlowBench) -> None:
    bench.register(controlled())
    begin(bench, 6, StepLimit("gpu", concurrency=10))
    assert len(bench.claim()) == 6
    (heavy,) = begin(bench, 1, StepLimit("gpu", weight=8))
    assert bench.claim() == []
    begin(bench, 1, StepLimit("gpu"))
    assert bench.claim() == [], "it came after the heavy one, which has its turn first"
    (run,) = bench.runs_of(heavy)
    bench.submit(CancelAsked(run.id))
    assert len(bench.claim()) == 1


def test_a_claim_that_finds_no_room_says_when_to_ask_again(bench: FlowBench) -> None:
    bench.register(controlled())
    limit = StepLimit("tpm", weight=500, rate=1_000, period="10s")
    begin(bench, 3, limit)
    jobs = bench.claim()
    assert len(jobs) == 2
    assert bench.next_due_ms == NOW_MS + 5_000
    bench.reply(jobs[0], progressed(ran("ask", LimitUsed("tpm", by=200))))
    bench.finish(bench.job())
    bench.at(5_000)
    assert bench.claim() == []
    assert bench.next_due_ms == NOW_MS + 7_000


def test_steps_that_take_the_same_begin_in_the_order_in_which_they_came(bench: FlowBench) -> None:
    bench.register(controlled())
    begin(bench, 12, StepLimit("gpu", concurrency=1))
    order = sorted(
        (item for run in bench.runs() for item in bench.reader.items(run.id) if item.key),
        key=lambda item: int(item.detail.partition(b" ")[0]),
    )
    begun: list[str] = []
    while len(begun) < 12:
        for job in bench.claim():
            if job.lease.key:
                begun.append(job.run.id)
                bench.reply(job, progressed(ran("ask")))
            else:
                bench.finish(job)
    assert begun == [item.run_id for item in order]
    assert len({item.detail for item in order}) == 12


def test_who_is_roused_in_vain_rouses_nobody_in_vain(bench: FlowBench) -> None:
    """Two steps each need what the other leaves: neither begins, and nobody looks again for it."""
    bench.register(controlled())
    holders = [holder(bench, StepLimit(name, weight=3, concurrency=4)) for name in ("desk", "mail")]
    begin(bench, 1, StepLimit("mail", weight=3), StepLimit("desk"))
    assert bench.claim() == []
    begin(bench, 1, StepLimit("desk", weight=3), StepLimit("mail"))
    for _ in range(6):
        assert bench.claim() == []
    assert bench.next_due_ms is None or bench.next_due_ms > bench.now_ms
    for held in holders:
        bench.reply(held, progressed(ran("ask")))
    begun = [job for _ in range(3) for job in bench.claim() if job.lease.key]
    assert [job.lease.loads for job in begun] == [(3, 1)]


def test_steps_under_the_same_limits_never_wait_for_each_other(bench: FlowBench) -> None:
    bench.register(controlled())
    one, two = StepLimit("one", concurrency=1), StepLimit("two", concurrency=1)
    holders = [holder(bench, one), holder(bench, two)]
    for limits in ((one, two), (two, one), (one, two)):
        begin(bench, 1, *limits)
        assert bench.claim() == []
    for held in holders:
        bench.reply(held, progressed(ran("ask")))
    for left in (3, 2, 1):
        found = [job for _ in range(4) for job in bench.claim()]
        begun = [job for job in found if job.lease.key]
        assert len(begun) == 1, f"{left} wait, and both limits have room for one"
        bench.reply(begun[0], progressed(ran("ask")))


# -- whatever dies --------------------------------------------------------------------------------

GPU_AND_MAIL = (StepLimit("gpu", weight=2), StepLimit("mail", rate=3, period="10s"))


class Dying:
    """A bench whose process dies after one of its commits; what it was told then, nobody heard."""

    def __init__(self, bench: FlowBench, dies_after: int) -> None:
        self.bench = bench
        self.left = dies_after

    def submit(self, given: Input) -> Answer | None:
        answer = self.bench.submit(given)
        loads = [load for lease in self.bench.leases() for load in lease.loads[:1]]
        assert sum(loads) <= 3 or len(loads) == 1, loads
        self.left -= 1
        if self.left:
            return answer
        self.bench.restart()
        return None

    def claim(self) -> list[Job]:
        work = self.submit(WorkAsked(SEED, ((APP, 10),), 10, 60_000))
        return list(work.jobs) if isinstance(work, Work) else []

    def pass_calls(self, rounds: int) -> None:
        """Calls are made and answered: the first finds a step under two limits, then the end."""
        for _ in range(rounds):
            jobs = self.claim()
            for job in jobs:
                step = ran("ask", LimitUsed("mail", by=-1), LimitUsed("gpu"))
                saved = {step.id for step in self.bench.reader.steps(job.run.id)}
                outcome = returned() if saved else progressed(asked("ask", *GPU_AND_MAIL))
                outcome = progressed(step) if job.lease.key else outcome
                lease = job.lease
                self.submit(ReplyReceived(lease.id, lease.run_id, lease.key, outcome))
            if not jobs:
                self.bench.pass_time(5 * SECOND)


def play_dying(bench: FlowBench, dies_after: int) -> int:
    """One story with named limits, in which everything ends; how many commits it had."""
    bench.register(controlled(limits=(FunctionLimit("gpu", concurrency=3),)))
    dying = Dying(bench, dies_after)
    for _ in range(3):
        bench.send("go")
    dying.pass_calls(2)
    dying.submit(LimitSet("gpu", concurrency=2))
    dying.pass_calls(2)
    dying.submit(LimitDropped("gpu"))
    for _ in range(20):
        dying.pass_calls(2)
        if all(run.ended for run in bench.runs()):
            break
    assert all(run.status is RunStatus.COMPLETED for run in bench.runs())
    assert bench.leases() == []
    return dies_after - dying.left


def test_Y4_a_death_at_every_commit_leaves_nothing_stuck_and_no_limit_exceeded(
    tmp_path: Path,
) -> None:
    def over(kind: str, dies_after: int) -> int:
        bench = FlowBench.over(kind, tmp_path / f"{dies_after}.db")
        commits = play_dying(bench, dies_after)
        bench.close()
        return commits

    commits = over("memory", 10_000)
    assert commits > 15
    for dies_after in range(1, commits + 1):
        over("memory", dies_after)
    for dies_after in range(1, commits + 1, 5):
        over("sqlite", dies_after)
