"""What may be registered, row by row of the protocol's table (server.md 2.5), and what each wrong
configuration is told: the function, the field, the value and the fix."""

import json
from typing import Any

import pytest

from stepwell.server.engine.message.input import AppRegistered
from stepwell.server.engine.state.catalog import EMPTY, Catalog
from stepwell.server.registration import RegistrationRefused, app_registered, normal_url
from stepwell.wire.registration import decode_registration
from tests.bench import NOW_MS
from tests.unit.server.api.harness import function, registration

EVENT = [{"event": "x"}]
MANY = [{"event": f"e{number}"} for number in range(11)]


def registered(*functions: dict[str, Any], catalog: Catalog = EMPTY) -> AppRegistered:
    body = json.dumps(registration(*functions)).encode()
    return app_registered(decode_registration(body), "serve", catalog, NOW_MS)


def batching(**more: Any) -> dict[str, Any]:
    return {"triggers": EVENT, "batchEvents": {"maxSize": 2, "timeout": "1s"}, **more}


REFUSED: list[tuple[dict[str, Any], str]] = [
    # triggers
    ({"triggers": [{"event": ""}]}, "triggers[0] must have either an event or a cron"),
    ({"triggers": [{"event": "x", "expression": "a b"}]}, "triggers[0].expression 'a b'"),
    ({"triggers": [{"event": "x", "expression": "data.n == 1"}]}, "undeclared reference to 'data'"),
    ({"triggers": MANY}, "triggers has 11 entries: use at most 10"),
    ({"triggers": EVENT * 2}, "triggers has an entry twice: remove one"),
    ({"triggers": [{"event": "e" * 256}]}, "triggers[0].event has 256 characters: use at most 255"),
    # cron
    ({"triggers": [{"cron": "@daily"}]}, "triggers[0].cron '@daily' is no schedule"),
    ({"triggers": [{"cron": "0 0 12 * * 5"}]}, "has 6 fields: use five"),
    ({"triggers": [{"cron": "0 0 L * *"}]}, "day of month 'L' is not understood"),
    ({"triggers": [{"cron": "0 0 5W * *"}]}, "day of month '5W' is not understood"),
    ({"triggers": [{"cron": "TZ=Mars/Base 0 0 * * *"}]}, "time zone 'Mars/Base' is unknown"),
    ({"triggers": [{"cron": "0 0 * * *", "jitter": "6m"}]}, "jitter '6m' is too long"),
    ({"triggers": [{"cron": "0 0 * * *", "jitter": "500ms"}]}, "jitter '500ms' is too short"),
    ({"triggers": [{"cron": "0 " * 200}]}, "triggers[0].cron has 400 characters"),
    # flow control
    ({"concurrency": [{"limit": 1}] * 3}, "concurrency has 3 entries: use at most 2"),
    ({"concurrency": [{"limit": 1, "scope": "env"}]}, "the scope 'env' needs one"),
    ({"concurrency": [{"limit": 1, "scope": "account"}]}, "the scope 'account' needs one"),
    ({"concurrency": [{"limit": 1, "scope": "mars"}]}, "concurrency.scope 'mars' is unknown"),
    ({"rateLimit": {"limit": 0, "period": "1h"}}, "rateLimit.limit 0 is too small"),
    ({"rateLimit": {"limit": 1, "period": "25h"}}, "rateLimit.period '25h' is too long"),
    ({"rateLimit": {"limit": 1, "period": "soon"}}, "rateLimit.period: 'soon' is no duration"),
    ({"debounce": {"period": "999ms"}}, "debounce.period '999ms' is too short"),
    ({"debounce": {"period": "8d"}}, "debounce.period '8d' is too long"),
    ({"throttle": {"limit": 1, "period": "x"}}, "throttle.period: 'x' is no duration"),
    ({"batchEvents": {"maxSize": 1, "timeout": "1s"}}, "batchEvents.maxSize 1 is too small"),
    ({"batchEvents": {"maxSize": 2, "timeout": "900ms"}}, "batchEvents.timeout '900ms'"),
    (batching(cancel=EVENT), "batchEvents cannot be combined with cancel"),
    (batching(debounce={"period": "1s"}), "batchEvents cannot be combined with debounce"),
    (batching(singleton={"mode": "skip"}), "batchEvents cannot be combined with singleton"),
    (batching(priority={"run": "1"}), "batchEvents cannot be combined with priority"),
    ({"priority": {"run": "(("}}, "priority.run '((' is no expression"),
    ({"idempotency": "event.data.("}, "idempotency 'event.data.(' is no expression"),
    ({"singleton": {"mode": "replace"}}, "singleton.mode 'replace' is unknown: use skip or cancel"),
    # cancel
    ({"cancel": [{"event": f"e{n}"} for n in range(6)]}, "cancel has 6 entries: use at most 5"),
    ({"cancel": [{"event": "x", "if": "async ="}]}, "cancel[0].if 'async =' is no expression"),
    ({"cancel": [{"event": "x", "if": "async.data.s.contains('a')"}]}, "uses contains: compare"),
    ({"cancel": [{"event": "x", "if": "[1].exists(i, i == 1)"}]}, "uses macro: compare"),
    ({"cancel": [{"event": "x", "if": "now() > date(async.ts)"}]}, "uses now: compare"),
    ({"cancel": [{"event": "x", "timeout": "soon"}]}, "cancel[0].timeout: 'soon' is no duration"),
    # the function itself
    ({"steps": {}}, "steps.step.runtime.url is missing"),
    ({"name": ""}, "name is empty"),
]

