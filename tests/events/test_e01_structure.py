"""Rows E-1 to E-17: what an event is, and the server's own events as types."""

import datetime as dt
import json
from typing import Any, Literal

import msgspec
import pydantic
import pytest

import stepwell
from stepwell.sdk.events.event import event_from_json, event_to_wire
from stepwell.wire.event import encode_event
from tests.events.shop import catching, new_client, result, running, until

FIELDS = {"data": {"n": 1}, "id": "x", "ts": 1_700_000_000_000, "v": "2", "user": {"id": "u"}}


async def test_e_1_functions_start_from_an_event_or_an_invocation() -> None:
    client = new_client()

    @client.create_function(fn_id="child", trigger=stepwell.TriggerEvent(event="shop/child"))
    async def child(ctx: stepwell.Context) -> str:
        return ctx.event.name

    @client.create_function(fn_id="parent", trigger=stepwell.TriggerEvent(event="shop/parent"))
    async def parent(ctx: stepwell.Context) -> list[str]:
        return [ctx.event.name, await ctx.step.invoke("child", function=child)]

    async with running(client, child, parent) as engine:
        told = await result(engine, client, {"name": "shop/parent"})
    assert told == ["shop/parent", "inngest/function.invoked"]


def test_e_2_unknown_keys_survive_a_round_trip() -> None:
    sent = {"name": "shop/paid", **FIELDS, "meta": {"sessions": {"a": "b"}}, "later": [1]}
    sent["data"] = {"n": 1, "_inngest": {"fn_id": "shop-x"}}
    event = event_from_json(json.dumps(sent).encode())
    assert (event.name, event.data["n"], event.meta) == ("shop/paid", 1, sent["meta"])
    assert event.model_dump() == sent
    assert stepwell.Event.model_validate(event.model_dump()) == event


def test_e_2_events_are_generic_over_their_data() -> None:
    class Paid(pydantic.BaseModel):
        amount: int

    event = stepwell.Event[Paid](name="shop/paid", data=Paid(amount=3))
    assert isinstance(event, stepwell.Event)
    assert event.data.amount == 3
    with pytest.raises(pydantic.ValidationError, match="amount"):
        stepwell.Event[Paid].model_validate_json(b'{"name": "shop/paid", "data": {}}')


@pytest.mark.parametrize("name", [None, 5, ["a"]])
def test_e_3_a_name_is_text(name: Any) -> None:
    with pytest.raises(pydantic.ValidationError, match="name"):
        stepwell.Event(name=name)


@pytest.mark.parametrize("name", ["", "inngest/mine", "x" * 10_000])
async def test_e_3_names_that_cannot_be_sent(name: str) -> None:
    client, outbox = catching()
    with pytest.raises(stepwell.EventValidationError, match="name"):
        await client.send({"name": name}, all_or_nothing=True)
    assert outbox.requests == 0


@pytest.mark.parametrize("data", [None, {}, "absent"])
async def test_e_4_data_may_be_missing(data: Any) -> None:
    client, outbox = catching()
    await client.send(
        {"name": "shop/paid"} if data == "absent" else stepwell.Event(name="shop/paid", data=data)
    )
    assert outbox.sent[0]["data"] == {}


@pytest.mark.parametrize("data", [5, "x", [1], True])
async def test_e_4_data_is_an_object(data: Any) -> None:
    client, outbox = catching()
    with pytest.raises(stepwell.EventValidationError, match=r"data: .* is not an object"):
        await client.send({"name": "shop/paid", "data": data})
    assert outbox.requests == 0


async def test_e_5_an_id_is_the_senders_or_absent() -> None:
    client, outbox = catching()
    await client.send([{"name": "a", "id": "mine"}, {"name": "a", "id": ""}, {"name": "a"}])
    assert [event.get("id") for event in outbox.sent] == ["mine", None, None]


