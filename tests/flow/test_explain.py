"""Y5: of a call that waits it is told which limit it waits for, who has its places, since when, how
many come first, and what makes room."""

from stepwell.server.engine.message.input import Broke, FunctionPaused, FunctionResumed
from stepwell.server.engine.row.run import MAIN
from stepwell.server.query.rest import Hindrance, Rest
from stepwell.server.query.room import rests
from stepwell.wire.duration import format_instant
from stepwell.wire.failure import Failure, encode_failure
from stepwell.wire.function_config import Concurrency, Throttle
from stepwell.wire.named_limit import FunctionLimit
from tests.flow.flow_bench import MINUTE, SECOND, FlowBench, controlled

FN = "shop-work"
PER_USER = "event.data.user"


def explained(bench: FlowBench, event: str) -> Rest | None:
    """What is told of the first call of an event's run."""
    (run,) = bench.runs_of(event)
    listing = bench.catalog.listing(run.function)
    items = bench.reader.items(run.id)
    return rests(bench.reader, run, listing, bench.now_ms, items).get(MAIN)


def text(bench: FlowBench, event: str) -> str:
    told = explained(bench, event)
    assert told is not None
    assert told.reason is Hindrance.LIMIT
    return told.text


def test_Y5_concurrency_names_its_key_the_holder_and_what_frees_it(bench: FlowBench) -> None:
    bench.register(controlled(concurrency=(Concurrency(1, PER_USER),)))
    at = format_instant(bench.now_ms)
    first = bench.send("go", {"user": "amy"})
    second, third = (bench.send("go", {"user": "amy"}) for _ in range(2))
    other = bench.send("go", {"user": "bob"})
    bench.claim()
    (holder,) = bench.runs_of(first)
    full = f'its concurrency of "amy" is used up, 1 of 1, by run {holder.id} since {at}'
    assert text(bench, second) == f"{full}; the end of a step frees it, since {at}"
    bench.pass_time(SECOND)
    assert f"{full}; 1 comes first; the end" in text(bench, third)
    last = bench.send("go", {"user": "amy"})
    assert "; 2 come first; " in text(bench, last)
    assert (explained(bench, first), explained(bench, other)) == (None, None)


def test_Y5_run_concurrency(bench: FlowBench) -> None:
    bench.register(controlled(run_concurrency=(Concurrency(2),)))
    sent = [bench.send("go") for _ in range(3)]
    bench.claim()
    (holder,) = bench.runs_of(sent[0])
    told = text(bench, sent[2])
    assert f"its run concurrency is used up, 2 of 2, longest by run {holder.id}" in told
    assert "the end of a run frees it" in told


def test_Y5_a_throttle_names_its_next_start(bench: FlowBench) -> None:
    bench.register(controlled(throttle=Throttle(1, "1m", 0)))
    start_ms = bench.now_ms
    sent = [bench.send("go") for _ in range(2)]
    bench.claim()
    bench.pass_time(SECOND)
    at = format_instant(start_ms + MINUTE)
    assert f"the throttle has no start left; the next start is at {at}" in text(bench, sent[1])


def test_Y5_every_limit_that_is_full_is_told(bench: FlowBench) -> None:
    both = (Concurrency(1, PER_USER), Concurrency(1, "'api'", "account"))
    bench.register(controlled(concurrency=both))
    sent = [bench.send("go", {"user": "amy"}) for _ in range(2)]
    bench.claim()
    told = text(bench, sent[1])
    assert 'its concurrency of "amy" is used up' in told
    assert 'its concurrency in the account of "api" is used up' in told


def test_Y5_what_has_room_waits_for_no_limit(bench: FlowBench) -> None:
    bench.register(controlled(concurrency=(Concurrency(5, PER_USER),)))
    event = bench.send("go", {"user": "amy"})
    assert explained(bench, event) is None


def test_a_frozen_run_says_that_its_function_is_paused(bench: FlowBench) -> None:
    for options in ({}, {"concurrency": (Concurrency(1),)}):
        bench.register(controlled(**options))
        sent = bench.send("go")
        at = format_instant(bench.now_ms)
        bench.submit(FunctionPaused(FN))
        bench.claim()
        bench.pass_time(MINUTE)
        told = explained(bench, sent)
        assert told is not None
        assert told.reason is Hindrance.PAUSED
        assert told.text.startswith(f"function {FN} is paused since {at}: let it go on with")
        bench.submit(FunctionResumed(FN))
        assert explained(bench, sent) is None
        bench.finish(bench.job())


def test_a_named_limit_is_told_with_its_key_and_who_comes_first(bench: FlowBench) -> None:
    bench.register(
        controlled(limits=(FunctionLimit("gpu", PER_USER, "event.data.w", concurrency=4),))
    )
    sent = [bench.send("go", {"user": "amy", "w": 3})]
    bench.claim()
    sent += [bench.send("go", {"user": "amy", "w": 2}) for _ in range(2)]
    (holder,) = bench.runs_of(sent[0])
    at = format_instant(bench.now_ms)
    told = text(bench, sent[1])
    assert told.startswith(f'limit gpu of "amy" is in use, 3 of 4, by run {holder.id} since {at}')
    assert "and it takes 2; the end of a step frees it" in told
    bench.pass_time(SECOND)
    bench.send("go", {"user": "amy", "w": 2})
    assert "; 1 comes first; " in text(bench, sent[2])


def test_a_named_limit_per_period_tells_when_there_is_enough(bench: FlowBench) -> None:
    bench.register(controlled(limits=(FunctionLimit("mail", rate=1, period="1m"),)))
    sent = [bench.send("go") for _ in range(2)]
    bench.claim()
    at = format_instant(bench.now_ms + MINUTE)
    told = text(bench, sent[1])
    assert "limit mail of 1 per 1m has nothing left, and it takes 1" in told
    assert f"so much is there at {at}" in told


def test_what_rests_because_a_call_was_told_to_wait(bench: FlowBench) -> None:
    bench.register(controlled(concurrency=(Concurrency(5, PER_USER),)), controlled("other", "went"))
    at = format_instant(bench.now_ms + 30 * SECOND)
    failure = Failure("RetryAfterError", "429", retry_scope="key")
    for name in ("go", "went"):
        bench.send(name, {"user": "amy"})
        outcome = Broke(failure, encode_failure(failure), delay_ms=30 * SECOND)
        bench.reply(bench.job(), outcome)
    keyed, whole = bench.send("go", {"user": "amy"}), bench.send("went")
    bench.claim()
    assert f'its concurrency of "amy" rests until {at}' in text(bench, keyed)
    assert f"function shop-other rests until {at}" in text(bench, whole)
