"""Steps at once: who is called when (http.md 8.2 to 8.5)."""

from stepwell.server.engine.message.input import Job, Verdict
from stepwell.server.engine.row.run import MAIN, RunStatus, WaitKind
from stepwell.wire.identifier import step_hash
from stepwell.wire.operation import Sleep, WaitForEvent, WaitForSignal
from tests.bench import Bench, planned, progressed, returned, step_run


def by_target(jobs: list[Job]) -> dict[str, Job]:
    names = {step_hash(name): name for name in ("a1", "a2", "b1", "b2", "c", "z", "w")}
    return {names.get(job.item.target, job.item.target): job for job in jobs}


def test_the_observed_sequence_of_two_branches_of_two_steps() -> None:
    """http.md 8.4, call by call."""
    bench = Bench()
    run = bench.begin()
    one = bench.job()
    assert (one.item.target, one.run.force_plan, one.run.version) == ("step", False, -1)
    bench.reply(one, progressed(planned("a1"), planned("b1")))

    pair = by_target(bench.claim())
    assert set(pair) == {"a1", "b1"}
    assert all(job.run.force_plan for job in pair.values())
    assert bench.memos(run.id) == {}
    bench.reply(pair["a1"], progressed(step_run("a1")))
    assert bench.claim() == [], "the other is still pending"
    bench.reply(pair["b1"], progressed(step_run("b1")))

    four = bench.job()
    assert (four.item.target, four.run.force_plan, four.run.version) == ("step", False, 2)
    assert list(bench.memos(run.id)) == ["a1", "b1"]
    bench.reply(four, progressed(planned("a2"), planned("b2")))

    pair = by_target(bench.claim())
    assert set(pair) == {"a2", "b2"}
    assert all(job.run.force_plan for job in pair.values())
    bench.reply(pair["b2"], progressed(step_run("b2")))
    bench.reply(pair["a2"], progressed(step_run("a2")))

    seven = bench.job()
    assert not seven.run.force_plan
    assert list(bench.memos(run.id)) == ["a1", "b1", "b2", "a2"]
    assert bench.reply(seven, returned("done")).verdict is Verdict.APPLIED
    assert bench.status(run.id) is RunStatus.COMPLETED


def test_many_signals_are_waited_for_at_once() -> None:
    bench = Bench()
    run = bench.begin()
    ids = [str(number) for number in range(40)]
    waits = [WaitForSignal(id=step_hash(one), signal=one, timeout="1d") for one in ids]
    bench.answer(progressed(*waits))
    assert len(bench.waits(run.id, WaitKind.SIGNAL)) == len(waits)


def test_a_race_is_discovered_after_each_step() -> None:
    bench = Bench()
    run = bench.begin()
    bench.answer(progressed(planned("a1", "race"), planned("b1", "race")))
    pair = by_target(bench.claim())
    bench.reply(pair["a1"], progressed(step_run("a1", mode="race")))
    middle = bench.job()
    assert middle.item.target == "step"
    # While that discovery is under way the other ends: it leaves word for one more.
    bench.reply(pair["b1"], progressed(step_run("b1", mode="race")))
    assert bench.run(run.id).again
    assert bench.claim() == []
    bench.reply(middle, progressed(planned("a2", "race")))
    last = by_target(bench.claim())
    assert set(last) == {"step", "a2"}
    assert not bench.run(run.id).again
    bench.reply(last["step"], returned("a won"))
    assert bench.reply(last["a2"], progressed(step_run("a2"))).verdict is Verdict.ALREADY


def test_an_older_sdk_is_called_after_every_step_and_plans_ever_after() -> None:
    bench = Bench()
    run = bench.begin()
    bench.answer(progressed(planned("a1"), planned("b1"), version=1))
    assert bench.run(run.id).pending == ()
    pair = by_target(bench.claim())
    bench.reply(pair["a1"], progressed(step_run("a1"), version=1))
    discovery = bench.job()
    assert (discovery.run.force_plan, discovery.run.version) == (True, 1)
    bench.reply(discovery, progressed(planned("b1"), version=1))
    bench.reply(pair["b1"], progressed(step_run("b1"), version=1))
    discovery = bench.job()
    assert discovery.run.force_plan
    bench.reply(discovery, returned())
    assert bench.status(run.id) is RunStatus.COMPLETED


def test_sleeps_and_waits_beside_planned_steps_are_waited_for() -> None:
    bench = Bench()
    run = bench.begin()
    sleep = Sleep(id=step_hash("z"), name="z", until="1m")
    wait = WaitForEvent(id=step_hash("w"), name="w", event="news", timeout="2m")
    bench.answer(progressed(planned("a1"), sleep, wait))
    bench.reply(bench.job(), progressed(step_run("a1")))
    bench.pass_time(60_000)
    assert bench.claim() == []
    bench.send("news")
    assert list(bench.memos(run.id)) == ["a1", "z", "w"]
    assert not bench.job().run.force_plan


def test_waits_alone_are_discovered_one_by_one() -> None:
    """Only an answer with a planned step arms the wait for all."""
    bench = Bench()
    run = bench.begin()
    bench.answer(
        progressed(
            Sleep(id=step_hash("z"), name="z", until="1m"),
            Sleep(id=step_hash("w"), name="w", until="2m"),
        )
    )
    assert (bench.run(run.id).pending, bench.run(run.id).force_plan) == ((), True)
    bench.pass_time(60_000)
    bench.claim()
    assert bench.job().item.target == "step"


def test_a_lone_planned_step_is_pending_by_itself() -> None:
    bench = Bench()
    run = bench.begin()
    bench.answer(progressed(planned("a1")))
    assert bench.run(run.id).pending == (step_hash("a1"),)
    assert bench.item(run.id, MAIN) is None
    bench.reply(bench.job(), progressed(step_run("a1")))
    assert bench.answer(returned()).status is RunStatus.COMPLETED


def test_a_stale_plan_does_not_wait_for_what_is_saved() -> None:
    """A discovery that began before a step ended plans it once more."""
    bench = Bench()
    run = bench.begin()
    bench.answer(progressed(planned("a1"), planned("b1"), planned("c", "race")))
    jobs = by_target(bench.claim())
    bench.reply(jobs["c"], progressed(step_run("c", mode="race")))
    stale = bench.job()
    bench.reply(jobs["a1"], progressed(step_run("a1")))
    bench.reply(stale, progressed(planned("a1"), planned("b1")))
    assert bench.run(run.id).pending == (step_hash("b1"),)
    bench.reply(jobs["b1"], progressed(step_run("b1")))
    assert bench.answer(returned()).status is RunStatus.COMPLETED


def test_a_failure_of_the_function_in_a_targeted_call_fails_the_run_and_discards_the_rest() -> None:
    from tests.bench import broke, function

    bench = Bench()
    run = bench.begin(function(event="go", retries=0))
    bench.answer(progressed(planned("a1"), planned("b1")))
    jobs = by_target(bench.claim())
    bench.reply(jobs["a1"], broke())
    assert bench.status(run.id) is RunStatus.FAILED
    assert bench.reply(jobs["b1"], progressed(step_run("b1"))).verdict is Verdict.ALREADY
    assert bench.memos(run.id) == {}
    assert bench.claim() == []