ACCEPTED: list[dict[str, Any]] = [
    {"triggers": [{"event": "x", "expression": "1 + 1"}]},
    {"triggers": [{"event": "x", "expression": "event.data.items.exists(i, i.n > 1)"}]},
    {"triggers": []},
    {"triggers": [{"event": "shop/*"}, {"cron": "0 12 * * 5"}, {"event": "a.*"}]},
    {"triggers": [{"cron": "TZ=Europe/Paris 0 12 * * 5"}]},
    {"triggers": [{"cron": "CRON_TZ=UTC 0 12 * * MON-FRI", "jitter": "5m"}]},
    {"triggers": [{"cron": "0 0 31 2 *"}]},
    {"concurrency": 5},
    {"concurrency": 0},
    {"concurrency": [{"limit": -1}]},
    {"concurrency": {"limit": 1, "key": "event.data.n", "scope": "account"}},
    {"concurrency": {"fn": [{"limit": 1}], "step": [{"limit": 2}]}},
    {"rateLimit": {"limit": 1, "period": "24h"}, **batching()},
    {"debounce": {"period": "1m", "timeout": "1s"}},
    {"throttle": {"limit": 0, "period": "8d"}},
    {"throttle": {"limit": 1, "period": "500ms"}},
    batching(concurrency=[{"limit": 1}], throttle={"limit": 1, "period": "1s"}),
    {"batchEvents": {"maxSize": 1_000, "timeout": "2m"}},
    {"cancel": [{"event": "x", "if": "int(async.data.n) + 1 > 2 && has(event.data.id)"}]},
    {"cancel": [{"event": "x", "timeout": "2030-01-31T12:00:00Z"}]},
    {"priority": {"run": "'high'"}},
    {"singleton": {"mode": "skip"}, "concurrency": [{"limit": 1}]},
    {"retries": 100},
    {"retries": -1},
]


@pytest.mark.parametrize(("more", "said"), REFUSED, ids=lambda value: str(value)[:60])
def test_what_is_refused_says_function_field_value_and_fix(more: dict[str, Any], said: str) -> None:
    with pytest.raises(RegistrationRefused) as refusal:
        registered(function("good", event="x"), {**function("bad", event="x"), **more})
    told = refusal.value.message
    assert told.startswith('At least one function is invalid: function "shop-bad": ')
    assert said in told
    assert "shop-good" not in told


@pytest.mark.parametrize("more", ACCEPTED, ids=lambda value: str(value)[:60])
def test_what_is_accepted(more: dict[str, Any]) -> None:
    given = registered({**function("f", event="x"), **more})
    assert [row.slug for row in given.functions] == ["shop-f"]


def test_no_functions_at_all_are_accepted() -> None:
    assert registered().functions == ()


@pytest.mark.parametrize(("retries", "attempts"), [(None, 5), (0, 1), (-1, 1), (20, 21), (99, 21)])
def test_how_often_a_function_is_tried(retries: int | None, attempts: int) -> None:
    more = {} if retries is None else {"retries": retries}
    given = registered({**function("f", event="x"), **more})
    listing = Catalog.of([given.app], given.functions).listing("shop-f")
    assert listing is not None
    assert listing.attempts_max == attempts


@pytest.mark.parametrize(
    ("url", "same_as"),
    [
        ("http://127.0.0.1:3000/api/inngest", "http://localhost:3000/api/inngest"),
        ("http://0.0.0.0:3000/x", "http://localhost:3000/x"),
        ("http://shop.test:80/x", "http://shop.test/x"),
        ("https://shop.test:443/x", "https://shop.test/x"),
        ("http://a/x?fnId=1&stepId=2&deployId=3&probe=trust&k=v", "http://a/x?k=v"),
        ("http://[::1]:3000/x", "http://[::1]:3000/x"),
        ("no url", "no url"),
        ("http://a:port/x", "http://a:port/x"),
    ],
)
def test_two_urls_of_one_app(url: str, same_as: str) -> None:
    assert normal_url(url) == normal_url(same_as) == same_as
