"""A server small enough to be read: it keeps what calls report, and calls again.

Only what replay depends on: memos, the order in which steps end, targeted calls, attempts. Which of
several parallel steps ends first is the test's choice.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from stepwell.sdk.execution.run import run_call, run_call_sync
from stepwell.sdk.function.function import Function
from stepwell.sdk.function.trigger import TriggerEvent
from stepwell.sdk.function.wire import FunctionOptions
from stepwell.wire import operation as ops
from stepwell.wire.execution import CallContext, CallRequest, CallResponse, Stack, data_memo
from stepwell.wire.failure import encode_failure_memo
from stepwell.wire.operation_decode import decode_operations

RUN_ID = "01M82BFDSEAXH732SHZM7R2J1X"
EVENT = {"name": "test/start", "data": {"n": 3}, "id": "01M82BFDSE0000000000000000", "ts": 1}
NULL = msgspec.Raw(b"null")

Order = Callable[[list[str]], list[str]]


class Client:
    """What functions need of a client, in memory."""

    def __init__(self, middleware: Sequence[Any] = (), logger: Any = None) -> None:
        self.app_id = "app"
        self.logger = logger
        self.middleware = list(middleware)
        self.serializer: Any = None
        self.schemas: Any = None
        self.session_propagation = True
        self.ai_metadata = self.logs = True
        self.sent: list[tuple[Any, str | None]] = []

    async def send_in_run(self, events: Any, *, seed: str, hooks: Any) -> list[str]:
        return self.send_in_run_sync(events, seed=seed, hooks=hooks)

    def send_in_run_sync(self, events: Any, *, seed: str, hooks: Any) -> list[str]:
        given = events if isinstance(events, list) else [events]
        self.sent.append((given, seed))
        return [f"id-{index}" for index, _ in enumerate(given)]

    async def send_signal(self, signal: str, data: object) -> str | None:
        return self.send_signal_sync(signal, data)

    def send_signal_sync(self, signal: str, data: object) -> str | None:
        return f"{signal}={data}"


def function(handler: Callable[..., Any], **options: Any) -> Function[Any]:
    """A function of the handler, its id the handler's name."""
    chosen = FunctionOptions(
        app_id="app", fn_id=handler.__name__, triggers=(TriggerEvent(event="test/start"),)
    )
    return Function(chosen, handler, **options)


