"""A sentence for each gate that keeps an event from starting a run, or a call from beginning: which
limit, of which key, how many come first, since when, and what makes room."""

from collections.abc import Callable
from typing import Any

import pytest

from stepwell.server.engine.message.input import Broke, FunctionPaused
from stepwell.server.engine.row.run import MAIN, AppRow
from stepwell.server.query.not_started import not_started
from stepwell.server.query.rest import Reach, rest
from stepwell.server.query.room import rests
from stepwell.wire.duration import format_instant
from stepwell.wire.failure import Failure, encode_failure
from stepwell.wire.function_config import (
    Backlog,
    Batch,
    Concurrency,
    Debounce,
    Fairness,
    Priority,
    RateLimit,
    Singleton,
    Throttle,
)
from stepwell.wire.named_limit import FunctionLimit
from tests.bench import APP, NOW_MS
from tests.flow.flow_bench import DAY, MINUTE, SECOND, FlowBench, controlled

FN = f"{APP}-work"
USER = "event.data.user"
AMY = {"user": "amy", "w": 2}
AT = format_instant(NOW_MS)
IN_A_MINUTE = format_instant(NOW_MS + MINUTE)
ONE = (Concurrency(1),)
AHEAD = "; 1 comes first; "
STEP_ENDS, RUN_ENDS = "the end of a step frees it", "the end of a run frees it"


def sentence(bench: FlowBench, event: str) -> str:
    """What is told of an event, or of the first call of its run."""
    runs = bench.runs_of(event)
    if not runs:
        (told,) = not_started(bench.drops(event), bench.reader.holds_of_event(event))
        return told.detail
    items = bench.reader.items(runs[0].id)
    listing = bench.catalog.listing(runs[0].function)
    return rests(bench.reader, runs[0], listing, bench.now_ms, items)[MAIN].text


STARTS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "rate limit": (
        {"rate_limit": RateLimit(1, "1m", USER)},
        ('the rate limit of "amy" was used up', f"at {AT}", f"from {IN_A_MINUTE}"),
    ),
    "idempotency": (
        {"idempotency": USER},
        (
            'the idempotency key of "amy" had started',
            f"at {AT}",
            f"from {format_instant(NOW_MS + DAY)}",
        ),
    ),
    "debounce": (
        {"debounce": Debounce("1m", USER)},
        (
            'waits in the debounce of "amy"',
            f"since {AT}",
            f"starts at {IN_A_MINUTE} unless another",
        ),
    ),
    "batch": (
        {"batch": Batch(5, "1m", USER)},
        ('waits in the batch of "amy", with 3 events', f"since {AT}", f"full, or at {IN_A_MINUTE}"),
    ),
    "singleton": (
        {"singleton": Singleton("skip", USER)},
        ('a singleton of "amy"', "run 0", f"at {AT}", "the end of a run makes room"),
    ),
    "backlog": (
        {"backlog": Backlog(1, USER), "concurrency": ONE},
        ('the backlog of "amy" was full', f"at {AT}", "a run that waits makes room"),
    ),
}


@pytest.mark.parametrize("gate", STARTS)
def test_a_gate_that_keeps_an_event_from_starting_a_run(bench: FlowBench, gate: str) -> None:
    controls, words = STARTS[gate]
    bench.register(controlled(**controls))
    events = [bench.send("go", AMY) for _ in range(3)]
    told = sentence(bench, events[2])
    assert [word for word in words if word not in told] == [], told


def test_an_event_that_came_while_its_function_was_paused(bench: FlowBench) -> None:
    bench.register(controlled())
    bench.submit(FunctionPaused(FN))
    told = sentence(bench, bench.send("go"))
    assert told == (
        f"the function was paused when it came, at {AT}; stepwell replay {FN} starts it after all"
    )


def test_an_event_that_a_newer_one_replaced(bench: FlowBench) -> None:
    bench.register(controlled(debounce=Debounce("1m", USER)))
    old = bench.send("go", AMY)
    bench.send("go", AMY)
    assert sentence(bench, old) == (
        f'a newer event took its place in the debounce of "amy", at {AT}'
    )
    late = bench.send("go", AMY, ts=NOW_MS - 1)
    assert sentence(bench, late) == (
        f'the debounce of "amy" held an event that is newer by its ts when it came, at {AT}'
    )


