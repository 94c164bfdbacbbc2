"""Functions in processes of their own, for work that keeps a processor busy.

A process is started anew and imports the modules in which client and functions live; so both must
be variables of modules, as for anything that crosses processes in Python. Each process does one
call at a time; a call that is cancelled ends its process, which is the one way to stop such work.
Nothing is stored while a call goes on there: steps travel with the answer, as in the common
protocol.
"""

import asyncio
import logging
import multiprocessing
import signal
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, Protocol

import msgspec

from stepwell.sdk.connect.runner import Served, answered
from stepwell.sdk.errors import ConfigurationError, Error
from stepwell.sdk.serve.answer import error_answer
from stepwell.sdk.serve.table import FunctionTable
from stepwell.wire.connect_word import ExecutorRequest
from stepwell.wire.execution import CallResponse

END_TIMEOUT_S = 5.0


class Place(msgspec.Struct, frozen=True):
    """Where a value is found: a variable of a module."""

    module: str
    name: str


class AppPlaces(msgspec.Struct, frozen=True):
    """Where one app's client and functions are found."""

    client: Place
    functions: tuple[Place, ...]


class ProcessLostError(Error):
    """The process that ran a function ended before it answered; the call is tried again."""


class _Child(Protocol):
    """What is needed of a process object."""

    def start(self) -> None: ...
    def kill(self) -> None: ...
    def join(self, timeout: float | None = None) -> None: ...
    @property
    def exitcode(self) -> int | None: ...


class _Place:
    """One process, or the intention to start it when it is first needed."""

    def __init__(self, apps: dict[str, AppPlaces]) -> None:
        self._apps = apps
        self._child: _Child | None = None
        self._pipe: Connection | None = None
        self._turn = 0

    def exchange(self, request: bytes) -> bytes:
        """Send a request and wait for the answer. Raises EOFError or OSError if it is lost."""
        turn, pipe = self._turn, self._pipe
        if pipe is None or self._child is None or self._child.exitcode is not None:
            pipe = self._start()
        if turn != self._turn:
            # It was ended while it was being started.
            self.end()
            raise EOFError
        pipe.send_bytes(request)
        return pipe.recv_bytes()

    def _start(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        child = context.Process(
            target=_serve, args=(theirs, self._apps), name="stepwell-function", daemon=True
        )
        child.start()
        theirs.close()
        self._child, self._pipe = child, ours
        return ours

    def end(self) -> None:
        """End the process, whatever it does."""
        self._turn += 1
        child, pipe = self._child, self._pipe
        self._child = self._pipe = None
        if child is not None:
            child.kill()
            child.join(END_TIMEOUT_S)
        if pipe is not None:
            pipe.close()


class ProcessPool:
    """So many processes, started when they are first needed. Used on the user's loop."""

    def __init__(
        self,
        apps: Mapping[str, Served],
        functions: frozenset[str],
        *,
        count: int,
        logger: logging.Logger | logging.LoggerAdapter[Any],
    ) -> None:
        """Raises ConfigurationError for functions that another process could not find."""
        self._functions = functions
        self._logger = logger
        places = {name: _places(app, functions) for name, app in apps.items()}
        self._all = [_Place(places) for _ in range(count)]
        self._free: asyncio.Queue[_Place] = asyncio.Queue()
        for place in self._all:
            self._free.put_nowait(place)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="stepwell-process")

    def holds(self, function_id: str) -> bool:
        """Does this function run here?"""
        return function_id in self._functions

    async def call(self, request: ExecutorRequest) -> CallResponse:
        """Run a call in the next free process. Raises ProcessLostError if that ends without answer.

        Cancelling ends the process.
        """
        place = await self._free.get()
        loop = asyncio.get_running_loop()
        exchange = loop.run_in_executor(
            self._threads, place.exchange, msgspec.msgpack.encode(request)
        )
        try:
            encoded = await asyncio.shield(exchange)
        except asyncio.CancelledError:
            place.end()
            await asyncio.wait({exchange})
            exchange.exception()
            raise
        except (EOFError, OSError) as error:
            place.end()
            raise ProcessLostError(
                f"the process of function {request.function_slug} ended without an answer; was it"
                f" killed, for instance for its use of memory? ({error or type(error).__name__})"
            ) from error
        finally:
            self._free.put_nowait(place)
        return msgspec.msgpack.decode(encoded, type=CallResponse)

    def close(self) -> None:
        """End every process."""
        for place in self._all:
            place.end()
        self._threads.shutdown(wait=False, cancel_futures=True)


def _places(app: Served, wanted: frozenset[str]) -> AppPlaces:
    known = app.table.by_id.values()
    companions = {id(function.failure_function) for function in known}
    # A failure handler is found through the function it belongs to.
    mains = [function for function in known if id(function) not in companions]
    functions = tuple(
        _find(function, f'function "{function.id}"')
        for function in mains
        if wanted & {served.id for served in function.served()}
    )
    return AppPlaces(_find(app.client, f'the client of app "{app.client.app_id}"'), functions)


def _find(value: object, words: str) -> Place:
    for module_name, module in list(sys.modules.items()):
        with suppress(Exception):
            for name, found in list(vars(module).items()):
                if found is value:
                    return Place(module_name, name)
    raise ConfigurationError(
        f'executor="process": {words} is no variable of a module, so another process could not find'
        " it; define it at the top of a module"
    )


# --- inside the process -------------------------------------------------------------------------


def _serve(pipe: Connection, apps: dict[str, AppPlaces]) -> None:
    """Answer requests until the other end is closed."""
    # Ctrl-C reaches every process of a terminal; only the worker decides what it means.
    with suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    with asyncio.Runner() as runner:
        served = {name: _served(name, app) for name, app in apps.items()}
        while True:
            try:
                request = msgspec.msgpack.decode(pipe.recv_bytes(), type=ExecutorRequest)
            except (EOFError, OSError):
                return
            response = runner.run(_answer(served, request))
            pipe.send_bytes(msgspec.msgpack.encode(response))


async def _answer(served: dict[str, Served], request: ExecutorRequest) -> CallResponse:
    try:
        return await answered(served[request.app_name], request, save=None)
    except Exception as error:  # noqa: BLE001 - whatever it is, the server must hear of it
        return error_answer(error)


def _served(name: str, app: AppPlaces) -> Served:
    client = _loaded(app.client)
    functions = [_loaded(place) for place in app.functions]
    return Served(client, FunctionTable(name, functions, client.log))


def _loaded(place: Place) -> Any:
    __import__(place.module)
    return vars(sys.modules[place.module])[place.name]
