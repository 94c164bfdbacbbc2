"""What each option of flow control refuses: where a function is declared, and where another SDK
registers one, the option, its value, what is allowed and the fix are named."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

import stepwell
from stepwell.wire.function_check import problems
from stepwell.wire.function_config import MalformedFunction, decode_function

WIRE: list[tuple[str, Any, str]] = [
    ("concurrency", {"limit": "two"}, 'Expected `int`|concurrency|limit`, which is "two"'),
    ("concurrency", {"limit": 1.5}, "Expected `int`|concurrency|limit`, which is 1.5"),
    ("concurrency", "x", 'Expected `int`|concurrency|which is "x"'),
    (
        "concurrency",
        {"limit": 1, "scope": "team", "key": "event.data.u"},
        "concurrency.scope 'team' is unknown: use fn, env or account",
    ),
    ("concurrency", {"limit": 1, "scope": "env"}, "concurrency.key is missing: the scope 'env'"),
    ("concurrency", [{"limit": 1}] * 3, "concurrency has 3 entries: use at most 2"),
    ("throttle", {"limit": "x", "period": "1m"}, 'Expected `int`|$.throttle.limit`, which is "x"'),
    ("throttle", {"limit": 1}, "throttle.period is missing: give a duration such as"),
    ("throttle", {"limit": 1, "period": "soon"}, "throttle.period: 'soon' is no duration: write"),
    ("throttle", {"limit": 1, "period": "1m", "burst": -1}, "throttle.burst -1|use at least 0"),
    ("rateLimit", {"limit": 0, "period": "1m"}, "rateLimit.limit 0|use at least 1"),
    ("rateLimit", {"limit": 1, "period": "25h"}, "rateLimit.period '25h'|use at most 1d"),
    (
        "rateLimit",
        {"limit": True, "period": "1m"},
        "Expected `int`|$.rateLimit.limit`, which is true",
    ),
    (
        "rateLimit",
        {"limit": 1, "period": "1m", "algorithm": "fast"},
        "rateLimit.algorithm 'fast' is unknown: use gcra or window",
    ),
    ("idempotency", {"key": "x"}, 'Expected `str`|$.idempotency`, which is {"key":"x"}'),
    ("debounce", {}, "debounce.period is missing: give a duration"),
    ("debounce", {"period": "500ms"}, "debounce.period '500ms'|use at least 1s"),
    ("debounce", {"period": "8d"}, "debounce.period '8d'|use at most 1w"),
    ("debounce", {"period": "5s", "timeout": "x"}, "debounce.timeout: 'x' is no duration: write"),
    ("debounce", {"period": "5s", "collect": "some"}, "debounce.collect 'some'|use last or all"),
    ("debounce", {"period": "5s", "maxEvents": 5}, "debounce.maxEvents 5|add debounce.collect"),
    (
        "debounce",
        {"period": "5s", "collect": "all", "maxBytes": 99_999_999},
        "debounce.maxBytes 99999999|use at most 10485760",
    ),
    ("batchEvents", {"maxSize": 1, "timeout": "5s"}, "batchEvents.maxSize 1|use at least 2"),
    ("batchEvents", {"maxSize": 1_001, "timeout": "5s"}, "batchEvents.maxSize 1001|at most 1000"),
    ("batchEvents", {"maxSize": 5, "timeout": "25h"}, "batchEvents.timeout '25h'|use at most 1d"),
    ("batchEvents", {"maxSize": 5}, "batchEvents.timeout is missing: give a duration"),
    ("priority", {"run": 5}, "Expected `str`|$.priority.run`, which is 5"),
    ("priority", {}, "priority.run is empty: give an expression"),
    ("singleton", {"mode": "wait"}, "singleton.mode 'wait' is unknown: use skip or cancel"),
    ("singleton", {"mode": "skip", "limit": 1_001}, "singleton.limit 1001|use at most 1000"),
    ("timeouts", {"start": "soon"}, "timeouts.start: 'soon' is no duration: write"),
    ("timeouts", {"finish": 5}, "Expected `str`|$.timeouts.finish`, which is 5"),
    ("description", "x" * 2_001, "description has 2001 characters: use at most 2000"),
    ("fairness", {"weight": "1"}, "fairness.key is missing: give an expression"),
    ("backlog", {"limit": 0}, "backlog.limit 0|use at least 1"),
    ("backlog", {"limit": 10_001}, "backlog.limit 10001|use at most 10000"),
    ("backlog", {"limit": 1, "onFull": "wait"}, "backlog.onFull 'wait'|use skip or cancel"),
    ("limits", [{"name": "a b"}], "limits[0].name 'a b'|use up to 100 letters"),
    ("limits", [{"name": "a", "concurrency": -1}], "limits[0].concurrency -1|use 1 to 1000000"),
    ("limits", [{"name": "a", "rate": 1}], "limits[0].period is missing|as in rate 500 per period"),
    ("limits", [{"name": "a"}] * 2, "limits[1].name 'a' is there twice|remove one"),
    (
        "limits",
        [{"name": "a", "concurrency": "2"}],
        "Expected `int`|$.limits[0].concurrency`, which is",
    ),
    ("limits", "x", 'Expected `array`|$.limits`, which is "x"'),
    ("cancel", [{"event": ""}], "cancel[0].event is empty: name the event"),
    ("cancel", [{"event": "x", "timeout": "soon"}], "cancel[0].timeout: 'soon' is no duration"),
]

URL = {"type": "http", "url": "http://app.test/api"}


@pytest.mark.parametrize(("option", "given", "told"), WIRE)
def test_an_option_that_another_sdk_registers(option: str, given: object, told: str) -> None:
    written = {
        "id": "a-f",
        "name": "f",
        "triggers": [{"event": "e"}],
        "steps": {"step": {"id": "step", "name": "step", "runtime": URL}},
        option: given,
    }
    try:
        found = "; ".join(problems(decode_function(msgspec.json.encode(written))))
    except MalformedFunction as malformed:
        found = str(malformed)
    assert [part for part in told.split("|") if part not in found] == [], found


DECLARED: list[tuple[str, Callable[[], dict[str, Any]], str]] = [
    ("concurrency", lambda: {"concurrency": 5}, "concurrency = 5: give a list such as"),
    (
        "concurrency.limit",
        lambda: {"concurrency": [stepwell.Concurrency(limit="two")]},  # type: ignore[arg-type]
        "Concurrency.limit = 'two'|integer",
    ),
    (
        "concurrency.kee",
        lambda: {"concurrency": [stepwell.Concurrency(limit=1, kee="x")]},  # type: ignore[call-arg]
        "Concurrency has no option kee: remove it or mend its name",
    ),
    (
        "concurrency, three",
        lambda: {"concurrency": [stepwell.Concurrency(limit=1)] * 3},
        "concurrency has 3 entries: use at most 2",
    ),
    (
        "throttle.period",
        lambda: {"throttle": stepwell.Throttle(limit=1, period="soon")},
        "Throttle.period = 'soon'|write numbers with units",
    ),
    (
        "throttle.burst",
        lambda: {"throttle": stepwell.Throttle(limit=1, period="1m", burst=-1)},
        "throttle.burst -1|use at least 0",
    ),
    ("throttle", lambda: {"throttle": "x"}, "throttle = 'x': give Throttle(limit=..., period=...)"),
    (
        "rate_limit.period",
        lambda: {"rate_limit": stepwell.RateLimit(limit=1, period="25h")},
        "rate_limit.period '25h'|use at most 1d",
    ),
    ("idempotency", lambda: {"idempotency": 5}, "idempotency = 5: give an expression"),
    (
        "debounce.period",
        lambda: {"debounce": stepwell.Debounce(period="500ms")},
        "Debounce.period = '500ms'|at least 1 s",
    ),
    (
        "batch_events.max_size",
        lambda: {"batch_events": stepwell.Batch(max_size=1_001, timeout="5s")},
        "batch_events.max_size 1001|use at most 1000",
    ),
    (
        "priority.run",
        lambda: {"priority": stepwell.Priority(run="")},
        "priority.run is empty: give an expression",
    ),
    (
        "singleton.mode",
        lambda: {"singleton": stepwell.Singleton(mode="wait")},  # type: ignore[arg-type]
        "Singleton.mode = 'wait'|'skip' or 'cancel'",
    ),
    (
        "timeouts.start",
        lambda: {"timeouts": stepwell.Timeouts(start="soon")},
        "Timeouts.start = 'soon'|write numbers with units",
    ),
    (
        "fairness.key",
        lambda: {"fairness": stepwell.Fairness(key="")},
        "fairness.key is missing: give an expression",
    ),
    (
        "backlog.on_full",
        lambda: {"backlog": stepwell.Backlog(limit=1, on_full="wait")},  # type: ignore[arg-type]
        "Backlog.on_full = 'wait'|'skip' or 'cancel'",
    ),
    ("limits", lambda: {"limits": ["x"]}, "limits[0] = 'x': give a list such as"),
    ("limit name", lambda: {"limits": [stepwell.limit("a b")]}, "name 'a b'|use up to 100 letters"),
    (
        "limit weight",
        lambda: {"limits": [stepwell.limit("a").by(weight=0)]},
        'limit("a").by(weight) = 0: give a whole number, 1 to',
    ),
    (
        "limit key",
        lambda: {"limits": [stepwell.limit("a").by(key=5)]},  # type: ignore[arg-type]
        'limit("a").by(key) = 5: give an expression',
    ),
    (
        "cancel.event",
        lambda: {"cancel": [stepwell.Cancel(event="")]},
        "cancel[0].event is empty: name the event",
    ),
    (
        "throtle",
        lambda: {"throtle": 1},
        "throtle: a function has no such option; did you mean throttle?",
    ),
]


@pytest.mark.parametrize(("option", "options", "told"), DECLARED)
def test_an_option_where_it_is_declared(
    option: str, options: Callable[[], dict[str, Any]], told: str
) -> None:
    client = stepwell.Inngest(app_id="a", is_production=False)

    async def handler(ctx: stepwell.Context) -> None:
        """Never called."""

    refusals = (stepwell.FunctionConfigInvalidError, stepwell.ConfigurationError, TypeError)
    with pytest.raises(refusals) as refused:
        client.create_function(fn_id="f", trigger=stepwell.TriggerEvent(event="e"), **options())(
            handler
        )
    found = str(refused.value)
    assert [part for part in told.split("|") if part not in found] == [], found
