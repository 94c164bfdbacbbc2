"""What a durable endpoint reports of its run: the first report begins it, and brings a token."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import msgspec

from stepwell.sdk.errors import Error
from stepwell.sdk.net.port import NetworkError
from stepwell.sdk.net.server_api import ApiRequest, ServerApi
from stepwell.sdk.settings import cloud_hint
from stepwell.wire.endpoint import (
    NEW_RUN_PATH,
    MoreSteps,
    NewRun,
    RunBegun,
    output_path,
    steps_path,
)
from stepwell.wire.operation import Logs, Operation
from stepwell.wire.operation_encode import encode_operations
from stepwell.wire.outside import decode

SECONDS_MAX: Final = 30.0
TRIES: Final = 3
PAUSE_SECONDS: Final = 0.1


class NotReportedError(Error):
    """The server did not take what an endpoint reports of its run."""


class _Begun(msgspec.Struct):
    data: RunBegun


_BEGUN = msgspec.json.Decoder(_Begun)


class Report:
    """The reports of one run, one after another."""

    def __init__(
        self, api: ServerApi, run_id: str, event: msgspec.Raw, retries: int | None
    ) -> None:
        self.run_id = run_id
        self._api = api
        self._event = event
        self._retries = retries
        self._in_turn = asyncio.Lock()
        self.begun: RunBegun | None = None
        """What the server said to the first report."""

    async def send(self, operations: Sequence[Operation]) -> None:
        """Have the server keep this; returns once it has. Raises NotReportedError."""
        async with self._in_turn:
            logs = [one for one in operations if isinstance(one, Logs)]
            rest = [one for one in operations if not isinstance(one, Logs)]
            if self.begun is None:
                self.begun = await self._begin(rest)
                # Its answer says whether the server keeps lines: they are no reason to lose more.
                if logs and self.begun.keeps_logs:
                    with suppress(NotReportedError):
                        await self._go_on(self.begun, logs)
                return
            told = operations if self.begun.keeps_logs else rest
            if told:
                await self._go_on(self.begun, told)

    async def _begin(self, operations: Sequence[Operation]) -> RunBegun:
        new = NewRun(
            run_id=self.run_id,
            event=self._event,
            steps=msgspec.Raw(encode_operations(operations)),
            retries=self._retries,
            ts=int(time.time() * 1_000),
        )
        body = await self._ask(NEW_RUN_PATH, msgspec.json.encode(new))
        try:
            return decode(body, _BEGUN).data
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise NotReportedError(f"the server's answer is not understood: {error}") from None

    async def _go_on(self, begun: RunBegun, operations: Sequence[Operation]) -> None:
        more = MoreSteps(
            run_id=self.run_id,
            fn_id=begun.fn_id,
            app_id=begun.app_id,
            steps=msgspec.Raw(encode_operations(operations)),
            ts=int(time.time() * 1_000),
        )
        await self._ask(steps_path(self.run_id), msgspec.json.encode(more))

    async def _ask(self, path: str, body: bytes) -> bytes:
        """Each report may come twice and counts once, so it is repeated."""
        why = ""
        for tries in range(TRIES):
            if tries:
                await asyncio.sleep(PAUSE_SECONDS * 2**tries)
            asked = ApiRequest(method="POST", path=path, body=body, timeout_seconds=SECONDS_MAX)
            try:
                reply = await self._api.ask(asked)
            except NetworkError as error:
                why = str(error)
                continue
            if reply.status == 200:
                return reply.body
            why = f"POST {path}: HTTP {reply.status}: {reply.body[:300].decode(errors='replace')}"
            if reply.status < 500:
                break
        hint = cloud_hint(self._api.origin)
        raise NotReportedError(f"the run could not be reported: {why}{hint}")

    @property
    def output_url(self) -> str:
        """Where the run's answer will be; only after a report."""
        assert self.begun is not None
        return f"{self._api.origin}{output_path(self.run_id)}?token={self.begun.token}"