async def test_e_5_an_id_starts_a_function_once() -> None:
    client = new_client()
    runs: list[str] = []

    @client.create_function(fn_id="once", trigger=stepwell.TriggerEvent(event="shop/paid"))
    async def once(ctx: stepwell.Context) -> None:
        runs.append(ctx.run_id)

    async with running(client, once) as engine:
        first = await client.send({"name": "shop/paid", "id": "order-1"})
        await engine.result_of(first[0], timeout_seconds=10)
        second = await client.send({"name": "shop/paid", "id": "order-1"})
        with pytest.raises(LookupError):
            await engine.result_of(second[0], timeout_seconds=1)
    assert len(runs) == 1


async def test_e_6_a_user_goes_along() -> None:
    client, outbox = catching()
    await client.send(stepwell.Event(name="a", user={"id": "u-1"}))
    await client.send(stepwell.Event(name="a"))
    assert [event.get("user") for event in outbox.sent] == [{"id": "u-1"}, None]


async def test_e_6_a_handler_sees_the_user() -> None:
    client = new_client()

    @client.create_function(fn_id="who", trigger=stepwell.TriggerEvent(event="shop/who"))
    async def who(ctx: stepwell.Context) -> Any:
        return ctx.event.user

    async with running(client, who) as engine:
        assert await result(engine, client, {"name": "shop/who", "user": {"id": 1}}) == {"id": 1}


