"""Rows E-105 to E-113: events are judged before they leave, and before a handler sees them."""

import json
from typing import Any, Literal, TypedDict

import msgspec
import pydantic
import pytest

import stepwell
from stepwell import (
    Event,
    EventSchemas,
    EventValidationError,
    SendEventsError,
    ValidationMiddleware,
)
from stepwell.sdk.events.validator import CallableValidator, Unfit
from stepwell.sdk.execution.run import run_call, run_call_sync
from stepwell.wire.execution import CallResponse, decode_call
from tests.events.shop import catching, new_client, result, running, until
from tests.ids import steady


class Created(TypedDict):
    id: str
    email: str


class Amount(pydantic.BaseModel):
    amount: int
    currency: str = "EUR"


class Email(pydantic.BaseModel):
    email: str

    @pydantic.field_validator("email")
    @classmethod
    def _has_an_at(cls, value: str) -> str:
        if "@" not in value:
            raise ValueError("value is not a valid email address")
        return value


def paid(function: Any = None, **fields: Any) -> dict[str, Any]:
    return {"name": "shop/paid", "data": {"amount": 1}, **fields}


async def called(
    function: stepwell.Function[Any], client: stepwell.Inngest, *events: dict[str, Any]
) -> CallResponse:
    """The answer of a function called with these events, as a server would."""
    ctx = {"run_id": "01M82BFDSEAXH732SHZM7R2J1X", "attempt": 0, "fn_id": function.id}
    body = {"ctx": ctx, "event": events[0], "events": list(events), "steps": {}, "use_api": False}
    call = decode_call(json.dumps(body).encode())
    if function.is_handler_async:
        return await run_call(function, call, client=client)
    return run_call_sync(function, call, client=client)


async def told(
    function: stepwell.Function[Any], client: stepwell.Inngest, *events: dict[str, Any]
) -> str:
    """The error such a call ends with; it must not be tried again."""
    answer = await called(function, client, *events)
    found = json.loads(answer.body)
    assert found["name"] == "EventValidationError"
    assert answer.headers["x-inngest-no-retry"] == "true"
    return str(found["message"])


def typed(client: stepwell.Inngest, trigger: Any, **options: Any) -> stepwell.Function[Any]:
    """A function that gives back the data it got, whatever its type."""

    async def takes(ctx: Any) -> Any:
        data = ctx.event.data
        return [type(data).__name__, msgspec.to_builtins(data, enc_hook=dict)]

    made: Any = client.create_function(fn_id="takes", trigger=trigger, **options)
    return made(takes)  # type: ignore[no-any-return]


# E-105 is what checkers say: tests/typing/events.


def test_e_105_what_checkers_refuse_fails_at_run_time_too() -> None:
    made = stepwell.event_type("user/created", schema=Amount)
    with pytest.raises(EventValidationError):
        made()  # type: ignore[call-arg]
    with pytest.raises(EventValidationError):
        made(amount="x")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("event", "path"),
    [
        ({"data": {}}, "name"),
        ({"name": 5}, "name"),
        ({"name": "a", "data": [1]}, "data"),
        ({"name": "a", "ts": 1.5}, "ts"),
        ({"name": "a", "ts": "now"}, "ts"),
        ({"name": "a", "id": 5}, "id"),
        ({"name": "a", "v": 5}, "v"),
        ({"name": "a", "user": "me"}, "user"),
        ({"name": "a", "more": 1}, "more"),
        (5, "event"),
    ],
    ids=steady,
)
async def test_e_106_mandatory_fields(event: Any, path: str) -> None:
    client, outbox = catching()
    with pytest.raises(EventValidationError) as caught:
        await client.send([paid(), event])
    assert [(index, found) for index, found, _ in caught.value.problems] == [(1, path)]
    assert outbox.requests == 0, "all or nothing"


SERVERS_JUDGE = pytest.mark.parametrize(
    ("event", "path", "words"),
    [
        (Event(name=""), "name", "event name is empty"),
        (Event(name="inngest/mine"), "name", "event name is reserved"),
        ({"name": "a", "ts": -1}, "ts", "timestamp is before Jan 1, 1980"),
        ({"name": "a", "data": {"x": "y" * 3_200_000}}, "data", "over the max size"),
    ],
    ids=steady,
)


@SERVERS_JUDGE
async def test_e_106_what_a_server_judges_is_sent_and_what_it_took_is_told(
    event: Any, path: str, words: str
) -> None:
    """As the official SDK: the events before the bad one are stored, those after it are not."""
    client = new_client()
    async with running(client) as engine:
        with pytest.raises(SendEventsError, match=words) as caught:
            await client.send([paid(), event, paid()])
        assert not isinstance(caught.value, EventValidationError)
        (accepted,) = caught.value.ids
        assert engine.node.reader.event(accepted) is not None


