"""What can mean nothing is refused where it is declared, naming it and the fix."""

import gc
import warnings
from typing import Any

import pytest

import stepwell
from stepwell import (
    Batch,
    Cancel,
    Concurrency,
    Context,
    ContextSync,
    Event,
    EventDefinition,
    EventSchemaError,
    EventSchemas,
    FunctionConfigInvalidError,
    InngestMiddleware,
    RateLimit,
    TriggerEvent,
)
from stepwell.sdk.function import expression
from stepwell.sdk.step import ask

CLIENT = stepwell.Inngest(app_id="shop", is_production=False)


@pytest.mark.parametrize("name", ["foo/*.created", "*", "foo*", "*/foo", "a*b", "a/**"])
def test_a_wildcard_that_matches_nothing(name: str) -> None:
    with pytest.raises(FunctionConfigInvalidError, match=r"event = .* stands at the end, after"):
        TriggerEvent(event=name)


@pytest.mark.parametrize("name", ["foo/*", "a.b.*", "/*", "foo/bar"])
def test_a_wildcard_at_the_end(name: str) -> None:
    assert TriggerEvent(event=name).event == name


def test_wildcards_where_one_event_is_named() -> None:
    with pytest.raises(FunctionConfigInvalidError, match=r"Cancel\.event = 'a/\*': name one event"):
        Cancel(event="a/*")
    with pytest.raises(stepwell.ConfigurationError, match=r"event = 'a/\*': name one event"):
        ask.wait_for_event("w", None, "a/*", None, None, 1000)
    with pytest.raises(EventSchemaError, match=r'event "a/\*\.b": a wildcard stands at the end'):
        EventSchemas().from_record({"a/*.b": None})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"on_code_change": "stop"},
            "on_code_change 'stop' is unknown: use continue or pin",
        ),
        (
            {"on_code_change": True},
            'on_code_change = True: give "continue", "pin"',
        ),
        ({"code_version": 3}, "code_version = 3: give text"),
        ({"code_version": "x" * 65}, "code_version has 65 characters: use at most 64"),
        ({"code_version": "a\nb"}, r"code_version 'a\\nb' has control characters: leave them out"),
    ],
)
def test_what_is_said_of_code(options: dict[str, Any], words: str) -> None:
    with pytest.raises(FunctionConfigInvalidError, match=words):
        CLIENT.create_function(
            fn_id="f", trigger=TriggerEvent(event="a"), handler=lambda ctx: None, **options
        )


def test_a_decorator_over_another() -> None:
    def handler(ctx: ContextSync) -> None: ...

    for decorate in (
        CLIENT.on("a"),
        CLIENT.cron("0 0 * * *"),
        CLIENT.create_function(fn_id="f", trigger=TriggerEvent(event="a")),
    ):
        made: Any = CLIENT.on("b")(handler)
        with pytest.raises(FunctionConfigInvalidError, match=r'"handler": one decorator makes one'):
            decorate(made)


def test_the_context_of_blocking_code_in_a_coroutine() -> None:
    class Mine(ContextSync[Event]): ...

    async def plain(ctx: ContextSync) -> None: ...

    async def typed(ctx: ContextSync[Event]) -> None: ...

    async def derived(ctx: Mine) -> None: ...

    async def written(ctx: "ContextSync") -> None: ...

    async def failed(ctx: ContextSync) -> None: ...

    async def fits(ctx: Context) -> None: ...

    def blocks(ctx: ContextSync) -> None: ...

    for handler in (plain, typed, derived, written):
        with pytest.raises(FunctionConfigInvalidError, match='"async def" and asks for'):
            CLIENT.on("a")(handler)
    with pytest.raises(FunctionConfigInvalidError, match="f-failure"):
        CLIENT.on("a", fn_id="f", on_failure=failed)(blocks)
    CLIENT.on("a", on_failure=fits)(blocks)


def test_types_of_fields_that_every_event_has() -> None:
    assert EventDefinition("x", ts=int, v=str).ts is int
    with pytest.raises(TypeError, match=r'event "x": ts = <class .float.>: every event has int'):
        EventDefinition("x", ts=float)
    with pytest.raises(TypeError, match=r'event "x": v = '):
        EventDefinition("x", v=int)


EXPRESSIONS: list[tuple[dict[str, Any], str]] = [
    ({"expression": "event.data.x ="}, "triggers[0].expression 'event.data.x =' is no expression"),
    ({"cancel": [Cancel(event="x", if_exp="a ==")]}, "cancel[0].if_exp 'a ==' is no expression"),
    ({"cancel": [Cancel(event="x", if_exp="event.data.x.size() == 1")]}, "uses size: compare"),
    ({"concurrency": [Concurrency(limit=1, key="event.")]}, "concurrency[0].key 'event.' is no"),
    (
        {"run_concurrency": [Concurrency(limit=1, key="event.")]},
        "run_concurrency[0].key 'event.' is no expression",
    ),
    ({"idempotency": "("}, "idempotency '(' is no expression"),
    ({"batch_events": Batch(max_size=2, timeout="1s", if_exp="(")}, "batch_events.if_exp '('"),
    ({"rate_limit": RateLimit(limit=1, period="1m", key="(")}, "rate_limit.key '(' is no"),
]


@pytest.mark.parametrize(("options", "words"), EXPRESSIONS)
def test_expressions_that_are_none(options: dict[str, Any], words: str) -> None:
    def handler(ctx: ContextSync) -> None: ...

    with pytest.raises(FunctionConfigInvalidError) as caught:
        CLIENT.on("a", fn_id="f", **options)(handler)
    assert str(caught.value).startswith('function "f": ')
    assert words in str(caught.value)


def test_without_the_language_the_server_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    def handler(ctx: ContextSync) -> None: ...

    monkeypatch.setattr(expression, "find_spec", lambda name: None)
    assert CLIENT.on("a", fn_id="f", expression="(")(handler).id == "shop-f"


def test_options_there_are_not() -> None:
    def handler(ctx: ContextSync) -> None: ...

    made: Any = CLIENT.create_function
    with pytest.raises(TypeError, match=r"retrys: a function has no such option; did you mean re"):
        made(fn_id="f", trigger=TriggerEvent(event="a"), retrys=3)
    with pytest.raises(TypeError, match=r"there are backlog, batch_events, .*, timeouts$"):
        made(fn_id="f", trigger=TriggerEvent(event="a"), handler=handler, foo=3)


async def test_an_init_that_every_send_skips_leaves_no_warning() -> None:
    begun: list[int] = []

    async def init() -> Any:
        begun.append(1)

    async def answer(*given: Any) -> tuple[int, dict[str, str], bytes]:
        return 200, {}, b'{"ids": ["a"], "status": 200}'

    def sends() -> stepwell.Inngest:
        return stepwell.Inngest(
            app_id="shop",
            is_production=False,
            http_client=answer,
            middleware=[InngestMiddleware("m", init)],
        )

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client = sends()
        await client.send(Event(name="a"), skip_middleware=True)
        del client
        gc.collect()
    assert begun == []
    client = sends()
    await client.send(Event(name="a"), skip_middleware=True)
    await client.send(Event(name="a"))
    assert begun == [1]
