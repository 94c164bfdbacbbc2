"""The way of checkpoints to the server, shared by all calls of an endpoint.

The first ones travel alone and at once. What comes while `LANES` requests are under way travels
together when the first of them is answered: under load a request carries many runs. A server that
takes no groups is found out by its answer, once; then each goes alone, as every server knows it.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Coroutine, Sequence
from typing import Any

import msgspec

from stepwell.sdk.net.port import HttpReply
from stepwell.sdk.net.server_api import ApiRequest, ServerApi
from stepwell.wire.checkpoint import (
    GROUP_BYTES_MAX,
    GROUP_MAX,
    GROUP_PATH,
    CheckpointOutcome,
    decode_outcomes,
    join_group,
    path_of,
)

LANES = 4
"""How many requests may be under way before the next ones are put together."""
TIMEOUT_SECONDS = 10.0
JSON = {"content-type": "application/json"}
_NO_GROUPS = frozenset({200, 400, 404, 405, 413, 501})
"""Answers that may come from a server that knows no groups; the others are about more than that."""


class Letter:
    """One checkpoint on its way; `arrived` is what became of it, or why nobody knows."""

    __slots__ = ("arrived", "body", "run_id")

    def __init__(self, run_id: str, body: bytes) -> None:
        """`body` is the checkpoint, encoded."""
        self.run_id = run_id
        self.body = body
        self.arrived: asyncio.Future[CheckpointOutcome] = asyncio.get_running_loop().create_future()


class CheckpointPost:
    """Posts what it is given. For one event loop."""

    def __init__(self, api: ServerApi) -> None:
        """`api` is the server that is to keep them."""
        self.api = api
        self.takes_groups = True
        self._waiting: deque[Letter] = deque()
        self._under_way = 0
        self._deliveries: set[asyncio.Task[None]] = set()

    async def send(self, run_id: str, body: bytes) -> CheckpointOutcome:
        """Post a checkpoint. Raises NetworkError if no answer came."""
        if self._under_way < LANES or not self.takes_groups:
            self._under_way += 1
            try:
                return await self._alone(run_id, body)
            finally:
                self._go_on()
        letter = Letter(run_id, body)
        self._waiting.append(letter)
        return await letter.arrived

    def _go_on(self) -> None:
        """A request has ended: what waits may be the next."""
        self._under_way -= 1
        while self._waiting and (self._under_way < LANES or not self.takes_groups):
            self._under_way += 1
            self.begin(self._deliver(self._gathered()))

    def begin(self, delivery: Coroutine[Any, Any, None]) -> None:
        """Start a task in a context of its own: no handler's end is to end what carries its steps,
        or those of others."""
        loop = asyncio.get_running_loop()
        task = contextvars.Context().run(loop.create_task, delivery)
        self._deliveries.add(task)
        task.add_done_callback(self._deliveries.discard)

    def _gathered(self) -> list[Letter]:
        """What may travel together, in the order in which it came."""
        letters = [self._waiting.popleft()]
        size = len(letters[0].body)
        while self.takes_groups and self._waiting and len(letters) < GROUP_MAX:
            size += len(self._waiting[0].body)
            if size > GROUP_BYTES_MAX:
                break
            letters.append(self._waiting.popleft())
        return letters

    async def _deliver(self, letters: list[Letter]) -> None:
        try:
            if len(letters) == 1 or not await self._together(letters):
                await asyncio.gather(*map(self._each, letters))
        finally:
            self._go_on()

    async def _each(self, letter: Letter) -> None:
        try:
            outcome = await self._alone(letter.run_id, letter.body)
        except Exception as error:  # noqa: BLE001 - whoever waits decides what it means
            _fail([letter], error)
        else:
            _settle([letter], [outcome])

    async def _together(self, letters: list[Letter]) -> bool:
        """Post a group. False if the server did not take it, and each is to be sent alone."""
        try:
            reply = await self._ask(GROUP_PATH, join_group([letter.body for letter in letters]))
        except Exception as error:  # noqa: BLE001 - whoever waits decides what it means
            _fail(letters, error)
            return True
        outcomes = _outcomes_of(reply, len(letters))
        self.takes_groups = outcomes is not None
        if outcomes is not None:
            _settle(letters, outcomes)
        return self.takes_groups

    async def _alone(self, run_id: str, body: bytes) -> CheckpointOutcome:
        return CheckpointOutcome((await self._ask(path_of(run_id), body)).status)

    async def _ask(self, path: str, body: bytes) -> HttpReply:
        asked = ApiRequest(
            method="POST", path=path, body=body, headers=JSON, timeout_seconds=TIMEOUT_SECONDS
        )
        return await self.api.ask(asked)


def _outcomes_of(reply: HttpReply, count: int) -> list[CheckpointOutcome] | None:
    """What became of each of a group; None if the server did not take it as one."""
    if reply.status not in _NO_GROUPS:
        return [CheckpointOutcome(reply.status)] * count
    try:
        outcomes = decode_outcomes(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return outcomes if reply.status == 200 and len(outcomes) == count else None


def _settle(letters: Sequence[Letter], outcomes: Sequence[CheckpointOutcome]) -> None:
    for letter, outcome in zip(letters, outcomes, strict=True):
        if not letter.arrived.done():
            letter.arrived.set_result(outcome)


def _fail(letters: Sequence[Letter], error: Exception) -> None:
    for letter in letters:
        if not letter.arrived.done():
            letter.arrived.set_exception(error)
