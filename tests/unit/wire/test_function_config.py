"""What functions register: forms understood, what is refused, and the way there and back."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.wire import function_config as configs
from stepwell.wire.function_check import problems
from stepwell.wire.function_config import (
    Backlog,
    Batch,
    Cancel,
    Checkpoint,
    Code,
    Concurrency,
    Debounce,
    Fairness,
    FunctionConfig,
    MalformedFunction,
    Priority,
    RateLimit,
    Singleton,
    Throttle,
    Timeouts,
    Trigger,
    decode_function,
    encode_function,
)

URL = "http://localhost:3000/api/inngest?fnId=shop-order&stepId=step"
WHOLE = {
    "id": "shop-order",
    "name": "Order",
    "triggers": [
        {"event": "shop/order", "expression": "event.data.total > 10"},
        {"cron": "TZ=Europe/Paris 0 12 * * 5", "jitter": "30s"},
    ],
    "steps": {
        "step": {
            "id": "step",
            "name": "step",
            "runtime": {"type": "http", "url": URL},
            "retries": {"attempts": 4},
        }
    },
    "concurrency": [{"limit": 5, "key": "event.data.user", "scope": "fn"}],
    "throttle": {"limit": 10, "period": "1m", "burst": 1, "key": "event.data.user"},
    "rateLimit": {
        "limit": 1,
        "period": "1h",
        "key": "event.data.user",
        "algorithm": "window",
    },
    "debounce": {
        "period": "10s",
        "key": "event.data.user",
        "timeout": "1h",
        "collect": "all",
        "maxEvents": 10,
        "maxBytes": 1000,
    },
    "batchEvents": {
        "maxSize": 100,
        "timeout": "5s",
        "key": "event.data.user",
        "if": "event.data.x",
    },
    "priority": {"run": "event.data.plan == 'pro' ? 180 : 0"},
    "cancel": [
        {"event": "shop/cancelled", "if": "async.data.id == event.data.id", "timeout": "1d"}
    ],
    "singleton": {"mode": "skip", "key": "event.data.user", "limit": 3},
    "timeouts": {"start": "1m", "finish": "1h"},
    "idempotency": "event.data.id",
    "checkpoint": {"batch_steps": 10, "batch_interval": "1s", "max_runtime": "10s"},
    "fairness": {"key": "event.data.user", "weight": "event.data.seats"},
    "backlog": {"limit": 7, "key": "event.data.user", "onFull": "cancel"},
    "description": "Charges, then ships.",
    "code": {"version": "5f838d0f3355", "onChange": "pin"},
}


def decode(**fields: object) -> FunctionConfig:
    return decode_function(json.dumps({"id": "a-b", **fields}).encode())


def test_everything_at_once() -> None:
    config = decode_function(json.dumps(WHOLE).encode())
    assert config == FunctionConfig(
        id="shop-order",
        name="Order",
        url=URL,
        triggers=(
            Trigger(event="shop/order", expression="event.data.total > 10"),
            Trigger(cron="TZ=Europe/Paris 0 12 * * 5", jitter="30s"),
        ),
        retries=4,
        concurrency=(Concurrency(5, "event.data.user", "fn"),),
        throttle=Throttle(10, "1m", 1, "event.data.user"),
        rate_limit=RateLimit(1, "1h", "event.data.user", "window"),
        debounce=Debounce("10s", "event.data.user", "1h", "all", 10, 1000),
        batch=Batch(100, "5s", "event.data.user", "event.data.x"),
        priority=Priority("event.data.plan == 'pro' ? 180 : 0"),
        cancel=(Cancel("shop/cancelled", "async.data.id == event.data.id", "1d"),),
        singleton=Singleton("skip", "event.data.user", 3),
        timeouts=Timeouts("1m", "1h"),
        idempotency="event.data.id",
        checkpoint=Checkpoint(10, "1s", "10s"),
        fairness=Fairness("event.data.user", "event.data.seats"),
        backlog=Backlog(7, "event.data.user", "cancel"),
        description="Charges, then ships.",
        code=Code("5f838d0f3355", "pin"),
    )
    assert json.loads(encode_function(config)) == WHOLE


WORD = st.text(st.characters(codec="utf-8"), min_size=1, max_size=5)
MAYBE = st.just("") | WORD
NUMBER = st.integers(-5, 5)
LIMITS = st.lists(st.builds(Concurrency, NUMBER, MAYBE, MAYBE), max_size=2).map(tuple)
CONFIGS = st.builds(
    FunctionConfig,
    id=WORD,
    name=MAYBE,
    url=MAYBE,
    runtime=st.sampled_from(["http", "ws"]),
    triggers=st.lists(st.builds(Trigger, MAYBE, MAYBE, MAYBE, MAYBE), max_size=2).map(tuple),
    retries=st.none() | NUMBER,
    concurrency=LIMITS,
    run_concurrency=LIMITS,
    throttle=st.none() | st.builds(Throttle, NUMBER, MAYBE, st.none() | NUMBER, MAYBE),
    rate_limit=st.none() | st.builds(RateLimit, NUMBER, MAYBE, MAYBE, MAYBE),
    debounce=st.none() | st.builds(Debounce, MAYBE, MAYBE, MAYBE, MAYBE, NUMBER, NUMBER),
    batch=st.none() | st.builds(Batch, NUMBER, MAYBE, MAYBE, MAYBE),
    priority=st.none() | st.builds(Priority, MAYBE),
    cancel=st.lists(st.builds(Cancel, MAYBE, MAYBE, MAYBE), max_size=2).map(tuple),
    singleton=st.none() | st.builds(Singleton, MAYBE, MAYBE, NUMBER),
    timeouts=st.none() | st.builds(Timeouts, MAYBE, MAYBE),
    idempotency=MAYBE,
    checkpoint=st.none() | st.builds(Checkpoint, NUMBER, MAYBE, MAYBE),
    fairness=st.none() | st.builds(Fairness, MAYBE, MAYBE),
    backlog=st.none() | st.builds(Backlog, NUMBER, MAYBE, MAYBE),
    description=MAYBE,
    code=st.builds(Code, MAYBE, MAYBE),
)


@given(CONFIGS)
def test_round_trip(config: FunctionConfig) -> None:
    written = encode_function(config)
    assert decode_function(written) == config
    assert ":null" not in re.sub(r'"(?:[^"\\]|\\.)*"', '""', written.decode())
    assert all(isinstance(problem, str) for problem in problems(config))


FIVE = (Concurrency(5),)


@pytest.mark.parametrize(
    ("value", "steps", "runs"),
    [
        (5, FIVE, ()),
        ({"limit": 5}, FIVE, ()),
        ({"limit": 5, "key": None, "scope": None}, FIVE, ()),
        ([{"limit": 5}], FIVE, ()),
        ([5, {"limit": 1}], (Concurrency(5), Concurrency(1)), ()),
        ({"fn": 5}, (), FIVE),
        ({"fn": [{"limit": 5}], "step": {"limit": 1}}, (Concurrency(1),), FIVE),
        ({"step": [5], "fn": None}, FIVE, ()),
        (None, (), ()),
        ([], (), ()),
    ],
)
def test_forms_of_concurrency(value: object, steps: object, runs: object) -> None:
    config = decode(concurrency=value)
    assert (config.concurrency, config.run_concurrency) == (steps, runs)


def step(**fields: object) -> dict[str, object]:
    return {
        "step": {"id": "step", "name": "step", "runtime": {"type": "http", "url": URL}, **fields}
    }


@pytest.mark.parametrize(
    ("fields", "retries", "attempts"),
    [
        ({}, None, 5),
        ({"steps": step()}, None, 5),
        ({"steps": step(retries=None)}, None, 5),
        ({"steps": step(retries={"attempts": 0})}, 0, 1),
        ({"steps": step(retries={"attempts": 20})}, 20, 21),
        ({"steps": step(retries={"attempts": 99})}, 99, 21),
        ({"steps": step(retries={"attempts": -3})}, -3, 1),
        ({"steps": step(), "retries": 2}, 2, 3),
        ({"steps": step(retries={"attempts": 1}), "retries": 2}, 1, 2),
    ],
)
def test_retries(fields: dict[str, object], retries: int | None, attempts: int) -> None:
    config = decode(**fields)
    assert config.retries == retries
    assert configs.max_attempts(config) == attempts


def test_nulls_and_unknown_fields_are_borne() -> None:
    nulls = dict.fromkeys([*WHOLE, "new"])
    assert decode(**{**nulls, "id": "a-b", "extra": {"x": None}}) == FunctionConfig(id="a-b")
    assert decode(cancel=[None], triggers=[{"event": "a", "expression": None}]).cancel == ()


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "no JSON"),
        (b"[]", "must be a JSON object"),
        (b"{}", "missing required field `id`"),
        (b'{"id":5}', "id"),
        (b'{"id":"a","throttle":{"limit":"x"}}', "'a'.*throttle.limit"),
        (b'{"id":"a","concurrency":"x"}', "concurrency"),
        (b'{"id":"a","triggers":{}}', "triggers"),
    ],
)
def test_wrong_shapes_name_function_and_field(raw: bytes, words: str) -> None:
    with pytest.raises(MalformedFunction, match=words):
        decode_function(raw)


GOOD = FunctionConfig(id="a-b", name="b", url=URL, triggers=(Trigger(event="a"),))


def with_(**fields: object) -> FunctionConfig:
    return FunctionConfig(**{"id": "a-b", "name": "b", "url": URL, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"triggers": ()},
        {"triggers": (Trigger(event="a"), Trigger(event="a", expression="1 + 1"))},
        {"concurrency": (Concurrency(-5), Concurrency(0, "k", "account"))},
        {"rate_limit": RateLimit(1, "24h"), "batch": Batch(1000, "2h")},
        {"debounce": Debounce("7d", timeout="1s")},
        {"throttle": Throttle(0, "8d")},
        {"throttle": Throttle(1, "500ms")},
        {"singleton": Singleton("cancel"), "concurrency": (Concurrency(1),)},
        {"retries": 99},
        {"retries": -1},
        {"priority": Priority("'text'")},
        {"url": "wss://connect?fnId=a-b&stepId=step", "runtime": "ws"},
        {"triggers": (Trigger(cron="0 0 31 2 *", jitter="5m"),)},
    ],
)
def test_configurations_that_are_fine(fields: dict[str, object]) -> None:
    assert problems(with_(**fields)) == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"id": ""}, "id is empty"),
        ({"name": ""}, "name is empty"),
        ({"url": ""}, "runtime.url is missing"),
        ({"url": "ftp://x"}, "'ftp://x' must begin with http"),
        ({"triggers": tuple(Trigger(event=f"e{n}") for n in range(11))}, "triggers has 11 entries"),
        ({"triggers": (Trigger(event="a"), Trigger(event="a"))}, "an entry twice"),
        ({"triggers": (Trigger(),)}, "triggers[0] must have either"),
        ({"triggers": (Trigger(event="a", cron="b"),)}, "triggers[0] must have either"),
        ({"triggers": (Trigger(event="a" * 256),)}, "triggers[0].event has 256 characters"),
        ({"triggers": (Trigger(cron="a" * 256),)}, "triggers[0].cron has 256 characters"),
        (
            {"triggers": (Trigger(cron="x", jitter="6m"),)},
            "jitter '6m' is too long: use at most 5m",
        ),
        ({"triggers": (Trigger(cron="x", jitter="1ms"),)}, "jitter '1ms' is too short"),
        ({"concurrency": (Concurrency(1),) * 3}, "3 entries: use at most 2"),
        ({"concurrency": (Concurrency(1, scope="env"),)}, "key is missing: the scope 'env'"),
        ({"run_concurrency": (Concurrency(1, scope="x"),)}, "concurrency.fn.scope 'x' is unknown"),
        ({"throttle": Throttle(1)}, "throttle.period is missing"),
        ({"throttle": Throttle(1, "x")}, "throttle.period: 'x' is no duration"),
        ({"rate_limit": RateLimit(0, "1h")}, "rateLimit.limit 0 is too small"),
        ({"rate_limit": RateLimit(1, "25h")}, "rateLimit.period '25h' is too long: use at most 1d"),
        ({"debounce": Debounce("500ms")}, "debounce.period '500ms' is too short: use at least 1s"),
        ({"debounce": Debounce("8d")}, "debounce.period '8d' is too long: use at most 1w"),
        ({"debounce": Debounce("1s", timeout="x")}, "debounce.timeout: 'x'"),
        ({"priority": Priority()}, "priority.run is empty"),
        ({"batch": Batch(1, "5s")}, "batchEvents.maxSize 1 is too small"),
        ({"batch": Batch(2, "5ms")}, "batchEvents.timeout '5ms' is too short"),
        ({"batch": Batch(2)}, "batchEvents.timeout is missing"),
        ({"batch": Batch(2, "5s"), "cancel": (Cancel("a"),)}, "combined with cancel"),
        ({"batch": Batch(2, "5s"), "debounce": Debounce("1s")}, "combined with debounce"),
        ({"batch": Batch(2, "5s"), "singleton": Singleton("skip")}, "combined with singleton"),
        ({"batch": Batch(2, "5s"), "priority": Priority("1")}, "combined with priority"),
        ({"cancel": tuple(Cancel(f"e{n}") for n in range(6))}, "cancel has 6 entries"),
        ({"cancel": (Cancel(),)}, "cancel[0].event is empty"),
        ({"cancel": (Cancel("a", timeout="x"),)}, "cancel[0].timeout: 'x'"),
        ({"singleton": Singleton("x")}, "singleton.mode 'x' is unknown: use skip or cancel"),
        ({"batch": Batch(1001, "5s")}, "batchEvents.maxSize 1001 is too large: use at most 1000"),
        ({"batch": Batch(2, "25h")}, "batchEvents.timeout '25h' is too long: use at most 1d"),
        ({"throttle": Throttle(1, "1s", -1)}, "throttle.burst -1 is too small: use at least 0"),
        ({"rate_limit": RateLimit(1, "1h", "", "leaky")}, "'leaky' is unknown: use gcra or window"),
        ({"debounce": Debounce("1s", collect="first")}, "'first' is unknown: use last or all"),
        ({"debounce": Debounce("1s", max_events=5)}, "debounce.maxEvents 5 bounds a collection"),
        (
            {"debounce": Debounce("1s", collect="all", max_events=1001)},
            "debounce.maxEvents 1001 is too large: use at most 1000",
        ),
        (
            {"debounce": Debounce("1s", collect="all", max_bytes=-1)},
            "debounce.maxBytes -1 is too small: use at least 1",
        ),
        ({"singleton": Singleton("skip", limit=-1)}, "singleton.limit -1 is too small"),
        ({"singleton": Singleton("skip", limit=1001)}, "singleton.limit 1001 is too large"),
        ({"backlog": Backlog()}, "backlog.limit 0 is too small: use at least 1"),
        ({"backlog": Backlog(10_001)}, "backlog.limit 10001 is too large: use at most 10000"),
        ({"backlog": Backlog(1, on_full="drop")}, "backlog.onFull 'drop' is unknown"),
        ({"code": Code("x" * 65)}, "code.version has 65 characters: use at most 64"),
        ({"code": Code("a\x1eb")}, "code.version 'a\\x1eb' has control characters"),
        (
            {"code": Code("", "stop")},
            "code.onChange 'stop' is unknown: use continue or pin or pause",
        ),
        ({"fairness": Fairness(weight="2")}, "fairness.key is missing: give an expression"),
        ({"timeouts": Timeouts("x")}, "timeouts.start: 'x'"),
        ({"timeouts": Timeouts(finish="x")}, "timeouts.finish: 'x'"),
    ],
)
def test_problems_name_field_value_and_fix(fields: dict[str, object], words: str) -> None:
    (problem,) = problems(with_(**fields))
    assert words in problem


def test_ids_and_addresses() -> None:
    assert configs.composite_id("shop", "order") == "shop-order"
    assert configs.failure_id("shop-order") == "shop-order-failure"
    assert configs.call_url("http://x/api/inngest", "shop-order") == (
        "http://x/api/inngest?fnId=shop-order&stepId=step"
    )
    assert (
        configs.call_url("http://x/?a=1", "a b&c", "86f7")
        == "http://x/?a=1&fnId=a%20b%26c&stepId=86f7"
    )


def test_the_companion_that_handles_failures() -> None:
    companion = configs.failure_companion(with_(retries=3, concurrency=FIVE), "http://x")
    assert json.loads(encode_function(companion)) == {
        "id": "a-b-failure",
        "name": "b (failure)",
        "triggers": [
            {
                "event": "inngest/function.failed",
                "expression": "event.data.function_id == 'a-b'",
            }
        ],
        "steps": {
            "step": {
                "id": "step",
                "name": "step",
                "runtime": {"type": "http", "url": "http://x"},
                "retries": {"attempts": 0},
            }
        },
    }