async def test_e_7_ts_is_milliseconds_or_a_datetime() -> None:
    instant = dt.datetime(2026, 5, 4, 3, 2, 1, 500_000, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    ms = 1_777_856_521_500
    event = stepwell.Event(name="a", ts=instant)
    assert (event.ts, event.datetime) == (ms, instant)
    assert stepwell.Event(name="a").datetime is None
    client, outbox = catching()
    await client.send([event, {"name": "a", "ts": instant}, stepwell.Event(name="a", ts=ms)])
    assert [event["ts"] for event in outbox.sent] == [ms, ms, ms]


async def test_e_7_now_is_filled_in_once_for_all() -> None:
    client, outbox = catching()
    before = dt.datetime.now(dt.UTC).timestamp() * 1000
    await client.send([{"name": "a"}, {"name": "a", "ts": 0}])
    assert outbox.sent[0]["ts"] == outbox.sent[1]["ts"]
    assert abs(outbox.sent[0]["ts"] - before) < 60_000


async def test_e_7_a_datetime_without_a_zone_is_refused() -> None:
    naive = dt.datetime(2026, 1, 2)
    with pytest.raises(pydantic.ValidationError, match="has no time zone"):
        stepwell.Event(name="a", ts=naive)
    client, outbox = catching()
    with pytest.raises(stepwell.EventValidationError, match=r"ts: .* has no time zone"):
        await client.send({"name": "a", "ts": naive})
    assert outbox.requests == 0


async def test_e_8_a_version_is_text_of_any_form() -> None:
    client, outbox = catching()
    await client.send([stepwell.Event(name="a", v="2026-01-01"), stepwell.Event(name="a")])
    assert [event.get("v") for event in outbox.sent] == ["2026-01-01", None]
    with pytest.raises(stepwell.EventValidationError, match="v: 1 is not text"):
        await client.send({"name": "a", "v": 1})


async def test_e_9_a_minimal_event_is_what_one_invokes_with() -> None:
    assert set(stepwell.MinimalEvent.model_fields) == {"id", "data", "user", "v"}
    assert issubclass(stepwell.Event, stepwell.MinimalEvent)
    client = new_client()

    @client.create_function(fn_id="child", trigger=stepwell.TriggerEvent(event="shop/child"))
    async def child(ctx: stepwell.Context) -> Any:
        return [ctx.event.data["n"], ctx.event.v, ctx.event.user]

    @client.create_function(fn_id="parent", trigger=stepwell.TriggerEvent(event="shop/parent"))
    async def parent(ctx: stepwell.Context) -> Any:
        whole = stepwell.MinimalEvent(data={"n": 1}, v="3", user={"id": "u"})
        return await ctx.step.invoke("child", function=child, data=whole)

    async with running(client, child, parent) as engine:
        told = await result(engine, client, {"name": "shop/parent"})
    assert told == [1, "3", {"id": "u"}]


FAILED = {
    "function_id": "shop-pay",
    "run_id": "01M82BFDSEAXH732SHZM7R2J1X",
    "error": {"name": "ValueError", "message": "no", "stack": "at x"},
    "event": {"name": "shop/paid", "data": {"amount": 5}, "ts": 1, "id": "e"},
    "events": [{"name": "shop/paid", "data": {"amount": 5}, "ts": 1, "id": "e"}],
    "_inngest": {"status": "Failed"},
}


def read(made: Any, data: Any, **fields: Any) -> Any:
    name = made.model_fields["name"].default
    event = event_from_json(json.dumps({"name": name, "data": data, **fields}).encode())
    return made.__event_kind__().read(event)


def test_e_10_a_failed_event_holds_the_original_event() -> None:
    class Amount(pydantic.BaseModel):
        amount: int

    plain = read(stepwell.FunctionFailedEvent, FAILED)
    assert (plain.name, plain.data.function_id) == ("inngest/function.failed", "shop-pay")
    assert plain.data.error == stepwell.SerializedError.parse(FAILED["error"])
    assert plain.data.event.data == {"amount": 5}
    assert plain.data.status == "Failed"
    typed = read(stepwell.FunctionFailedEvent[stepwell.Event[Amount]], FAILED)
    assert isinstance(typed.data.event.data, Amount)
    assert typed.data.events[0].data.amount == 5


@pytest.mark.parametrize(
    ("more", "is_error"),
    [
        ({"result": {"total": 3}, "_inngest": {"status": "Completed"}}, False),
        ({"result": None, "_inngest": {"status": "Completed"}}, False),
        ({"error": {"message": "no"}, "_inngest": {"status": "Failed"}}, True),
        ({"_inngest": {"status": "Cancelled"}}, True),
    ],
)
def test_e_11_a_finished_event_holds_a_result_or_an_error(more: Any, is_error: bool) -> None:
    data = {"function_id": "shop-pay", "run_id": "r", "correlation_id": "p.s", **more}
    event = read(stepwell.FunctionFinishedEvent, data)
    assert (event.data.is_error, event.data.result) == (is_error, more.get("result"))
    assert event.data.correlation_id == "p.s"
    assert (
        read(
            stepwell.FunctionFinishedEvent, {"function_id": "a", "run_id": "r"}
        ).data.correlation_id
        is None
    )


def test_e_12_a_cancelled_event_names_function_and_run() -> None:
    event = read(stepwell.FunctionCancelledEvent, {"function_id": "shop-pay", "run_id": "r"})
    assert (event.data.function_id, event.data.run_id) == ("shop-pay", "r")
    assert event.data.correlation_id is None
    assert event.name == "inngest/function.cancelled"


def test_e_13_an_invoked_event_holds_what_the_caller_passed() -> None:
    class Amount(pydantic.BaseModel):
        amount: int

    event = read(stepwell.FunctionInvokedEvent[Amount], {"amount": 5, "_inngest": {"fn_id": "a"}})
    assert (event.name, event.data) == ("inngest/function.invoked", Amount(amount=5))


def test_e_14_a_timer_event_has_an_id() -> None:
    data = {
        "cron": "* * * * *",
        "scheduledAt": "2026-01-02T03:04:00Z",
        "fireAt": "2026-01-02T03:04:01Z",
    }
    event = read(stepwell.ScheduledTimerEvent, data, id="2026-01-02T03:04:00Z")
    assert (event.id, event.data.cron) == ("2026-01-02T03:04:00Z", "* * * * *")
    assert event.data.scheduled_at == dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC)
    with pytest.raises(ValueError, match="id"):
        read(stepwell.ScheduledTimerEvent, data)


@pytest.mark.parametrize(
    ("given", "name", "message"),
    [
        ({"name": "TypeError", "message": "x"}, "TypeError", "x"),
        ({"message": "x"}, "Error", "x"),
        ({"error": "boo"}, "Error", "boo"),
        ({"name": 5, "message": None}, "Error", "Unknown error"),
        ("not an error", "Error", "Unknown error"),
        ('{"name": "A", "message": "b"}', "A", "b"),
        (None, "Error", "Unknown error"),
        (7, "Error", "Unknown error"),
        ([], "Error", "Unknown error"),
        (ValueError("x"), "ValueError", "x"),
    ],
)
def test_e_15_any_error_is_understood(given: Any, name: str, message: str) -> None:
    parsed = stepwell.SerializedError.parse(given)
    assert (parsed.name, parsed.message) == (name, message)


