"""When a failed call is tried again (http.md 6.8, 6.9)."""

import pytest

from stepwell.server.engine.message.input import Verdict
from stepwell.server.engine.retry import JITTER_MS, delay_ms
from stepwell.server.engine.row.run import RunStatus
from stepwell.server.engine.rules import Rules
from stepwell.wire.failure import Failure
from stepwell.wire.identifier import step_hash
from stepwell.wire.operation import StepError, StepFailed
from tests.bench import NOW_MS, Bench, broke, function, progressed, returned, step_run

BASES_S = (15, 30, 60, 120, 300, 600, 1200, 2400, 3600, 7200, 7200, 7200)
A = step_hash("a")
NOPE = Failure(name="ValueError", message="nope")


@pytest.mark.parametrize(("attempt", "base_s"), list(enumerate(BASES_S)))
def test_the_schedule(attempt: int, base_s: int) -> None:
    delays = {delay_ms(attempt, f"run{n}", asked_ms=None, constant_ms=None) for n in range(300)}
    assert min(delays) >= base_s * 1000
    assert max(delays) <= base_s * 1000 + JITTER_MS
    # Jitter spreads over the whole half minute, and no two of these runs come together.
    assert max(delays) - min(delays) > 0.9 * JITTER_MS
    assert len(delays) > 250


def test_the_same_call_is_put_off_by_the_same_time() -> None:
    assert delay_ms(2, "x", asked_ms=None, constant_ms=None) == delay_ms(
        2, "x", asked_ms=None, constant_ms=None
    )


@pytest.mark.parametrize(
    ("asked_ms", "given_ms"),
    [(-5, 1_000), (0, 1_000), (1, 1_000), (20_000, 20_000), (10**12, 86_400_000)],
)
def test_what_the_function_asks_for_is_kept_within_a_day(asked_ms: int, given_ms: int) -> None:
    assert delay_ms(0, "x", asked_ms=asked_ms, constant_ms=None) == given_ms
    assert delay_ms(0, "x", asked_ms=asked_ms, constant_ms=7) == given_ms


def test_the_operator_may_choose_one_interval() -> None:
    assert delay_ms(9, "x", asked_ms=None, constant_ms=50) == 50


def test_a_negative_attempt_is_the_first() -> None:
    assert 15_000 <= delay_ms(-3, "x", asked_ms=None, constant_ms=None) <= 45_000


def constant(retries: int) -> Bench:
    bench = Bench(Rules(retry_interval_ms=1_000))
    bench.begin(function(event="go", retries=retries))
    return bench


def test_a_function_is_tried_retries_times_more_and_then_fails() -> None:
    bench = constant(2)
    (run,) = bench.runs()
    for attempt in range(3):
        job = bench.job()
        assert (job.item.attempt, job.run.version) == (attempt, -1)
        bench.reply(job, broke(f"try {attempt}"))
        bench.pass_time(1_000)
    ended = bench.run(run.id)
    assert (ended.status, ended.ended_ms) == (RunStatus.FAILED, NOW_MS + 2_000)
    assert b"try 2" in (ended.output or b"")
    assert [note.attempt for note in bench.reader.notes(run.id)] == [0, 1]


def test_no_retry_fails_at_once() -> None:
    bench = constant(4)
    assert bench.answer(broke(no_retry=True)).status is RunStatus.FAILED


def test_retry_after_is_obeyed() -> None:
    bench = constant(4)
    bench.answer(broke(delay_ms=90_000))
    bench.pass_time(89_999)
    assert bench.claim() == []
    bench.pass_time(1)
    assert bench.job().item.attempt == 1


def test_every_step_has_the_full_number_of_tries() -> None:
    bench = constant(1)
    bench.answer(broke())
    bench.pass_time(1_000)
    bench.answer(progressed(step_run("a")))
    job = bench.job()
    assert job.item.attempt == 0
    bench.reply(job, broke())
    bench.pass_time(1_000)
    assert bench.answer(returned()).status is RunStatus.COMPLETED


def test_a_step_that_failed_for_good_is_told_to_the_function() -> None:
    bench = constant(1)
    (run,) = bench.runs()
    error = progressed(StepError(id=A, name="a", failure=NOPE))
    bench.answer(error)
    assert bench.memos(run.id) == {}
    bench.pass_time(1_000)
    assert bench.answer(error).status is RunStatus.RUNNING
    assert bench.memos(run.id) == {"a": {"error": {"message": "nope", "name": "ValueError"}}}
    job = bench.job()
    assert job.item.attempt == 0
    bench.reply(job, returned("caught"))
    assert bench.run(run.id).output == b'"caught"'


@pytest.mark.parametrize("operation", [StepError, StepFailed])
def test_no_retry_makes_a_step_fail_at_once(operation: type[StepError] | type[StepFailed]) -> None:
    bench = constant(4)
    (run,) = bench.runs()
    bench.answer(progressed(operation(id=A, name="a", failure=NOPE), no_retry=True))
    assert list(bench.memos(run.id)) == ["a"]
    assert bench.job().item.attempt == 0


def test_steps_that_failed_beside_others_are_tried_in_calls_of_their_own() -> None:
    bench = constant(1)
    (run,) = bench.runs()
    beside = StepError(id=A, name="a", failure=NOPE, parallel_mode="wait")
    bench.answer(progressed(beside, step_run("b", 1, "wait")))
    assert list(bench.memos(run.id)) == ["b"]
    assert set(bench.items(run.id)) == {A}
    bench.pass_time(1_000)
    job = bench.job()
    assert (job.item.target, job.item.attempt) == (A, 1)
    assert bench.reply(job, progressed(beside)).verdict is Verdict.APPLIED
    assert list(bench.memos(run.id)) == ["b", "a"]
    assert bench.answer(returned()).status is RunStatus.COMPLETED


def test_a_step_under_way_elsewhere_is_not_disturbed_by_an_old_error() -> None:
    from tests.bench import planned

    bench = constant(3)
    (run,) = bench.runs()
    first = bench.job()
    bench.reply(first, progressed(planned("a"), planned("b")))
    jobs = {job.item.target: job for job in bench.claim()}
    b = step_hash("b")
    beside = StepError(id=A, name="a", failure=NOPE, parallel_mode="wait")
    bench.reply(jobs[b], progressed(beside, step_run("b")))
    item = bench.item(run.id, A)
    assert item is not None
    assert item.attempt == 0
    assert bench.reply(jobs[A], progressed(step_run("a"))).verdict is Verdict.APPLIED
