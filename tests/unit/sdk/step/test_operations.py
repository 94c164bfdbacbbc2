"""What each step method tells the server, and what it refuses (http.md 6.11)."""

import datetime as dt
import json
from typing import Any

import pytest

from stepwell.sdk.errors import ConfigurationError, NaiveDatetimeWarning
from stepwell.sdk.step.ask import ParallelMode
from stepwell.sdk.step.context import Context, ContextSync
from tests.ids import steady
from tests.replay.stage import Stage, function


async def child(ctx: Context) -> dt.date:
    return dt.date(2026, 1, 2)


CHILD = function(child)


class Adapter:
    def auth_key(self) -> str:
        return "key"

    def format(self) -> str:
        return "openai-chat"

    def headers(self) -> dict[str, str]:
        return {"a": "b"}

    def on_call(self, body: dict[str, object]) -> None:
        body["model"] = "m"

    def url_infer(self) -> str:
        return "https://example.com/infer"


CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("sleep", {"duration": 1000}, {"op": "Sleep", "name": "1s", "opts": {}}),
    ("sleep", {"duration": dt.timedelta(days=1, milliseconds=5)}, {"name": "1d5ms"}),
    ("sleep", {"duration": "1h30m"}, {"name": "1h30m"}),
    ("sleep", {"duration": 0}, {"name": "0s"}),
    (
        "sleep_until",
        {"until": dt.datetime(2030, 1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1)))},
        {"op": "Sleep", "name": "2030-01-01T00:00:00.000Z"},
    ),
    (
        "wait_for_event",
        {"event": "shop/ok", "if_exp": "async.data.x == 1", "timeout": 60_000},
        {
            "op": "WaitForEvent",
            "name": "shop/ok",
            "opts": {"if": "async.data.x == 1", "timeout": "1m"},
        },
    ),
    ("wait_for_event", {"event": "e", "timeout": "1w"}, {"opts": {"timeout": "1w"}}),
    (
        "wait_for_event",
        {"event": "e", "timeout": "1w", "look_back": True},
        {"opts": {"lookBack": True, "timeout": "1w"}},
    ),
    (
        "wait_for_event",
        {"event": "e", "timeout": 1, "match": "data.id", "if_exp": "a"},
        {"opts": {"if": "(event.data.id == async.data.id) && (a)", "timeout": "1ms"}},
    ),
    (
        "wait_for_event",
        {"event": "e", "timeout": 1000, "match": "data.id"},
        {"opts": {"if": "event.data.id == async.data.id", "timeout": "1s"}},
    ),
    (
        "invoke",
        {"function": CHILD, "data": {"at": dt.date(2026, 1, 2)}, "timeout": "1m", "v": "2"},
        {
            "op": "InvokeFunction",
            "opts": {
                "function_id": "app-child",
                "payload": {"data": {"at": "2026-01-02"}, "v": "2"},
                "timeout": "1m",
            },
        },
    ),
    (
        "invoke_by_id",
        {"function_id": "other"},
        {"opts": {"function_id": "app-other", "payload": {"data": {}}}},
    ),
    (
        "invoke_by_id",
        {"function_id": "other", "app_id": "foreign"},
        {"opts": {"function_id": "foreign-other", "payload": {"data": {}}}},
    ),
    (
        "wait_for_signal",
        {"signal": "s", "timeout": "5s", "on_conflict": "replace"},
        {"op": "WaitForSignal", "opts": {"signal": "s", "timeout": "5s", "conflict": "replace"}},
    ),
    ("wait_for_signal", {"signal": "s"}, {"opts": {"signal": "s", "conflict": "fail"}}),
    (
        "fetch",
        {"url": "https://example.com", "headers": {"a": "b"}},
        {
            "op": "Gateway",
            "opts": {
                "url": "https://example.com",
                "method": "GET",
                "headers": {"a": "b"},
                "body": "",
            },
        },
    ),
    (
        "fetch",
        {"url": "http://u", "method": "post", "body": {"b": 1, "a": None}},
        {"opts": {"url": "http://u", "method": "POST", "headers": {}, "body": '{"a":null,"b":1}'}},
    ),
    ("fetch", {"url": "http://u", "body": "text"}, {"opts": {"body": "text"}}),
    (
        "ai.infer",
        {"adapter": Adapter(), "body": {"messages": []}},
        {
            "op": "AIGateway",
            "opts": {
                "type": "step.ai.infer",
                "url": "https://example.com/infer",
                "format": "openai-chat",
                "auth_key": "key",
                "headers": {"a": "b"},
                "body": {"messages": [], "model": "m"},
            },
        },
    ),
]


