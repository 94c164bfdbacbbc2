"""Due items become leases; what is lost comes back; what nobody can do now is put off, not lost."""

import pytest

from stepwell.server.engine.message.input import Done, LeaseExtended, LeaseLost, Verdict, Work
from stepwell.server.engine.moment import TICKS_PER_MS, Moment
from stepwell.server.engine.name.lease_id import granted_tick, is_about, since
from stepwell.server.engine.op.gateway_call import GATEWAY_QUEUE
from stepwell.server.engine.row.run import MAIN, Item, ItemKind, RunStatus
from stepwell.server.engine.rules import Rules
from stepwell.wire.identifier import is_ulid, step_hash
from stepwell.wire.operation import GatewayCall, Sleep, StepError, StepRun
from tests.bench import NOW_MS, SEED, Bench, broke, function, given_, names, progressed, returned


def test_an_item_has_one_holder_at_a_time() -> None:
    bench = Bench()
    bench.begin()
    assert len(bench.claim()) == 1
    assert bench.claim() == []
    assert bench.next_due_ms == NOW_MS + 60_000


def test_no_more_than_there_is_room_for() -> None:
    bench = Bench()
    bench.register(function(event="go"))
    for _ in range(5):
        bench.send("go")
    assert len(bench.claim(capacity=2)) == 2
    assert bench.claim(capacity=0) == []
    assert bench.claim(queue="another-app") == []
    assert len(bench.claim(limit=1)) == 1
    assert len(bench.claim()) == 2


def test_the_oldest_comes_first() -> None:
    bench = Bench()
    bench.register(function(event="go"))
    for seconds in (3, 1, 2):
        bench.send("go", {"n": seconds}, ts=NOW_MS + seconds * 1_000)
    bench.pass_time(5_000)
    due = [job.item.due_ms - NOW_MS for job in bench.claim()]
    assert due == [1_000, 2_000, 3_000]


def test_leases_have_ulids_that_say_when_they_were_granted() -> None:
    bench = Bench()
    bench.register(function(event="go"))
    for _ in range(40):
        bench.send("go")
    jobs = bench.claim()
    ids = [job.lease.id for job in jobs]
    assert len(set(ids)) == 40
    assert all(is_ulid(lease_id) for lease_id in ids)
    assert {granted_tick(lease_id) for lease_id in ids} == {bench.tick}


@pytest.mark.parametrize("ms", [0, 1, NOW_MS, 2**47])
@pytest.mark.parametrize("sub", [0, 1, TICKS_PER_MS - 1])
def test_a_tick_survives_in_a_lease_id(ms: int, sub: int) -> None:
    from stepwell.server.engine.name.lease_id import lease_id, lease_ids
    from tests.bench import SEED

    tick = ms * TICKS_PER_MS + sub
    made = lease_id(lease_ids(Moment(ms, tick), SEED), 65_535)
    assert is_ulid(made)
    assert granted_tick(made) == tick


@pytest.mark.parametrize("text", ["", "x", "01JABCDEFGHJKMNPQRSTVWXYZ", "é" * 26, "I" * 26])
def test_what_is_no_lease_of_ours_says_nothing(text: str) -> None:
    assert granted_tick(text) is None
    assert not is_about(text, Item("r", MAIN, ItemKind.CALL, 0))


def test_only_calls_can_be_answered_by_whoever_outlived_the_server() -> None:
    bench = Bench()
    bench.begin()
    lease = bench.job().lease.id
    assert is_about(lease, Item("r", MAIN, ItemKind.CALL, 0, detail=since(Moment(0, 5))))
    assert not is_about(lease, Item("r", MAIN, ItemKind.GATEWAY, 0))
    late = since(Moment(0, bench.tick))
    assert not is_about(lease, Item("r", MAIN, ItemKind.CALL, 0, detail=late))


# -- losses -----------------------------------------------------------------------------------


def test_a_lease_that_ran_out_frees_its_item_without_using_an_attempt() -> None:
    bench = Bench()
    bench.begin()
    first = bench.job()
    bench.pass_time(60_000)
    assert bench.claim() == [], "freed now, handed out the next time"
    second = bench.job()
    assert (second.item.attempt, second.item.losses, second.lease.generation) == (0, 1, 2)
    assert bench.reply(first, returned("late")).verdict is Verdict.FENCED
    assert bench.reply(second, returned("new")).verdict is Verdict.APPLIED


def test_an_extended_lease_does_not_run_out() -> None:
    bench = Bench()
    run = bench.begin()
    job = bench.job()
    for _ in range(5):
        bench.pass_time(50_000)
        assert bench.submit_extension(job) == Done(Verdict.APPLIED, run.id)
        assert bench.claim() == []
    assert bench.reply(job, returned()).verdict is Verdict.APPLIED


