"""A task: a function of yours that is called here and now, or by a worker."""

import datetime as dt
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypedDict, Unpack

from stepwell.celery.call import REQUEST, Request, When, expired, message
from stepwell.celery.result import AsyncResult
from stepwell.celery.retries import MaxRetriesExceededError, Retry, RetryRules, later
from stepwell.celery.signature import CallOptions, Part, Signature
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.errors import ConfigurationError, NonRetriableError
from stepwell.sdk.step.context import ContextSync


class Home(Protocol):
    """The application that serves a task."""

    def client_for(self, queue: str | None) -> Inngest:
        """The client whose workers take from a queue. Raises ConfigurationError."""
        ...


class Task:
    """What `app.task` and `shared_task` make of a function.

    Called like the function, it runs here. `delay` and `apply_async` have a worker run it, and give
    an AsyncResult. `s`, `si` and `signature` are calls to be made later.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str,
        rules: RetryRules,
        bind: bool = False,
        queue: str | None = None,
    ) -> None:
        self.run = function
        """The function itself."""
        self.name = name
        self.rules = rules
        self.queue = queue
        self.home: Home | None = None
        self.__doc__ = function.__doc__
        self._bind = bind

    def __repr__(self) -> str:
        return f"<Task: {self.name}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function here, without a server."""
        return self._within(Request(args=args, kwargs=kwargs))

    def _within(self, request: Request) -> Any:
        token = REQUEST.set(request)
        try:
            first = (self,) if self._bind else ()
            return self.run(*first, *request.args, **request.kwargs)
        finally:
            REQUEST.reset(token)

    # Calls

    def client(self, queue: str | None = None) -> Inngest:
        """The client whose workers run it. Raises ConfigurationError if there is no application, or
        no such queue."""
        return self._at_home().client_for(queue or self.queue)

    def app_client(self) -> Inngest:
        """The client of the application's default queue, which makes the calls of chains."""
        return self._at_home().client_for(None)

    def _at_home(self) -> Home:
        if self.home is None:
            raise ConfigurationError(
                f'task "{self.name}": there is no application yet: make a Celery(...) first'
            )
        return self.home

    def delay(self, *args: Any, **kwargs: Any) -> AsyncResult:
        """Have a worker run it with these arguments, which must be JSON."""
        return self.apply_async(args, kwargs)

    def apply_async(
        self,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        countdown: float | None = None,
        eta: dt.datetime | None = None,
        expires: When | None = None,
        queue: str | None = None,
    ) -> AsyncResult:
        """Have a worker run it.

        Args:
            args: Its arguments by position.
            kwargs: Its arguments by name.
            countdown: Not before so many seconds have passed.
            eta: Not before an instant.
            expires: Not after an instant, or after so many seconds; then the call fails.
            queue: Whose workers are to run it, in place of the task's own queue.

        Raises ConfigurationError for what cannot be meant, Error if it cannot be started,
        NetworkError if nobody answers.
        """
        client = self.client(queue)
        data = message(args, kwargs, countdown, eta, expires)
        run = client.invoke_sync(f"{client.app_id}-{self.name}", data=data, wait=False)
        return AsyncResult(run, client=client)

    def s(self, *args: Any, **kwargs: Any) -> Signature:
        """A call to be made later; what comes before it in a chain is its first argument."""
        return Signature(self, args, kwargs)

    def si(self, *args: Any, **kwargs: Any) -> Signature:
        """The same, but nothing is added to its arguments."""
        return Signature(self, args, kwargs, immutable=True)

    def signature(
        self,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        immutable: bool = False,
        **options: Unpack[CallOptions],
    ) -> Signature:
        """A call to be made later, with options of `apply_async`."""
        return Signature(self, tuple(args), kwargs or {}, options, immutable)

    def leaf(self, queue: str | None, data: Mapping[str, object], immutable: bool) -> Part:
        """What a chain or group keeps of a call."""
        app = self.client(queue).app_id
        return {"task": self.name, "app": app, "message": dict(data), "immutable": immutable}

    # Inside the function

    @property
    def request(self) -> Request:
        """The call that runs here."""
        return REQUEST.get()

    @property
    def max_retries(self) -> int:
        """How often it is tried again at most."""
        return self.rules.retries_max

    def retry(
        self,
        *,
        exc: Exception | None = None,
        countdown: float | None = None,
        eta: dt.datetime | None = None,
        max_retries: int | None = None,
    ) -> Retry:
        """Leave the function to be tried again, after `countdown` seconds or at `eta`.

        Always raises, so write `raise self.retry(exc=error)`: Retry, or once `max_retries` are used
        up `exc` (else the exception that is handled, else MaxRetriesExceededError). Called
        directly, it raises that at once.
        """
        handled = sys.exception()
        cause = exc or (handled if isinstance(handled, Exception) else None)
        most = self.rules.retries_max if max_retries is None else max_retries
        if most > self.rules.retries_max:
            raise ConfigurationError(
                f'task "{self.name}": retry(max_retries={most}): the task has'
                f" max_retries={self.rules.retries_max}: raise that"
            )
        request = self.request
        if request.called_directly or request.retries >= most:
            words = f'task "{self.name}" was tried {request.retries + 1} times'
            raise cause or MaxRetriesExceededError(words)
        if eta is not None:
            countdown = (eta - dt.datetime.now(dt.UTC)).total_seconds()
        raise Retry(cause, self.rules.delay if countdown is None else countdown)

    # In a worker

    def handle(self, ctx: ContextSync[Any]) -> Any:
        """Run one call of it durably: what the worker's function does."""
        data = ctx.event.data
        if "countdown" in data:
            ctx.step.sleep("countdown", dt.timedelta(seconds=data["countdown"]))
        if "eta" in data:
            ctx.step.sleep_until("eta", dt.datetime.fromisoformat(data["eta"]))
        return ctx.step.run(self.name, lambda: self._attempt(ctx))

    def _attempt(self, ctx: ContextSync[Any]) -> Any:
        data: dict[str, Any] = ctx.event.data
        sent = dt.datetime.fromtimestamp(ctx.event.ts / 1000, dt.UTC)
        if expired(data, sent, dt.datetime.now(dt.UTC)):
            raise NonRetriableError(f'task "{self.name}" expired before it was run')
        args, kwargs = tuple(data.get("args", ())), data.get("kwargs", {})
        request = Request(ctx.run_id, args, kwargs, ctx.attempt, called_directly=False)
        try:
            return self._within(request)
        except Retry as asked:
            raise later(str(asked), asked.seconds) from asked.exc
        except Exception as error:
            if not self.rules.asks(error) or ctx.attempt >= self.rules.retries_max:
                raise
            raise later(str(error), self.rules.seconds(ctx.attempt)) from error


class TaskOptions(TypedDict, total=False):
    """The options of a task. Waits are in seconds."""

    name: str
    bind: bool
    queue: str
    autoretry_for: tuple[type[Exception], ...]
    dont_autoretry_for: tuple[type[Exception], ...]
    max_retries: int
    default_retry_delay: float
    retry_backoff: bool | float
    retry_backoff_max: float
    retry_jitter: bool
    retry_kwargs: Mapping[str, Any]
