"""The shell of an endpoint: does what answering a request needs, in both colours.

It decides nothing: what an outcome means, the endpoint says.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator
from concurrent import futures
from typing import cast

from stepwell.sdk import background
from stepwell.sdk.execution.run import run_call, run_call_sync
from stepwell.sdk.serve.checkpoint import Checkpointer
from stepwell.sdk.serve.effect import ApiRequests, Effect, FunctionCall, Outcome, Serving
from stepwell.sdk.serve.response import ServeResponse
from stepwell.sdk.serve.setup import Setup
from stepwell.sdk.serve.watch import RunWatch
from stepwell.sdk.timing import ASYNC_BLOCK, loop_look, timing
from stepwell.sdk.tracing import arrived
from stepwell.wire.execution import CallResponse, encode_streamed

KEEP_ALIVE_SECONDS = 3.0
"""How often a streamed answer sends a space while the function runs."""


class Performer:
    """Performs what the answers of one endpoint need."""

    def __init__(self) -> None:
        self._watch = RunWatch()

    async def perform_all(self, setup: Setup, serving: Serving, effect: Effect) -> ServeResponse:
        """The answer, once everything it needs was done, on an event loop."""
        while True:
            outcome: Outcome
            try:
                outcome = await self._perform(setup, effect)
            except Exception as error:  # noqa: BLE001 - the endpoint decides what it means
                outcome = error
            try:
                effect = serving.send(outcome)
            except StopIteration as done:
                return cast(ServeResponse, done.value)

    async def _perform(self, setup: Setup, effect: Effect) -> Outcome:
        if isinstance(effect, ApiRequests):
            return list(await asyncio.gather(*map(setup.reach.api.ask, effect.requests)))
        if setup.serve.threads_max == 0 and not effect.function.is_handler_async:
            return self._perform_sync(setup, effect)  # wished for: the loop may be blocked
        with setup.applied(), arrived(effect.trace), timing(effect.timings):
            return await self._call(setup, effect)

    async def _call(self, setup: Setup, effect: FunctionCall) -> CallResponse:
        saver = _saver(setup, effect)
        work = run_call(
            effect.function,
            effect.call,
            client=setup.client,
            target=effect.target,
            raw_request=effect.raw,
            save=None if saver is None else saver.save,
            pause=None if saver is None else saver.spent,
        )
        if not effect.function.is_handler_async:
            return await self._watch.over(setup.reach.api, effect.call.ctx.run_id, work)
        look = loop_look()
        begun = look.begin()
        try:
            return await self._watch.over(setup.reach.api, effect.call.ctx.run_id, work)
        finally:
            effect.timings[ASYNC_BLOCK] = look.end(begun)

    def perform_all_sync(self, setup: Setup, serving: Serving, effect: Effect) -> ServeResponse:
        """The same in blocking code."""
        while True:
            outcome: Outcome
            try:
                outcome = self._perform_sync(setup, effect)
            except Exception as error:  # noqa: BLE001 - the endpoint decides what it means
                outcome = error
            try:
                effect = serving.send(outcome)
            except StopIteration as done:
                return cast(ServeResponse, done.value)

    def _perform_sync(self, setup: Setup, effect: Effect) -> Outcome:
        if isinstance(effect, ApiRequests):
            return list(map(setup.reach.api.ask_sync, effect.requests))
        with setup.applied(), arrived(effect.trace), timing(effect.timings):
            if effect.function.is_handler_async:
                return background.run(self._call(setup, effect))
            saver = _saver(setup, effect)
            with self._watch.over_sync(setup.reach.api, effect.call.ctx.run_id) as watch:
                return run_call_sync(
                    effect.function,
                    effect.call,
                    client=setup.client,
                    target=effect.target,
                    raw_request=effect.raw,
                    watch=watch,
                    save=None if saver is None else lambda steps: background.run(saver.save(steps)),
                    pause=None if saver is None else saver.spent,
                )

    # In pieces

    async def stream(
        self, setup: Setup, serving: Serving, effect: Effect
    ) -> AsyncGenerator[bytes, None]:
        """The answer in pieces: spaces while the function runs, then the whole of it."""
        task = asyncio.ensure_future(self.perform_all(setup, serving, effect))
        try:
            yield b" "
            while not (await asyncio.wait({task}, timeout=KEEP_ALIVE_SECONDS))[0]:
                yield b" "
            yield _envelope(task.result())
        finally:
            task.cancel()  # nobody waits any more, if it is still under way

    def stream_sync(
        self, setup: Setup, serving: Serving, effect: Effect
    ) -> Generator[bytes, None, None]:
        """The same for blocking frameworks; the work is done on the background loop."""
        loop = background.shared().loop
        work = self.perform_all(setup, serving, effect)
        future = asyncio.run_coroutine_threadsafe(work, loop)
        try:
            yield b" "
            while not futures.wait([future], timeout=KEEP_ALIVE_SECONDS).done:
                yield b" "
            yield _envelope(future.result())
        finally:
            future.cancel()  # nobody waits any more, if it is still under way


def _saver(setup: Setup, effect: FunctionCall) -> Checkpointer | None:
    saves = effect.function.saves_steps(setup.client.checkpointing)
    if not saves or not setup.checkpoints.worthwhile(effect.call, effect.target):
        return None
    return Checkpointer(setup.reach.api, effect.call.ctx, setup.checkpoints)


def _envelope(response: ServeResponse) -> bytes:
    return encode_streamed(CallResponse(response.status, response.body, dict(response.headers)))