async def reported(method: str, given: dict[str, Any], *, plain: bool) -> dict[str, Any]:
    async def handler(ctx: Context) -> None:
        tool: Any = ctx.step.ai.infer if method == "ai.infer" else getattr(ctx.step, method)
        await tool("id", **given, name="Title")

    def blocking(ctx: ContextSync) -> None:
        tool: Any = ctx.step.ai.infer if method == "ai.infer" else getattr(ctx.step, method)
        tool("id", **given, name="Title")

    answer = await Stage(blocking if plain else handler).call()
    assert answer.status == 206, answer.body
    (found,) = json.loads(answer.body)
    return dict(found)


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize(("method", "given", "wanted"), CASES, ids=lambda case: str(case)[:40])
async def test_operations(
    method: str, given: dict[str, Any], wanted: dict[str, Any], plain: bool
) -> None:
    found = await reported(method, given, plain=plain)
    assert found["displayName"] == "Title"
    assert found["userland"] == {"id": "id"}
    for key, value in wanted.items():
        if key == "opts" and method in ("fetch",):  # noqa: FURB171
            assert {k: found["opts"][k] for k in value} == value
        else:
            assert found[key] == value


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("sleep", {"duration": -1}, "duration = -1: must lie between"),
    ("sleep", {"duration": "soon"}, "duration = 'soon': 'soon' is no duration"),
    ("sleep", {"duration": 1.5}, "write milliseconds"),
    ("sleep", {"duration": "367d"}, "must lie between nothing and 366 days"),
    ("sleep_until", {"until": "2030"}, "until = '2030': give a datetime"),
    ("wait_for_event", {"event": "", "timeout": 1}, "event is empty: name the event"),
    ("wait_for_event", {"event": "e", "timeout": "x"}, "timeout = 'x'"),
    ("wait_for_event", {"event": "e", "timeout": 1, "look_back": "yes"}, "look_back = 'yes'"),
    ("wait_for_event", {"event": "e", "timeout": 1, "if_exp": True}, "if_exp = True: give text"),
    ("wait_for_event", {"event": "e", "timeout": 1, "match": 5}, "match = 5: give text"),
    ("wait_for_signal", {"signal": ""}, "signal = '': name the signal"),
    ("wait_for_signal", {"signal": 5}, "signal = 5: name the signal"),
    (
        "wait_for_signal",
        {"signal": "s", "on_conflict": "wait"},
        "on_conflict = 'wait': give \"fail",
    ),
    ("run", {"handler": 5}, "handler = 5: give the function itself"),
    ("invoke", {"function": "child"}, "function = 'child': give what create_function made"),
    ("invoke_by_id", {"function_id": "f", "data": {"x": object()}}, "data: "),
    ("invoke_by_id", {"function_id": "f", "timeout": -5}, "timeout = -5"),
    ("fetch", {"url": "http://u", "body": object()}, "body: "),
    ("fetch", {"url": "/path"}, "url = '/path': give a whole URL"),
    ("fetch", {"url": "ftp://u"}, "url = 'ftp://u': give a whole URL"),
    ("fetch", {"url": "http://["}, "url = 'http://[': give a whole URL"),
    ("fetch", {"url": None}, "url = None: give a whole URL"),
]


