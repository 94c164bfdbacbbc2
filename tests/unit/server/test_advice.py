"""What may be registered and is probably a mistake: each is told of, and nothing else is."""

import json
from typing import Any

import pytest

from stepwell.server.advice import advice
from stepwell.wire.function_config import decode_function
from tests.unit.server.api.harness import function, serving

BATCH = {"batchEvents": {"maxSize": 2, "timeout": "1s"}}


def told(**more: Any) -> tuple[str, ...]:
    written = {**function("f", event="shop/paid"), "id": "shop-f", **more}
    return advice([decode_function(json.dumps(written).encode())])


WARNED: list[tuple[dict[str, Any], str]] = [
    (
        {"triggers": [{"event": "shop/paid", "expression": "1 + 1"}]},
        "triggers[0].expression '1 + 1' gives a number, never true or false",
    ),
    (
        {"triggers": [{"event": "shop/paid", "expression": "event.name == 'shop/made'"}]},
        "can never be true: event.name is 'shop/paid'",
    ),
    (
        {"triggers": [{"event": "shop/paid", "expression": "async.data.x == 1"}]},
        "can never be true: async is not known here",
    ),
    (
        {"cancel": [{"event": "a", "if": "async.name == 'b'"}]},
        "cancel[0].if \"async.name == 'b'\" can never be true: async.name is 'a'",
    ),
    (
        {"batchEvents": {"maxSize": 2, "timeout": "1s", "if": "event.data.x + 1"}},
        "batchEvents.if 'event.data.x + 1' gives a number or text",
    ),
    (
        {"priority": {"run": "'high'"}},
        """priority.run "'high'" gives a string, which counts as 0""",
    ),
    ({"priority": {"run": "event.data.x > 1"}}, "gives a bool, which counts as 0"),
    (
        {"fairness": {"key": "event.data.user", "weight": "'much'"}},
        """fairness.weight "'much'" gives a string, which counts as 1: give a number above 0""",
    ),
    (
        {"limits": [{"name": "tokens", "weight": "'much'"}]},
        """limits[0].weight "'much'" gives a string, which counts as 1: give a number above 0""",
    ),
    (
        {"backlog": {"limit": 1, "key": "async.data.user"}},
        "backlog.key 'async.data.user' reads async, which is not known when a run starts",
    ),
    (
        {"concurrency": {"limit": 1, "key": "async.data.user"}},
        "concurrency[0].key 'async.data.user' reads async, which is not known when a run starts",
    ),
    ({"concurrency": -1}, "concurrency.limit -1 is no limit"),
    ({"concurrency": {"fn": [{"limit": -1}]}}, "concurrency.fn.limit -1 is no limit"),
    ({"throttle": {"limit": 0, "period": "1m"}}, "throttle.limit 0 counts as 1"),
    ({"throttle": {"limit": 1, "period": "500ms"}}, "other servers allow 1s to 1w"),
    ({"throttle": {"limit": 1, "period": "8d"}}, "throttle.period '8d' is unusual"),
    (
        {"debounce": {"period": "1m", "timeout": "1s"}},
        "debounce.timeout '1s' is shorter than debounce.period '1m'",
    ),
    (
        {"idempotency": "event.data.id", "rateLimit": {"limit": 1, "period": "1h"}},
        "rateLimit says nothing beside idempotency",
    ),
    (
        {**BATCH, "rateLimit": {"limit": 1, "period": "1h"}},
        "rateLimit does nothing beside batchEvents",
    ),
    ({**BATCH, "idempotency": "event.data.id"}, "idempotency does nothing beside batchEvents"),
    ({**BATCH, "timeouts": {"start": "1m"}}, "timeouts.start does nothing beside batchEvents"),
    (
        {**BATCH, "concurrency": {"limit": 1, "key": "event.data.user"}},
        "concurrency.key 'event.data.user' is not batchEvents.key ''",
    ),
]


@pytest.mark.parametrize(("more", "words"), WARNED, ids=lambda value: str(value)[:60])
def test_warnings_name_function_field_and_value(more: dict[str, Any], words: str) -> None:
    (warning,) = told(**more)
    assert warning.startswith('function "shop-f": ')
    assert words in warning


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"triggers": [{"event": "shop/*", "expression": "event.name == 'shop/made'"}]},
        {"triggers": [{"event": "shop/paid", "expression": "event.data.vip"}]},
        {"cancel": [{"event": "a", "if": "async.data.id == event.data.id"}]},
        {"priority": {"run": "event.data.vip ? 600 : 0"}},
        {"priority": {"run": "event.data.n"}},
        {"concurrency": [{"limit": 5}, {"limit": 1, "key": "'api'", "scope": "account"}]},
        {"throttle": {"limit": 1, "period": "7d"}},
        {
            "batchEvents": {"maxSize": 2, "timeout": "1s", "key": "event.data.user"},
            "concurrency": {"limit": 1, "key": "event.data.user"},
        },
        {"timeouts": {"start": "1m", "finish": "1s"}},
    ],
    ids=str,
)
def test_what_is_no_mistake_is_left_alone(more: dict[str, Any]) -> None:
    assert told(**more) == ()


async def test_whoever_registers_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as api:
        answer = await api.register({**function("f", event="x"), "priority": {"run": "'high'"}})
        assert answer.status_code == 200
        (warning,) = answer.json()["warnings"]
        assert "gives a string, which counts as 0" in warning
        assert warning in caplog.text
        caplog.clear()
        again = await api.register({**function("f", event="x"), "priority": {"run": "'high'"}})
        assert again.json()["warnings"] == [warning]
        assert caplog.text == ""
        fine = await api.register(function("f", event="x"))
        assert "warnings" not in fine.json()
