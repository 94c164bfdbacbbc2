"""Rows E-60 to E-85: how events leave, over a wire that is written down and over a real server."""

import asyncio
import datetime as dt
import decimal
import json
import logging
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pydantic
import pytest

import stepwell
from stepwell import Event, Inngest
from stepwell.sdk.net.port import HttpReply, NetworkError
from stepwell.sdk.send.delivery import read_answer, wait_before_retry
from stepwell.wire import limit
from stepwell.wire.identifier import parse_seed, seeded_ulid
from tests.events.shop import new_client, result, running
from tests.unit.server.api.harness import serving

Sender = Callable[..., Any]


def reply(status: int = 200, body: object = None, **headers: str) -> HttpReply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpReply(status, {k.replace("_", "-"): v for k, v in headers.items()}, raw)


class Wire:
    """A fake event API: answers in turn, else with as many ids as there are events."""

    def __init__(self, *answers: HttpReply | Exception) -> None:
        self.answers = list(answers)
        self.seen: list[tuple[str, str, dict[str, str], Any, float]] = []

    def __call__(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, within: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        events = None if body is None else json.loads(body)
        self.seen.append((method, url, dict(headers), events, within))
        if method == "GET":
            return 200, {}, b'{"version":"1"}'
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer.status, answer.headers, answer.body
        ids = [str(index) for index, _ in enumerate(events or ())]
        return 200, {}, json.dumps({"ids": ids, "status": 200}).encode()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for *_, events, _ in self.seen for event in events or ()]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("INNGEST_DEV", "INNGEST_EVENT_KEY", "INNGEST_ENV", "INNGEST_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(limit, "SEND_BACKOFF_MS", 1)


def dev(wire: Any = None, **options: Any) -> Inngest:
    return Inngest(app_id="shop", is_dev=True, http_client=wire or Wire(), **options)


@pytest.fixture(params=["async", "sync"])
def send(request: pytest.FixtureRequest) -> Sender:
    async def sending(client: Inngest, events: Any, **options: Any) -> Any:
        if request.param == "sync":
            return client.send_sync(events, **options)
        return await client.send(events, **options)

    return sending


class Paid(pydantic.BaseModel):
    n: int


class OrderPaid(stepwell.EventModel, name="order/paid"):
    n: int


async def test_e_60_one_event_of_any_kind_is_a_list_on_the_wire(send: Sender) -> None:
    wire = Wire()
    kind = stepwell.event_type("order/paid", schema=Paid)

    class Named:
        name = "order/paid"
        data: Mapping[str, object] = {"n": 1}

    given = [Event(name="order/paid", data={"n": 1}), {"name": "order/paid", "data": {"n": 1}}]
    for one in (*given, kind(n=1), OrderPaid(n=1), Named()):
        assert (await send(dev(wire), one)).ids == ["0"]
    for *_, body, _ in wire.seen:
        assert isinstance(body, list)
        assert [(event["name"], event["data"]) for event in body] == [("order/paid", {"n": 1})]


async def test_e_61_many_events_are_one_request_in_their_order(send: Sender) -> None:
    wire = Wire()
    ids = await send(dev(wire), ({"name": f"e{n}"} for n in range(12)))
    assert ids == [str(n) for n in range(12)]
    assert len(wire.seen) == 1
    assert [event["name"] for event in wire.events] == [f"e{n}" for n in range(12)]


class Watching(stepwell.MiddlewareSync):
    """Writes down what passes by, and adds to it."""

    log: list[Any]

    def before_send_events(self, events: list[Event]) -> None:
        Watching.log.append([(event.name, event.ts, event.data) for event in events])

    def after_send_events(self, found: stepwell.SendEventsResult) -> None:
        Watching.log.append(found.ids)
        found.total = len(found.ids)  # type: ignore[attr-defined]


async def test_e_62_nothing_to_send_is_a_warning(
    send: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    Watching.log, wire = [], Wire()
    client = Inngest(app_id="shop", http_client=wire, middleware=[Watching])  # without a key
    with pytest.warns(stepwell.InngestWarning, match=r"send\(\) called with no events"):
        assert (await send(client, [])).ids == []
    assert wire.seen == []
    assert Watching.log == [[], []]
    assert "called with no events" in caplog.text


async def test_e_63_env_is_for_one_request(send: Sender) -> None:
    wire = Wire()
    client = dev(wire, env="main")
    await send(client, {"name": "a"}, env="staging")
    await send(client, {"name": "a"})
    assert [seen[2]["x-inngest-env"] for seen in wire.seen] == ["staging", "main"]


async def test_e_64_the_order_of_a_send(send: Sender) -> None:
    Watching.log, wire = [], Wire(reply(500, {}))
    client = dev(wire, middleware=[Watching])
    found = await send(client, Event(name="a"))
    # Hooks see events before they are filled in, results after the last try.
    assert Watching.log == [[("a", 0, {})], ["0"]]
    assert [seen[3][0]["ts"] > 0 for seen in wire.seen] == [True, True]
    assert found.total == 1
    keyless = Inngest(app_id="shop", http_client=wire, middleware=[Watching], is_production=True)
    with pytest.raises(stepwell.EventKeyUnspecifiedError):
        await send(keyless, Event(name="a"))
    assert Watching.log[2:] == [[("a", 0, {})]]  # hooks come before the key is asked for
    assert len(wire.seen) == 2


async def test_e_65_all_events_of_a_call_share_one_moment(send: Sender) -> None:
    wire = Wire()
    await send(dev(wire), [{"name": "a"}, {"name": "b", "ts": 0}, {"name": "c", "ts": 10**12}])
    first, second, third = (event["ts"] for event in wire.events)
    seed = parse_seed(wire.seen[0][2]["x-inngest-event-id-seed"])
    assert seed is not None
    assert first == second == seed.time_ms
    assert third == 10**12


async def test_e_66_missing_data_is_an_empty_object(send: Sender) -> None:
    wire = Wire()
    await send(dev(wire), [{"name": "a"}, {"name": "b", "data": None}])
    assert [event["data"] for event in wire.events] == [{}, {}]


async def test_e_67_an_id_is_the_senders_own(send: Sender) -> None:
    wire = Wire()
    await send(dev(wire), [{"name": "a", "id": "x"}, {"name": "b", "id": ""}, Event(name="c")])
    assert [event.get("id") for event in wire.events] == ["x", None, None]


async def test_e_68_a_request_that_is_repeated_creates_nothing_twice() -> None:
    async with serving() as api:
        lost = [True]

        async def post(method: str, url: str, headers: Any, body: Any, within: float) -> Any:
            answer = await api.http.request(method, url, headers=headers, content=body)
            if lost.pop() if lost else False:
                raise NetworkError("the answer was lost", "lost")
            return answer.status_code, answer.headers, answer.content

        client = dev(post, event_api_base_url="http://test")
        ids = await client.send([{"name": "a"}, {"name": "b"}])
        listed = (await api.http.get("/v1/events")).json()["data"]
        assert sorted(event["internal_id"] for event in listed) == sorted(ids)
        assert len(ids) == len(set(ids)) == 2
        given = "1700000000000,AAAAAAAAAAAAAA=="
        seed = parse_seed(given)
        assert seed is not None
        for _ in range(2):
            assert await client.send({"name": "a"}, seed=given) == [seeded_ulid(seed, 1)]
        assert len((await api.http.get("/v1/events")).json()["data"]) == 3


async def test_e_69_without_a_source_of_chance_events_are_sent_once(
    send: Sender, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none(count: int) -> bytes:
        raise NotImplementedError("no randomness source")

    caplog.set_level(logging.DEBUG, "stepwell")
    monkeypatch.setattr("stepwell.sdk.send.sending.secrets.token_bytes", none)
    wire = Wire(reply(503, {}))
    with pytest.raises(stepwell.SendEventsError):
        await send(dev(wire), {"name": "a"})
    assert len(wire.seen) == 1
    assert "x-inngest-event-id-seed" not in wire.seen[0][2]
    assert "Event-sending retries disabled" in caplog.text
    assert await send(dev(wire), {"name": "a"}) == ["0"]


async def test_e_70_the_request(send: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERCEL", "1")
    wire = Wire()
    client = Inngest(
        app_id="shop", event_key="k/ü", env="e", http_client=wire, event_api_base_url="http://h/p/"
    )
    await send(client, {"name": "a"})
    method, url, headers, _, _ = wire.seen[0]
    assert (method, url) == ("POST", "http://h/p/e/k%2F%C3%BC")
    assert headers["content-type"] == "application/json"
    sdk = f"inngest-py:v{stepwell.__version__}"
    assert (headers["x-inngest-sdk"], headers["user-agent"]) == (sdk, sdk)
    assert (headers["x-inngest-platform"], headers["x-inngest-env"]) == ("vercel", "e")


async def test_e_71_where_the_event_key_comes_from(
    send: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire()
    await send(dev(wire), {"name": "a"})
    monkeypatch.setenv("INNGEST_EVENT_KEY", "variable")
    client = dev(wire, event_key="option")
    await send(dev(wire), {"name": "a"})
    await send(client, {"name": "a"})
    client.set_event_key("later")
    await send(client, {"name": "a"})
    keys = [url.rpartition("/")[2] for _, url, *_ in wire.seen]
    assert keys == ["NO_EVENT_KEY_SET", "variable", "option", "later"]


async def test_e_72_the_cloud_needs_a_key(send: Sender) -> None:
    wire = Wire()
    client = Inngest(app_id="shop", is_production=True, http_client=wire)
    with pytest.raises(stepwell.EventKeyUnspecifiedError) as caught:
        await send(client, {"name": "a"})
    for words in ("couldn't find an event key", "INNGEST_EVENT_KEY", "event_key=", "set_event_key"):
        assert words in str(caught.value)
    assert wire.seen == []


async def test_e_73_mode_auto_asks_for_the_development_server_first(send: Sender) -> None:
    wire = Wire()
    client = Inngest(app_id="shop", mode="auto", http_client=wire)
    client.set_env_vars({"INNGEST_DEV": ""})
    await send(client, {"name": "a"})
    await send(client, {"name": "a"})
    paths = [(method, url.partition("8288")[2]) for method, url, *_ in wire.seen]
    send_path = ("POST", "/e/NO_EVENT_KEY_SET")
    assert paths == [("GET", "/dev"), send_path, send_path]

    def nobody(*_: object) -> Any:
        raise NetworkError("nobody listens", "refused")

    alone = Inngest(app_id="shop", mode="auto", http_client=nobody, send_retries=0)
    with pytest.raises(stepwell.SendEventsError, match="no development server"):
        await send(alone, {"name": "a"})  # and nothing goes to the cloud


async def test_e_74_what_is_tried_again_and_how_often(send: Sender) -> None:
    lost, busy, many = NetworkError("x", "refused"), reply(503, {}), reply(429, {})
    wire = Wire(lost, busy, many, reply(500, {}))
    assert await send(dev(wire), {"name": "a"}) == ["0"]
    assert len(wire.seen) == 5
    assert all(seen == wire.seen[0] for seen in wire.seen)
    for wire, options, tries in (
        (Wire(*[busy] * 9), {}, 5),
        (Wire(*[busy] * 9), {"send_retries": 1}, 2),
        (Wire(reply(400, {"error": "bad"})), {}, 1),
        (Wire(reply(429, {}, retry_after="3600")), {}, 1),
    ):
        with pytest.raises(stepwell.SendEventsError):
            await send(dev(wire, **options), {"name": "a"})
        assert len(wire.seen) == tries
    wire = Wire()
    await send(dev(wire, send_timeout=1500, request_timeout=9000), {"name": "a"})
    await send(dev(wire, send_timeout=dt.timedelta(seconds=2)), {"name": "a"})
    assert [seen[4] for seen in wire.seen] == [1.5, 2.0]
    with pytest.raises(stepwell.ConfigurationError, match="send_timeout = 0"):
        dev(wire, send_timeout=0)


def test_e_74_the_waits_double_and_servers_may_ask_for_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limit, "SEND_BACKOFF_MS", 100)
    busy = read_answer(reply(503, {}))
    waits = [wait_before_retry(busy, n, 5, 0.5) for n in range(5)]
    assert waits[:4] == pytest.approx([0.15, 0.25, 0.45, 0.85])
    assert waits[4] is None
    told = read_answer(reply(429, {}, retry_after="7"))
    assert wait_before_retry(told, 0, 5, 0.5) == pytest.approx(7, abs=0.1)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"ids": [], "status": 400, "error": "bad"}, "400 bad"),
        ({"ids": ["a"], "error": "half"}, "200 half"),
        ({"ids": [], "status": 401}, "401 Event key Not Found"),
        (b"<html>", "200 the answer is not that of an event API"),
        ({}, "200 the answer holds no ids"),
    ],
)
async def test_e_75_an_answer_of_200_may_be_an_error(body: Any, words: str) -> None:
    with pytest.raises(stepwell.SendEventsError, match=f"Inngest API Error: {words}"):
        await dev(Wire(reply(200, body))).send({"name": "a"})


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (400, {"error": "event name is empty"}, "event name is empty"),
        (400, {}, "Cannot process event payload"),
        (401, b"", "Event key Not Found"),
        (403, b"", "Forbidden"),
        (404, b"", "Event key not found"),
        (406, {"why": 1}, '{"why": 1}'),
        (409, b"", "Event transformation failed"),
        (412, b"", "Event transformation failed"),
        (413, b"", "Event payload too large"),
        (500, b"", "Internal server error"),
        (418, b"short and stout", "short and stout"),
    ],
)
async def test_e_76_the_text_of_a_refusal(status: int, body: Any, words: str) -> None:
    with pytest.raises(stepwell.SendEventsError) as caught:
        await dev(Wire(reply(status, body)), send_retries=0).send({"name": "a"})
    assert str(caught.value) == f"Inngest API Error: {status} {words}"
    refused = any("refuses the event key" in note for note in caught.value.__notes__)
    assert refused == (status in (401, 404))
    assert caught.value.status_code == status
    assert caught.value.response_body == (
        body.decode() if isinstance(body, bytes) else json.dumps(body)
    )