@SERVERS_JUDGE
async def test_e_106_all_or_nothing_judges_before(event: Any, path: str, words: str) -> None:
    client, outbox = catching()
    with pytest.raises(EventValidationError) as caught:
        await client.send([paid(), event], all_or_nothing=True)
    assert [(index, found) for index, found, _ in caught.value.problems] == [(1, path)]
    with pytest.raises(EventValidationError):
        client.send_sync([paid(), event], all_or_nothing=True)
    assert outbox.requests == 0


async def test_e_106_all_problems_of_all_events_are_in_one_error() -> None:
    schemas = EventSchemas(unknown="forbid").from_record(
        {"user/created": Created, "shop/paid": Amount}
    )
    client, outbox = catching(schemas)
    with pytest.raises(EventValidationError) as caught:
        await client.send(
            [
                {"name": "user/created", "data": {"id": 1}, "v": 2},
                paid(),
                {"name": "who/knows"},
                "no event",  # type: ignore[list-item]
                {"name": "shop/paid", "data": {"amount": "x"}, "nmae": "x"},
            ]
        )
    found = [(index, path) for index, path, _ in caught.value.problems]
    assert found == [
        *[(0, "v"), (0, "data.id"), (0, "data.email")],
        (2, "name"),
        (3, "event"),
        *[(4, "nmae"), (4, "data.amount")],
    ]
    assert outbox.requests == 0


def test_e_106_blocking_code_is_told_the_same() -> None:
    client, outbox = catching(EventSchemas().from_record({"user/created": Created}))
    with pytest.raises(EventValidationError, match=r"data\.email"):
        client.send_sync({"name": "user/created", "data": {"id": "1"}})
    assert outbox.requests == 0


async def test_e_107_defaults_are_filled_in() -> None:
    client, outbox = catching()
    await client.send(stepwell.Event(name="a"))
    assert outbox.sent[0]["data"] == {}
    assert outbox.sent[0]["ts"] > 1_700_000_000_000


async def test_e_108_one_event_is_a_list_on_the_wire() -> None:
    client, outbox = catching()
    await client.send(stepwell.Event(name="a"))
    assert (outbox.requests, len(outbox.sent)) == (1, 1)


async def test_e_109_the_message_names_event_field_and_reason() -> None:
    client, _ = catching(EventSchemas().from_pydantic({"user/created": Email}))
    good, bad = ({"name": "user/created", "data": {"email": mail}} for mail in ("a@b", "ab"))
    with pytest.raises(EventValidationError) as caught:
        await client.send([good, bad])
    assert str(caught.value) == (
        'Event[1] "user/created" is invalid: data.email: value is not a valid email address'
    )


# E-110: the built-in switches, and the middleware


@pytest.mark.parametrize(
    ("validate", "outgoing", "incoming"),
    [
        ("both", True, True),
        ("outgoing", True, False),
        ("incoming", False, True),
        ("off", False, False),
    ],
)
async def test_e_110_validate_says_which_way_events_are_judged(
    validate: Any, outgoing: bool, incoming: bool
) -> None:
    client, outbox = catching(EventSchemas(validate=validate).from_pydantic({"shop/paid": Amount}))
    function = typed(client, stepwell.TriggerEvent(event="shop/paid"))
    bad = {"name": "shop/paid", "data": {"amount": "x"}}
    if outgoing:
        with pytest.raises(EventValidationError):
            await client.send(bad)
    else:
        await client.send(bad)
    assert outbox.requests == (0 if outgoing else 1)
    answer = await called(function, client, bad)
    assert (answer.status == 200) is not incoming


async def test_e_110_the_payload_becomes_what_the_schema_made_of_it() -> None:
    client, outbox = catching(
        EventSchemas().from_pydantic({"shop/paid": {"data": Amount, "user": Amount}})
    )
    await client.send({"name": "shop/paid", "data": {"amount": "5"}, "user": {"amount": 1, "x": 2}})
    assert outbox.sent[0]["data"] == {"amount": 5, "currency": "EUR"}
    assert outbox.sent[0]["user"] == {"amount": 1, "currency": "EUR"}
    function = typed(client, stepwell.TriggerEvent(event="shop/paid"))
    answer = await called(
        function,
        client,
        {"name": "shop/paid", "data": {"amount": "5", "_inngest": 1}, "user": {"amount": 1}},
    )
    assert json.loads(answer.body) == ["dict", {"amount": 5, "currency": "EUR", "_inngest": 1}]


