"""Real servers on free ports of 127.0.0.1: in threads of this process, or in a forked child."""

import asyncio
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler as WsgirefRequestHandler
from wsgiref.simple_server import WSGIServer
from wsgiref.simple_server import make_server as wsgiref_server

import uvicorn
from werkzeug.serving import WSGIRequestHandler, make_server

START_SECONDS_MAX = 90.0  # on a machine that is busy with other tests
CHILDREN_MAX = 3


def listening() -> socket.socket:
    """A socket that listens on a free port: who connects early waits to be accepted."""
    sock = socket.create_server(("127.0.0.1", 0), backlog=64)
    sock.set_inheritable(True)
    return sock


def origin(sock: socket.socket) -> str:
    return f"http://127.0.0.1:{sock.getsockname()[1]}"


@contextmanager
def port_of_our_own() -> Iterator[int]:
    """A free port nobody else gets, for servers that open it themselves, sharing it."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def until_it_listens(port: int) -> None:
    give_up = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            assert time.monotonic() < give_up, "the server did not start"
            time.sleep(0.005)
        else:
            return


@contextmanager
def on_a_loop(serve: Callable[[asyncio.Event], Awaitable[None]]) -> Iterator[None]:
    """Run a server on an event loop in a thread; it stops once the event is set."""
    loop, stopping = asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve(stopping)), daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(START_SECONDS_MAX)
        assert not thread.is_alive(), "the server did not stop"
        loop.close()


@contextmanager
def in_a_child(serve: Callable[[], None], port: int) -> Iterator[None]:
    """Run a server in a forked child, for those that want a main thread or workers of their own.

    A child holds for ever what another thread of this process held when it was forked: one that
    does not answer is ended, and another is made.
    """
    for _ in range(CHILDREN_MAX):
        child = multiprocessing.get_context("fork").Process(target=_led, args=(serve,))
        child.start()
        try:
            if not _answers(port, child.is_alive):
                continue
            yield
            return
        finally:
            _end(child)
    raise AssertionError(f"{CHILDREN_MAX} children did not answer")


def _answers(port: int, is_alive: Callable[[], bool]) -> bool:
    """Whether a server answers an HTTP request before its share of the time is over."""
    give_up = time.monotonic() + START_SECONDS_MAX / CHILDREN_MAX
    while is_alive() and (left := give_up - time.monotonic()) > 0:
        try:
            with socket.create_connection(("127.0.0.1", port), left) as sock:
                sock.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                if sock.recv(1):
                    return True
        except OSError:
            pass
        time.sleep(0.005)
    return False


def _end(child: multiprocessing.process.BaseProcess) -> None:
    assert child.pid is not None
    # With its workers: it leads a group. One that hung before it led one is alone.
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.kill()
    child.join(START_SECONDS_MAX)


def _led(serve: Callable[[], None]) -> None:
    os.setpgid(0, 0)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    serve()


# Threads


@contextmanager
def uvicorn_serves(app: Any) -> Iterator[str]:
    """An ASGI application on uvicorn."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="error", lifespan="on", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    give_up = time.monotonic() + START_SECONDS_MAX
    while not server.started:
        assert thread.is_alive() and time.monotonic() < give_up, "uvicorn did not start"
        time.sleep(0.005)
    try:
        yield origin(sock)
    finally:
        server.should_exit = True
        thread.join(START_SECONDS_MAX)
        sock.close()
        assert not thread.is_alive(), "uvicorn did not stop"


class Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        pass


@contextmanager
def werkzeug_serves(app: Any) -> Iterator[str]:
    """A WSGI application on werkzeug's threaded server."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    with in_a_thread(server):
        yield f"http://127.0.0.1:{server.server_port}"


class QuietWsgiref(WsgirefRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


class ThreadingWSGIServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True


@contextmanager
def wsgiref_serves(app: Any) -> Iterator[str]:
    """A WSGI application on the standard library's server, with threads."""
    server = wsgiref_server("127.0.0.1", 0, app, ThreadingWSGIServer, QuietWsgiref)
    with in_a_thread(server):
        yield f"http://127.0.0.1:{server.server_port}"


