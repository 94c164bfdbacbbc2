"""The harness in the standard library's unittest: base classes with `self.stepwell`."""

import asyncio
import functools
import inspect
import sys
import unittest
from collections.abc import Callable
from typing import Any

from stepwell.testing.harness.harness import Harness
from stepwell.testing.harness.harness_sync import HarnessSync


class StepwellTestCase(unittest.TestCase):
    """A test case with a harness for the apps of its module: `self.stepwell`."""

    stepwell: HarnessSync

    def run(self, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
        """Run the test between the beginning and the end of its harness."""
        self.stepwell = HarnessSync(sys.modules[type(self).__module__])
        self.addCleanup(self.stepwell.close)
        _wrap(self, self.stepwell)
        return super().run(result)


class AsyncStepwellTestCase(unittest.IsolatedAsyncioTestCase):
    """The same for tests that are coroutines."""

    stepwell: Harness

    def run(self, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
        """Run the test between the beginning and the end of its harness."""
        self.stepwell = Harness(sys.modules[type(self).__module__])
        self.addAsyncCleanup(self.stepwell.close)
        _wrap(self, self.stepwell)
        return super().run(result)


def _wrap(case: unittest.TestCase, harness: Harness | HarnessSync) -> None:
    """Have the test that is about to run end with a look at its stubs, if it comes to its end."""
    name = case._testMethodName  # noqa: SLF001 - there is no other way to learn it
    test: Callable[[], Any] = getattr(case, name)

    @functools.wraps(test)
    async def whole() -> None:
        if isinstance(harness, Harness):
            loop = asyncio.get_running_loop()
            harness.run_on(lambda: loop)
        await test()
        harness.check()

    @functools.wraps(test)
    def whole_sync() -> None:
        test()
        harness.check()

    setattr(case, name, whole if inspect.iscoroutinefunction(test) else whole_sync)