async def test_e_110_internal_events_are_trusted_but_invocations_are_not() -> None:
    client = new_client(
        EventSchemas(unknown="forbid", schemaless="forbid").from_pydantic({"shop/paid": Amount})
    )
    failed = {"name": "inngest/function.failed", "data": {"any": "thing"}}
    listener = typed(client, stepwell.TriggerEvent(event="inngest/function.failed"))
    assert (await called(listener, client, failed)).status == 200
    function = typed(client, stepwell.TriggerEvent(event="shop/paid"))
    good, bad = ({"name": "inngest/function.invoked", "data": {"amount": n}} for n in (1, "x"))
    assert json.loads((await called(function, client, good)).body)[1]["currency"] == "EUR"
    assert await told(function, client, bad) == (
        'Event "inngest/function.invoked" failed validation: data.amount: Input should be a valid'
        " integer, unable to parse string as an integer"
    )


OPTIONS = (
    "disallow_schemaless_events",
    "disallow_unknown_schemas",
    "disable_incoming_validation",
    "disable_outgoing_validation",
)


def middled(**options: bool) -> tuple[stepwell.Inngest, Any]:
    schemas = EventSchemas(validate="off").from_pydantic({"shop/paid": Amount, "shop/bare": {}})
    return catching(schemas, middleware=[ValidationMiddleware.with_options(**options)])


@pytest.mark.parametrize(
    ("option", "event", "sends", "takes"),
    [
        ("", {"name": "shop/paid", "data": {"amount": "x"}}, False, False),
        ("", {"name": "shop/bare"}, True, True),
        ("", {"name": "shop/unknown"}, True, True),
        ("disallow_schemaless_events", {"name": "shop/bare"}, False, False),
        ("disallow_schemaless_events", {"name": "shop/unknown"}, False, False),
        ("disallow_unknown_schemas", {"name": "shop/bare"}, True, True),
        ("disallow_unknown_schemas", {"name": "shop/unknown"}, False, False),
        ("disable_incoming_validation", {"name": "shop/paid"}, False, True),
        ("disable_outgoing_validation", {"name": "shop/paid"}, True, False),
    ],
)
async def test_e_110_the_four_options_of_the_middleware(
    option: str, event: dict[str, Any], sends: bool, takes: bool
) -> None:
    client, outbox = middled(**({option: True} if option else {}))
    if sends:
        await client.send(event)
    else:
        with pytest.raises(EventValidationError):
            await client.send(event)
    assert outbox.requests == (1 if sends else 0)
    function = typed(client, stepwell.TriggerEvent(event=event["name"]))
    answer = await called(function, client, {"data": {}, **event})
    assert (answer.status == 200) is takes


async def test_e_110_the_middleware_replaces_payloads() -> None:
    client, outbox = middled()
    await client.send(paid())
    assert outbox.sent[0]["data"] == {"amount": 1, "currency": "EUR"}
    function = typed(client, stepwell.TriggerEvent(event="shop/paid"))
    assert json.loads((await called(function, client, paid())).body)[1]["currency"] == "EUR"
    assert ValidationMiddleware.with_options().keywords == dict.fromkeys(OPTIONS, False)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "schema_options", "event", "sentence"),
    [
        (
            {"disallow_schemaless_events": True},
            {"schemaless": "forbid"},
            {"name": "x"},
            'Event "x" has no schema defined; disallowing',
        ),
        (
            {"disallow_unknown_schemas": True},
            {"unknown": "forbid"},
            {"name": "x"},
            'Event "x" has an unknown schema; disallowing',
        ),
        (
            {},
            {},
            {"name": "shop/paid"},
            'Event "shop/paid" failed validation: data.amount: Field required',
        ),
    ],
)
async def test_e_111_its_messages(
    options: Any, schema_options: Any, event: Any, sentence: str
) -> None:
    client, _ = middled(**options)
    with pytest.raises(EventValidationError) as caught:
        await client.send(event)
    assert str(caught.value) == sentence
    assert not caught.value.is_retriable
    function = typed(client, stepwell.TriggerEvent(event=event["name"]))
    message, note = (await told(function, client, {"data": {}, **event})).split("\n")
    assert (message, note) == (
        sentence,
        "raised by middleware ValidationMiddleware.transform_input",
    )
    built_in = new_client(EventSchemas(**schema_options).from_pydantic({"shop/paid": Amount}))
    function = typed(new_client(), stepwell.TriggerEvent(event=event["name"]))
    assert await told(function, built_in, {"data": {}, **event}) == sentence
    if options:
        with pytest.raises(EventValidationError, match=sentence):
            await built_in.send(event)


