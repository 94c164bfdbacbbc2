"""A backend for Django's tasks: enqueued tasks are events, executed by a function of the client.

    TASKS = {"default": {"BACKEND": "stepwell.django.task_backend.StepwellBackend"}}

Needs Django 6, or the package `django-tasks` below it. `functions_of` counts the function that
executes tasks among the client's.
"""

import builtins
import datetime as dt
import json
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, cast
from urllib.parse import quote

import django
import msgspec
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from stepwell.django.discovery import add_function, get_client
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.errors import Error, stack_of
from stepwell.sdk.events.event import Event
from stepwell.sdk.function.function import Function
from stepwell.sdk.function.option import Concurrency, Priority
from stepwell.sdk.function.trigger import TriggerEvent
from stepwell.sdk.net.port import HttpReply
from stepwell.sdk.net.server_api import ApiRequest
from stepwell.sdk.step.context import ContextSync
from stepwell.wire.outside import decode

EVENT = "django/task.enqueued"
FUNCTION_ID = "django-tasks"

_ASK_SECONDS = 30.0
_SECONDS_PER_PRIORITY = 6  # -100 to 100 is what tasks may have; ten minutes either way
_NAMED = re.compile(r"^([A-Za-z_][\w.]*)(?::|$)")
_ANSWER = msgspec.json.Decoder[Any]()


def _tasks() -> Any:
    try:
        return import_module("django.tasks" if django.VERSION >= (6,) else "django_tasks")
    except ImportError as error:
        raise ImproperlyConfigured(
            "StepwellBackend needs Django 6, or the package django-tasks: pip install django-tasks"
        ) from error


tasks = _tasks()
_base: Any = import_module(f"{tasks.__name__}.backends.base")
_signals: Any = import_module(f"{tasks.__name__}.signals")
_exceptions: Any = import_module(f"{tasks.__name__}.exceptions")
_values: Any = import_module(f"{tasks.__name__}.base")
Status: Any = tasks.TaskResultStatus


