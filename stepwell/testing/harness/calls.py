"""How the functions of a test are called: by the embedded engine's own way, with stubs in front."""

import copy
from collections.abc import Callable, Sequence

import msgspec

from stepwell.embedded import local_call
from stepwell.sdk.client.client import Inngest
from stepwell.server.clock import Clock
from stepwell.server.drivers.local_driver import LocalDriver
from stepwell.server.drivers.port import Save
from stepwell.server.engine.catalog import Listing
from stepwell.server.engine.input import Done, Job, Outcome, Progressed
from stepwell.server.store.port import CallState
from stepwell.testing.harness.app import App
from stepwell.testing.harness.stub import StubbedSteps, Stubs, answered
from stepwell.wire.operation import Operation


class HarnessDriver:
    """Calls the functions of one app. A step takes no time: the clock stands still meanwhile."""

    def __init__(self, app: App, stubs: Stubs, clock: Clock) -> None:
        self._stubs = stubs
        self._local = LocalDriver(local_call(_seen_by(app.client, stubs), app.functions), clock)

    async def call(self, job: Job, state: CallState, listing: Listing, save: Save) -> Outcome:
        """Call the function; see `Driver.call`."""

        async def keep(operations: tuple[Operation, ...]) -> Done:
            return await save(self._as_stored(operations))

        outcome = await self._local.call(job, state, listing, keep)
        if not isinstance(outcome, Progressed):
            return outcome
        operations = self._as_stored(outcome.operations)
        return msgspec.structs.replace(outcome, operations=operations)

    def _as_stored(self, operations: Sequence[Operation]) -> tuple[Operation, ...]:
        stubs = self._stubs
        # Without the machine's measure of it: a step begins and ends by the clock of the test.
        return tuple(
            msgspec.structs.replace(answered(operation, stubs), timing=None)
            for operation in operations
        )


def _seen_by(client: Inngest, stubs: Stubs) -> Callable[[], Inngest]:
    """The client as a call has it: with the stubs innermost of its middleware, if there are any.
    The application's own stays as it is."""

    def middleware(of: Inngest, raw_request: object) -> StubbedSteps:
        return StubbedSteps(of, raw_request, stubs)

    def seen() -> Inngest:
        if not stubs:
            return client
        found = copy.copy(client)
        found.middleware = [*client.middleware, middleware]
        return found

    return seen
