"""Steps saved while a call goes on, so that the next one can run at once.

What finishes while a request is under way travels with the next one. If the server cannot take
checkpoints, the steps are reported in the answer as ever, and the endpoint stops trying for a
while.
"""

import asyncio
import time
from collections.abc import Callable
from weakref import WeakKeyDictionary

import msgspec

from stepwell.sdk.net.port import NetworkError
from stepwell.sdk.net.server_api import ServerApi
from stepwell.sdk.serve.checkpoint_post import CheckpointPost
from stepwell.wire.checkpoint import Checkpoint, encode_checkpoint
from stepwell.wire.execution import CallContext, CallRequest
from stepwell.wire.operation import Operation
from stepwell.wire.operation_encode import encode_operations

RUNTIME_SECONDS_MAX = 10.0
"""How long one call goes on from step to step; then the server calls again (serverless limits)."""
PAUSE_SECONDS = 60.0
"""How long no checkpoint is tried after the server could not be reached."""


class NotSaved(Exception):
    """The server did not keep the steps: the answer must carry them."""


class Checkpoints:
    """What an endpoint knows of its server: whether checkpoints are worth trying, and how they are
    sent."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._silent_until = 0.0
        self._ways: WeakKeyDictionary[asyncio.AbstractEventLoop, CheckpointPost] = (
            WeakKeyDictionary()
        )

    def way_to(self, api: ServerApi) -> CheckpointPost:
        """The way to this server from the loop that runs here."""
        loop = asyncio.get_running_loop()
        known = self._ways.get(loop)
        if known is None or known.api is not api:
            known = self._ways[loop] = CheckpointPost(api)
        return known

    def worthwhile(self, call: CallRequest, target: str | None) -> bool:
        """Whether this call may save steps on the way: a discovery, tried for the first time."""
        ctx = call.ctx
        return (
            self._clock() >= self._silent_until
            and target in {None, "step"}
            and bool(ctx.fn_id and ctx.qi_id and ctx.run_id)
            and ctx.attempt == 0
            and not ctx.disable_immediate_execution
        )

    def silence(self) -> None:
        """The server could not be reached, or knows no checkpoints."""
        self._silent_until = self._clock() + PAUSE_SECONDS


class Checkpointer:
    """Saves the steps of one call; made anywhere, used on one loop."""

    def __init__(self, api: ServerApi, ctx: CallContext, checkpoints: Checkpoints) -> None:
        self._api = api
        self._ctx = ctx
        self._checkpoints = checkpoints
        self._began = time.monotonic()
        self._began_ms = int(time.time() * 1000)
        self._waiting: list[tuple[tuple[Operation, ...], asyncio.Future[None]]] = []
        self._sending = False

    def _way(self) -> CheckpointPost:
        return self._checkpoints.way_to(self._api)

    def spent(self) -> bool:
        """Whether the call has gone on for long enough."""
        return time.monotonic() - self._began > RUNTIME_SECONDS_MAX

    async def save(self, operations: tuple[Operation, ...]) -> None:
        """Have steps kept; returns once they are committed. Raises NotSaved if they are not."""
        if not self._waiting and not self._sending:
            await self._post(operations)
            return
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((operations, kept))
        await kept

    async def _post(self, operations: tuple[Operation, ...]) -> None:
        """Send what was given; what has gathered meanwhile goes next, together."""
        self._sending = True
        try:
            await self._send(operations)
        finally:
            self._sending = False
            if self._waiting:
                self._way().begin(self._flush_waiting())

    async def _flush_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        operations = tuple(operation for some, _ in waiting for operation in some)
        error: Exception | None = None
        try:
            await self._post(operations)
        except Exception as refused:  # noqa: BLE001 - whoever waits decides what it means
            error = refused
        for _, kept in waiting:
            if kept.done():
                continue
            if error is None:
                kept.set_result(None)
            else:
                kept.set_exception(error)

    async def _send(self, operations: tuple[Operation, ...]) -> None:
        ctx = self._ctx
        body = Checkpoint(
            run_id=ctx.run_id,
            fn_id=ctx.fn_id,
            qi_id=ctx.qi_id,
            request_id=ctx.request_id,
            generation_id=ctx.generation_id,
            request_started_at=self._began_ms,
            ts=int(time.time() * 1000),
            steps=msgspec.Raw(encode_operations(operations)),
        )
        try:
            outcome = await self._way().send(ctx.run_id, encode_checkpoint(body))
        except NetworkError as error:
            self._checkpoints.silence()
            raise NotSaved(str(error)) from error
        if outcome.status != 200:
            if outcome.status in {404, 405, 501}:
                self._checkpoints.silence()
            raise NotSaved(f"the server answered {outcome.status}")
