"""The harness for tests that are no coroutines: the same, on an event loop of its own.

The loop runs on a thread while the test does, so that whatever the application does from blocking
code, or from a test client of its framework with a loop of its own, reaches the engine.
"""

import datetime as dt
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Self, TypeVar

from stepwell.sdk.background import BackgroundLoop
from stepwell.sdk.client.client import Inngest
from stepwell.sdk.function.dependency import Provider
from stepwell.sdk.function.function import Function
from stepwell.sdk.realtime.topic import Topic
from stepwell.sdk.send.outgoing import Sendable
from stepwell.testing.harness.clock import START
from stepwell.testing.harness.harness import Harness
from stepwell.testing.harness.order import Order
from stepwell.testing.harness.points import Points
from stepwell.testing.harness.run import Run, Sent
from stepwell.testing.harness.stub import Raisable, Stub

T = TypeVar("T")


class HarnessSync:
    """As `Harness`, and nothing has to be awaited."""

    def __init__(
        self,
        module: ModuleType | None = None,
        *,
        now: dt.datetime | str = START,
        seed: int = 0,
        order: Order | None = None,
    ) -> None:
        """As `Harness`."""
        self._harness = Harness(module, now=now, seed=seed, order=order)
        self._loop = BackgroundLoop()
        self._harness.run_on(lambda: self._loop.loop)

    def serve(self, client: Inngest, functions: Sequence[Function[Any]]) -> None:
        """As `Harness.serve`."""
        self._harness.serve(client, functions)

    def stub(
        self,
        step: str,
        *,
        returns: Any = None,
        raises: Sequence[Raisable] | Raisable | None = None,
        calls: Any = None,
    ) -> Stub:
        """As `Harness.stub`."""
        return self._harness.stub(step, returns=returns, raises=raises, calls=calls)

    def override(self, provider: Provider, replacement: Provider) -> None:
        """As `Harness.override`."""
        self._harness.override(provider, replacement)

    def send(self, events: Sendable | Iterable[Sendable], *, client: Inngest | None = None) -> Sent:
        """As `Harness.send`."""
        return self._do(self._harness.send(events, client=client))

    def invoke(
        self, function: Function[Any, Any], data: object = None, *, client: Inngest | None = None
    ) -> Run:
        """As `Harness.invoke`."""
        return self._do(self._harness.invoke(function, data, client=client))

    def signal(self, name: str, data: object = None) -> Run | None:
        """As `Harness.signal`."""
        return self._do(self._harness.signal(name, data))

    def replay(
        self,
        file: str | Path,
        *,
        before: str | None = None,
        results: Mapping[str, object] | None = None,
    ) -> Run:
        """As `Harness.replay`."""
        return self._do(self._harness.replay(file, before=before, results=results))

    def cancel(self, run: Run) -> None:
        """As `Harness.cancel`."""
        self._do(self._harness.cancel(run))

    def published(self, topic: Topic[T]) -> list[T]:
        """As `Harness.published`."""
        return self._harness.published(topic)

    def runs(self, function: Function[Any, Any] | None = None) -> list[Run]:
        """As `Harness.runs`."""
        return self._harness.runs(function)

    @property
    def now(self) -> dt.datetime:
        """As `Harness.now`."""
        return self._harness.now

    def advance(
        self, by: dt.timedelta | None = None, *, until: Run | None = None, **parts: float
    ) -> None:
        """As `Harness.advance`."""
        self._do(self._harness.advance(by, until=until, **parts))

    def run_until_idle(self) -> None:
        """As `Harness.run_until_idle`."""
        self._do(self._harness.run_until_idle())

    def freeze(self, at: dt.datetime | str) -> None:
        """As `Harness.freeze`."""
        self._do(self._harness.freeze(at))

    def __enter__(self) -> Self:
        """For use without a fixture: `with HarnessSync() as stepwell:`."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Check the stubs, if nothing else went wrong, and close."""
        try:
            if kind is None:
                self.check()
        finally:
            self.close()

    def begin(self, points: Points | None, order: Order | None) -> None:
        """As `Harness.begin`."""
        self._harness.begin(points, order)

    def stop(self) -> None:
        """As `Harness.stop`."""
        self._do(self._harness.stop())

    def close(self) -> None:
        """As `Harness.close`; ends the loop and its thread."""
        try:
            self._do(self._harness.close())
        finally:
            self._loop.stop()

    def check(self) -> None:
        """As `Harness.check`."""
        self._harness.check()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run(work)
