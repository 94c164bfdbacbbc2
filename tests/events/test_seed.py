"""The programs of the seed's page about events, translated and run, in the order of the page."""

import datetime as dt
import json
import types
from typing import Any, Literal, TypedDict

import pydantic
import pytest

import stepwell
from tests.events.shop import catching, new_client, result, running, until


class User(TypedDict):
    id: str
    email: str


class UserModel(pydantic.BaseModel):
    id: str
    email: str

    @pydantic.field_validator("email")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if "@" not in value:
            raise ValueError("Invalid email")
        return value


class Id(TypedDict):
    id: str


class UserCreated(TypedDict):
    name: Literal["user/created"]
    data: Id


class UserDeleted(TypedDict):
    name: Literal["user/deleted"]
    data: Id


GENERATED = types.ModuleType("generated_events")
GENERATED.__dict__["EVENTS"] = {"user/created": {"data": User}}
GOOD = {"id": "123", "email": "ada@example.com"}


@pytest.mark.parametrize(
    ("schemas", "good", "bad"),
    [
        (stepwell.EventSchemas().from_record({"user/created": {"data": User}}), GOOD, {"id": "1"}),
        (
            stepwell.EventSchemas().from_zod({"user/created": {"data": UserModel}}),
            GOOD,
            {"id": "123", "email": "nobody"},
        ),
        (stepwell.EventSchemas().from_union(UserCreated | UserDeleted), {"id": "1"}, {}),
        (stepwell.EventSchemas().from_generated(GENERATED), GOOD, {"id": "123"}),
    ],
    ids=["fromRecord", "fromZod", "fromUnion", "fromGenerated"],
)
async def test_schema_definition_methods(
    schemas: stepwell.EventSchemas, good: Any, bad: Any
) -> None:
    client, outbox = catching(schemas)
    await client.send({"name": "user/created", "data": good})
    assert outbox.sent[0]["data"] == good
    with pytest.raises(stepwell.EventValidationError, match=r'"user/created" is invalid: data\.'):
        await client.send({"name": "user/created", "data": bad})


async def test_sending_events() -> None:
    inngest, outbox = catching()
    # Send a single event
    await inngest.send({"name": "user/created", "data": {"id": "123", "name": "John Doe"}})
    # Send multiple events
    found = await inngest.send(
        [
            {"name": "payment/initiated", "data": {"amount": 100}},
            {"name": "log/action", "data": {"action": "payment_attempt"}},
        ]
    )
    assert found.ids == ["id-0", "id-1"]
    # Send with environment targeting
    await inngest.send({"name": "test/event", "data": {}}, env="staging")
    names = [event["name"] for event in outbox.sent]
    assert names == ["user/created", "payment/initiated", "log/action", "test/event"]
    assert outbox.requests == 3
    for event in outbox.sent:
        assert event["ts"] > 0  # the client adds a time
        assert isinstance(event["data"], dict)


async def test_function_triggering() -> None:
    inngest = new_client()
    seen: list[Any] = []

    @inngest.create_function(
        fn_id="welcome-new-user", trigger=stepwell.TriggerEvent(event="user/created")
    )
    async def welcome(ctx: stepwell.Context) -> str:
        assert ctx.event.name == "user/created"
        return f"welcome {ctx.event.data['id']}"

    @inngest.create_function(
        fn_id="process-user-changes",
        trigger=[
            stepwell.TriggerEvent(event="user/created"),
            stepwell.TriggerEvent(event="user/updated"),
        ],
    )
    async def changes(ctx: stepwell.Context) -> None:
        assert ctx.events == [ctx.event]
        seen.append(ctx.event.name)

    async with running(inngest, welcome, changes) as engine:
        ids = await inngest.send({"name": "user/created", "data": {"id": "1"}})
        await inngest.send({"name": "user/updated"})
        runs = engine.node.reader.runs_of_event(ids[0])
        await until(lambda: len(seen) == 2)
        outputs = [(await engine.node.run_ended(run.id, 10)).output for run in runs]
    assert sorted(seen) == ["user/created", "user/updated"]
    assert b'"welcome 1"' in outputs


async def test_event_context_in_functions() -> None:
    inngest = new_client()

    @inngest.create_function(fn_id="my-function", trigger=stepwell.TriggerEvent(event="app/event"))
    async def my_function(ctx: stepwell.Context) -> Any:
        event = ctx.event
        return [event.name, event.data, event.user, event.ts]

    event = {"name": "app/event", "data": {"n": 1}, "user": {"id": "u"}, "ts": 1_700_000_000_000}
    async with running(inngest, my_function) as engine:
        told = await result(engine, inngest, event)
    assert told == ["app/event", {"n": 1}, {"id": "u"}, 1_700_000_000_000]


class Named(TypedDict):
    id: str
    name: str


