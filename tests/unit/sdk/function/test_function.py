"""Declarations: what is registered of them, and what is refused."""

import datetime as dt
from typing import Any

import msgspec
import pytest

from stepwell.sdk.errors import FunctionConfigInvalidError
from stepwell.sdk.function.fingerprint import fingerprint
from stepwell.sdk.function.function import Function
from stepwell.sdk.function.option import (
    Backlog,
    Batch,
    Cancel,
    Concurrency,
    Debounce,
    Fairness,
    Priority,
    RateLimit,
    Singleton,
    Throttle,
    Timeouts,
)
from stepwell.sdk.function.trigger import TriggerCron, TriggerEvent
from stepwell.sdk.function.wire import FunctionOptions
from stepwell.sdk.value.codec import PLAIN, codec_of
from stepwell.wire.function_config import encode_function
from tests.ids import steady

EVENT = TriggerEvent(event="shop/paid")


async def handler(ctx: Any) -> dt.date:
    return dt.date(2026, 1, 2)


def plain(ctx: Any) -> int:
    return 1


def declared(function: Any = handler, on_failure: Any = None, **options: Any) -> Function[Any]:
    given = {"app_id": "shop", "fn_id": "pay", "triggers": (EVENT,), **options}
    return Function(FunctionOptions(**given), function, on_failure=on_failure)


OTHER = declared(fn_id="other")


def registered(function: Function[Any]) -> dict[str, Any]:
    config = function.config("https://app.example.com/api/inngest")
    found: dict[str, Any] = msgspec.json.decode(encode_function(config))
    return found


def test_the_least_there_is() -> None:
    function = declared()
    assert registered(function) == {
        "code": {"version": fingerprint(handler)},
        "id": "shop-pay",
        "name": "pay",
        "triggers": [{"event": "shop/paid"}],
        "steps": {
            "step": {
                "id": "step",
                "name": "step",
                "runtime": {
                    "type": "http",
                    "url": "https://app.example.com/api/inngest?fnId=shop-pay&stepId=step",
                },
            }
        },
    }
    assert (function.id, function.get_id(), function.local_id) == ("shop-pay", "shop-pay", "pay")
    assert (function.name, function.is_handler_async) == ("pay", True)
    assert function.is_on_failure_handler_async is None
    assert function.on_failure_fn_id is None
    assert function.served() == (function,)


def test_f62_every_option_travels() -> None:
    found = registered(
        declared(
            plain,
            name="Pay",
            triggers=(
                TriggerEvent(event="shop/paid", expression="event.data.x > 1"),
                TriggerCron(cron="0 9 * * *", jitter="30s"),
            ),
            cancel=(Cancel(event="shop/stop", if_exp="true", timeout="1d"),),
            concurrency=(Concurrency(limit=5, key="'k'", scope="env"),),
            debounce=Debounce(period=10_000, key="'k'", timeout="1h"),
            idempotency="event.data.id",
            priority=Priority(run="100"),
            rate_limit=RateLimit(limit=2, period=dt.timedelta(hours=2), key="'k'"),
            retries=0,
            singleton=Singleton(mode="cancel", key="'k'"),
            throttle=Throttle(limit=3, period="90s", burst=2, key="'k'"),
            timeouts=Timeouts(start="1m", finish="1h"),
            code_version="2026-01",
            on_code_change="pin",
        )
    )
    del found["id"]
    assert found.pop("code") == {"version": "2026-01", "onChange": "pin"}
    assert found.pop("steps")["step"]["retries"] == {"attempts": 0}
    assert found == {
        "name": "Pay",
        "triggers": [
            {"event": "shop/paid", "expression": "event.data.x > 1"},
            {"cron": "0 9 * * *", "jitter": "30s"},
        ],
        "cancel": [{"event": "shop/stop", "if": "true", "timeout": "1d"}],
        "concurrency": [{"limit": 5, "key": "'k'", "scope": "env"}],
        "debounce": {"period": "10s", "key": "'k'", "timeout": "1h"},
        "idempotency": "event.data.id",
        "priority": {"run": "100"},
        "rateLimit": {"limit": 2, "period": "2h", "key": "'k'"},
        "singleton": {"mode": "cancel", "key": "'k'"},
        "throttle": {"limit": 3, "period": "90s", "burst": 2, "key": "'k'"},
        "timeouts": {"start": "1m", "finish": "1h"},
    }


def test_what_is_ours_travels_in_fields_that_others_ignore() -> None:
    found = registered(
        declared(
            concurrency=(Concurrency(limit=5, key="'k'"),),
            run_concurrency=(Concurrency(limit=1, key="'r'"),),
            debounce=Debounce(period=1000, collect="all", max_events=10, max_bytes=5000),
            backlog=Backlog(limit=7, key="'k'", on_full="cancel"),
            fairness=Fairness(key="event.data.user", weight=3),
            rate_limit=RateLimit(limit=2, period="2h", algorithm="window"),
            singleton=Singleton(mode="skip", limit=3),
            description="Charges, then ships.",
        )
    )
    assert found["concurrency"] == {
        "fn": [{"limit": 1, "key": "'r'"}],
        "step": [{"limit": 5, "key": "'k'"}],
    }
    assert found["debounce"] == {
        "period": "1s",
        "collect": "all",
        "maxEvents": 10,
        "maxBytes": 5000,
    }
    assert found["backlog"] == {"limit": 7, "key": "'k'", "onFull": "cancel"}
    assert found["fairness"] == {"key": "event.data.user", "weight": "3"}
    assert found["rateLimit"] == {"limit": 2, "period": "2h", "algorithm": "window"}
    assert found["singleton"] == {"mode": "skip", "limit": 3}
    assert found["description"] == "Charges, then ships."
    assert "description" not in registered(declared())