# E-112: typed triggers judge by themselves, and type


PAID = stepwell.event_type("shop/paid", schema=Amount)
CREATED = stepwell.event_type("user/created", schema=Created)


async def test_e_112_an_event_must_fit_the_trigger_it_matches() -> None:
    client = new_client()
    function = typed(client, (PAID, CREATED))
    assert json.loads((await called(function, client, paid())).body)[0] == "Amount"
    message = await told(function, client, {"name": "user/created", "data": {"amount": 1}})
    problems = "data.id: Field required, data.email: Field required"
    assert message == f'Event "user/created" failed validation: {problems}'


async def test_e_112_a_wildcard_covers_what_no_name_does() -> None:
    client = new_client()
    function = typed(client, [PAID, stepwell.TriggerEvent(event="shop/*")])
    other = {"name": "shop/other", "data": {"x": 1}}
    assert json.loads((await called(function, client, other)).body) == ["dict", {"x": 1}]
    assert "data.amount" in await told(function, client, {"name": "shop/paid", "data": {}})


async def test_e_112_one_of_several_schemas_of_a_name_is_enough() -> None:
    client = new_client()
    function = typed(client, (PAID, stepwell.event_type("shop/paid", schema=Email)))
    mail = {"name": "shop/paid", "data": {"email": "a@b"}}
    assert json.loads((await called(function, client, mail)).body)[0] == "Email"
    assert json.loads((await called(function, client, paid())).body)[0] == "Amount"
    await told(function, client, {"name": "shop/paid", "data": {"email": "ab"}})


async def test_e_112_an_invocation_must_fit_an_invoke_trigger_else_any() -> None:
    client = new_client()
    invoked = {"name": "inngest/function.invoked", "data": {"amount": 5}}
    function = typed(client, (PAID, CREATED))
    assert json.loads((await called(function, client, invoked)).body)[0] == "Amount"
    strict = typed(client, (PAID, stepwell.TriggerInvoke(schema=Email)))
    assert "data.email" in await told(strict, client, invoked)


async def test_e_112_an_event_of_no_trigger_is_refused() -> None:
    client = new_client()
    function = typed(client, PAID)
    assert (
        await told(function, client, {"name": "X", "data": {}}) == "Event not found in triggers: X"
    )
    untyped = typed(client, stepwell.TriggerEvent(event="shop/paid"))
    assert (await called(untyped, client, {"name": "X", "data": {}})).status == 200


async def test_e_112_every_event_of_a_batch_is_judged() -> None:
    client = new_client()
    function = typed(client, PAID, batch_events=stepwell.Batch(max_size=3, timeout=1000))
    message = await told(function, client, paid(), paid(data={}), paid(data={"amount": "x"}))
    assert message.count('Event "shop/paid" failed validation') == 2


async def test_e_112_the_handlers_annotation_types_events_of_plain_triggers() -> None:
    client = new_client()

    class Whole(pydantic.BaseModel):
        name: Literal["shop/paid"]
        data: Amount

    @client.create_function(fn_id="a", trigger=stepwell.TriggerEvent(event="shop/paid"))
    async def typed_data(ctx: stepwell.Context[stepwell.Event[Amount]]) -> str:
        return type(ctx.event.data).__name__ + type(ctx.events[0].data).__name__

    @client.create_function(fn_id="b", trigger=stepwell.TriggerEvent(event="shop/paid"))
    def whole(ctx: stepwell.ContextSync[Whole]) -> str:
        return type(ctx.event).__name__ + str(ctx.event.data.amount)

    @client.create_function(fn_id="c", trigger=stepwell.TriggerEvent(event="shop/paid"))
    async def either(
        ctx: "stepwell.Context[stepwell.Event[Email] | stepwell.Event[Amount]]",
    ) -> str:
        return type(ctx.event.data).__name__

    for function, wanted in ((typed_data, "AmountAmount"), (whole, "Whole1"), (either, "Amount")):
        assert json.loads((await called(function, client, paid())).body) == wanted
        assert "data" in await told(function, client, paid(data={"x": 1}))


async def test_e_112_a_class_that_fixes_its_name_reads_invocations_too() -> None:
    client = new_client()

    class Paid(stepwell.Event[Amount, Literal["shop/paid"]]):
        name: Literal["shop/paid"] = "shop/paid"

    @client.create_function(fn_id="a", trigger=Paid)
    async def takes(ctx: stepwell.Context[Paid]) -> list[object]:
        return [type(ctx.event).__name__, ctx.event.name, ctx.event.data.amount]

    for name in ("shop/paid", "inngest/function.invoked"):
        answer = await called(takes, client, paid(name=name))
        assert json.loads(answer.body) == ["Paid", "shop/paid", 1]