class Stage:
    """One run of a function. `answers` are the results of steps the server does, by title."""

    def __init__(
        self,
        handler: Callable[..., Any],
        *,
        client: Client | None = None,
        answers: dict[str, Any] | None = None,
        max_attempts: int | None = 4,
        event: dict[str, Any] | None = None,
        blocking: bool = False,
        **options: Any,
    ) -> None:
        self.function = handler if isinstance(handler, Function) else function(handler, **options)
        self.client = client or Client()
        self.answers = answers or {}
        self.max_attempts = max_attempts
        self.event = msgspec.Raw(json.dumps(event or EVENT).encode())
        self.blocking = blocking
        self.steps: dict[str, msgspec.Raw] = {}
        self.stack: list[str] = []
        self.titles: dict[str, str] = {}
        self.reports: list[list[str]] = []
        self.attempt = 0
        self.defers: dict[str, bool] = {}
        """What was deferred, and whether it can still be taken back."""

    def request(self, *, immediate: bool = True) -> CallRequest:
        """The next call."""
        return CallRequest(
            ctx=CallContext(
                run_id=RUN_ID,
                attempt=self.attempt,
                max_attempts=self.max_attempts,
                disable_immediate_execution=not immediate,
                stack=Stack(tuple(self.stack), len(self.stack)),
            ),
            event=self.event,
            events=(self.event,),
            steps=dict(self.steps),
            defers=dict(self.defers),
        )

    async def call(
        self,
        target: str | None = None,
        *,
        immediate: bool = True,
        save: Any = None,
        step_names: dict[str, str] | None = None,
    ) -> CallResponse:
        """Call the function once."""
        request = self.request(immediate=immediate)
        if step_names:
            request = msgspec.structs.replace(request, step_names=step_names)
        if self.blocking:
            return run_call_sync(self.function, request, client=self.client, target=target)
        return await run_call(self.function, request, client=self.client, target=target, save=save)

    def operations(self, response: CallResponse) -> list[ops.Operation]:
        """What a call reported; remembered as words such as `StepRun a`."""
        assert response.status == 206, response
        found = list(decode_operations(response.body))
        assert found, "an empty report"
        self.reports.append([f"{o.op} {ops.label(o)}" for o in found])
        self.titles.update({o.id: ops.label(o) for o in found})
        for operation in found:
            if isinstance(operation, ops.DeferAdd):
                self.defers.setdefault(operation.id, True)
            if isinstance(operation, ops.DeferAbort) and operation.target_id in self.defers:
                self.defers[operation.target_id] = False
        return [operation for operation in found if not ops.is_lazy(operation)]

    def keep(self, step: str, memo: msgspec.Raw) -> None:
        """A step has ended."""
        if step not in self.steps:
            self.steps[step] = memo
            self.stack.append(step)
            self.attempt = 0

    def settle(self, operation: ops.Operation) -> None:
        """Keep what one operation says, or will give in time."""
        match operation:
            case ops.StepRun():
                self.keep(operation.id, data_memo(operation.data))
            case ops.StepFailed():
                self.keep(operation.id, encode_failure_memo(operation.failure))
            case ops.StepError():
                self.attempt += 1
            case _:
                answer = self.answers.get(ops.label(operation))
                raw = msgspec.Raw(msgspec.json.encode(answer))
                bare = isinstance(operation, ops.Sleep | ops.WaitForEvent) or answer is None
                self.keep(operation.id, raw if bare else data_memo(raw))

    async def wave(self, found: list[ops.Operation], order: Order) -> None:
        """Run what was planned, each step in a call of its own, then keep all in some order."""
        ended: dict[str, ops.Operation] = {}
        for operation in found:
            if isinstance(operation, ops.StepPlanned):
                ended[operation.id] = await self.targeted(operation)
            else:
                ended[operation.id] = operation
        for step in order(list(ended)):
            self.settle(ended[step])

    async def targeted(self, planned: ops.Operation) -> ops.Operation:
        """Call for one step until it has ended."""
        attempt, self.attempt = self.attempt, 0
        while True:
            response = await self.call(planned.id, immediate=False)
            (only,) = self.operations(response)
            assert only.id == planned.id
            if not isinstance(only, ops.StepError):
                self.attempt = attempt
                return only
            self.attempt += 1

    async def play(self, order: Order = lambda steps: steps, calls_max: int = 60) -> Any:
        """Call until the run ends; its result, or the error it failed with."""
        for _ in range(calls_max):
            response = await self.call()
            if response.status != 206:
                return self.result(response)
            found = self.operations(response)
            if isinstance(found[0], ops.RunComplete):
                return json.loads(bytes(found[0].data))
            await self.wave(found, order)
        raise AssertionError(f"no end after {calls_max} calls: {self.reports}")

    async def play_live(self, order: Order = lambda steps: steps, calls_max: int = 60) -> Any:
        """The same with a handler that goes on after each step that was saved."""

        async def save(operations: tuple[ops.Operation, ...]) -> None:
            for operation in operations:
                self.titles[operation.id] = ops.label(operation)
                self.settle(operation)

        for _ in range(calls_max):
            response = await self.call(save=save)
            if response.status != 206:
                return self.result(response)
            await self.wave(self.operations(response), order)
        raise AssertionError(f"no end after {calls_max} calls: {self.reports}")

    def result(self, response: CallResponse) -> Any:
        """What the run ended with."""
        body = json.loads(response.body)
        if response.status == 200:
            return body
        return {"failed": body["name"], "message": body["message"], "code": body["code"]}

    def ended(self) -> list[str]:
        """The titles of steps, in the order in which they ended."""
        return [self.titles[step] for step in self.stack]