def test_who_may_not_extend() -> None:
    bench = Bench()
    run = bench.begin()
    old = bench.job()
    bench.pass_time(60_000)
    bench.claim()
    bench.job()
    assert bench.submit_extension(old).verdict is Verdict.FENCED
    gone = LeaseExtended("x", "nobody", MAIN, 1)
    assert bench.submit(gone) == Done(Verdict.GONE, "nobody")
    bench.submit(given_.CancelAsked(run.id))
    assert bench.submit_extension(old).verdict is Verdict.GONE


def test_a_call_that_is_lost_again_and_again_counts_as_failed() -> None:
    bench = Bench(Rules(losses_max=3, retry_interval_ms=1_000))
    run = bench.begin(function(event="go", retries=1))
    for round_ in range(6):
        job = bench.job()
        lost = LeaseLost(job.lease.id, run.id, MAIN)
        assert bench.submit(lost) == Done(Verdict.APPLIED, run.id)
        assert bench.submit(lost) == Done(Verdict.FENCED, run.id)
        item = bench.item(run.id)
        if round_ < 5:
            assert item is not None
            expected = ((0, 1), (0, 2), (1, 0), (1, 1), (1, 2))[round_]
            assert (item.attempt, item.losses) == expected
            bench.pass_time(1_000)
    ended = bench.run(run.id)
    assert ended.status is RunStatus.FAILED
    assert b"WorkerLost" in (ended.output or b"")


def test_work_given_back_unbegun_costs_nothing_however_often() -> None:
    bench = Bench(Rules(losses_max=2))
    run = bench.begin()
    job = bench.job()
    bench.submit(LeaseLost(job.lease.id, run.id, MAIN))
    for _ in range(10):
        job = bench.job()
        assert job.item.losses == 1
        bench.submit(LeaseLost(job.lease.id, run.id, MAIN, begun=False))
    assert bench.status(run.id) is RunStatus.SCHEDULED


def test_a_restart_frees_everything_at_once() -> None:
    bench = Bench()
    run = bench.begin()
    bench.job()
    bench.restart()
    job = bench.job()
    assert (job.run.id, job.item.losses) == (run.id, 0)


def test_a_call_whose_function_is_not_registered_is_put_off() -> None:
    bench = Bench()
    run = bench.begin()
    bench.register(checksum="2")
    assert bench.claim() == []
    assert bench.next_due_ms is None
    item = bench.item(run.id)
    assert item is not None
    assert item.due_ms == NOW_MS + 30_000
    assert item.attempt == 0


# -- one decision, many items -----------------------------------------------------------------


def test_what_ends_a_run_and_what_would_call_it_in_one_claim() -> None:
    """The engine's own work goes first: a run it ends is not called."""
    from stepwell.server.engine.message.input import EventsReceived
    from stepwell.wire.function_config import Cancel

    bench = Bench(Rules(starts_per_decision_max=1))
    bench.register(function(event="go", cancel=(Cancel(event="stop"),)), function("x", event="x"))
    bench.send("go")
    # The cancellation is postponed by another event in front of it.
    bench.submit(EventsReceived((bench.event("x"), bench.event("stop"))))
    jobs = bench.claim()
    assert [job.run.function for job in jobs] == ["shop-x"]
    assert sorted(run.status.name for run in bench.runs()) == ["CANCELLED", "RUNNING"]


def test_many_runs_that_are_due_are_looked_at_together() -> None:
    bench = Bench()
    bench.register(function(event="go"))
    for _ in range(60):
        bench.send("go")
    for job in bench.claim():
        bench.reply(job, progressed(Sleep(id="z", name="z", until="1m")))
    bench.pass_time(60_000)
    bench.claim()
    assert names(bench.records).count("StepSaved") == 60
    assert bench.looks <= 3


def test_a_reply_and_the_end_of_its_sleep_in_one_commit() -> None:
    """The claim sees what the inputs before it in the batch have loaded, and asks for the rest."""
    bench = Bench()
    run = bench.begin()
    bench.answer(progressed(Sleep(id="z", name="z", until="1m"), StepRun(id="a", name="a")))
    job = bench.job()
    bench.pass_time(60_000)
    reply = given_.ReplyReceived(job.lease.id, run.id, MAIN, progressed())
    asked = given_.WorkAsked("01JABCDEFGHJKMNPQRSTVW", (("shop", 5),), 10, 60_000)
    bench.submit_all([reply, asked])
    assert set(bench.memos(run.id)) == {"a", "z"}


