"""What people ask for: a run again, old things gone (server.md 3.12)."""

from stepwell.server.engine.message.input import Done, PruneAsked, Pruned, RerunAsked, Verdict
from stepwell.server.engine.row.run import RunStatus
from tests.bench import Bench, broke, function, progressed, returned, step_run


def rerun(bench: Bench, run_id: str) -> Done:
    answer = bench.submit(RerunAsked(run_id))
    assert isinstance(answer, Done)
    return answer


def test_a_rerun_is_a_new_run_with_the_same_event() -> None:
    bench = Bench()
    old = bench.begin(function(event="go", retries=0), data={"k": 1})
    bench.answer(progressed(step_run("a")))
    bench.answer(broke())
    done = rerun(bench, old.id)
    assert done.verdict is Verdict.APPLIED
    fresh = bench.run(done.subject)
    assert (fresh.original, fresh.event_ids, fresh.status) == (
        old.id,
        old.event_ids,
        RunStatus.SCHEDULED,
    )
    assert bench.memos(fresh.id) == {}
    assert bench.answer(returned()).status is RunStatus.COMPLETED
    assert bench.status(old.id) is RunStatus.FAILED
    again = rerun(bench, fresh.id)
    assert bench.run(again.subject).original == old.id
    assert len({old.id, fresh.id, again.subject}) == 3


def test_a_run_that_was_deferred_stays_so_when_it_runs_again() -> None:
    bench = Bench()
    bench.register(function(event="inngest/deferred.schedule"), function("other", event="go"))
    bench.send("inngest/deferred.schedule")
    bench.send("go")
    deferred, other = bench.runs()
    assert (deferred.deferred, other.deferred) == (True, False)
    assert bench.run(rerun(bench, deferred.id).subject).deferred


def test_a_rerun_with_steps_does_not_do_them_again() -> None:
    bench = Bench()
    old = bench.begin(function(event="go"))
    bench.answer(progressed(step_run("a", 7)))
    bench.answer(progressed(step_run("b", 8)))
    (first, _) = bench.steps(old.id)
    done = bench.submit(RerunAsked(old.id, (first,), (("hash", "[1]"),)))
    assert isinstance(done, Done)
    fresh = bench.run(done.subject)
    assert bench.memos(fresh.id) == {"a": {"data": 7}}
    assert fresh.edited == (("hash", "[1]"),)
    assert [step.memo for step in bench.steps(old.id)] == [b'{"data":7}', b'{"data":8}']
    again = rerun(bench, fresh.id)
    assert bench.run(again.subject).edited == ()
    assert bench.memos(again.subject) == {}


def test_a_rerun_does_not_wait_for_the_time_of_its_event() -> None:
    bench = Bench()
    bench.register(function(event="go"))
    bench.send("go", ts=bench.now_ms + 3_600_000)
    rerun(bench, bench.runs()[0].id)
    assert len(bench.claim()) == 1


def test_what_cannot_run_again() -> None:
    bench = Bench()
    assert rerun(bench, "nobody") == Done(Verdict.GONE, "nobody", "no such run")
    run = bench.begin()
    bench.answer(returned())
    bench.register(checksum="2")
    refused = rerun(bench, run.id)
    assert (refused.verdict, refused.reason) == (Verdict.REFUSED, "its function is gone")
    bench.register(function(event="go"), checksum="3")
    bench.store.disk.events.clear()
    refused = rerun(bench, run.id)
    assert (refused.verdict, refused.reason) == (Verdict.REFUSED, "its event is gone")


def test_what_ended_long_ago_is_forgotten_so_many_at_a_time() -> None:
    bench = Bench()
    bench.register(function(event="go"))
    for _ in range(5):
        bench.send("go")
    bench.send("nobody listens")
    jobs = bench.claim()
    for job in jobs[:4]:
        bench.reply(job, progressed(step_run("a")))
    for job in bench.claim():
        bench.reply(job, returned())
    assert [run.ended for run in bench.runs()].count(True) == 4
    bench.pass_time(1_000)
    before = bench.now_ms
    pruned = bench.submit(PruneAsked(before, 3))
    assert isinstance(pruned, Pruned)
    assert pruned.runs == 3
    bench.submit(PruneAsked(before, 3))
    bench.submit(PruneAsked(before, 3))
    left = bench.runs()
    assert [run.ended for run in left] == [False]
    assert set(bench.store.disk.events) == set(left[0].event_ids)
    assert {step.run_id for step in bench.store.disk.steps} <= {left[0].id}
    assert bench.submit(PruneAsked(before, 3)) == Pruned(0, 0)
