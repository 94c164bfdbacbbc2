"""The entry to execution: one call of one function in, its answer out.

Serving, connecting and the in-process driver come through here and nowhere else. Functions of
either colour can be called from either: plain handlers run in a bounded pool beside an event loop,
coroutine handlers on the process's background loop beside blocking code.

Law: whatever user code or middleware does, there is an answer.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, cast

from stepwell.sdk import background
from stepwell.sdk.errors import ConfigurationError, Error, StepError, text_of
from stepwell.sdk.events.event import Event, event_from_json
from stepwell.sdk.execution._async import AsyncCall
from stepwell.sdk.execution._sync import Bridge, SyncCall
from stepwell.sdk.execution.call import Call, Pause
from stepwell.sdk.execution.pool import handlers, in_thread
from stepwell.sdk.execution.port import ClientPort
from stepwell.sdk.execution.tasks import Save
from stepwell.sdk.execution.unawaited import WatchedGroup, WatchedStep
from stepwell.sdk.function.function import Function
from stepwell.sdk.middleware.chain import Chain, Session
from stepwell.sdk.middleware.memos import StepMemos
from stepwell.sdk.step._sync import StepSync
from stepwell.sdk.step.cancelled import Watch
from stepwell.sdk.step.context import Context, ContextSync
from stepwell.sdk.step.defer import Defer
from stepwell.sdk.step.group import GroupSync
from stepwell.sdk.step.log import call_logger, spoken
from stepwell.sdk.step.parent import parents_of, without_experiment
from stepwell.sdk.value.failure import deserialize_error
from stepwell.wire.event import FUNCTION_FAILED
from stepwell.wire.execution import TARGET_DISCOVERY, CallRequest, CallResponse


class Calling:
    """What a call is made of, gathered once: function, request, client, middleware, loggers."""

    def __init__(
        self,
        function: Function[Any],
        request: CallRequest,
        client: ClientPort,
        target: str | None,
        raw_request: object,
        pause: Pause | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.function = function
        self.request = request
        self.client = client
        self.target = target or TARGET_DISCOVERY
        self.raw_request = raw_request
        self.pause = pause
        self.watch = watch

    def session(self, bridge: Bridge | None = None) -> Session | None:
        """The middleware of this call; None if there is none."""
        factories = (*self.client.middleware, *self.function.middleware)
        if not factories:
            return None
        return Chain(factories).open(self.client, self.raw_request, bridge)

    def options(self, session: Session | None) -> dict[str, Any]:
        """What both kinds of call are made with."""
        return {
            "target": self.target,
            "function_id": self.function.id,
            "output": self.function.codec,
            "serializer": self.client.serializer,
            "hooks": session,
            "tell": self.tell,
            "pause": self.pause,
            "non_retriable": self.function.non_retriable,
            "reraised": self.function.reraised,
            "watch": self.watch,
            "place": self.function.place,
        }

    def begun(self) -> None:
        """Write down that a call begins."""
        self._note("started")

    def ended(self, answer: CallResponse, logger: Any) -> None:
        """Write down how a call ended, and have held lines written."""
        self._note("finished", f" with {answer.status}")
        flush = getattr(logger, "flush", None)
        if callable(flush):
            try:
                flush()
            except Exception as error:  # noqa: BLE001 - a logger must never fail a run
                self._note("could not flush its logger", f": {error!r}")

    def _note(self, what: str, more: str = "") -> None:
        logger = self.client.logger
        if not isinstance(logger, logging.Logger | logging.LoggerAdapter):
            return
        if logger.isEnabledFor(logging.DEBUG):
            ctx = self.request.ctx
            facts = {"run_id": ctx.run_id, "attempt": ctx.attempt, "target": self.target}
            message = f'call of function "{self.function.id}" {what}{more}'
            logger.debug(message, extra={**facts, "function_name": self.function.name})

    def tell(self, error: BaseException) -> None:
        """Write an error of user code into the log. A step's error that ends its function
        was written when the step failed."""
        logger = self.client.logger
        if logger is not None and not isinstance(error, StepError):
            message = f'{type(error).__name__} in function "{self.function.id}": {text_of(error)}'
            spoken(logger).error(message, exc_info=error)

    def facts(self, call: Call) -> dict[str, Any]:
        """What both kinds of context tell."""
        ctx = self.request.ctx
        raws = self.request.events or (self.request.event,)
        events = [event_from_json(raw) for raw in raws]
        parents = parents_of(events)
        if any(one.experiment for one in parents):
            events = [without_experiment(event) for event in events]
        sessions = _sessions(events)
        if sessions and self.client.session_propagation:
            call.sessions = sessions
        call.ai_metadata = self.client.ai_metadata
        call.keeps_logs = call.keeps_logs and self.client.logs
        call.holds_sessions_back = bool(sessions and not call.sessions)
        return {
            "attempt": ctx.attempt,
            "event": events[0],
            "events": events,
            "job_id": ctx.job_id or None,
            "request_id": ctx.request_id or None,
            "run_id": ctx.run_id,
            "max_attempts": ctx.max_attempts,
            "sessions": sessions,
            "parents": parents,
            "error": self._failure(events[0]),
            "cancelled": call.cancelled,
            "logger": call_logger(
                self.client.logger,
                call,
                {
                    "run_id": ctx.run_id,
                    "event_name": events[0].name,
                    "function_name": self.function.name,
                    "attempt": ctx.attempt,
                },
            ),
        }

    def admit(self, context: Context[Any] | ContextSync[Any]) -> None:
        """Judge the events the handler is about to see, and type them as it asked.

        After middleware, which may have decrypted them. Raises EventValidationError.
        """
        first, *_ = events = context.events
        context.events = self.function.intake.read(events, self.client.schemas)
        if context.event is first:
            context.event = context.events[0]
        else:
            (context.event,) = self.function.intake.read([context.event], self.client.schemas)

    def _failure(self, event: Event) -> Error | None:
        """What a failure handler is told went wrong."""
        if event.name != FUNCTION_FAILED or not isinstance(event.data.get("error"), dict):
            return None
        return deserialize_error(event.data["error"])

    def sound(self, answer: object) -> CallResponse:
        """The answer, as wraps around the call returned it. Raises ConfigurationError."""
        if isinstance(answer, CallResponse):
            return answer
        raise ConfigurationError(
            f"wrap_request of a middleware returned {type(answer).__name__}: return what next()"
            " gave"
        )

    def broken(self, error: Exception) -> CallResponse:
        """The answer if the call could not even begin."""
        call = Call(self.request, **self.options(None))
        return call.broke(error)


def _sessions(events: Sequence[Event]) -> dict[str, str]:
    """The sessions of a run: those of its events, the first to name one wins."""
    found: dict[str, str] = {}
    for event in events:
        named = (event.meta or {}).get("sessions")
        if isinstance(named, dict):
            for key, value in cast("dict[str, object]", named).items():
                if isinstance(value, str):
                    found.setdefault(key, value)
    return found


async def run_call(
    function: Function[Any],
    request: CallRequest,
    *,
    client: ClientPort,
    target: str | None = None,
    raw_request: object = None,
    save: Save | None = None,
    pause: Pause | None = None,
) -> CallResponse:
    """Call a function once and say what the server is to hear. Raises only if it is cancelled.

    `target` is the hashed id of the one step to run, None or `step` for a discovery. With `save`
    the handler goes on after each step it finishes, once `save` has returned; the answer then tells
    what came after. A call for one step saves nothing: its answer does. `pause` is asked before
    each step begun after one was saved; if it says so, the step is reported as planned instead.
    State left out of the request (`use_api`) must have been fetched.
    """
    calling = Calling(function, request, client, target, raw_request, pause)
    if calling.target != TARGET_DISCOVERY:
        save = None  # the one step is all that is asked for: going on would look for it in vain
    if not function.is_handler_async:
        return await _in_pool(calling, save)
    session: Session | None = None
    try:
        session = calling.session()
        if session is None:
            return await _run_async(calling, None, save)
        answer = calling.sound(await session.request(partial(_run_async, calling, session, save)))
    except Exception as error:  # noqa: BLE001 - the law of this module
        answer = calling.broken(error)
    if session is not None:
        try:
            await session.before_response()
        except Exception as error:  # noqa: BLE001 - the law of this module
            return calling.broken(error)
    return answer


async def _run_async(calling: Calling, session: Session | None, save: Save | None) -> CallResponse:
    call = AsyncCall(calling.request, save=save, **calling.options(session))
    step = call.step = WatchedStep(call, calling.client)
    context: Context[Any] = Context(
        defer=Defer(call), group=WatchedGroup(call), step=step, **calling.facts(call)
    )
    if session is not None:
        memos = StepMemos.from_raw(calling.request.steps)
        await session.transform_input(context, calling.function, memos)
        call.remember(memos.onto(calling.request.steps))
    calling.admit(context)
    calling.begun()
    work = partial(_handled, calling.function, context)
    answer = await call.run(work() if session is None else session.handler(work))
    calling.ended(answer, context.logger)
    return answer


async def _handled(function: Function[Any], context: Context[Any]) -> Any:
    return await function.entry(context)


async def _in_pool(calling: Calling, save: Save | None) -> CallResponse:
    """Run a plain handler in a thread; the loop goes on."""
    loop = asyncio.get_running_loop()

    def bridge(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    def save_sync(operations: Any) -> object:
        assert save is not None
        return bridge(_saved(save, operations))

    made: list[SyncCall] = []
    try:
        return await in_thread(
            handlers, _run_sync, calling, bridge, None if save is None else save_sync, made
        )
    except asyncio.CancelledError:
        for call in made:
            call.abandon()
        raise


async def _saved(save: Save, operations: Any) -> object:
    return await save(operations)


def run_call_sync(
    function: Function[Any],
    request: CallRequest,
    *,
    client: ClientPort,
    target: str | None = None,
    raw_request: object = None,
    watch: Watch | None = None,
    save: Callable[[Any], object] | None = None,
    pause: Pause | None = None,
) -> CallResponse:
    """As `run_call`, for blocking code. Coroutine handlers run on the background loop.

    `watch` begins to find out whether the run is cancelled, if a plain handler wants to know.
    `save`, which blocks, and `pause` are for plain handlers only.
    """
    if function.is_handler_async:
        return background.run(
            run_call(function, request, client=client, target=target, raw_request=raw_request)
        )
    calling = Calling(function, request, client, target, raw_request, pause, watch)
    if calling.target != TARGET_DISCOVERY:
        save = None
    return _run_sync(calling, background.run, save, [])


def _run_sync(calling: Calling, bridge: Bridge, save: Any, made: list[SyncCall]) -> CallResponse:
    session: Session | None = None
    try:
        session = calling.session(bridge)
        work = partial(_called, calling, session, bridge, save, made)
        if session is None:
            return work()
        answer = calling.sound(session.request_sync(work))
    except Exception as error:  # noqa: BLE001 - the law of this module
        answer = calling.broken(error)
    if session is not None:
        try:
            session.before_response_sync()
        except Exception as error:  # noqa: BLE001 - the law of this module
            return calling.broken(error)
    return answer


def _called(
    calling: Calling, session: Session | None, bridge: Bridge, save: Any, made: list[SyncCall]
) -> CallResponse:
    call = SyncCall(calling.request, bridge=bridge, save=save, **calling.options(session))
    made.append(call)
    step = call.step = StepSync(call, calling.client)
    context: ContextSync[Any] = ContextSync(
        defer=Defer(call), group=GroupSync(call), step=step, **calling.facts(call)
    )
    if session is not None:
        memos = StepMemos.from_raw(calling.request.steps)
        session.transform_input_sync(context, calling.function, memos)
        call.remember(memos.onto(calling.request.steps))
    calling.admit(context)
    calling.begun()
    work = partial(calling.function.entry, context)
    answer = call.run(work if session is None else partial(session.handler_sync, work))
    calling.ended(answer, context.logger)
    return answer
