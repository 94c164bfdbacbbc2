"""Sentry: what functions and steps raise in vain is captured once, with tags that say where.

Needs the extra `sentry`; your program calls `sentry_sdk.init` itself.

Law: an error that will be tried again is not captured, nor is one that was captured already; what
is set for one call is not seen by another.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any, ClassVar, cast

from stepwell.sdk.extra import Extra

with Extra("sentry", "Sentry"):
    import sentry_sdk

from stepwell.sdk.errors import StepError
from stepwell.sdk.middleware.layer import BaseMiddleware
from stepwell.sdk.middleware.memos import StepMemos
from stepwell.sdk.middleware.result import StepInfo


class SentryMiddleware(BaseMiddleware):
    """Captures errors and tags everything else that is captured during a call.

    Register the class with a client or a function, or what `factory` returns. Tags are
    `inngest.app.id`, `inngest.function.id`, `inngest.function.name`, `inngest.run.id`,
    `inngest.attempt`, `inngest.event.id`, `inngest.event.name`, `inngest.event.names` and
    `inngest.event.count`; errors of steps have `inngest.step.id` too.
    """

    id: ClassVar[str] = "Sentry"
    auto_flush: ClassVar[bool] = True
    only_final_attempt: ClassVar[bool] = True
    capture_step_errors: ClassVar[bool] = False

    @classmethod
    def factory(
        cls,
        *,
        auto_flush: bool = True,
        only_final_attempt: bool = True,
        capture_step_errors: bool = False,
    ) -> "type[SentryMiddleware]":
        """The middleware with other options.

        Args:
            auto_flush: Have everything sent before the call is answered, as platforms need that
                freeze a process between requests.
            only_final_attempt: Leave out errors that will be tried again.
            capture_step_errors: Capture what steps raise, where they raise it; the StepError a
                function passes on is not captured again then. Without it a function that fails
                because of a step is captured as a failed function.
        """

        options = {
            "auto_flush": auto_flush,
            "only_final_attempt": only_final_attempt,
            "capture_step_errors": capture_step_errors,
        }
        return cast("type[SentryMiddleware]", type(cls.__name__, (cls,), options))

    @staticmethod
    def on_register(client: Any, fn: Any) -> None:
        """Say so if nothing would be captured."""
        if not sentry_sdk.is_initialized():
            client.log.warning(
                "SentryMiddleware: sentry_sdk is not initialized yet; call sentry_sdk.init(dsn=...)"
                " before functions run"
            )

    def wrap_request(self, next: Callable[[], Any]) -> Any:
        """A scope of its own for the call."""
        if iscoroutinefunction(next):
            return self._scoped(cast("Callable[[], Awaitable[Any]]", next))
        with sentry_sdk.isolation_scope():
            try:
                return next()
            finally:
                if self.auto_flush:
                    sentry_sdk.flush()

    async def _scoped(self, next: Callable[[], Awaitable[Any]]) -> Any:
        with sentry_sdk.isolation_scope():
            try:
                return await next()
            finally:
                if self.auto_flush and sentry_sdk.is_initialized():
                    await asyncio.to_thread(sentry_sdk.flush)

    def transform_function_input(self, ctx: Any, fn: Any, steps: StepMemos) -> None:
        """Say what the call is about."""
        names = list(dict.fromkeys(str(event.name) for event in ctx.events))
        tags = {
            "inngest.app.id": self.client.app_id,
            "inngest.function.id": fn.local_id,
            "inngest.function.name": fn.name,
            "inngest.run.id": ctx.run_id,
            "inngest.attempt": ctx.attempt,
            "inngest.event.id": ctx.event.id,
            "inngest.event.name": ctx.event.name,
            "inngest.event.names": ",".join(names),
            "inngest.event.count": len(ctx.events),
        }
        scope = sentry_sdk.get_isolation_scope()
        for name, value in tags.items():
            scope.set_tag(name, value)
        scope.set_transaction_name(fn.name)
        sentry_sdk.get_current_scope().generate_propagation_context(
            {"sentry-trace": _trace_of(ctx.run_id)}
        )

    def on_run_error(self, ctx: Any, fn: Any, error: Exception, is_final_attempt: bool) -> None:
        """Capture what the function raised."""
        if self.capture_step_errors and isinstance(error, StepError):
            return  # it was captured where the step raised it
        self._capture(error, final=is_final_attempt, step=None)

    def on_step_error(
        self, ctx: Any, step: StepInfo, error: Exception, is_final_attempt: bool
    ) -> None:
        """Capture what a step raised, if that is wished for."""
        if self.capture_step_errors:
            self._capture(error, final=is_final_attempt, step=step)

    def _capture(self, error: Exception, *, final: bool, step: StepInfo | None) -> None:
        if self.only_final_attempt and not final:
            return
        with sentry_sdk.new_scope() as scope:
            scope.set_tag("inngest.final_attempt", final)
            if step is not None:
                scope.set_tag("inngest.step.id", step.id)
                scope.set_tag("inngest.step.name", step.name)
            sentry_sdk.capture_exception(error)


def _trace_of(run_id: str) -> str:
    """The trace all calls of a run belong to, in Sentry's spelling."""
    digest = hashlib.sha256(run_id.encode()).hexdigest()
    return f"{digest[:32]}-{digest[32:48]}"