def test_e_15_causes_stacks_and_further_keys_stay() -> None:
    given = {"message": "a", "stack": "s", "code": 7, "cause": {"message": "b", "cause": "lost"}}
    parsed = stepwell.SerializedError.parse(given)
    assert (parsed.stack, parsed.model_extra) == ("s", {"code": 7})
    assert parsed.cause is not None
    assert parsed.cause.message == "b"
    assert parsed.cause.cause == stepwell.SerializedError()
    endless: dict[str, Any] = {"message": "a"}
    endless["cause"] = endless
    assert stepwell.SerializedError.parse(endless).message == "a"
    raised = parsed.to_exception()
    assert (raised.message, str(raised.cause)) == ("a", "b")


def test_e_16_internal_names_are_strings() -> None:
    assert [*stepwell.InternalEvent] == [
        "inngest/function.failed",
        "inngest/function.finished",
        "inngest/function.cancelled",
        "inngest/function.invoked",
        "inngest/deferred.schedule",
        "inngest/scheduled.timer",
    ]
    trigger = stepwell.TriggerEvent(event=stepwell.InternalEvent.FUNCTION_FAILED)
    assert trigger.event == "inngest/function.failed"
    assert f"{stepwell.InternalEvent.SCHEDULED_TIMER}" == "inngest/scheduled.timer"


async def test_e_17_failed_and_finished_are_emitted_at_the_end() -> None:
    client, heard = new_client(), list[tuple[str, str]]()
    names = (stepwell.InternalEvent.FUNCTION_FAILED, stepwell.InternalEvent.FUNCTION_FINISHED)

    @client.create_function(
        fn_id="doomed", trigger=stepwell.TriggerEvent(event="shop/doom"), retries=1
    )
    async def doomed(ctx: stepwell.Context) -> None:
        heard.append(("tried", str(ctx.attempt)))
        raise ValueError("no")

    @client.create_function(fn_id="fine", trigger=stepwell.TriggerEvent(event="shop/fine"))
    async def fine(ctx: stepwell.Context) -> int:
        return 1

    @client.create_function(
        fn_id="listener", trigger=[stepwell.TriggerEvent(event=name) for name in names]
    )
    async def listener(ctx: stepwell.Context) -> None:
        heard.append((ctx.event.name, str(ctx.event.data["function_id"])))

    async with running(client, doomed, fine, listener) as engine:
        await result(engine, client, {"name": "shop/fine"})
        ids = await client.send({"name": "shop/doom"})
        with pytest.raises(Exception, match="no"):
            await engine.result_of(ids[0], timeout_seconds=10)
        await until(lambda: len(heard) >= 5)
    assert heard[0] == (names[1], "shop-fine")
    assert heard[1:3] == [("tried", "0"), ("tried", "1")]
    assert sorted(heard[3:]) == [(names[0], "shop-doomed"), (names[1], "shop-doomed")]


def test_an_event_class_fixes_its_name() -> None:
    class Data(msgspec.Struct):
        n: int

    class Made(stepwell.Event[Data, Literal["shop/made"]]):
        name: Literal["shop/made"] = "shop/made"

    kind = Made.__event_kind__()
    assert kind.name == "shop/made"
    found = kind.read and kind.read(stepwell.Event(name="shop/made", data={"n": 3}))
    assert isinstance(found, Made)
    assert found.data == Data(3)
    with pytest.raises(TypeError, match="Event names no event"):
        stepwell.Event.__event_kind__()


def test_an_event_goes_onto_the_wire_as_it_is() -> None:
    event = stepwell.Event(name="a/b", data={"x": [1]}, id="i", ts=5, v="1", user={"u": 1})
    sent = json.loads(encode_event(event_to_wire(event)))
    assert sent == {
        "name": "a/b",
        "data": {"x": [1]},
        "id": "i",
        "ts": 5,
        "v": "1",
        "user": {"u": 1},
    }