async def test_e_77_ids_that_were_accepted_are_on_the_error(send: Sender) -> None:
    wire = Wire(reply(400, {"ids": ["a", ""], "status": 400, "error": "the second is bad"}))
    with pytest.raises(stepwell.SendEventsError) as caught:
        await send(dev(wire), [{"name": "a"}, {"name": "b"}])
    assert caught.value.ids == ["a"]


async def test_e_78_the_result_is_a_list_with_ids_and_what_hooks_added(send: Sender) -> None:
    Watching.log = []
    found = await send(dev(middleware=[Watching]), [{"name": "a"}, {"name": "b"}])
    assert isinstance(found, list)
    assert found == found.ids == ["0", "1"]
    assert found.total == 2
    with pytest.raises(AttributeError, match="no 'sum': no hook added it"):
        _ = found.sum

    def transform_output(result: Any) -> Any:
        return {"result": {"ids": result.ids, "trace": "t"}}

    hooks = {"on_send_event": lambda: {"transform_output": transform_output}}
    declared = stepwell.InngestMiddleware("m", lambda: hooks)
    assert (await send(dev(middleware=[declared]), {"name": "a"})).trace == "t"


async def test_e_79_values_beyond_json_have_a_form(send: Sender) -> None:
    wire = Wire()
    data = {
        "time": dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
        "decimal": decimal.Decimal("1.10"),
        "uuid": uuid.UUID(int=7),
        "enum": stepwell.InternalEvent.FUNCTION_FAILED,
        "bytes": b"\x00\xff",
        "set": {1},
    }
    await send(dev(wire), {"name": "a", "data": data})
    assert wire.events[0]["data"] == {
        "time": "2024-01-02T03:04:05Z",
        "decimal": "1.10",
        "uuid": str(uuid.UUID(int=7)),
        "enum": "inngest/function.failed",
        "bytes": "AP8=",
        "set": [1],
    }
    for number in (float("nan"), float("inf")):
        with pytest.raises(stepwell.EventValidationError, match=r"data\.x\.1: (nan|inf)"):
            await send(dev(wire), {"name": "a", "data": {"x": [0, number]}})
    assert len(wire.seen) == 1