@pytest.mark.parametrize(("method", "given", "words"), REFUSED, ids=steady)
async def test_refusals_name_step_field_and_value(
    method: str, given: dict[str, Any], words: str
) -> None:
    async def handler(ctx: Context) -> None:
        await getattr(ctx.step, method)("my step", **given)

    found = await Stage(handler).play()
    assert found["failed"] == "ConfigurationError"
    assert 'step "my step": ' in found["message"]
    assert words in found["message"]


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.filterwarnings("error")
async def test_what_calling_a_function_gives_is_no_handler(plain: bool) -> None:
    """Nor is it a branch; and nobody is told that a coroutine was never awaited."""

    async def work() -> None: ...

    async def handler(ctx: Context) -> Any:
        if ctx.attempt == 0:
            await ctx.step.run("id", work())  # type: ignore[call-overload]
        await ctx.group.parallel((lambda: ctx.step.run("id", work), work()))  # type: ignore[arg-type]

    def blocking(ctx: ContextSync) -> Any:
        if ctx.attempt == 0:
            ctx.step.run("id", work())  # type: ignore[call-overload]
        ctx.group.parallel((lambda: ctx.step.run("id", work), work()))  # type: ignore[arg-type]

    stage = Stage(blocking if plain else handler)
    found = await stage.play()
    assert found["code"] == "unknown"
    assert found["message"].startswith('step "id": handler = <coroutine object ')
    assert found["message"].endswith('arguments, as in run("charge", charge, 42)')
    stage.attempt = 1
    found = await stage.play()
    assert found["message"].startswith("callables[1] = <coroutine object ")
    assert "give functions without arguments" in found["message"]


@pytest.mark.parametrize("plain", [False, True])
async def test_the_mode_of_a_group(plain: bool) -> None:
    modes: list[Any] = ["race", ParallelMode.RACE, "all"]

    async def work() -> int:
        return 1

    async def handler(ctx: Context) -> Any:
        return await ctx.group.parallel(
            (lambda: ctx.step.run("a", work), lambda: ctx.step.run("b", work)), modes[ctx.attempt]
        )

    def blocking(ctx: ContextSync) -> Any:
        return ctx.group.parallel(
            (lambda: ctx.step.run("a", work), lambda: ctx.step.run("b", work)), modes[ctx.attempt]
        )

    for attempt in (0, 1):
        stage = Stage(blocking if plain else handler)
        stage.attempt = attempt
        found = stage.operations(await stage.call())
        assert [one.parallel_mode for one in found] == ["race", "race"]
    stage.attempt = 2
    found = await stage.play()
    assert found["message"] == (
        "parallel_mode = 'all': give ParallelMode.WAIT or ParallelMode.RACE"
    )


@pytest.mark.parametrize("step_id", ["", None, 5, "a\ud800"])
async def test_ids_that_are_none(step_id: Any) -> None:
    async def handler(ctx: Context) -> None:
        await ctx.step.sleep(step_id, 1)

    found = await Stage(handler).play()
    assert found["failed"] == ConfigurationError.__name__
    assert "step_id = " in found["message"]


async def test_naive_datetimes_are_local_and_warned_of() -> None:
    async def handler(ctx: Context) -> None:
        await ctx.step.sleep_until("s", dt.datetime(2030, 1, 1))

    stage = Stage(handler)
    with pytest.warns(NaiveDatetimeWarning, match="taken as local time"):
        (found,) = stage.operations(await stage.call())
    local = dt.datetime(2030, 1, 1).astimezone(dt.UTC)
    assert found.until == local.strftime("%Y-%m-%dT%H:%M:%S.000Z")  # type: ignore[union-attr]


