"""The detector itself: it sees what works, and not what waits or is a test's own."""

import asyncio
import time
from functools import partial
from pathlib import Path

import pytest

from tests import loop_stalls

SHORT_S = 0.05
LONG_S = 0.15


def busy(seconds: float = LONG_S) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


async def working() -> None:
    busy()


@pytest.fixture
def as_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The code of this file counts as the package's, and little is long."""
    monkeypatch.setattr(loop_stalls, "PACKAGE", __file__)
    monkeypatch.setattr(loop_stalls, "LIMIT_S", SHORT_S)


@pytest.mark.usefixtures("as_ours")
@pytest.mark.parametrize("way", ["callback", "task", "partial"])
async def test_a_callback_that_works_for_long_is_found(way: str) -> None:
    loop = asyncio.get_running_loop()
    if way == "task":
        await loop.create_task(working())
    else:
        loop.call_soon(busy if way == "callback" else partial(busy, LONG_S))
        await asyncio.sleep(0.01)
    names = [name for name, _ in loop_stalls.found]
    assert names == ["working" if way == "task" else "busy"]
    assert all(took > SHORT_S for _, took in loop_stalls.found)
    loop_stalls.found.clear()


@pytest.mark.usefixtures("as_ours")
async def test_a_callback_that_waits_is_none() -> None:
    asyncio.get_running_loop().call_soon(time.sleep, LONG_S)
    await asyncio.sleep(0.01)
    assert loop_stalls.found == []


async def test_the_code_of_a_test_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_stalls, "LIMIT_S", SHORT_S)
    await asyncio.get_running_loop().create_task(working())
    assert loop_stalls.found == []


@pytest.mark.stalls("busy")
async def test_an_exception_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_stalls, "PACKAGE", __file__)
    monkeypatch.setattr(loop_stalls, "LIMIT_S", SHORT_S)
    monkeypatch.setattr(loop_stalls, "LIMIT_S", SHORT_S)
    asyncio.get_running_loop().call_soon(busy)
    await asyncio.sleep(0.01)
    monkeypatch.undo()
    assert [name for name, _ in loop_stalls.found] == ["busy"]


def test_a_test_that_stands_still_fails(pytester: pytest.Pytester) -> None:
    pytester.makeini(f"[pytest]\npythonpath = {Path(loop_stalls.__file__).parents[1]}")
    pytester.makeconftest(
        f"""
        from tests import loop_stalls
        loop_stalls.PACKAGE, loop_stalls.LIMIT_S = {str(pytester.path)!r}, 0.1
        """
    )
    pytester.makepyfile(
        """
        import asyncio, time

        def busy():
            end = time.thread_time() + 0.4
            while time.thread_time() < end:
                pass

        def test_it():
            async def main():
                asyncio.get_running_loop().call_soon(busy)
                await asyncio.sleep(0.01)
            asyncio.run(main())
        """
    )
    told = pytester.runpytest_subprocess("-p", "tests.loop_stalls")
    told.assert_outcomes(failed=1)
    told.stdout.fnmatch_lines(["*the event loop stood still in: busy*"])
