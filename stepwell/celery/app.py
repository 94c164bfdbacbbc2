"""The application: which tasks there are, who serves them, and when the clock calls them."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Unpack, cast, overload

from stepwell.celery.call import message
from stepwell.celery.retries import Unasked, rules_of
from stepwell.celery.schedule import cron_of
from stepwell.celery.signature import CANVAS, perform
from stepwell.celery.task import Task, TaskOptions
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.errors import ConfigurationError
from stepwell.sdk.function.trigger import TriggerCron, TriggerEvent
from stepwell.sdk.step.context import Context, ContextSync

DEFAULT_QUEUE = "celery"
_OPTIONS = frozenset(TaskOptions.__annotations__)
_ENTRY = frozenset({"task", "schedule", "args", "kwargs", "options"})
_ENTRY_OPTIONS = frozenset({"countdown", "expires", "queue"})


class _Shared:
    """Tasks of `shared_task`, and the applications of the process: each serves all of them."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.apps: list[Celery] = []


_shared = _Shared()


class Celery:
    """An application: a client for each queue, with a function for each task.

    `client` is that of the default queue. Serve it as any other: `stepwell worker
    shop.jobs:client`, an adapter, or an Engine.
    """

    def __init__(self, main: str, **options: Any) -> None:
        """Make an application.

        Args:
            main: Its name, and the id of the client's app.
            options: Whatever `stepwell.Inngest` takes, for the clients of all queues.

        Raises ConfigurationError for a broker or a backend: the server is both.
        """
        for name in ("broker", "backend"):
            if name in options:
                raise ConfigurationError(
                    f"Celery.{name} = {options[name]!r}: remove it: the server takes its place,"
                    " which base_url= or INNGEST_BASE_URL names"
                )
        self.main = main
        self.client = Inngest(app_id=main, **options)
        self.tasks: dict[str, Task] = {}
        self.conf = Conf(self)
        self._options = options
        self._queues = {DEFAULT_QUEUE: self.client}
        self.client.create_function(
            fn_id=CANVAS, trigger=TriggerEvent(event="celery/canvas"), handler=perform
        )
        _shared.apps.append(self)
        for task in _shared.tasks:
            self.adopt(task)

    def queue(self, name: str) -> Inngest:
        """The client of a queue; workers that serve it take from that queue.

        Every task is served by each of them.
        """
        if name not in self._queues:
            client = Inngest(app_id=f"{self.main}.{name}", **self._options)
            self._queues[name] = client
            for task in self.tasks.values():
                _declare(client, name, task)
        return self._queues[name]

    def client_for(self, queue: str | None) -> Inngest:
        """The client of a queue, by default that of `celery`. Raises ConfigurationError if nobody
        declared it."""
        name = queue or DEFAULT_QUEUE
        if name not in self._queues:
            raise ConfigurationError(
                f'queue = "{name}": there are {", ".join(sorted(self._queues))}: declare it with'
                f' app.queue("{name}"), and serve the client that this gives'
            )
        return self._queues[name]

    def adopt(self, task: Task) -> None:
        """Serve a task. Raises ConfigurationError if there is another one of its name."""
        if self.tasks.get(task.name, task) is not task:
            raise ConfigurationError(f'task "{task.name}": there is one of that name already')
        self.tasks[task.name] = task
        task.home = self
        for name, client in self._queues.items():
            _declare(client, name, task)
        if task.queue is not None:
            self.queue(task.queue)

    @overload
    def task(self, function: Callable[..., Any], /) -> Task: ...

    @overload
    def task(self, /, **options: Unpack[TaskOptions]) -> Callable[[Callable[..., Any]], Task]: ...

    def task(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Make a task of a function. Raises ConfigurationError for options there are not."""

        def decorate(function: Callable[..., Any]) -> Task:
            task = _task_of(function, options, self.main)
            self.adopt(task)
            return task

        return decorate if function is None else decorate(function)

    def schedule(self, entry: str, given: Mapping[str, Any], zone: str | None) -> None:
        """Have the clock call a task: one entry of `conf.beat_schedule`."""
        options = dict(given.get("options") or {})
        for unknown in (*sorted(set(given) - _ENTRY), *sorted(set(options) - _ENTRY_OPTIONS)):
            raise ConfigurationError(f'beat_schedule["{entry}"].{unknown}: there is no such thing')
        missing = [name for name in ("task", "schedule") if name not in given]
        if missing:
            raise ConfigurationError(f'beat_schedule["{entry}"]: say its {missing[0]}')
        task, queue = str(given["task"]), options.get("queue")
        self.client_for(queue)
        data = message(
            given.get("args") or (),
            given.get("kwargs"),
            options.get("countdown"),
            None,
            options.get("expires"),
        )

        async def tick(ctx: Context) -> object:
            own = self.tasks[task].queue if task in self.tasks else None
            app_id = self.client_for(queue or own).app_id
            return await ctx.step.invoke_by_id(task, app_id=app_id, function_id=task, data=data)

        self.client.create_function(
            fn_id=f"beat.{entry}",
            trigger=TriggerCron(cron=cron_of(entry, given["schedule"]), tz=zone),
            handler=tick,
        )


class Conf:
    """Settings of an application: `timezone` and `beat_schedule`, in this order."""

    timezone: str | None
    beat_schedule: Mapping[str, Mapping[str, Any]]

    def __init__(self, app: Celery) -> None:
        """Settings as they are before anybody says otherwise."""
        vars(self).update(_app=app, timezone=None, beat_schedule={})

    def update(self, **settings: Any) -> None:
        """Set several."""
        for name in sorted(settings, key=lambda name: name != "timezone"):
            setattr(self, name, settings[name])

    def __setattr__(self, name: str, value: Any) -> None:
        """Set one. Raises ConfigurationError for a setting there is not, or one set too late."""
        if name not in ("timezone", "beat_schedule"):
            raise ConfigurationError(
                f"conf.{name} = {value!r}: there is no such setting: remove it; there are timezone"
                " and beat_schedule"
            )
        if self.beat_schedule:
            raise ConfigurationError(
                f"conf.{name} = {value!r}: beat_schedule is set already: set timezone first, and"
                " beat_schedule once"
            )
        if name == "beat_schedule":
            app = cast(Celery, vars(self)["_app"])
            for entry, given in value.items():
                app.schedule(entry, given, self.timezone)
        vars(self)[name] = value


@overload
def shared_task(function: Callable[..., Any], /) -> Task: ...


@overload
def shared_task(**options: Unpack[TaskOptions]) -> Callable[[Callable[..., Any]], Task]: ...


def shared_task(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a task of a function for every application of the process, made before or after.

    It is called through the application that was made last. Raises ConfigurationError.
    """

    def decorate(function: Callable[..., Any]) -> Task:
        task = _task_of(function, options, "__main__")
        _shared.tasks.append(task)
        for app in _shared.apps:
            app.adopt(task)
        return task

    return decorate if function is None else decorate(function)


def _task_of(function: Callable[..., Any], options: Mapping[str, Any], main: str) -> Task:
    module = main if function.__module__ == "__main__" else function.__module__
    name = options.get("name") or f"{module}.{function.__name__}"
    unknown = sorted(set(options) - _OPTIONS)
    if unknown:
        raise ConfigurationError(
            f'task "{name}": {unknown[0]} = {options[unknown[0]]!r}: there is no such option:'
            f" remove it; there are {', '.join(sorted(_OPTIONS))}"
        )
    if inspect.iscoroutinefunction(function):
        raise ConfigurationError(
            f'task "{name}": {function.__name__} is a coroutine function: write it as def, or as a'
            " function of client.create_function"
        )
    return Task(
        function,
        name=name,
        rules=rules_of(name, options),
        bind=bool(options.get("bind")),
        queue=options.get("queue"),
    )


def _declare(client: Inngest, queue: str, task: Task) -> None:
    def handler(ctx: ContextSync) -> Any:
        return task.handle(ctx)

    client.create_function(
        fn_id=task.name,
        trigger=TriggerEvent(event=f"celery/{queue}/{task.name}"),
        handler=handler,
        retries=task.rules.retries_max,
        non_retriable=(Unasked,),
    )