def test_a_claim_of_what_was_made_takes_nothing_older() -> None:
    bench = Bench()
    bench.register(function(event="go"))
    bench.send("go")
    fresh = given_.EventsReceived((bench.event("go"),))
    made = given_.WorkAsked(SEED, (("shop", 5),), 10, 60_000, made_only=True)
    _, work = bench.submit_all([fresh, made])
    assert isinstance(work, Work)
    (job,) = work.jobs
    assert job.run.event_ids == (fresh.events[0].id,)
    assert len(bench.claim()) == 1


def test_a_claim_of_what_was_made_leaves_what_is_due_later_or_not_to_be_called() -> None:
    bench = Bench()
    run = bench.begin()
    nap = Sleep(id=step_hash("nap"), name="nap", until="1m")
    job = bench.job()
    reply = given_.ReplyReceived(job.lease.id, run.id, MAIN, progressed(nap))
    made = given_.WorkAsked(SEED, (("shop", 5),), 10, 60_000, made_only=True)
    assert bench.submit_all([reply, made])[1] == Work(())


# -- the server's own requests ----------------------------------------------------------------


def fetching() -> Bench:
    bench = Bench(Rules(retry_interval_ms=1_000))
    bench.begin(function(event="go", retries=1))
    bench.answer(progressed(GatewayCall(id=step_hash("f"), name="f", url="http://api.test/")))
    return bench


def test_a_request_is_an_item_of_its_own_queue() -> None:
    bench = fetching()
    assert bench.claim(queue=GATEWAY_QUEUE)[0].item.kind is ItemKind.GATEWAY
    bench = fetching()
    job = bench.job()
    bench.reply(job, progressed(StepRun(id=step_hash("f"), name="f")))
    assert bench.memos(job.run.id) == {"f": {"data": None}}
    assert bench.answer(returned()).status is RunStatus.COMPLETED


def test_a_request_that_fails_is_tried_again_and_then_told_to_the_function() -> None:
    bench = fetching()
    failure = broke("no route").failure  # type: ignore[union-attr]
    error = progressed(StepError(id=step_hash("f"), name="f", failure=failure))
    job = bench.job()
    bench.reply(job, error)
    # An answer that comes twice counts once, also while the item waits for its next attempt.
    assert bench.reply(job, error).verdict is Verdict.ALREADY
    bench.pass_time(1_000)
    second = bench.job()
    assert (second.item.attempt, second.item.detail) == (1, job.item.detail)
    bench.reply(second, error)
    assert bench.memos(job.run.id) == {
        "f": {"error": {"message": "no route", "name": "ValueError"}}
    }
    assert bench.answer(returned()).status is RunStatus.COMPLETED


# -- faults of ours ---------------------------------------------------------------------------


def test_an_item_that_cannot_be_decided_rests_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from stepwell.server.engine.calling import claim

    bench = Bench()
    bench.register(function(event="go"))
    for _ in range(3):
        bench.send("go")
    for job in bench.claim():
        bench.reply(job, progressed(Sleep(id="z", name="z", until="1m")))
    bad = bench.runs()[1].id
    real = claim.finish_step

    def finish_step(draft: object, run: given_.Run, step: object) -> None:
        real(draft, run, step)  # type: ignore[arg-type]
        if run.id == bad:
            raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(claim, "finish_step", finish_step)
    bench.pass_time(60_000)
    asked = given_.WorkAsked("01JABCDEFGHJKMNPQRSTVW", (("shop", 9),), 10, 60_000)
    work = bench.submit(asked)
    assert isinstance(work, given_.Work)
    assert len(work.faults) == 1
    assert "ZeroDivisionError: a fault of ours" in work.faults[0]
    assert sorted(len(bench.steps(run.id)) for run in bench.runs()) == [0, 1, 1]
    item = bench.item(bad, "z")
    assert item is not None
    assert item.due_ms == bench.now_ms + 300_000
    assert len(bench.claim()) == 2
    monkeypatch.setattr(claim, "finish_step", real)
    bench.pass_time(300_000)
    bench.claim()
    assert len(bench.steps(bad)) == 1


def test_a_lost_lease_that_cannot_be_decided_rests_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from stepwell.server.engine.calling import claim

    bench = Bench()
    bench.begin()
    bench.job()

    def lose(draft: object, lease: object) -> None:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(claim, "lose", lose)
    bench.pass_time(60_000)
    assert bench.claim() == []
    assert bench.claim() == []
    monkeypatch.undo()
    bench.pass_time(300_000)
    bench.claim()
    assert bench.job().item.losses == 1
