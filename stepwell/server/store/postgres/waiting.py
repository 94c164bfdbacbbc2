"""Waits for the database on the event loop, without a thread: the only place of the store that
knows of a loop.

The code that asks is written as if it were answered at once. Within `on_loop` it is left where it
would wait for a socket, and taken up again by the loop when that can be read: greenlets do so, as
in `server/api/awaited.py`. Anywhere else it waits where it stands.
"""

import asyncio
import sys
from collections.abc import Callable, Generator
from typing import TypeVar, cast

from greenlet import getcurrent, greenlet
from psycopg.waiting import Ready, Wait

from stepwell.server.store.postgres.connection import Connection

T = TypeVar("T")
Answers = Generator[Wait, Ready | int, T]
"""A conversation on a connection: what it waits for, and what it comes to."""

CAN_WAIT = sys.platform != "win32"
"""Whether loops of this system watch sockets of others."""


class _Work(greenlet):
    """Something that is done in parts, from one wait to the next."""


class _Socket:
    """What work waits for."""

    __slots__ = ("number", "wanted")

    def __init__(self, number: int, wanted: Wait) -> None:
        self.number = number
        self.wanted = wanted


def answered(connection: Connection, answers: Answers[T]) -> T:
    """What a conversation comes to."""
    here = getcurrent()
    if not isinstance(here, _Work) or here.parent is None:
        return connection.wait(answers)
    try:
        wanted = next(answers)
        while True:
            ready = here.parent.switch(_Socket(connection.pgconn.socket, wanted))
            wanted = answers.send(ready)
    except StopIteration as end:
        return cast("T", end.value)


def on_loop(do: Callable[[], None], done: Callable[[BaseException | None], None]) -> None:
    """Begin to do something on the running loop. `done` is told at the end of what went wrong, or
    that nothing did; where nothing had to be waited for, before this returns."""
    _go_on(_Work(do), done)


def _go_on(work: _Work, done: Callable[[BaseException | None], None], *ready: Ready) -> None:
    try:
        said: object = work.switch(*ready)
    except Exception as error:  # noqa: BLE001 - told to whoever asked for it
        done(error)
        return
    if isinstance(said, _Socket):
        _watch(said, lambda ready: _go_on(work, done, ready))
    else:
        done(None)


def _watch(socket: _Socket, then: Callable[[Ready], None]) -> None:
    """Call back once, when the socket is ready for anything that is waited for."""
    loop = asyncio.get_running_loop()

    def is_ready(ready: Ready) -> None:
        loop.remove_reader(socket.number)
        loop.remove_writer(socket.number)
        then(ready)

    if socket.wanted & Wait.R:
        loop.add_reader(socket.number, is_ready, Ready.R)
    if socket.wanted & Wait.W:
        loop.add_writer(socket.number, is_ready, Ready.W)
