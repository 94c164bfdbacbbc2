"""The background loop: one thread, results and errors, context, re-entry, stop and fork."""

import asyncio
import contextvars
import os
import threading

import pytest

from stepwell.sdk import background
from stepwell.sdk.background import BackgroundLoop

word: contextvars.ContextVar[str] = contextvars.ContextVar("word", default="none")


@pytest.fixture
def loop():
    made = BackgroundLoop()
    yield made
    made.stop()


async def where() -> int:
    return threading.get_ident()


def test_all_work_runs_on_one_thread(loop: BackgroundLoop) -> None:
    assert loop.run(where()) == loop.run(where()) != threading.get_ident()


def test_errors_come_back(loop: BackgroundLoop) -> None:
    async def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        loop.run(fail())


def test_the_callers_context_is_seen(loop: BackgroundLoop) -> None:
    async def read() -> str:
        return word.get()

    token = word.set("told")
    try:
        assert loop.run(read()) == "told"
    finally:
        word.reset(token)


def test_waiting_on_the_loops_own_thread_does_not_deadlock(loop: BackgroundLoop) -> None:
    async def outer() -> tuple[int, int]:
        return threading.get_ident(), loop.run(where())

    own, inner = loop.run(outer())
    assert own != inner


def test_stop_cancels_closes_and_lets_start_again(loop: BackgroundLoop) -> None:
    ended = threading.Event()

    async def linger() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async def begin() -> asyncio.Task[None]:
        task = asyncio.create_task(linger())
        await asyncio.sleep(0)
        return task

    task = loop.run(begin())
    first = loop.loop
    loop.stop()
    loop.stop()
    assert ended.is_set()
    assert task.cancelled()
    assert first.is_closed()
    assert loop.run(where())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_starts_its_own_loop() -> None:
    background.run(where())
    pid = os.fork()
    if pid == 0:
        try:
            background.run(where())
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