CLAIMS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "concurrency": (
        {"concurrency": (Concurrency(1, USER),)},
        ('its concurrency of "amy" is used up, 1 of 1, by run ', STEP_ENDS),
    ),
    "concurrency of the environment": (
        {"concurrency": (Concurrency(1, USER, "env"),)},
        ('its concurrency in the environment of "amy" is used up, 1 of 1, by run ', STEP_ENDS),
    ),
    "concurrency of the account": (
        {"concurrency": (Concurrency(1, USER, "account"),)},
        ('its concurrency in the account of "amy" is used up, 1 of 1, by run ', STEP_ENDS),
    ),
    "run concurrency": (
        {"run_concurrency": (Concurrency(1, USER),)},
        ('its run concurrency of "amy" is used up, 1 of 1, by run ', RUN_ENDS),
    ),
    "throttle": (
        {"throttle": Throttle(1, "1m", 0, USER)},
        ('the throttle of "amy" has no start left', f"the next start is at {IN_A_MINUTE}"),
    ),
    "priority": (
        {"priority": Priority("10"), "concurrency": ONE},
        ("its concurrency is used up", STEP_ENDS),
    ),
    "fairness": (
        {"fairness": Fairness(USER), "concurrency": ONE},
        ("its concurrency is used up", 'its fairness of "amy" takes turns with others', STEP_ENDS),
    ),
    "named limit": (
        {"limits": (FunctionLimit("gpu", USER, "event.data.w", concurrency=3),)},
        ('limit gpu of "amy" is in use, 2 of 3, by run ', "and it takes 2", STEP_ENDS),
    ),
    "named limit per period": (
        {"limits": (FunctionLimit("mail", USER, rate=1, period="1m"),)},
        ('limit mail of "amy" of 1 per 1m has nothing left', f"is there at {IN_A_MINUTE}"),
    ),
}


@pytest.mark.parametrize("gate", CLAIMS)
def test_a_gate_that_keeps_a_call_from_beginning(bench: FlowBench, gate: str) -> None:
    controls, words = CLAIMS[gate]
    bench.register(controlled(**controls))
    events = [bench.send("go", AMY) for _ in range(3)]
    bench.claim()
    bench.pass_time(SECOND)
    told = sentence(bench, events[2])
    assert [word for word in (*words, AHEAD) if word not in told] == [], told
    assert told.endswith(f", since {AT}")


@pytest.mark.parametrize("more", [{}, {"priority": Priority("-60")}], ids=["in turn", "put back"])
def test_a_named_limit_that_is_kept_for_who_needs_more(
    bench: FlowBench, more: dict[str, Any]
) -> None:
    heavy = FunctionLimit("gpu", "", "event.data.w", concurrency=4)
    bench.register(
        controlled(limits=(heavy,), **more),
        controlled("other", "went", limits=(FunctionLimit("gpu"),)),
    )
    bench.send("go", {"w": 3})
    bench.claim()
    bench.send("go", {"w": 3})
    bench.pass_time(SECOND)
    light = bench.send("went")
    assert bench.claim() == []
    assert sentence(bench, light) == (
        "limit gpu has room, which is kept; 1 comes first; for others that wait and take more,"
        f" since {format_instant(NOW_MS + SECOND)}"
    )


def paused(bench: FlowBench) -> None:
    bench.submit(FunctionPaused(FN))


def cooled(bench: FlowBench) -> None:
    failure = Failure("RetryAfterError", "429", retry_scope="key")
    bench.reply(bench.job(), Broke(failure, encode_failure(failure), delay_ms=MINUTE))


@pytest.mark.parametrize(
    ("controls", "happens", "words"),
    [
        ({}, paused, (f"function {FN} is paused since {AT}", f"stepwell resume {FN}")),
        ({"concurrency": ONE}, paused, (f"function {FN} is paused since {AT}",)),
        ({}, cooled, (f"function {FN} rests until {IN_A_MINUTE}", "a call of it was told")),
        (
            {"concurrency": (Concurrency(5, USER),)},
            cooled,
            (f'its concurrency of "amy" rests until {IN_A_MINUTE}', "a call was told to wait"),
        ),
    ],
)
def test_what_keeps_a_function_or_a_key_from_being_called(
    bench: FlowBench,
    controls: dict[str, Any],
    happens: Callable[[FlowBench], None],
    words: tuple[str, ...],
) -> None:
    bench.register(controlled(**controls))
    first = bench.send("go", AMY)
    happens(bench)
    event = first if happens is paused else bench.send("go", AMY)
    bench.claim()
    told = sentence(bench, event)
    assert [word for word in words if word not in told] == [], told


def test_an_app_that_takes_no_more_calls(bench: FlowBench) -> None:
    bench.register(controlled())
    (run,) = bench.runs_of(bench.send("go"))
    app = AppRow(APP, "http://app.test", "connect", "", "", "", "", NOW_MS)
    told = rest(run, Reach(app, busy=3))
    assert told is not None
    assert told.text == (
        f"app {APP} has 3 calls under way and takes no more at once; the end of one makes room"
    )