async def test_e_112_encrypted_events_are_judged_when_they_are_plain() -> None:
    """Middleware stands between the judgement and the wire, on both sides."""

    class Hiding(stepwell.MiddlewareSync):
        def before_send_events(self, events: list[stepwell.Event]) -> None:
            events[:] = [
                e.model_copy(update={"data": {"secret": json.dumps(e.data)}}) for e in events
            ]

        def transform_input(self, ctx: Any, function: Any, steps: Any) -> None:
            ctx.events = [
                e.model_copy(update={"data": json.loads(e.data["secret"])}) for e in ctx.events
            ]
            ctx.event = ctx.events[0]

    schemas = EventSchemas().from_pydantic({"shop/paid": Amount})
    client, outbox = catching(schemas, middleware=[Hiding])
    with pytest.raises(EventValidationError):
        await client.send(paid(data={}))
    await client.send(paid())
    assert set(outbox.sent[0]["data"]) == {"secret"}
    for trigger in (PAID, stepwell.TriggerEvent(event="shop/paid")):
        function = typed(client, trigger)
        answer = await called(function, client, outbox.sent[0])
        assert json.loads(answer.body)[1] == {"amount": 1, "currency": "EUR"}


# E-113


@pytest.mark.parametrize("by", ["type", "schemas"])
async def test_e_113_an_awaited_event_that_does_not_fit_is_a_step_error(by: str) -> None:
    schemas = EventSchemas(validate="incoming").from_pydantic({"shop/paid": Amount})
    client = new_client(schemas if by == "schemas" else None)

    @client.create_function(fn_id="waits", trigger=stepwell.TriggerEvent(event="shop/wait"))
    async def waits(ctx: stepwell.Context) -> Any:
        try:
            await ctx.step.wait_for_event(
                "paid", event=PAID if by == "type" else "shop/paid", timeout="1h"
            )  # type: ignore[call-overload]
        except stepwell.StepError as error:
            return [error.step_id, error.name, error.message]

    async with running(client, waits) as engine:
        ids = await client.send({"name": "shop/wait"})
        run = engine.node.reader.runs_of_event(ids[0])[0]
        await until(lambda: engine.node.reader.waits(run.id))
        await client.send({"name": "shop/paid", "data": {}})
        told = await engine.result_of(ids[0], timeout_seconds=10)
    sentence = 'Event "shop/paid" failed validation: data.amount: Field required'
    assert told == ["paid", "EventValidationError", sentence]


async def test_e_113_what_fits_is_as_the_schema_made_it() -> None:
    client = new_client(EventSchemas().from_pydantic({"shop/paid": Amount}))

    @client.create_function(fn_id="waits", trigger=stepwell.TriggerEvent(event="shop/wait"))
    async def waits(ctx: stepwell.Context) -> Any:
        found = await ctx.step.wait_for_event("paid", event="shop/paid", timeout="1h")
        return found and found.data

    async with running(client, waits) as engine:
        ids = await client.send({"name": "shop/wait"})
        run = engine.node.reader.runs_of_event(ids[0])[0]
        await until(lambda: engine.node.reader.waits(run.id))
        await client.send(paid())
        assert await engine.result_of(ids[0], timeout_seconds=10) == {
            "amount": 1,
            "currency": "EUR",
        }


async def test_e_113_a_wait_for_an_unknown_name_is_refused_where_schemas_are_closed() -> None:
    client = new_client(EventSchemas(unknown="forbid").from_record({"shop/wait": {}}))

    @client.create_function(
        fn_id="waits", trigger=stepwell.TriggerEvent(event="shop/wait"), retries=0
    )
    async def waits(ctx: stepwell.Context) -> Any:
        await ctx.step.wait_for_event("paid", event="shop/padi", timeout="1h")

    async with running(client, waits) as engine:
        with pytest.raises(Exception, match='step "paid": event "shop/padi" has an unknown schema'):
            await result(engine, client, {"name": "shop/wait"})


# A check that says yes or no


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        (True, ""),
        (None, ""),
        (False, "the check said no"),
        (5, "the check returned int"),
        ("ok", "the check returned str"),
        ([1], "the check returned list"),
    ],
)
def test_a_check_may_say_yes_or_no_and_changes_nothing_then(said: object, wrong: str) -> None:
    found = CallableValidator(lambda value: said)
    if wrong:
        with pytest.raises(Unfit, match=wrong):
            found.load(b'{"a":1}')
    else:
        assert found.load(b'{"a":1}') == {"a": 1}
