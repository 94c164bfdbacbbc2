"""Runs that ordinary code starts and waits for: what is asked of a server, and what comes of it."""

import datetime as dt
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

import stepwell
from stepwell.sdk.invoke import http_runs, waiting
from stepwell.sdk.net.port import HttpReply, NetworkError

RUN = "01M82BFDSEAXH732SHZM7R2J1X"
Told = HttpReply | NetworkError


def json_reply(body: object, status: int = 200) -> HttpReply:
    return HttpReply(status, {}, json.dumps(body).encode())


def run(status: str, output: object = None) -> HttpReply:
    return json_reply({"data": {"run_id": RUN, "status": status, "output": output}})


STARTED = json_reply({"id": "event", "run_id": RUN, "status": 200})


class Server:
    """Answers in turn, and notes what it was asked."""

    def __init__(self, *replies: Told) -> None:
        self.replies = list(replies)
        self.asked: list[tuple[str, str, Any, Mapping[str, str]]] = []

    def request_sync(self, method: str, url: str, **given: Any) -> HttpReply:
        body = given["body"]
        path = url.removeprefix("http://s.test")
        self.asked.append((method, path, body and json.loads(body), given["headers"]))
        reply = self.replies.pop(0)
        if isinstance(reply, NetworkError):
            raise reply
        return reply

    async def request(self, method: str, url: str, **given: Any) -> HttpReply:
        return self.request_sync(method, url, **given)

    @property
    def paths(self) -> list[str]:
        return [path.split("?")[0] for _, path, _, _ in self.asked]


def client_of(server: Server) -> stepwell.Inngest:
    return stepwell.Inngest(app_id="a", is_dev=True, base_url="http://s.test", http_client=server)


@pytest.fixture(params=["async", "sync"])
def invoke(request: Any) -> Callable[..., Any]:
    async def call(client: stepwell.Inngest, *given: Any, **named: Any) -> Any:
        if request.param == "sync":
            return client.invoke_sync(*given, **named)
        return await client.invoke(*given, **named)

    return call


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (http_runs, waiting):
        monkeypatch.setattr(module, "PAUSE_SECONDS", (0.001, 0.002))
    monkeypatch.setattr("stepwell.wire.limit.SEND_BACKOFF_MS", 1)


async def test_a_result_is_waited_for(invoke: Any) -> None:
    server = Server(STARTED, run("Running"), run("Completed", {"n": 1}))
    found = await invoke(client_of(server), "a-f", data={"x": 1}, user={"id": 7}, v="2")
    assert found == {"n": 1}
    method, path, body, headers = server.asked[0]
    assert (method, path) == ("POST", "/invoke/a-f")
    assert body == {"data": {"x": 1}, "user": {"id": 7}, "v": "2"}
    assert headers["x-inngest-event-id-seed"]
    assert server.asked[1][:2] == ("GET", f"/v1/runs/{RUN}?wait=20.000")
    assert not server.replies


async def test_a_function_says_its_id_and_its_type(invoke: Any) -> None:
    server = Server(STARTED, run("Completed", "2020-01-02"))
    client = client_of(server)

    @client.create_function(fn_id="day", trigger=stepwell.TriggerEvent(event="x"))
    def day(ctx: stepwell.ContextSync) -> dt.date:
        raise AssertionError("the server runs it")

    assert await invoke(client, day) == dt.date(2020, 1, 2)
    assert server.asked[0][1:3] == ("/invoke/a-day", {"data": {}})
    server = Server(STARTED, run("Completed", "soon"))
    with pytest.raises(stepwell.OutputUnserializableError, match='"soon" is no date'):
        await invoke(client_of(server), day)


async def test_the_id_of_a_run_at_once(invoke: Any) -> None:
    server = Server(STARTED)
    assert await invoke(client_of(server), "a/f", wait=False) == RUN
    assert server.paths == ["/invoke/a%2Ff"]


async def test_a_run_whose_id_is_not_told_is_looked_for(invoke: Any) -> None:
    """As official servers do it."""
    nobody, found = json_reply({"data": []}), json_reply({"data": [{"run_id": RUN}]})
    server = Server(json_reply({"id": "e1", "status": 200}), nobody, found)
    assert await invoke(client_of(server), "a-f", wait=False) == RUN
    assert server.paths == ["/invoke/a-f", "/v1/events/e1/runs", "/v1/events/e1/runs"]


