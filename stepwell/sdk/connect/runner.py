"""Runs claimed requests where the user's code lives: on the loop that called `start`, or apart.

`async def` functions are tasks of the user's loop, plain ones run in the bounded pool of threads,
and those given to processes run there. Whatever happens in them becomes an answer; only a function
that was cancelled gives none. The connection's thread hands requests in through `begin` and
`cancel`; answers go back through `post`.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from stepwell.sdk.client.client import Inngest
from stepwell.sdk.connect.answer import reply_to
from stepwell.sdk.connect.output import CheckpointSettled, Execute
from stepwell.sdk.connect.postbox import Postbox
from stepwell.sdk.connect.protocol import WorkerProtocol
from stepwell.sdk.connect.state import with_state
from stepwell.sdk.errors import BodyInvalidError
from stepwell.sdk.execution.run import run_call
from stepwell.sdk.execution.tasks import Save
from stepwell.sdk.serve.answer import error_answer
from stepwell.sdk.serve.table import FunctionTable
from stepwell.sdk.tracing import NOTHING, Trace, arrived, trace_in
from stepwell.wire.connect_word import CheckpointOutcome, ExecutorRequest, Reply
from stepwell.wire.execution import (
    TARGET_DISCOVERY,
    CallRequest,
    CallResponse,
    MalformedCall,
    decode_call,
)
from stepwell.wire.operation import Operation
from stepwell.wire.operation_encode import encode_operations
from stepwell.wire.outside import decode

_TRACE = msgspec.json.Decoder(dict[str, object])

Input = Callable[[WorkerProtocol, float], None]
Post = Callable[[Input], None]


class Served(msgspec.Struct, frozen=True):
    """One app of a worker: its client, and its functions by id."""

    client: Inngest
    table: FunctionTable


class Elsewhere(Protocol):
    """Another place than the user's loop and its threads to run functions in: processes."""

    def holds(self, function_id: str) -> bool:
        """Does this function run there?"""
        ...

    async def call(self, request: ExecutorRequest) -> CallResponse:
        """Run it there. Cancelling this ends it there."""
        ...


class NotSavedError(Exception):
    """Steps of a running call could not be stored; they belong into its answer."""


