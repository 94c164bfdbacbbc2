"""A holder that outlived its lease, or the server that gave it, gets its item back in time."""

from stepwell.server.engine.message.input import Verdict
from stepwell.server.engine.row.run import RunStatus
from tests.bench import Bench, broke, function, returned


def test_after_a_restart_the_holder_gets_its_item_back() -> None:
    bench = Bench()
    run = bench.begin()
    old = bench.job()
    bench.restart()
    assert bench.lease(run.id) is None
    assert bench.submit_extension(old).verdict is Verdict.APPLIED
    assert bench.holds(old)
    assert bench.claim() == []
    bench.reply(old, returned("kept"))
    assert bench.run(run.id).status is RunStatus.COMPLETED


def test_whoever_began_anew_keeps_it() -> None:
    bench = Bench()
    bench.begin()
    old = bench.job()
    bench.restart()
    new = bench.job()
    assert bench.submit_extension(old).verdict is Verdict.FENCED
    assert bench.holds(new)


def test_an_item_that_was_answered_is_nobodys() -> None:
    bench = Bench()
    bench.begin(function(event="go", retries=1))
    old = bench.job()
    bench.reply(old, broke())
    # The same item waits for its next attempt; the old lease is about the one before.
    assert bench.submit_extension(old).verdict is Verdict.FENCED


def test_what_is_taken_back_is_lost_again_in_its_time() -> None:
    bench = Bench()
    bench.begin()
    old = bench.job()
    bench.restart()
    bench.submit_extension(old)
    bench.pass_time(59_000)
    assert bench.claim() == []
    bench.pass_time(2_000)
    assert bench.claim() == []  # the lease that ran out is taken back first
    new = bench.job()
    assert new.item.losses == 1
    assert bench.submit_extension(old).verdict is Verdict.FENCED
    assert bench.holds(new)
