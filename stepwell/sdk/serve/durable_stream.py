"""The stream of a durable endpoint: to its caller while that waits, to the server after that."""

import asyncio
from collections.abc import AsyncGenerator, Generator, Mapping
from contextvars import copy_context
from typing import Final
from urllib.parse import quote, urlencode

from stepwell.sdk.errors import Error
from stepwell.sdk.net.port import NetworkError
from stepwell.sdk.net.server_api import ApiRequest, ServerApi
from stepwell.sdk.serve.durable_report import Report
from stepwell.sdk.serve.response import ServeResponse
from stepwell.sdk.serve.unread import Unread
from stepwell.sdk.step.stream import EVENT_STREAM, Tell, committed, ended, moved, rolled_back
from stepwell.wire import header
from stepwell.wire.operation import Operation, StepError, StepFailed, StepRun
from stepwell.wire.realtime import SSE_PATH, TEE_PATH

HEADERS: Final = {header.CONTENT_TYPE: EVENT_STREAM, "cache-control": "no-cache"}
_POST_SECONDS_MAX: Final = 30.0


def wants_stream(headers: Mapping[str, str]) -> bool:
    """Whether a caller asks for what the handler says while it works."""
    return EVENT_STREAM in headers.get("accept", "")


def tell_steps(tell: Tell, operations: tuple[Operation, ...], but: str) -> None:
    """Tell which of what steps have said holds, and which does not; `but` is the id of no step."""
    for operation in operations:
        if isinstance(operation, StepRun):
            tell(committed(operation.id))
        elif isinstance(operation, StepError | StepFailed) and operation.id != but:
            tell(rolled_back(operation.id))


def tell_where(tell: Tell, api: ServerApi, report: Report) -> None:
    """Tell where what comes later comes from; only after a report."""
    assert report.begun is not None
    token = quote(report.begun.realtime_token, safe="")
    tell(moved(report.run_id, f"{api.origin}{SSE_PATH}?token={token}"))


def tell_answer(tell: Tell, answer: ServeResponse) -> None:
    """Tell the answer, which ends the stream."""
    body = answer.body.decode(errors="replace")
    tell(ended(answer.status, answer.headers, body, well=answer.status < 500))


async def heard(caller: Unread) -> AsyncGenerator[bytes, None]:
    """What is told a caller, for an event loop to send. Closed before its end, nothing more is."""
    try:
        while (event := await caller.next()) is not None:
            yield event
    finally:
        caller.leave()


def heard_sync(caller: Unread) -> Generator[bytes, None, None]:
    """The same for blocking code. Closed before its end, it waits for that all the same."""
    try:
        while (event := caller.wait_for_next()) is not None:
            yield event
    except GeneratorExit:
        caller.leave()
        caller.ended.wait()


class ToServer(Unread):
    """Sends what is said to whoever was sent away, by way of the server, in its order."""

    def __init__(self, api: ServerApi, run_id: str) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        # That of whoever calls the handler: tasks that are started in the handler's end with it.
        self._context = copy_context()
        self._api = api
        self._path = f"{TEE_PATH}?{urlencode({'channel': run_id})}"
        self._posting: asyncio.Task[None] | None = None

    def tell(self, event: bytes) -> None:
        """Say an event, from any thread."""
        super().tell(event)
        self._loop.call_soon_threadsafe(self._begin, context=self._context)

    def _begin(self) -> None:
        if self._posting is None or self._posting.done():
            self._posting = self._loop.create_task(self._post())

    async def _post(self) -> None:
        while body := self.take_all():
            asked = ApiRequest(
                method="POST",
                path=self._path,
                body=body,
                headers={header.CONTENT_TYPE: "application/octet-stream"},
                timeout_seconds=_POST_SECONDS_MAX,
            )
            try:
                await self._api.ask(asked)
            except (NetworkError, Error):
                self.take_all()
                return  # nobody hears it; the run's output is kept all the same

    async def flush(self) -> None:
        """Return once all that was said is sent."""
        await asyncio.sleep(0)  # what was said from other threads is there now
        if self._posting is not None:
            await self._posting
