"""What step tools talk to: the call they belong to, the client, and functions to be invoked.

The only place for these ports. What becomes of a step is not known here.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, Protocol

import msgspec
from typing_extensions import TypeVar

from stepwell.sdk.events.schemas import EventSchemas
from stepwell.sdk.realtime.port import Publication
from stepwell.sdk.send.outgoing import Sendable
from stepwell.sdk.send.sending import SendHooks
from stepwell.sdk.step.annotation import Said
from stepwell.sdk.step.asked import Ask
from stepwell.sdk.value.codec import Codec

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
D_contra = TypeVar("D_contra", contravariant=True)


class Says(Protocol):
    """Says what was made ready of a run."""

    async def say(self, said: Said) -> None:
        """Say it."""
        ...

    def say_sync(self, said: Said) -> None:
        """The same for blocking code."""
        ...


class Takes(Generic[D_contra]):
    """The data a function can be invoked with, in its type: `Function[int, Takes[Order]]`.

    Nothing is made of it. Through it functions are covariant, so that checkers find what is common
    to those of a list: another function.
    """


Takes_co = TypeVar("Takes_co", covariant=True, default=Any)


class CallPort(Protocol):
    """The call of a coroutine handler."""

    @property
    def run_id(self) -> str:
        """The run it belongs to."""
        ...

    @property
    def hooks(self) -> SendHooks | None:
        """Its middleware, if there is any."""
        ...

    def fit(self, raw: msgspec.Raw) -> msgspec.Raw:
        """JSON as the server will keep it. Raises CodecError if that is something else."""
        ...

    async def run_step(
        self,
        ask: Ask,
        handler: Callable[..., Any],
        args: tuple[Any, ...],
        output_type: object,
    ) -> Any:
        """Meet a step that is a handler: its known result, or what it returns now."""
        ...

    async def perform(self, ask: Ask) -> msgspec.Raw:
        """Meet a step that the server does: its known result, as JSON."""
        ...


class CallPortSync(Protocol):
    """The call of a plain handler."""

    @property
    def run_id(self) -> str:
        """The run it belongs to."""
        ...

    @property
    def hooks(self) -> SendHooks | None:
        """Its middleware, if there is any."""
        ...

    def fit(self, raw: msgspec.Raw) -> msgspec.Raw:
        """JSON as the server will keep it. Raises CodecError if that is something else."""
        ...

    def run_step(
        self,
        ask: Ask,
        handler: Callable[..., Any],
        args: tuple[Any, ...],
        output_type: object,
    ) -> Any:
        """Meet a step that is a handler: its known result, or what it returns now."""
        ...

    def perform(self, ask: Ask) -> msgspec.Raw:
        """Meet a step that the server does: its known result, as JSON."""
        ...

    def parallel(self, branches: Sequence[Callable[[], T]]) -> tuple[T, ...]:
        """Run branches one after another, each until its first new step; report those together."""
        ...


class Invocable(ABC, Generic[T_co, Takes_co]):
    """What a step can invoke: `T_co` is what it returns, `Takes_co` the data it takes."""

    codec: Codec
    """How its result travels."""
    takes: Codec | None = None
    """How the data it takes travels, where that is judged before it leaves."""
    takes_deferrals: bool = False
    """Can it be deferred to the end of a run?"""

    @property
    @abstractmethod
    def id(self) -> str:
        """The composite id: `app-function`."""


class StepClient(Protocol):
    """What step tools need of the client their function was declared with."""

    @property
    def app_id(self) -> str:
        """The app functions are invoked in by default."""
        ...

    @property
    def schemas(self) -> EventSchemas | None:
        """What the app's events look like, if it says so."""
        ...

    async def send_in_run(
        self, events: Sendable | Iterable[Sendable], *, seed: str, hooks: SendHooks | None
    ) -> list[str]:
        """Send events from a run, through the middleware of its call.

        The same seed makes a repetition known to the server.
        """
        ...

    def send_in_run_sync(
        self, events: Sendable | Iterable[Sendable], *, seed: str, hooks: SendHooks | None
    ) -> list[str]:
        """The same for blocking code."""
        ...

    async def publish_in_run(self, publication: Publication) -> None:
        """Tell the subscribers of a topic."""
        ...

    def publish_in_run_sync(self, publication: Publication) -> None:
        """The same for blocking code."""
        ...

    @property
    def annotations(self) -> "Says":
        """What says something of a run."""
        ...

    async def send_signal(self, signal: str, data: object) -> str | None:
        """Resume the run that waits for a signal: its id, None if none waits."""
        ...

    def send_signal_sync(self, signal: str, data: object) -> str | None:
        """The same for blocking code."""
        ...