async def test_e_80_requests_go_through_the_users_own_client(send: Sender) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"ids": ["1"], "status": 200})

    transport = httpx.MockTransport(answer)
    with httpx.Client(transport=transport) as blocking:
        assert await send(dev(blocking), {"name": "a"}) == ["1"]
    async with httpx.AsyncClient(transport=transport) as waiting:
        assert await send(dev(waiting), {"name": "a"}) == ["1"]
    assert [json.loads(request.content)[0]["name"] for request in seen] == ["a", "a"]

    def broken(*_: object) -> Any:
        raise KeyError("oops")

    with pytest.raises(stepwell.SendEventsError, match=r"http_client raised KeyError: 'oops'"):
        await send(dev(broken, send_retries=0), {"name": "a"})
    with pytest.raises(stepwell.ConfigurationError, match="http_client = 'x': give"):
        dev("x")


async def test_e_81_variables_may_come_late(send: Sender) -> None:
    wire = Wire()
    client = Inngest(app_id="shop", http_client=wire)
    client.set_env_vars({"INNGEST_DEV": "http://first:1", "INNGEST_EVENT_KEY": "one"})
    await send(client, {"name": "a"})
    told = {"INNGEST_DEV": "0", "INNGEST_EVENT_KEY": "two", "INNGEST_ENV": "late"}
    client.set_env_vars(told)
    await send(client, {"name": "a"})
    assert [url for _, url, *_ in wire.seen] == ["http://first:1/e/one", "https://inn.gs/e/two"]
    assert wire.seen[1][2]["x-inngest-env"] == "late"
    assert client.is_production