async def test_an_event_that_starts_nothing(invoke: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_runs, "_START_SECONDS_MAX", 0.002)
    nothing = [json_reply({"data": []})] * 5
    server = Server(json_reply({"id": "e1", "status": 200}), *nothing)
    with pytest.raises(stepwell.Error, match="started no run"):
        await invoke(client_of(server), "a-f")


@pytest.mark.parametrize("status", ["Failed", "Cancelled"])
async def test_a_failure_is_told_with_its_cause(invoke: Any, status: str) -> None:
    failure = {"name": "ValueError", "message": "on purpose", "stack": "s"}
    server = Server(STARTED, run(status, failure))
    with pytest.raises(stepwell.RunFailedError, match="ValueError: on purpose") as caught:
        await invoke(client_of(server), "a-f")
    assert caught.value.run_id == RUN
    told = str(caught.value)
    assert told == f"run {RUN} {status.lower()}: ValueError: on purpose"
    cause = caught.value.__cause__
    assert isinstance(cause, stepwell.StepError)
    assert (cause.name, str(cause), cause.stack) == ("ValueError", "on purpose", "s")


async def test_a_cancelled_run_may_have_no_error(invoke: Any) -> None:
    server = Server(STARTED, run("Cancelled"))
    with pytest.raises(stepwell.RunFailedError, match=r"cancelled$") as caught:
        await invoke(client_of(server), "a-f")
    assert caught.value.__cause__ is None


async def test_time_runs_out(invoke: Any) -> None:
    server = Server(STARTED, *[run("Running")] * 50)
    with pytest.raises(stepwell.RunTimeoutError, match=r"not ended within 0\.01 s") as caught:
        await invoke(client_of(server), "a-f", timeout=10)
    assert caught.value.run_id == RUN
    assert isinstance(caught.value, TimeoutError)


async def test_a_server_that_was_away(invoke: Any) -> None:
    away = NetworkError("away", "refused")
    busy = json_reply({"error": "later"}, 503)
    server = Server(away, busy, STARTED, away, away, run("Completed", 1))
    assert await invoke(client_of(server), "a-f") == 1
    seeds = {headers["x-inngest-event-id-seed"] for _, _, _, headers in server.asked[:3]}
    assert len(seeds) == 1


@pytest.mark.parametrize("begun", [True, False])
async def test_a_server_that_stays_away(invoke: Any, begun: bool) -> None:
    away = NetworkError("away", "refused")
    server = Server(*([STARTED] if begun else []), *[away] * 5)
    with pytest.raises(NetworkError, match="away"):
        await invoke(client_of(server), "a-f")
    assert not server.replies


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (json_reply({"error": "could not find function with ID: a-f"}, 404), "could not find"),
        (HttpReply(401, {}, b"Authentication failed\n"), "HTTP 401: Authentication failed"),
        (HttpReply(200, {}, b"<html>"), "HTTP 200: <html>"),
        (json_reply({"status": 200}), "HTTP 200"),
    ],
)
async def test_a_server_that_refuses(invoke: Any, reply: Told, words: str) -> None:
    with pytest.raises(stepwell.Error, match=words):
        await invoke(client_of(Server(reply)), "a-f")


async def test_a_run_that_cannot_be_looked_at(invoke: Any) -> None:
    # Cached answers of official servers bear a status of their own.
    lost = json_reply({"error": "Unable to load function run", "data": None, "status": 404})
    with pytest.raises(stepwell.Error, match=f"run {RUN}: .*Unable to load"):
        await invoke(client_of(Server(STARTED, lost)), "a-f")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"data": [1]}, "list is no object; wrap it"),
        ({"data": {"x": object()}}, "data"),
        ({"timeout": "soon"}, "timeout = 'soon'"),
        ({"timeout": -1}, "timeout = -1"),
    ],
)
async def test_what_cannot_be_asked(invoke: Any, given: dict[str, Any], words: str) -> None:
    with pytest.raises(stepwell.ConfigurationError, match=words):
        await invoke(client_of(Server(STARTED)), "a-f", **given)


async def test_a_whole_payload(invoke: Any) -> None:
    server = Server(STARTED)
    whole = stepwell.MinimalEvent(data={"n": 1}, user={"id": 2}, v="3")
    await invoke(client_of(server), "a-f", data=whole, wait=False)
    assert server.asked[0][2] == {"data": {"n": 1}, "user": {"id": 2}, "v": "3"}