@pytest.mark.parametrize("plain", [False, True])
async def test_results_of_invoked_functions_have_their_type(plain: bool) -> None:
    async def handler(ctx: Context) -> Any:
        found = await ctx.step.invoke("iv", function=CHILD)
        assert type(found) is dt.date
        return found.year

    def blocking(ctx: ContextSync) -> Any:
        found = ctx.step.invoke("iv", function=CHILD)
        assert type(found) is dt.date
        return found.year

    stage = Stage(blocking if plain else handler, answers={"iv": "2026-01-02"})
    assert await stage.play() == 2026


@pytest.mark.parametrize("plain", [False, True])
async def test_results_of_invoked_functions_that_do_not_fit_are_named(plain: bool) -> None:
    async def handler(ctx: Context) -> Any:
        return await ctx.step.invoke("iv", function=CHILD)

    def blocking(ctx: ContextSync) -> Any:
        return ctx.step.invoke("iv", function=CHILD)

    found = await Stage(blocking if plain else handler, answers={"iv": "soon"}).play()
    assert (found["failed"], found["code"]) == (
        "OutputUnserializableError",
        "output_unserializable",
    )
    assert f'step "iv": what function "{CHILD.id}" returned does not fit' in found["message"]
    assert '"soon" is no date' in found["message"]


async def test_a_child_that_failed() -> None:
    from stepwell.sdk.errors import StepError
    from stepwell.wire.execution import CallResponse
    from stepwell.wire.failure import invoke_timeout_memo

    async def handler(ctx: Context) -> Any:
        try:
            await ctx.step.invoke("iv", function=CHILD, timeout=1000)
        except StepError as error:
            return [error.name, error.message]

    stage = Stage(handler)
    (asked,) = stage.operations(await stage.call())
    stage.keep(asked.id, invoke_timeout_memo())
    answer: CallResponse = await stage.call()
    assert json.loads(answer.body) == [
        "InngestInvokeTimeoutError",
        "Timed out waiting for invoked function to complete",
    ]


async def test_inference_and_wrapping() -> None:
    async def ask(prompt: str) -> dict[str, str]:
        return {"answer": prompt.upper()}

    async def handler(ctx: Context) -> Any:
        found = await ctx.step.ai.infer("ai", adapter=Adapter(), body={"messages": []})
        return [found, await ctx.step.ai.wrap("wrapped", ask, "hello")]

    stage = Stage(handler, answers={"ai": {"choices": []}})
    assert await stage.play() == [{"choices": []}, {"answer": "HELLO"}]


async def test_the_title_is_shown_and_the_id_counts() -> None:
    async def handler(ctx: Context) -> Any:
        async def work() -> int:
            return 1

        return await ctx.step.run("id", work, name="Do the work")

    stage = Stage(handler)
    (found,) = stage.operations(await stage.call())
    assert (found.display_name, found.userland.id) == ("Do the work", "id")
    assert await stage.play() == 1


SESSIONS = {"name": "test/start", "data": {}, "id": "e", "ts": 1, "meta": {"sessions": {"a": "1"}}}


@pytest.mark.parametrize(
    ("event", "meta", "expected"),
    [
        (None, None, None),
        (None, {"sessions": {"b": 2}}, {"sessions": {"b": 2}}),
        (
            SESSIONS,
            {"sessions": {"a": None}},
            {"sessions": {"a": None}, "propagated_sessions": {"a": "1"}},
        ),
    ],
)
async def test_sessions_of_an_invoked_run(event: Any, meta: Any, expected: Any) -> None:
    async def handler(ctx: Context) -> None:
        await ctx.step.invoke("iv", function=CHILD, meta=meta)

    def blocking(ctx: ContextSync) -> None:
        ctx.step.invoke_by_id("iv", function_id="child", meta=meta)

    for chosen in (handler, blocking):
        response = await Stage(chosen, event=event, blocking=chosen is blocking).call()
        (asked,) = json.loads(response.body)
        assert asked["opts"]["payload"].get("meta") == expected