def test_batches_are_timed_by_a_clock_that_knows_no_days() -> None:
    batch = Batch(max_size=100, timeout=dt.timedelta(days=1), key="'k'", if_exp="true")
    assert registered(declared(batch_events=batch))["batchEvents"] == {
        "maxSize": 100,
        "timeout": "24h",
        "key": "'k'",
        "if": "true",
    }


def test_the_companion_for_failures() -> None:
    function = declared(
        on_failure=plain, retries=3, name="Pay", concurrency=(Concurrency(limit=1),)
    )
    companion = function.failure_function
    assert companion is not None
    assert (companion.id, companion.name) == ("shop-pay-failure", "Pay (failure)")
    assert (function.on_failure_fn_id, function.is_on_failure_handler_async) == (
        companion.id,
        False,
    )
    found = registered(companion)
    assert found["triggers"] == [
        {
            "event": "inngest/function.failed",
            "expression": "event.data.function_id == 'shop-pay'",
        }
    ]
    assert found["steps"]["step"]["retries"] == {"attempts": 0}
    assert found["steps"]["step"]["runtime"]["url"].endswith("fnId=shop-pay-failure&stepId=step")
    assert "concurrency" not in found
    assert function.served() == (function, companion)
    assert function.get_config("http://x").on_failure == companion.config("http://x")


def test_invoke_only_functions_have_no_trigger() -> None:
    assert registered(declared(triggers=()))["triggers"] == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fn_id": ""}, "fn_id = '': give the function an id"),
        ({"fn_id": 5}, "fn_id = 5"),
        ({"triggers": (EVENT, EVENT)}, "triggers has an entry twice"),
        ({"triggers": tuple(TriggerEvent(event=f"e{i}") for i in range(11))}, "at most 10"),
        ({"function": "text"}, "cannot be called: decorate a function"),
        ({"function": lambda: 0}, "takes 0 parameters: it must take one"),
        ({"function": lambda a, b, c: 0}, "takes 3 parameters"),
        (
            {"batch_events": Batch(max_size=5, timeout=1000), "cancel": (Cancel(event="e"),)},
            "batch_events cannot be combined with cancel",
        ),
        (
            {"batch_events": Batch(max_size=1, timeout=1000)},
            r"batch_events\.max_size 1 is too small",
        ),
        ({"batch_events": Batch(max_size=2)}, r"batch_events\.timeout is missing"),
        ({"rate_limit": RateLimit(limit=1, period="2d")}, r"rate_limit\.period '2d' is too long"),
        ({"debounce": Debounce(period="8d")}, "debounce.period '8d' is too long"),
        ({"concurrency": tuple(Concurrency(limit=1, key=k) for k in "abc")}, "at most 2"),
        (
            {"run_concurrency": tuple(Concurrency(limit=1, key=k) for k in "abc")},
            "run_concurrency has 3 entries: use at most 2",
        ),
        ({"fairness": Fairness(key="")}, r"fairness\.key is missing: give an expression"),
        (
            {"debounce": Debounce(period=1000, max_events=5)},
            r"debounce\.max_events 5 bounds a collection: add debounce\.collect = 'all'",
        ),
        (
            {"debounce": Debounce(period=1000, collect="all", max_events=5000)},
            r"debounce\.max_events 5000 is too large: use at most 1000",
        ),
        ({"on_failure": lambda a, b, c: 0}, 'function "pay-failure": its handler takes 3'),
        ({"on_failure": OTHER}, 'function "pay-failure": its handler is a Function already'),
        ({"function": OTHER}, 'function "pay": its handler is a Function already'),
    ],
    ids=steady,
)
def test_wrong_declarations_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(FunctionConfigInvalidError, match=words):
        declared(**options)


def test_the_old_handler_signature_is_understood() -> None:
    def old(ctx: Any, step: Any) -> Any:
        return (ctx, step)

    with pytest.warns(DeprecationWarning, match=r"write \(ctx\) and use ctx.step"):
        function = declared(old)

    class Ctx:
        step = "step"

    ctx = Ctx()
    assert function.entry(ctx) == (ctx, "step")


def test_results_travel_by_annotation_or_output_type() -> None:
    assert declared().codec is codec_of(dt.date)
    assert declared(lambda ctx: 1).codec is PLAIN
    options = FunctionOptions(app_id="a", fn_id="b")
    assert Function(options, plain, output_type=dt.date).codec is codec_of(dt.date)


def test_functions_are_not_called_directly() -> None:
    with pytest.raises(TypeError, match="is run by the server: send it an event"):
        declared()(None)


def test_going_on_is_not_told() -> None:
    found = registered(declared(on_code_change="continue"))
    assert found["code"] == {"version": fingerprint(handler)}


def test_the_handler_of_failures_has_code_of_its_own() -> None:
    function = declared(on_failure=plain, on_code_change="pin", code_version="1")
    assert function.failure_function is not None
    assert registered(function.failure_function)["code"] == {"version": fingerprint(plain)}