class StepwellBackend(_base.BaseTaskBackend):  # type: ignore[misc]
    """Enqueues tasks durably, and executes them with retries.

    OPTIONS: `client` (dotted path, by default STEPWELL["CLIENT"]), `retries` (after the first try,
    0 to 20, default 4), `concurrency` (how many tasks of one queue may run at once).
    """

    brings_functions = True
    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def __init__(self, alias: str, params: Mapping[str, Any]) -> None:
        """Read the options. Raises ImproperlyConfigured for those that cannot be used."""
        super().__init__(alias, params)  # pyright: ignore[reportUnknownMemberType]
        options = dict(self.options)
        self.client: Inngest = get_client(options.pop("client", None))
        self.function = _function(self, options.pop("retries", None), options.pop("concurrency", 0))
        if options:
            raise ImproperlyConfigured(
                f"TASKS[{alias!r}]: OPTIONS has no {', '.join(map(repr, options))}: there are"
                " 'client', 'retries' and 'concurrency'"
            )
        add_function(self.client, self.function)

    def enqueue(self, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Send the task. Raises InvalidTask, TypeError for what JSON cannot carry, or
        SendEventsError."""
        event = self._event(task, args, kwargs)
        (event_id,) = self.client.send_sync(event)
        return self._enqueued(task, event, event_id)

    async def aenqueue(self, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The same for coroutines."""
        event = self._event(task, args, kwargs)
        (event_id,) = await self.client.send(event)
        return self._enqueued(task, event, event_id)

    def get_result(self, result_id: str) -> Any:
        """How a task stands. Raises TaskResultDoesNotExist."""
        api = self.client.api
        event = self._read(api.ask_sync(_asking(f"/v1/events/{quote(result_id)}")), result_id)
        runs = self._read(api.ask_sync(_asking(f"/v1/events/{quote(result_id)}/runs")), result_id)
        return self._result_of(result_id, event, runs)

    async def aget_result(self, result_id: str) -> Any:
        """The same for coroutines."""
        api = self.client.api
        event = self._read(await api.ask(_asking(f"/v1/events/{quote(result_id)}")), result_id)
        path = f"/v1/events/{quote(result_id)}/runs"
        return self._result_of(
            result_id, event, self._read(await api.ask(_asking(path)), result_id)
        )

    def _event(self, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Event[Any]:
        self.validate_task(task)
        data = {
            "task": task.module_path,
            "backend": self.alias,
            "args": json.loads(json.dumps(list(args))),
            "kwargs": json.loads(json.dumps(dict(kwargs))),
            "priority": task.priority,
            "queue_name": task.queue_name,
            "run_after": task.run_after and task.run_after.isoformat(),
        }
        return Event(name=EVENT, data=data)

    def _enqueued(self, task: Any, event: Event[Any], event_id: str) -> Any:
        now = dt.datetime.now(dt.UTC)
        result = _result(task, event_id, event.data, enqueued_at=now)
        _signals.task_enqueued.send(type(self), task_result=result)
        return result

    def _read(self, reply: HttpReply, result_id: str) -> Any:
        try:
            answer = decode(reply.body, _ANSWER)
        except (msgspec.DecodeError, UnicodeDecodeError):
            answer = {"error": reply.body[:300].decode(errors="replace")}
        status = answer.get("status") or reply.status
        if status in {400, 404}:
            raise _exceptions.TaskResultDoesNotExist(result_id)
        if status != 200 or answer.get("error"):
            raise Error(f"task result {result_id}: HTTP {status}: {answer.get('error')}")
        return answer["data"]

    def _result_of(self, result_id: str, event: Any, runs: Any) -> Any:
        if event["name"] != EVENT or event["data"]["backend"] != self.alias:
            raise _exceptions.TaskResultDoesNotExist(result_id)
        data = event["data"]
        found = _result(_task_in(data), result_id, data, enqueued_at=_instant(event["received_at"]))
        # Functions of other apps may listen to the event, too.
        mine = [run for run in runs if run.get("function") in (self.function.id, None)]
        return _with_run(found, mine[0]) if mine else found


def _asking(path: str) -> ApiRequest:
    return ApiRequest(method="GET", path=path, timeout_seconds=_ASK_SECONDS)


def _task_in(data: Mapping[str, Any]) -> Any:
    """The task as it was enqueued."""
    task = import_string(data["task"])
    after = data["run_after"]
    return task.using(
        priority=data["priority"],
        queue_name=data["queue_name"],
        run_after=after and dt.datetime.fromisoformat(after),
        backend=data["backend"],
    )


def _result(task: Any, result_id: str, data: Mapping[str, Any], *, enqueued_at: dt.datetime) -> Any:
    return tasks.TaskResult(
        task=task,
        id=result_id,
        status=Status.READY,
        enqueued_at=enqueued_at,
        started_at=None,
        finished_at=None,
        last_attempted_at=None,
        args=list(data["args"]),
        kwargs=dict(data["kwargs"]),
        backend=data["backend"],
        errors=[],
        worker_ids=[],
    )


def _change(result: Any, **fields: Any) -> None:
    """Results are frozen for users, not for backends."""
    for name, value in fields.items():
        object.__setattr__(result, name, value)


def _with_run(result: Any, run: Mapping[str, Any]) -> Any:
    word = str(run["status"]).lower()
    if word in {"scheduled", "queued"}:
        return result
    started = _instant(run["run_started_at"])
    _change(
        result,
        status=Status.RUNNING,
        started_at=started,
        last_attempted_at=started,
        worker_ids=[run["run_id"]],
    )
    if word == "running":
        return result
    _change(result, finished_at=_instant(run["ended_at"]))
    if word == "completed":
        _change(result, status=Status.SUCCESSFUL, _return_value=run["output"])
    else:
        _change(result, status=Status.FAILED, errors=[_error(run["output"])])
    return result


def _instant(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def _error(output: Any) -> Any:
    """What a failed run tells: the class's path stands in the last line of the traceback."""
    told = cast("dict[str, Any]", output) if isinstance(output, dict) else {}
    name, stack = str(told.get("name", "Exception")), str(told.get("stack") or "")
    path = f"builtins.{name}" if hasattr(builtins, name) else name
    for line in reversed(stack.splitlines()):
        match = _NAMED.match(line)
        if match and match[1].endswith(f".{name}"):
            path = match[1]
            break
    text = stack or f"{name}: {told.get('message', '')}"
    return _values.TaskError(exception_class_path=path, traceback=text)


# Execution


def _function(backend: StepwellBackend, retries: int | None, concurrency: int) -> Function[Any]:
    client, alias = backend.client, backend.alias
    limits = [Concurrency(limit=concurrency, key="event.data.queue_name")] if concurrency else None

    @client.create_function(
        fn_id=FUNCTION_ID if alias == "default" else f"{FUNCTION_ID}-{alias}",
        name=f"Django tasks ({alias})",
        trigger=TriggerEvent(event=EVENT, expression=f"event.data.backend == {json.dumps(alias)}"),
        # Numbers of events are doubles, which other servers take for no priority.
        priority=Priority(run=f"int(event.data.priority) * {_SECONDS_PER_PRIORITY}"),
        concurrency=limits,
        retries=retries,
    )
    def django_task(ctx: ContextSync) -> Any:
        data: Any = ctx.event.data
        if data["run_after"]:
            ctx.step.sleep_until("run-after", dt.datetime.fromisoformat(data["run_after"]))
        return _execute(type(backend), ctx, data)

    return django_task


def _execute(sender: type[StepwellBackend], ctx: ContextSync, data: Mapping[str, Any]) -> Any:
    task, now = _task_in(data), dt.datetime.now(dt.UTC)
    enqueued_at = dt.datetime.fromtimestamp(int(ctx.event.ts) / 1000, dt.UTC)
    result = _result(task, ctx.event.id or ctx.run_id, data, enqueued_at=enqueued_at)
    _change(
        result,
        status=Status.RUNNING,
        started_at=now,
        last_attempted_at=now,
        worker_ids=[ctx.run_id] * (ctx.attempt + 1),
    )
    _signals.task_started.send(sender, task_result=result)
    context = [tasks.TaskContext(task_result=result)] if task.takes_context else []
    try:
        value = json.loads(json.dumps(task.call(*context, *result.args, **result.kwargs)))
    except Exception as error:
        result.errors.append(_raised(error))
        if ctx.attempt + 1 >= (ctx.max_attempts or 1):
            _change(result, status=Status.FAILED, finished_at=dt.datetime.now(dt.UTC))
            _signals.task_finished.send(sender, task_result=result)
        raise
    _change(
        result,
        status=Status.SUCCESSFUL,
        finished_at=dt.datetime.now(dt.UTC),
        _return_value=value,
    )
    _signals.task_finished.send(sender, task_result=result)
    return value


def _raised(error: Exception) -> Any:
    kind = type(error)
    return _values.TaskError(
        exception_class_path=f"{kind.__module__}.{kind.__qualname__}", traceback=stack_of(error)
    )
