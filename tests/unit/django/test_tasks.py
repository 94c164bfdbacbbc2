"""Django's tasks: enqueued as events, executed as calls, their results read from the server."""

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import tests.django_project  # isort: skip - sets Django up
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

import stepwell
from stepwell.django import task_backend
from stepwell.django.task_backend import StepwellBackend, tasks
from stepwell.sdk.net.port import HttpReply
from stepwell.sdk.send.delivery import Delivery, EventBatch
from stepwell.testing.contract.adapter_peer import call_body
from tests.django_project.shop import tasks as shop
from tests.django_project.shop.inngest import client

assert tests.django_project
Status: Any = tasks.TaskResultStatus
ID = "01M82BFDSEAXH732SHZM7R2J1X"
LATER = dt.datetime(2030, 1, 2, tzinfo=dt.UTC)


class Server:
    """Takes events and answers questions."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.answers: dict[str, HttpReply] = {}

    def deliver_sync(self, batch: EventBatch) -> Delivery:
        self.sent += json.loads(batch.body)
        return Delivery(200, (ID,) * batch.count)

    async def deliver(self, batch: EventBatch) -> Delivery:
        return self.deliver_sync(batch)

    def ask_sync(self, request: Any) -> HttpReply:
        return self.answers.get(request.path, HttpReply(404, {}, b'{"error":"no","status":404}'))

    async def ask(self, request: Any) -> HttpReply:
        return self.ask_sync(request)

    def tells(self, *runs: dict[str, Any]) -> None:
        """The last event, and these runs of it."""
        event = {**self.sent[-1], "received_at": "2029-01-01T00:00:00Z"}
        for path, data in (("", event), ("/runs", list(runs))):
            body = json.dumps({"data": data}).encode()
            self.answers[f"/v1/events/{ID}{path}"] = HttpReply(200, {}, body)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    client.event_port = server = Server()
    monkeypatch.setattr(type(client), "api", server)
    yield server
    client.event_port = None


def run(status: str, output: object = None, **more: Any) -> dict[str, Any]:
    return {
        "run_id": "r",
        "function": "shop-django-tasks",
        "status": status,
        "run_started_at": "2029-01-01T00:00:01Z",
        "ended_at": "2029-01-01T00:00:02Z",
        "output": output,
        **more,
    }


# Enqueueing


def test_a_task_is_enqueued(server: Server) -> None:
    heard: list[Any] = []

    def hear(task_result: Any, **_: Any) -> None:
        heard.append(task_result)

    task_backend._signals.task_enqueued.connect(hear)
    result = shop.add.enqueue(1, b=2)
    assert (result.id, result.status, result.args, result.kwargs) == (
        ID,
        Status.READY,
        [1],
        {"b": 2},
    )
    assert heard == [result]
    (event,) = server.sent
    assert event["name"] == "django/task.enqueued"
    assert event["data"] == {
        "task": "tests.django_project.shop.tasks.add",
        "backend": "default",
        "args": [1],
        "kwargs": {"b": 2},
        "priority": 0,
        "queue_name": "default",
        "run_after": None,
    }


async def test_a_task_is_enqueued_by_a_coroutine(server: Server) -> None:
    result = await shop.tell.using(run_after=LATER).aenqueue(name="x")
    assert result.task.run_after == LATER
    assert server.sent[0]["data"]["priority"] == 10
    assert server.sent[0]["data"]["run_after"] == LATER.isoformat()


def test_what_cannot_travel_is_refused(server: Server) -> None:
    with pytest.raises(TypeError, match="JSON"):
        shop.add.enqueue(1, b=object())
    assert not server.sent


# Execution


def call(server: Server, *, steps: Any = None, attempt: int = 0) -> Any:
    """What the server does with the event."""
    event = {**server.sent[-1], "id": ID, "ts": 1}
    ctx = {"attempt": attempt, "max_attempts": 2, "run_id": "r", "stack": {"stack": []}}
    body = call_body({}, steps or {}, event=event, events=[event], ctx=ctx)
    url = "/api/inngest?fnId=shop-django-tasks&stepId=step"
    return Client().post(url, body, "application/json")


def test_a_task_is_executed(server: Server) -> None:
    shop.add.enqueue(1, b=2)
    answer = call(server)
    assert (answer.status_code, answer.json()) == (200, 3)


def test_a_coroutine_with_its_context(server: Server) -> None:
    shop.tell.enqueue(name="x")
    answer = call(server, attempt=1)
    assert (answer.status_code, answer.json()) == (200, [2, "x", []])


def test_a_task_for_later_sleeps_first(server: Server) -> None:
    shop.add.using(run_after=LATER).enqueue(1, b=2)
    answer = call(server)
    assert answer.status_code == 206
    (operation,) = answer.json()
    assert operation["op"] == "Sleep"
    assert call(server, steps={operation["id"]: None}).json() == 3


@pytest.mark.parametrize(("attempt", "finished"), [(0, 0), (1, 1)])
def test_a_failing_task(server: Server, attempt: int, finished: int) -> None:
    heard: list[Any] = []

    def hear(task_result: Any, **_: Any) -> None:
        heard.append(task_result)

    task_backend._signals.task_finished.connect(hear)
    shop.fail.enqueue()
    answer = call(server, attempt=attempt)
    assert (answer.status_code, answer.json()["name"]) == (500, "OddError")
    assert len(heard) == finished
    for result in heard:
        assert result.status == Status.FAILED
        assert result.errors[0].exception_class is shop.OddError


# Results


@pytest.mark.parametrize(
    ("runs", "status"),
    [
        ([], Status.READY),
        ([run("Completed", function="mail-listener")], Status.READY),
        ([run("Scheduled")], Status.READY),
        ([run("Running")], Status.RUNNING),
        ([run("Completed", 3)], Status.SUCCESSFUL),
        ([run("Failed", {"name": "ValueError", "message": "m"})], Status.FAILED),
        ([run("Cancelled")], Status.FAILED),
    ],
)
async def test_how_a_task_stands(server: Server, runs: list[Any], status: Any) -> None:
    shop.add.enqueue(1, b=2)
    server.tells(*runs)
    found = shop.add.get_result(ID)
    again = await shop.add.aget_result(ID)
    assert (found.status, again.status) == (status, status)
    assert found.enqueued_at == dt.datetime(2029, 1, 1, tzinfo=dt.UTC)
    assert found.attempts == (0 if status == Status.READY else 1)
    if status == Status.SUCCESSFUL:
        assert found.return_value == 3
        assert found.finished_at > found.started_at
    if status == Status.FAILED:
        with pytest.raises(ValueError, match="failed"):
            assert found.return_value


def test_errors_name_their_class(server: Server) -> None:
    shop.fail.enqueue()
    answer = call(server, attempt=1).json()
    failure = {key: answer[key] for key in ("name", "message", "stack")}
    server.tells(run("Failed", failure))
    (error,) = shop.fail.get_result(ID).errors
    assert error.exception_class is shop.OddError
    server.tells(run("Failed", {"name": "ValueError", "message": "m"}))
    (error,) = shop.fail.get_result(ID).errors
    assert (error.exception_class, error.traceback) == (ValueError, "ValueError: m")


def test_results_nobody_has(server: Server) -> None:
    missing = task_backend._exceptions.TaskResultDoesNotExist
    with pytest.raises(missing):
        shop.add.get_result("x")
    shop.add.enqueue(1, b=2)
    server.sent[-1]["name"] = "shop/other"
    server.tells()
    with pytest.raises(missing):
        shop.add.get_result(ID)


def test_a_server_that_refuses(server: Server) -> None:
    server.answers[f"/v1/events/{ID}"] = HttpReply(401, {}, b"Authentication failed")
    with pytest.raises(stepwell.Error, match="HTTP 401: Authentication failed"):
        shop.add.get_result(ID)


# Options


def test_options() -> None:
    options = {"retries": 0, "concurrency": 3}
    backend = StepwellBackend("mail", {"OPTIONS": options})
    config = backend.function.config("http://x")
    assert (config.id, config.retries) == ("shop-django-tasks-mail", 0)
    task_backend_discovery = stepwell.django.discovery  # type: ignore[attr-defined]
    task_backend_discovery._beyond[client].pop(backend.function.id)


def test_an_option_nobody_knows() -> None:
    with pytest.raises(ImproperlyConfigured, match="OPTIONS has no 'workers'"):
        StepwellBackend("default", {"OPTIONS": {"workers": 3}})