@pytest.mark.parametrize("colour", ["async", "sync"])
async def test_e_82_a_step_sends_once(colour: str) -> None:
    client = new_client()
    trigger = stepwell.TriggerEvent(event="shop/go")
    events = [Event(name="shop/told", data={"n": n}) for n in range(2)]
    calls: list[int] = []

    @client.create_function(fn_id="async", trigger=trigger)
    async def waiting(ctx: stepwell.Context) -> list[str]:
        calls.append(1)
        ids = await ctx.step.send_event("tell", events)
        await ctx.step.sleep("wait", 1)
        return ids

    @client.create_function(fn_id="sync", trigger=trigger)
    def blocking(ctx: stepwell.ContextSync) -> list[str]:
        calls.append(1)
        ids = ctx.step.send_event("tell", events)
        ctx.step.sleep("wait", 1)
        return ids

    function: Any = waiting if colour == "async" else blocking
    async with running(client, function) as engine:
        ids = await result(engine, client, {"name": "shop/go"})
        assert len(set(ids)) == 2
        assert all(engine.node.reader.event(told) is not None for told in ids)
    assert len(calls) >= 2  # the handler went past the step again, and did not send again


async def test_e_83_hooks_see_what_invocations_carry() -> None:
    seen: list[list[tuple[str, Any]]] = []

    def transform_input(payloads: list[Event]) -> None:
        seen.append([(event.name, dict(event.data)) for event in payloads])
        for event in payloads:
            event.data = {**event.data, "stamped": True}

    hooks = {"on_send_event": lambda: {"transform_input": transform_input}}
    client = new_client(middleware=[stepwell.InngestMiddleware("stamp", lambda: hooks)])

    @client.create_function(fn_id="child", trigger=stepwell.TriggerEvent(event="shop/never"))
    async def child(ctx: stepwell.Context) -> object:
        return {k: v for k, v in ctx.event.data.items() if k != "_inngest"}

    @client.create_function(fn_id="parent", trigger=stepwell.TriggerEvent(event="shop/go"))
    async def parent(ctx: stepwell.Context) -> object:
        return await ctx.step.invoke("ask", function=child, data={"n": 1})

    async with running(client, child, parent) as engine:
        told = await result(engine, client, {"name": "shop/go"})
    assert told == {"n": 1, "stamped": True}
    # One list for each, and each once.
    assert seen == [[("shop/go", {})], [("inngest/function.invoked", {"n": 1})]]


