"""The server's own events, compared with recorded ones of the reference server."""

import json

import msgspec
import pytest
import rfc8785

from stepwell.wire import lifecycle
from stepwell.wire.canonical import canonical
from stepwell.wire.event import Event, decode_event, encode_event
from stepwell.wire.failure import decode_failure
from stepwell.wire.lifecycle import Ended, Invocation

SEEN = {"data": {}, "id": "01A", "name": "f/start", "ts": 1795381027215, "user": {}}
BARE = {key: value for key, value in SEEN.items() if key != "user"}
ERROR = {"code": "unknown", "message": "always fails", "name": "ValueError", "stack": "Trace\n"}


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(rfc8785.dumps(value))


def told(event: Event) -> dict[str, object]:
    body = encode_event(event)
    assert canonical(body) == body
    value = json.loads(body)
    assert isinstance(value, dict)
    return value


FAILED = Ended(
    "demo-f",
    "01RUN",
    raw(SEEN),
    (raw(BARE),),
    lifecycle.FAILED,
    result=raw(ERROR),
    failure=decode_failure(json.dumps(ERROR).encode()),
    failure_cause="invalid status code: 500",
)


def test_a_failed_run() -> None:
    data = {
        "_inngest": {"status": "Failed"},
        "error": {
            "error": "invalid status code: 500",
            "message": "always fails",
            "name": "ValueError",
            "stack": "Trace\n",
        },
        "event": SEEN,
        "events": [BARE],
        "function_id": "demo-f",
        "result": ERROR,
        "run_id": "01RUN",
    }
    head = {"ts": 5, "user": {}, "data": data}
    assert told(lifecycle.function_failed(5, FAILED)) == {
        "name": "inngest/function.failed",
        "id": "01RUN",
        **head,
    }
    assert told(lifecycle.function_finished("01NEW", 5, FAILED)) == {
        "name": "inngest/function.finished",
        "id": "01NEW",
        **head,
    }


def test_a_completed_run_that_was_invoked() -> None:
    ended = Ended(
        "demo-f",
        "01RUN",
        raw(SEEN),
        (raw(BARE),),
        lifecycle.COMPLETED,
        result=raw(None),
        correlation_id="01P.86f7",
        meta=raw({"sessions": {"a": "b"}}),
    )
    event = told(lifecycle.function_finished("01NEW", 5, ended))
    assert event["meta"] == {"sessions": {"a": "b"}}
    assert event["data"] == {
        "_inngest": {"status": "Completed"},
        "correlation_id": "01P.86f7",
        "event": SEEN,
        "events": [BARE],
        "function_id": "demo-f",
        "result": None,
        "run_id": "01RUN",
    }


def test_a_cancelled_run() -> None:
    ended = Ended("demo-f", "01RUN", raw(SEEN), (raw(BARE),), lifecycle.CANCELLED)
    event = told(lifecycle.function_cancelled(5, ended))
    assert (event["name"], event["id"]) == ("inngest/function.cancelled", "01RUN")
    assert event["data"] == {
        "_inngest": {"status": "Cancelled"},
        "event": SEEN,
        "events": [BARE],
        "function_id": "demo-f",
        "run_id": "01RUN",
    }


@pytest.mark.parametrize(
    ("name", "guarded"),
    [
        ("inngest/function.failed", True),
        ("inngest/function.finished", True),
        ("inngest/function.cancelled", False),
        ("inngest/function.invoked", False),
        ("a", False),
    ],
)
def test_listeners_do_not_trigger_themselves(name: str, guarded: bool) -> None:
    assert lifecycle.is_loop_guarded(name) == guarded


def test_an_invocation_by_a_step() -> None:
    invocation = Invocation(
        "demo-child",
        "01P.bc8d",
        1826917027705,
        "call",
        source_app_id="app",
        source_function_id="fn",
    )
    event = lifecycle.function_invoked(
        "01NEW",
        5,
        invocation,
        data=raw({"n": 21, "_inngest": {"forged": 1}}),
        user=raw({"u": 1}),
        v="2",
    )
    assert told(event) == {
        "name": "inngest/function.invoked",
        "id": "01NEW",
        "ts": 5,
        "v": "2",
        "user": {"u": 1},
        "data": {
            "n": 21,
            "_inngest": {
                "correlation_id": "01P.bc8d",
                "expire": 1826917027705,
                "fn_id": "demo-child",
                "name": "call",
                "source_app_id": "app",
                "source_fn_id": "fn",
                "source_fn_v": 1,
            },
        },
    }
    target = lifecycle.invoked_target(event)
    assert (target.function_id, target.correlation_id) == ("demo-child", "01P.bc8d")
    assert target.expire_ms == 1826917027705
    assert lifecycle.split_correlation_id(target.correlation_id) == ("01P", "bc8d")


def test_an_invocation_by_hand() -> None:
    event = lifecycle.function_invoked("01NEW", 5, Invocation("demo-child"))
    assert told(event)["data"] == {"_inngest": {"fn_id": "demo-child"}}
    assert lifecycle.invoked_target(event).correlation_id == ""
    assert lifecycle.invoked_target(Event("a")).function_id == ""
    assert lifecycle.split_correlation_id("") == ("", "")


def test_a_tick_of_a_schedule() -> None:
    assert told(lifecycle.scheduled_timer("*/15 * * * *", 1795374900000, 1795374907500)) == {
        "name": "inngest/scheduled.timer",
        "id": "2026-11-22T19:15:00Z",
        "ts": 1795374907500,
        "user": {},
        "data": {
            "cron": "*/15 * * * *",
            "scheduledAt": "2026-11-22T19:15:00Z",
            "fireAt": "2026-11-22T19:15:07.500Z",
        },
    }


def test_a_deferral() -> None:
    deferral = lifecycle.Deferral("shop-x", "app", "fn", "shop-parent", "01RUN")
    event = lifecycle.deferred_schedule("01NEW", 5, deferral, data=raw({"a": 1, "\ue000": 2}))
    assert told(event)["data"] == {
        "a": 1,
        "\ue000": 2,
        "_inngest": {
            "fn_slug": "shop-x",
            "parent_app_id": "app",
            "parent_fn_id": "fn",
            "parent_fn_slug": "shop-parent",
            "parent_run_id": "01RUN",
        },
    }


def test_events_as_pieces() -> None:
    events = (Event("a", ts=1), Event("b", ts=2, user=raw({"x": 1})))
    for with_user in (True, False):
        pieces = lifecycle.encode_all(events, with_user=with_user)
        assert [bool(b'"user"' in bytes(piece)) for piece in pieces] == [with_user, True]
        assert [decode_event(piece).name for piece in pieces] == ["a", "b"]