@contextmanager
def beside(serve: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run a server in a thread; it stops once the event is set."""
    stopping = threading.Event()
    thread = threading.Thread(target=serve, args=(stopping,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(START_SECONDS_MAX)
        assert not thread.is_alive(), "the server did not stop"


@contextmanager
def in_a_thread(server: Any) -> Iterator[None]:
    """A `socketserver` server."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join(START_SECONDS_MAX)
        server.server_close()


@contextmanager
def waitress_serves(app: Any) -> Iterator[str]:
    """A WSGI application on waitress."""
    import waitress
    from waitress import wasyncore

    with listening() as sock:
        server: Any = waitress.create_server(
            app, sockets=[sock], threads=8, clear_untrusted_proxy_headers=False
        )

        def serve(stopping: threading.Event) -> None:
            while not stopping.is_set():
                wasyncore.loop(timeout=0.02, map=server._map, count=1)
            server.close()
            server.task_dispatcher.shutdown()

        with beside(serve):
            yield origin(sock)


@contextmanager
def hypercorn_serves(app: Any) -> Iterator[str]:
    """An ASGI application on hypercorn."""
    import hypercorn.asyncio
    from hypercorn.config import Config

    config = Config()
    config.graceful_timeout = 0.2
    with listening() as sock:
        config.bind = [f"fd://{sock.fileno()}"]
        config.loglevel = "error"

        async def serve(stopping: asyncio.Event) -> None:
            await hypercorn.asyncio.serve(app, config, shutdown_trigger=stopping.wait)  # type: ignore[arg-type]

        with on_a_loop(serve):
            yield origin(sock)
        sock.detach()  # hypercorn has closed it


@contextmanager
def hypercorn_on_trio_serves(app: Any) -> Iterator[str]:
    """An ASGI application on hypercorn and trio, where no loop of asyncio runs."""
    import hypercorn.trio
    import trio
    from hypercorn.config import Config

    config = Config()
    config.graceful_timeout = 0.2
    config.loglevel = "error"

    async def serve(stopping: threading.Event) -> None:
        async def stopped() -> None:
            while not stopping.is_set():
                await trio.sleep(0.02)

        await hypercorn.trio.serve(app, config, shutdown_trigger=stopped)

    with listening() as sock:
        config.bind = [f"fd://{sock.fileno()}"]
        with beside(lambda stopping: trio.run(serve, stopping)):
            yield origin(sock)
        sock.detach()  # hypercorn has closed it


@contextmanager
def granian_serves(app: Any) -> Iterator[str]:
    """An ASGI application on granian."""
    from granian.constants import Interfaces
    from granian.server.embed import Server

    with port_of_our_own() as port:
        server = Server(app, "127.0.0.1", port, interface=Interfaces.ASGI, log_enabled=False)

        async def serve(stopping: asyncio.Event) -> None:
            serving = asyncio.ensure_future(server.serve())
            await stopping.wait()
            server.stop()
            await serving

        with on_a_loop(serve):
            until_it_listens(port)
            yield f"http://127.0.0.1:{port}"


# Children


@contextmanager
def gunicorn_serves(app: Any) -> Iterator[str]:
    """A WSGI application on gunicorn with threads."""
    from gunicorn.app.base import BaseApplication

    with listening() as sock:

        class Application(BaseApplication):
            def load_config(self) -> None:
                settings: dict[str, Any] = {
                    "bind": f"fd://{sock.fileno()}",
                    "worker_class": "gthread",
                    "threads": 8,
                    "loglevel": "critical",
                }
                for name, value in settings.items():
                    self.cfg.set(name, value)

            def load(self) -> Any:
                return app

        with in_a_child(lambda: Application().run(), sock.getsockname()[1]):
            yield origin(sock)


@contextmanager
def daphne_serves(app: Any) -> Iterator[str]:
    """An ASGI application on daphne."""
    with listening() as sock:

        def serve() -> None:
            from daphne.server import Server

            endpoint = f"fd:fileno={sock.fileno()}"
            Server(application=app, endpoints=[endpoint], signal_handlers=False).run()

        with in_a_child(serve, sock.getsockname()[1]):
            yield origin(sock)


@contextmanager
def sanic_serves(app: Any) -> Iterator[str]:
    """Sanic's own server, on a loop of this process."""
    with listening() as sock:

        async def serve(stopping: asyncio.Event) -> None:
            server = await app.create_server(
                sock=sock, return_asyncio_server=True, access_log=False
            )
            await server.startup()
            await server.start_serving()
            await stopping.wait()
            server.close()
            for connection in list(server.connections):
                connection.abort()
            await server.after_stop()

        with on_a_loop(serve):
            yield origin(sock)


@contextmanager
def robyn_serves(app: Any) -> Iterator[str]:
    """A Robyn application."""
    with port_of_our_own() as port, in_a_child(lambda: app.start("127.0.0.1", port, False), port):
        yield f"http://127.0.0.1:{port}"
