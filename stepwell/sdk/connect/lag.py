"""Notices when user code keeps its event loop from running, and says where.

The connection's thread rings the user's loop; a loop that does not answer in time is blocked, and
what its thread is doing at that moment is looked up and reported: the function, the file, the line.
The connection itself never suffers from it; other functions of the same loop do.
"""

import asyncio
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from stepwell.sdk.connect.postbox import Postbox

_OURS = str(Path(__file__).resolve().parents[2])
_LIBRARY = str(Path(asyncio.__file__).resolve().parent)


class LagWatch:
    """Watches one loop, running in `thread_id`, while `busy` names functions that run on it."""

    def __init__(
        self,
        postbox: Postbox,
        *,
        thread_id: int,
        limit_s: float,
        busy: Callable[[], tuple[str, ...]],
        logger: logging.Logger | logging.LoggerAdapter[Any],
    ) -> None:
        self._postbox = postbox
        self._thread_id = thread_id
        self._limit_s = limit_s
        self._busy = busy
        self._logger = logger
        self.worst_s = 0.0
        """The longest the loop was kept from running so far."""

    async def run(self) -> None:
        """Watch until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._limit_s / 2)
            if self._busy():
                await self._ring(loop)

    async def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        answered: asyncio.Future[None] = loop.create_future()

        def answer() -> None:
            if not answered.done():
                answered.set_result(None)

        began = loop.time()
        if not self._postbox.put(lambda: _quietly(loop, answer)):
            return
        done, _ = await asyncio.wait({answered}, timeout=self._limit_s)
        if not done:
            where = self._where()
            self.worst_s = max(self.worst_s, loop.time() - began)
            self._logger.warning(
                "the event loop has been blocked for %.1f s by %s; await instead, make the"
                ' function a plain `def`, or run it with executor="process"',
                loop.time() - began,
                where,
            )
            await answered
            self._logger.warning(
                "the event loop was blocked for %.1f s by %s", loop.time() - began, where
            )
        self.worst_s = max(self.worst_s, loop.time() - began)

    def _where(self) -> str:
        names = ", ".join(sorted(set(self._busy()))) or "no function of this worker"
        # There is no other way to see what another thread is doing.
        frames = sys._current_frames()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        frame = frames.get(self._thread_id)
        place = _user_frame(frame)
        return names if place is None else f"{names} ({place})"


def _quietly(loop: asyncio.AbstractEventLoop, answer: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(answer)
    except RuntimeError:
        return  # the connection's loop has ended meanwhile


def _user_frame(frame: FrameType | None) -> str | None:
    """The innermost place that is neither ours nor the event loop's."""
    while frame is not None:
        code = frame.f_code
        if not code.co_filename.startswith((_OURS, _LIBRARY, "<frozen")):
            return f"{code.co_qualname} at {code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return None
