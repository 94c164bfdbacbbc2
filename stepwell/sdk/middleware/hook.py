"""The two base classes of middleware, those of the official SDK: override what you need.

Register the class itself, or anything called with `(client, raw_request)` that returns an instance;
one instance is made for every call of a function and for every `send`.
"""

from typing import Any

from stepwell.sdk.events.event import Event
from stepwell.sdk.function.function import Function
from stepwell.sdk.middleware.memos import StepMemos
from stepwell.sdk.middleware.result import TransformOutputResult
from stepwell.sdk.send.result import SendEventsResult
from stepwell.sdk.step.context import Context, ContextSync


class Middleware:
    """Middleware with coroutine hooks; for functions of both colours."""

    def __init__(self, client: Any, raw_request: object) -> None:
        self.client = client
        self.raw_request = raw_request

    async def transform_input(
        self, ctx: Context | ContextSync, function: Function[Any], steps: StepMemos
    ) -> None:
        """Before anything else of a call: change the context and what is known of steps."""

    async def before_execution(self) -> None:
        """Before new code runs; once a call."""

    async def after_execution(self) -> None:
        """After new code has stopped; once a call."""

    async def transform_output(self, result: TransformOutputResult) -> None:
        """Before the output of a step or of the function leaves: change it."""

    async def before_response(self) -> None:
        """Last of all, whatever happened."""

    async def before_send_events(self, events: list[Event]) -> None:
        """Before events are sent: change them, or the list."""

    async def after_send_events(self, result: SendEventsResult) -> None:
        """After events were sent, or could not be."""


class MiddlewareSync:
    """Middleware with plain hooks; for functions of both colours. The hooks must not block long."""

    def __init__(self, client: Any, raw_request: object) -> None:
        self.client = client
        self.raw_request = raw_request

    def transform_input(
        self, ctx: Context | ContextSync, function: Function[Any], steps: StepMemos
    ) -> None:
        """Before anything else of a call: change the context and what is known of steps."""

    def before_execution(self) -> None:
        """Before new code runs; once a call."""

    def after_execution(self) -> None:
        """After new code has stopped; once a call."""

    def transform_output(self, result: TransformOutputResult) -> None:
        """Before the output of a step or of the function leaves: change it."""

    def before_response(self) -> None:
        """Last of all, whatever happened."""

    def before_send_events(self, events: list[Event]) -> None:
        """Before events are sent: change them, or the list."""

    def after_send_events(self, result: SendEventsResult) -> None:
        """After events were sent, or could not be."""
