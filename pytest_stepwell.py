"""The pytest plugin: the fixture `stepwell`, and the marker of the same name.

It stands outside the package, so that a test run that does not use it imports nothing of it.
"""

import functools
import inspect
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from stepwell.testing import Harness, HarnessSync

_HARNESS: "pytest.StashKey[Harness | HarnessSync]" = pytest.StashKey()
_OPTIONS = ("now", "seed")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        "stepwell(now, seed): when the test begins by the engine's clock, and what ids are drawn"
        " with",
    )


@pytest.fixture
def stepwell(request: pytest.FixtureRequest) -> "Generator[Harness | HarnessSync]":
    """The real engine in memory, on a clock that the test moves.

    A Harness for a test that is a coroutine, a HarnessSync for any other.
    """
    from stepwell.testing import Harness, HarnessSync  # noqa: PLC0415 - what others do not pay

    kind = Harness if inspect.iscoroutinefunction(request.function) else HarnessSync
    harness = kind(request.module, **_options(request.node))
    request.node.stash[_HARNESS] = harness
    yield harness
    if isinstance(harness, HarnessSync):
        harness.close()


def _options(item: pytest.Item) -> dict[str, Any]:
    """What the marker says, the nearest first. Fails the test for what it does not know."""
    found: dict[str, Any] = {}
    for mark in item.iter_markers("stepwell"):
        unknown = [*map(repr, mark.args), *(name for name in mark.kwargs if name not in _OPTIONS)]
        if unknown:
            known = ", ".join(f"{name}=" for name in _OPTIONS)
            pytest.fail(
                f"@pytest.mark.stepwell: {unknown[0]} is unknown: use {known}", pytrace=False
            )
        found = {**mark.kwargs, **found}
    return found


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Put the end of the harness behind the test, on the same event loop."""
    harness = item.stash.get(_HARNESS, None)
    if harness is None or not isinstance(item, pytest.Function):
        return (yield)
    test = item.obj
    item.obj = (
        _ended(test, harness) if inspect.iscoroutinefunction(test) else _checked(test, harness)
    )
    try:
        return (yield)
    finally:
        item.obj = test


def _ended(test: Any, harness: Any) -> Any:
    @functools.wraps(test)
    async def whole(*args: Any, **kwargs: Any) -> None:
        try:
            await test(*args, **kwargs)
            harness.check()
        finally:
            await harness.close()

    return whole


def _checked(test: Any, harness: Any) -> Any:
    @functools.wraps(test)
    def whole(*args: Any, **kwargs: Any) -> None:
        test(*args, **kwargs)
        harness.check()

    return whole