@pytest.mark.parametrize("colour", ["async", "sync"])
async def test_e_84_events_sent_by_a_run_inherit_its_sessions(colour: str) -> None:
    client = new_client()
    go, heard = stepwell.TriggerEvent(event="shop/go"), asyncio.Event()
    seen: list[Any] = []

    @client.create_function(fn_id="listen", trigger=stepwell.TriggerEvent(event="shop/told"))
    async def listen(ctx: stepwell.Context) -> None:
        seen.append(dict(ctx.sessions))
        if len(seen) == 2:
            heard.set()

    own = {"sessions": {"cart": None, "mine": "m"}}

    @client.create_function(fn_id="async", trigger=go)
    async def waiting(ctx: stepwell.Context) -> None:
        async def plain() -> None:
            await client.send(Event(name="shop/told"))

        await ctx.step.run("plain", plain)
        await ctx.step.send_event("tell", Event(name="shop/told", meta=own))

    @client.create_function(fn_id="sync", trigger=go)
    def blocking(ctx: stepwell.ContextSync) -> None:
        ctx.step.run("plain", lambda: list(client.send_sync(Event(name="shop/told"))))
        ctx.step.send_event("tell", Event(name="shop/told", meta=own))

    function: Any = waiting if colour == "async" else blocking
    async with running(client, listen, function):
        sessions = {"user": "u1", "cart": "c1"}
        await client.send(Event(name="shop/go", meta={"sessions": sessions}))
        await asyncio.wait_for(heard.wait(), 10)
    assert sorted(seen, key=len) == [sessions, {"user": "u1", "mine": "m"}]


