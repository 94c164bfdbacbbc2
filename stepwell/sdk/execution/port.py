"""What one call needs of the client and of middleware: the only place for these two ports."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from stepwell.sdk.function.middleware_factory import MiddlewareFactory
from stepwell.sdk.middleware.result import StepInfo, TransformOutputResult
from stepwell.sdk.send.sending import SendHooks
from stepwell.sdk.step.port import StepClient
from stepwell.sdk.value.serializer import Serializer


class ClientPort(StepClient, Protocol):
    """What functions need of the client they were declared with."""

    @property
    def logger(self) -> Any:
        """Where lines of handlers go."""
        ...

    @property
    def middleware(self) -> Sequence[MiddlewareFactory]:
        """The client's middleware, outermost first."""
        ...

    @property
    def serializer(self) -> Serializer | None:
        """What turns values of a named `output_type` into JSON."""
        ...

    @property
    def ai_metadata(self) -> bool:
        """Is what models tell of their answers kept with the step that asked?"""
        ...

    @property
    def logs(self) -> bool:
        """Is what `ctx.logger` writes kept with the run?"""
        ...

    @property
    def session_propagation(self) -> bool:
        """Does what runs send and invoke inherit their sessions?"""
        ...


class Hooks(SendHooks, Protocol):
    """The middleware of one call, outermost first, in both colours."""

    async def before_execution(self) -> None:
        """New code is about to run; only the first time counts."""
        ...

    async def after_execution(self) -> None:
        """New code has stopped."""
        ...

    async def transform_output(self, result: TransformOutputResult) -> None:
        """An output is about to leave."""
        ...

    async def handler(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """Around the function's handler."""
        ...

    async def step(self, info: StepInfo, work: Callable[[], Awaitable[Any]]) -> Any:
        """Around a step whenever it is met."""
        ...

    async def step_input(self, info: StepInfo, given: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments a step is run with."""
        ...

    async def run_step(self, info: StepInfo, work: Callable[[], Awaitable[Any]]) -> Any:
        """Around a step's handler, when it really runs."""
        ...

    def before_execution_sync(self) -> None:
        """The same for blocking code."""
        ...

    def handler_sync(self, work: Callable[[], Any]) -> Any:
        """The same for blocking code."""
        ...

    def step_sync(self, info: StepInfo, work: Callable[[], Any]) -> Any:
        """The same for blocking code."""
        ...

    def step_input_sync(self, info: StepInfo, given: tuple[Any, ...]) -> tuple[Any, ...]:
        """The same for blocking code."""
        ...

    def run_step_sync(self, info: StepInfo, work: Callable[[], Any]) -> Any:
        """The same for blocking code."""
        ...

    def after_execution_sync(self) -> None:
        """The same for blocking code."""
        ...

    def transform_output_sync(self, result: TransformOutputResult) -> None:
        """The same for blocking code."""
        ...
