"""The harness in the standard library's unittest: base classes with `self.stepwell`."""

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
        _check_after(self, self.stepwell.check)
        return super().run(result)


class AsyncStepwellTestCase(unittest.IsolatedAsyncioTestCase):
    """The same for tests that are coroutines."""

    stepwell: Harness

    def run(self, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
        """Run the test between the beginning and the end of its harness."""
        self.stepwell = Harness(sys.modules[type(self).__module__])
        self.addAsyncCleanup(self.stepwell.close)
        _check_after(self, self.stepwell.check)
        return super().run(result)


def _check_after(case: unittest.TestCase, check: Callable[[], None]) -> None:
    """Have the test that is about to run end with this, if it comes to its end."""
    name = case._testMethodName  # noqa: SLF001 - there is no other way to learn it
    test: Callable[[], Any] = getattr(case, name)

    @functools.wraps(test)
    async def whole() -> None:
        await test()
        check()

    @functools.wraps(test)
    def whole_sync() -> None:
        test()
        check()

    setattr(case, name, whole if inspect.iscoroutinefunction(test) else whole_sync)