async def test_e_85_limits_are_told_before_the_server_does(
    send: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    wire = Wire()
    await send(dev(wire), {"name": "big", "data": {"x": "y" * 300_000}})
    assert "event 'big' is large: 300" in caplog.text
    many = [{"name": "a"}] * 5001
    with pytest.raises(stepwell.SendEventsError, match=r"5001 events .* at most 5000 .*split=True"):
        await send(dev(wire), many)
    assert len(await send(dev(wire), many, split=True)) == 5001
    assert [len(seen[3]) for seen in wire.seen] == [1, 5000, 1]
    # The ids of the second request go on where those of the first end: a repetition is known.
    first, second = (parse_seed(seen[2]["x-inngest-event-id-seed"]) for seen in wire.seen[1:])
    assert first is not None
    assert second is not None
    assert seeded_ulid(second, 1) == seeded_ulid(first, 5001)
    # What is wrong with any of them is told before the first request, by its place among all.
    with pytest.raises(stepwell.EventValidationError) as caught:
        await send(dev(wire), [{"name": ""}, *many[:-1], {"name": "b", "v": 5}], split=True)
    assert [(index, path) for index, path, _ in caught.value.problems] == [(0, "name"), (5001, "v")]
    assert 'Event[5001] "b" is invalid: v' in str(caught.value)
    assert len(wire.seen) == 3
    for event, words in (
        ({"name": "a", "data": {"x": "y" * 3_200_000}}, "at most 3145728"),
        ({"name": "n" * 513}, "longer than 512 bytes"),
    ):
        with pytest.raises(stepwell.EventValidationError, match=words):
            await send(dev(wire), event, all_or_nothing=True)
