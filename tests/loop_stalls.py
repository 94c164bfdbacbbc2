"""No callback of an event loop takes long, in any test: whoever waits for the loop would wait as
long. Judged by the processor time of the thread, not by the wall, so that a busy machine changes
little; what the garbage collector takes is not the callback's. 50 ms are meant, 100 are refused: a
processor that two share does half as much in its time. Only callbacks of the package count.

To ask for the time of a thread at each callback would slow every test. So it is asked for once in
10 ms, and what lies between that and a callback's begin is counted as if it had been work: at most
10 ms are missed.

A test that must do so says which callback, and why: `@pytest.mark.stalls("Ledger._begin")`.
"""

import asyncio
import gc
import threading
from collections.abc import Generator
from functools import partial
from pathlib import Path
from time import perf_counter, thread_time
from types import CodeType
from typing import Any

import pytest

LIMIT_S = 0.1
LOOK_EVERY_S = 0.01
PACKAGE = str(Path(__file__).resolve().parents[1] / "stepwell")
MARK = "stalls"

_run = asyncio.Handle._run
found: list[tuple[str, float]] = []
"""The callbacks that took too long since the test began, by name, with their seconds."""


class _Thread(threading.local):
    """What is known of one thread: its processor time at some moment, and the collector's."""

    at = -1.0
    worked = 0.0
    collecting = 0.0
    collected = 0.0

    def look(self, now: float) -> None:
        self.at, self.worked, self.collected = now, thread_time(), 0.0


_thread = _Thread()


def _measured(handle: asyncio.Handle) -> None:
    thread, began = _thread, perf_counter()
    if began - thread.at > LOOK_EVERY_S:
        thread.look(began)
    try:
        _run(handle)
    finally:
        if perf_counter() - began > LIMIT_S:
            took = thread_time() - thread.worked - thread.collected - (began - thread.at)
            if took > LIMIT_S and (name := _name(handle)):
                found.append((name, took))


def _collector(phase: str, info: dict[str, int]) -> None:
    if info["generation"] < 2:
        return
    if phase == "start":
        _thread.collecting = thread_time()
    else:
        _thread.collected += thread_time() - _thread.collecting


def _name(handle: asyncio.Handle) -> str:
    """What ran, as its code names it; empty for what is not of the package."""
    called: Any = getattr(handle, "_callback", None)
    while isinstance(called, partial):
        called = called.func
    task = getattr(called, "__self__", None)
    if isinstance(task, asyncio.Task):
        called = task.get_coro()
    code = getattr(called, "cr_code", None) or getattr(called, "__code__", None)
    if not isinstance(code, CodeType) or not code.co_filename.startswith(PACKAGE):
        return ""
    return str(getattr(called, "__qualname__", called))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"{MARK}(callback, ...): callbacks that may keep the loop for long"
    )
    asyncio.Handle._run = _measured  # type: ignore[method-assign]
    gc.callbacks.append(_collector)


def pytest_unconfigure(config: pytest.Config) -> None:
    asyncio.Handle._run = _run  # type: ignore[method-assign]
    gc.callbacks.remove(_collector)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    found.clear()
    yield
    allowed = {name for mark in item.iter_markers(MARK) for name in mark.args}
    refused = [(name, took) for name, took in found if name not in allowed]
    found.clear()
    if refused:
        told = ", ".join(f"{name} ({took * 1000:.0f} ms)" for name, took in refused)
        pytest.fail(f"the event loop stood still in: {told}", pytrace=False)
