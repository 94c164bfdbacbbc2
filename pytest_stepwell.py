"""The pytest plugin: the fixture `stepwell`, and the marker of the same name.

It stands outside the package, so that a test run that does not use it imports nothing of it.
"""

import asyncio
import functools
import inspect
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from stepwell.testing import Harness, HarnessSync

_HARNESS: "pytest.StashKey[Harness | HarnessSync]" = pytest.StashKey()
_PASSES: "pytest.StashKey[dict[str, Any]]" = pytest.StashKey()
_OF_HARNESS = ("now", "seed")
_OF_PASSES = ("crash_everywhere", "orders", "order")
_OPTIONS = (*_OF_HARNESS, *_OF_PASSES)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        "stepwell(now, seed, crash_everywhere, orders, order): when the test begins by the engine's"
        " clock; what ids are drawn with; go through it with a crash at each point, in so many"
        " orders, or in the order of a seed",
    )


@pytest.fixture
def stepwell(request: pytest.FixtureRequest) -> "Generator[Harness | HarnessSync]":
    """The real engine in memory, on a clock that the test moves.

    A Harness for a test that is a coroutine, a HarnessSync for any other.
    """
    from stepwell.testing import Harness, HarnessSync  # noqa: PLC0415 - what others do not pay

    kind = Harness if inspect.iscoroutinefunction(request.function) else HarnessSync
    options = _options(request.node)
    harness = kind(request.module, **{k: v for k, v in options.items() if k in _OF_HARNESS})
    request.node.stash[_HARNESS] = harness
    request.node.stash[_PASSES] = {k: v for k, v in options.items() if k in _OF_PASSES}
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
    options = item.stash[_PASSES]
    make = _whole if inspect.iscoroutinefunction(test) else _whole_sync
    item.obj = make(test, harness, options)
    try:
        return (yield)
    finally:
        item.obj = test


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine and has the fixture, where no other plugin runs it."""
    test = pyfuncitem.obj
    if _HARNESS not in pyfuncitem.stash or not inspect.iscoroutinefunction(test):
        return None
    asked = inspect.signature(test).parameters
    asyncio.run(test(**{name: pyfuncitem.funcargs[name] for name in asked}))
    return True


def _whole(test: Any, harness: Any, options: dict[str, Any]) -> Any:
    """The test, as often as it is to be gone through, and the end of the harness behind it."""
    from stepwell.testing.harness.passes import passes  # noqa: PLC0415 - what others do not pay

    @functools.wraps(test)
    async def whole(*args: Any, **kwargs: Any) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            pytest.fail(
                "the fixture stepwell needs asyncio: with anyio, choose the backend asyncio for"
                " tests that use it",
                pytrace=False,
            )
        harness.run_on(lambda: loop)
        try:
            if not options:
                await test(*args, **kwargs)
                harness.check()
            for one in passes(harness, **options) if options else ():
                with one:
                    await test(*args, **kwargs)
                    harness.check()
                await harness.stop()
        finally:
            await harness.close()

    return whole


def _whole_sync(test: Any, harness: Any, options: dict[str, Any]) -> Any:
    """The same for a test that is no coroutine; its fixture closes the harness."""
    from stepwell.testing.harness.passes import passes  # noqa: PLC0415 - what others do not pay

    @functools.wraps(test)
    def whole(*args: Any, **kwargs: Any) -> None:
        if not options:
            test(*args, **kwargs)
            harness.check()
        for one in passes(harness, **options) if options else ():
            with one:
                test(*args, **kwargs)
                harness.check()
            harness.stop()

    return whole