async def test_an_event_without_its_name_is_refused_before_anything_is_sent() -> None:
    """What checkers say of it is in tests/typing/events."""
    inngest, outbox = catching(
        stepwell.EventSchemas().from_record({"user/created": {"data": Named}})
    )
    await inngest.send({"name": "user/created", "data": {"id": "123", "name": "John"}})
    with pytest.raises(stepwell.EventValidationError) as caught:
        await inngest.send({"name": "user/created", "data": {"id": "123"}})
    assert str(caught.value) == ('Event[0] "user/created" is invalid: data.name: Field required')
    with pytest.raises(stepwell.EventValidationError, match="name"):
        await inngest.send({"data": {"id": "123", "name": "John"}})
    assert outbox.requests == 1


async def test_custom_event_middleware() -> None:
    def init() -> Any:
        def on_send_event() -> Any:
            def transform_input(payloads: list[stepwell.Event]) -> Any:
                # Add a custom field to all outgoing events
                now = dt.datetime.now(dt.UTC).isoformat()
                return {
                    "payloads": [
                        event.copy(data={**event.data, "processedAt": now}) for event in payloads
                    ]
                }

            return {"transform_input": transform_input}

        return {"on_send_event": on_send_event}

    middleware = stepwell.InngestMiddleware(name="Add Timestamp", init=init)
    inngest, outbox = catching(middleware=[middleware])
    await inngest.send([{"name": "a", "data": {"n": 1}}, {"name": "b"}])
    for event in outbox.sent:
        assert dt.datetime.fromisoformat(event["data"]["processedAt"])
    assert outbox.sent[0]["data"]["n"] == 1


def test_error_serialization() -> None:
    try:
        try:
            raise KeyError("card")
        except KeyError as cause:
            raise ValueError("declined") from cause
    except ValueError as error:
        serialized = stepwell.serialize_error(error)
    # This preserves error name, message, stack, and cause chain
    assert (serialized["name"], serialized["message"]) == ("ValueError", "declined")
    assert "test_error_serialization" in str(serialized["stack"])
    travelled = json.loads(json.dumps(serialized))
    assert stepwell.is_serialized_error(travelled)
    again: Any = stepwell.deserialize_error(travelled)
    assert (again.name, again.message, again.__cause__.name) == (
        "ValueError",
        "declined",
        "KeyError",
    )


async def test_using_system_events() -> None:
    inngest = new_client()
    alerts: list[Any] = []

    # Handle function failures
    @inngest.create_function(
        fn_id="handle-failures", trigger=stepwell.TriggerEvent(event="inngest/function.failed")
    )
    async def handle_failures(ctx: stepwell.Context) -> None:
        data = ctx.event.data
        alerts.append((data["function_id"], data["error"]["message"], data["run_id"]))

    @inngest.create_function(
        fn_id="pay", trigger=stepwell.TriggerEvent(event="shop/pay"), retries=0
    )
    async def pay(ctx: stepwell.Context) -> None:
        raise ValueError("declined")

    async with running(inngest, handle_failures, pay) as engine:
        ids = await inngest.send({"name": "shop/pay"})
        run = engine.node.reader.runs_of_event(ids[0])[0]
        await until(lambda: alerts)
    assert alerts == [("shop-pay", "declined", run.id)]


@pytest.mark.parametrize(
    ("options", "variables", "url"),
    [
        ({"is_dev": True}, {}, "http://127.0.0.1:8288/e/NO_EVENT_KEY_SET"),
        ({}, {"INNGEST_DEV": "1"}, "http://127.0.0.1:8288/e/NO_EVENT_KEY_SET"),
        (
            {},
            {"INNGEST_DEV": "http://localhost:8288"},
            "http://localhost:8288/e/NO_EVENT_KEY_SET",
        ),
        ({}, {"INNGEST_DEV": "0", "INNGEST_EVENT_KEY": "key"}, "https://inn.gs/e/key"),
    ],
)
async def test_development_mode(options: Any, variables: dict[str, str], url: str) -> None:
    seen: list[str] = []

    def network(method: str, where: str, *_: object) -> Any:
        seen.append(where)
        return 200, {}, b'{"ids":["1"],"status":200}'

    inngest = stepwell.Inngest(app_id="my-app", http_client=network, **options)
    inngest.set_env_vars(variables)
    await inngest.send({"name": "event", "data": {}})
    assert seen == [url]


async def test_environment_specific_event_targeting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", {})
    seen: list[str | None] = []

    def network(method: str, url: str, headers: dict[str, str], *_: object) -> Any:
        seen.append(headers.get("x-inngest-env"))
        return 200, {}, b'{"ids":["1"],"status":200}'

    def inngest(variables: dict[str, str], **options: Any) -> stepwell.Inngest:
        client = stepwell.Inngest(app_id="a", is_dev=True, http_client=network, **options)
        client.set_env_vars(variables)
        return client

    event = {"name": "event", "data": {}}
    platform = {"VERCEL_GIT_COMMIT_REF": "branch"}
    named = {**platform, "INNGEST_ENV": "named"}
    await inngest({}).send(event)  # the default environment
    await inngest(named, env="mine").send(event, env="staging")
    await inngest(named, env="mine").send(event)
    await inngest(named).send(event)
    await inngest(platform).send(event)
    assert seen == [None, "staging", "mine", "named", "branch"]