class Runner:
    """The running functions of one worker."""

    def __init__(
        self,
        apps: Mapping[str, Served],
        *,
        loop: asyncio.AbstractEventLoop,
        elsewhere: Elsewhere | None,
        logger: logging.Logger | logging.LoggerAdapter[Any],
    ) -> None:
        """Made on the thread of `loop`, the user's."""
        self._apps = apps
        self._loop = loop
        self._postbox = Postbox(loop)
        self._elsewhere = elsewhere
        self._logger = logger
        self._post: Post = _nobody
        self._give: Callable[[Reply], None] = _nobody
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._asked: dict[tuple[str, int], asyncio.Future[CheckpointSettled]] = {}
        self.finished = 0
        """How many calls came to an end, answered or not."""

    def connect(self, post: Post, answer: Callable[[Reply], None]) -> None:
        """From now on answers, and questions about a call, go here."""
        self._post = post
        self._give = answer

    @property
    def running(self) -> tuple[str, ...]:
        """The ids of the functions that run on the user's loop or in its threads."""
        return tuple(task.get_name() for task in list(self._tasks.values()))

    # --- called on the connection's thread -----------------------------------------------------

    def begin(self, execute: Execute) -> None:
        """Run a request."""
        if not self._postbox.put(lambda: self._begin(execute)):
            request_id = execute.request.request_id
            self._post(lambda protocol, now: protocol.abandon(request_id, now))

    def cancel(self, request_id: str, reason: str) -> None:
        """Tell the function of a request that nobody wants its answer any more."""
        self._postbox.put(lambda: self._cancel(request_id, reason))

    def checkpoint_settled(self, settled: CheckpointSettled) -> None:
        """Tell a function what became of the steps it wanted stored."""
        self._postbox.put(lambda: self._settled(settled))

    # --- on the user's loop ----------------------------------------------------------------------

    def _begin(self, execute: Execute) -> None:
        request = execute.request
        task = self._loop.create_task(self._run(execute), name=request.function_slug)
        self._tasks[request.request_id] = task
        task.add_done_callback(lambda _: self._ended(request.request_id))

    def _ended(self, request_id: str) -> None:
        del self._tasks[request_id]
        self.finished += 1

    def _cancel(self, request_id: str, reason: str) -> None:
        task = self._tasks.get(request_id)
        if task is not None:
            task.cancel(reason)

    async def _run(self, execute: Execute) -> None:
        request = execute.request
        try:
            response = await self._answer(execute)
        except asyncio.CancelledError:
            self._logger.warning(
                "function %s of run %s was cancelled", request.function_slug, request.run_id
            )
            self._post(lambda protocol, now: protocol.abandon(request.request_id, now))
            return
        self._give(reply_to(request, response))

    async def _answer(self, execute: Execute) -> CallResponse:
        try:
            return await self._call(execute)
        except Exception as error:
            self._logger.exception("a call of %s failed", execute.request.function_slug)
            return error_answer(error)

    async def _call(self, execute: Execute) -> CallResponse:
        request = execute.request
        elsewhere = self._elsewhere
        if elsewhere is not None and elsewhere.holds(request.function_slug):
            return await elsewhere.call(request)
        save = self._save(request.request_id) if execute.checkpointing else None
        return await answered(self._apps[request.app_name], request, save=save)

    # --- steps stored while a call goes on --------------------------------------------------------

    def _save(self, request_id: str) -> Save:
        async def save(operations: tuple[Operation, ...]) -> None:
            steps = encode_operations(operations)
            future: asyncio.Future[CheckpointSettled] = self._loop.create_future()
            self._post(lambda protocol, now: self._ask(protocol, now, request_id, steps, future))
            settled = await future
            if settled.outcome is not CheckpointOutcome.SAVED:
                raise NotSavedError(settled.message or "the steps were not stored")

        return save

    def _ask(
        self,
        protocol: WorkerProtocol,
        now: float,
        request_id: str,
        steps: bytes,
        future: "asyncio.Future[CheckpointSettled]",
    ) -> None:
        sequence = protocol.checkpoint(request_id, steps, now)
        if sequence is not None:
            self._asked[request_id, sequence] = future
            return
        nobody = CheckpointSettled(request_id, 0, None, "nobody can store the steps now")
        self._postbox.put(lambda: _resolve(future, nobody))

    def _settled(self, settled: CheckpointSettled) -> None:
        future = self._asked.pop((settled.request_id, settled.sequence), None)
        if future is not None:
            _resolve(future, settled)


async def answered(app: Served, request: ExecutorRequest, *, save: Save | None) -> CallResponse:
    """What a function of an app answers to a request. Raises for requests that are no good."""
    function = app.table.find(request.function_slug)
    call = await with_state(call_in(request), app.client.api)
    with arrived(_trace_in(request)):
        return await run_call(
            function,
            call,
            client=app.client,
            target=request.step_id or TARGET_DISCOVERY,
            raw_request=request,
            save=save if function.saves_steps(app.client.checkpointing) else None,
        )


def _trace_in(request: ExecutorRequest) -> Trace:
    """The trace context a request carries; none if it is not what it should be."""
    try:
        context = decode(request.user_trace or b"{}", _TRACE)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return NOTHING
    return trace_in(context)


def call_in(request: ExecutorRequest) -> CallRequest:
    """The call a request carries, named by the request where its body is silent.

    Raises BodyInvalidError if the body is none.
    """
    try:
        call = decode_call(request.payload)
    except MalformedCall as error:
        raise BodyInvalidError(str(error)) from None
    ctx = call.ctx
    if ctx.request_id and ctx.job_id and ctx.run_id:
        return call
    named = msgspec.structs.replace(
        ctx,
        request_id=ctx.request_id or request.request_id,
        job_id=ctx.job_id or request.job_id,
        run_id=ctx.run_id or request.run_id,
    )
    return msgspec.structs.replace(call, ctx=named)


def _resolve(future: "asyncio.Future[CheckpointSettled]", settled: CheckpointSettled) -> None:
    if not future.done():
        future.set_result(settled)


def _nobody(action: object) -> None:
    raise RuntimeError("the runner is not connected")
