"""The HTTP port on aiohttp: both colours, reuse of connections, errors in words, clean ends."""

import asyncio
import gc
import os
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from stepwell.sdk.net.blocking import BlockingPort
from stepwell.sdk.net.given import http_port
from stepwell.sdk.net.plain import PlainHttp
from stepwell.sdk.net.pooled import AiohttpPort
from stepwell.sdk.net.port import HttpPort, HttpReply, NetworkError
from stepwell.sdk.net.shared import shared_port


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str, dict[str, str], bytes, int]]

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {k.lower(): v for k, v in self.headers.items()}
        self.seen.append((self.command, self.path, headers, body, self.client_address[1]))
        if self.path == "/slow":
            threading.Event().wait(0.3)
        if self.path == "/drop":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self.send_response({"/missing": 404, "/moved": 307}.get(self.path, 200))
        if self.path == "/moved":
            self.send_header("location", "/")
        self.send_header("X-Odd-Case", "Yes")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET = do_PUT = answer

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, list[Any]]]:
    handler = type("H", (Handler,), {"seen": []})
    made = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}", handler.seen
    made.shutdown()
    made.server_close()


async def post(port: HttpPort, url: str, body: bytes = b"x", timeout: float = 5) -> HttpReply:
    return await port.request("POST", url, headers={"x-a": "1"}, body=body, timeout_seconds=timeout)


async def test_one_request(server: tuple[str, list[Any]]) -> None:
    url, seen = server
    port = AiohttpPort()
    reply = await post(port, f"{url}/e/k%2F?a=%20b", b"hello")
    assert (reply.status, reply.body, reply.headers["x-odd-case"]) == (200, b"hello", "Yes")
    method, path, headers, body, _ = seen[0]
    assert (method, path, body) == ("POST", "/e/k%2F?a=%20b", b"hello")
    assert headers["x-a"] == "1"
    assert "user-agent" not in headers
    await port.close()


async def test_every_status_is_an_answer(server: tuple[str, list[Any]]) -> None:
    port = AiohttpPort()
    assert (await post(port, f"{server[0]}/missing")).status == 404
    await port.close()


async def test_connections_are_kept(server: tuple[str, list[Any]]) -> None:
    url, seen = server
    port = AiohttpPort()
    for _ in range(3):
        await post(port, url)
    assert len({client_port for *_, client_port in seen}) == 1
    await port.close()


def test_blocking_code_keeps_its_connection_too(server: tuple[str, list[Any]]) -> None:
    url, seen = server
    for _ in range(3):
        reply = shared_port().request_sync("PUT", url, headers={}, body=b"y", timeout_seconds=5)
        assert (reply.status, reply.body) == (200, b"y")
    assert len({client_port for *_, client_port in seen}) == 1


async def close(port: AiohttpPort | PlainHttp) -> None:
    if isinstance(port, AiohttpPort):
        await port.close()


@pytest.mark.parametrize("kind", [AiohttpPort, PlainHttp])
@pytest.mark.parametrize(
    ("path", "timeout", "trouble"),
    [("/slow", 0.05, "timeout"), ("/drop", 5, "lost")],
)
async def test_troubles_have_names(
    server: tuple[str, list[Any]], path: str, timeout: float, trouble: str, kind: Any
) -> None:
    port = kind()
    with pytest.raises(NetworkError, match=path) as caught:
        await post(port, server[0] + path, timeout=timeout)
    assert caught.value.trouble == trouble
    assert caught.value.__cause__ is not None
    await close(port)


@pytest.mark.parametrize("kind", [AiohttpPort, PlainHttp])
async def test_nobody_listens(kind: Any) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/x"
        with pytest.raises(NetworkError, match="POST http://127") as caught:
            await post(kind(), url)
    assert caught.value.trouble == "refused"


@pytest.mark.parametrize("kind", [AiohttpPort, PlainHttp])
@pytest.mark.parametrize("url", ["http://", "nonsense", "http://h:x/"])
async def test_what_is_no_url_is_a_network_error_too(url: str, kind: Any) -> None:
    with pytest.raises(NetworkError):
        await post(kind(), url)


async def test_a_plain_request_takes_every_answer_as_it_is(server: tuple[str, list[Any]]) -> None:
    url, seen = server
    reply = await post(PlainHttp(), f"{url}/missing", b"hello")
    assert (reply.status, reply.body, reply.headers["x-odd-case"]) == (404, b"hello", "Yes")
    sync = PlainHttp().request_sync("PUT", url, headers={}, body=b"y", timeout_seconds=5)
    assert (sync.status, sync.body) == (200, b"y")
    moved = await post(PlainHttp(), f"{url}/moved")
    assert (moved.status, len(seen)) == (307, 3)


def test_whoever_only_imports_does_not_pay_for_the_shared_client() -> None:
    code = "import sys, stepwell, stepwell.connect; sys.exit('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_loop_that_ends_closes_its_pool(server: tuple[str, list[Any]]) -> None:
    """asyncio.run again and again, never closing anything: no warning, no word in the log."""
    port = AiohttpPort()
    complaints: list[dict[str, Any]] = []

    async def once() -> HttpReply:
        asyncio.get_running_loop().set_exception_handler(lambda _, c: complaints.append(c))
        return await post(port, server[0])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            assert asyncio.run(once()).status == 200
        gc.collect()
    assert complaints == []


def test_a_loop_closed_rudely_is_swept(server: tuple[str, list[Any]]) -> None:
    port = AiohttpPort()
    complaints: list[dict[str, Any]] = []
    for _ in range(3):
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda _, c: complaints.append(c))
        assert loop.run_until_complete(post(port, server[0])).status == 200
        loop.close()
    gc.collect()
    assert complaints == []
    assert len(port._pools) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_opens_its_own_connections(server: tuple[str, list[Any]]) -> None:
    url, seen = server
    port = AiohttpPort()

    def once() -> int:
        return port.request_sync("POST", url, headers={}, body=b"", timeout_seconds=5).status

    assert once() == 200
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if once() == 200 else 1)
        except BaseException:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert once() == 200
    ports = [client_port for *_, client_port in seen]
    assert ports[0] == ports[2] != ports[1]


@pytest.mark.parametrize("colour", ["async", "sync"])
async def test_a_function_can_be_the_client(colour: str) -> None:
    def sync_client(*given: Any) -> Any:
        return 201, {"X-A": "1"}, repr(given).encode()

    async def async_client(*given: Any) -> Any:
        return sync_client(*given)

    port = http_port(async_client if colour == "async" else sync_client)
    given: dict[str, Any] = {"headers": {"a": "b"}, "body": b"x", "timeout_seconds": 3.0}
    reply = await port.request("PUT", "http://h/x", **given)
    assert reply == port.request_sync("PUT", "http://h/x", **given)
    assert (reply.status, reply.headers) == (201, {"x-a": "1"})
    assert reply.body == b"('PUT', 'http://h/x', {'a': 'b'}, b'x', 3.0)"
    assert http_port(port) is port


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (ConnectionRefusedError("no"), "refused"),
        (KeyError("x"), "other"),
        (TimeoutError(), "timeout"),
    ],
)
async def test_what_such_a_function_raises(error: Exception, trouble: str) -> None:
    def broken(*given: Any) -> Any:
        raise error

    with pytest.raises(NetworkError, match="http_client raised") as caught:
        await post(http_port(broken), "http://h/x")
    assert caught.value.trouble == trouble


async def test_it_may_raise_a_network_error_itself() -> None:
    own = NetworkError("mine", "lost")

    def broken(*given: Any) -> Any:
        raise own

    with pytest.raises(NetworkError) as caught:
        await post(http_port(broken), "http://h/x")
    assert caught.value is own


class Redirecting(BaseHTTPRequestHandler):
    """`/301/0` redirects to `/`, `/301/1` to another host; what arrives is remembered."""

    seen: list[tuple[str, str, str | None, bytes]]

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        place = f"{self.headers['host'].partition(':')[0]}{self.path}"
        self.seen.append((self.command, place, self.headers.get("authorization"), body))
        _, status, *where = self.path.split("/")
        self.send_response(int(status or 200))
        if where:
            other = f"http://localhost:{self.connection.getsockname()[1]}"
            self.send_header("location", {"0": "/", "1": f"{other}/", "2": self.path}[where[0]])
        self.end_headers()

    do_GET = do_POST = answer

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def redirecting() -> Iterator[tuple[str, list[Any]]]:
    handler = type("H", (Redirecting,), {"seen": []})
    made = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{made.server_port}", handler.seen  # type: ignore[attr-defined]
    made.shutdown()
    made.server_close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirected_request_stays_what_it_is(
    redirecting: tuple[str, list[Any]], status: int
) -> None:
    url, seen = redirecting
    given: dict[str, Any] = {"headers": {"Authorization": "s3"}, "body": b"x", "timeout_seconds": 5}
    for port in (AiohttpPort(), Blocking()):
        seen.clear()
        reply = await port.request("POST", f"{url}/{status}/0", **given)
        assert (reply.status, seen[-1]) == (200, ("POST", "127.0.0.1/", "s3", b"x"))
        await port.request("POST", f"{url}/{status}/1", **given)
        assert seen[-1] == ("POST", "localhost/", None, b"x")  # no secrets for another origin
        with pytest.raises(NetworkError, match="redirected more than 10 times"):
            await port.request("POST", f"{url}/{status}/2", **given)
        if isinstance(port, AiohttpPort):
            await port.close()


class Blocking:
    """The client of blocking code, with the interface of the others."""

    def __init__(self) -> None:
        self._port = BlockingPort(shared_port)

    async def request(self, method: str, url: str, **given: Any) -> HttpReply:
        return await asyncio.to_thread(self._port.request_sync, method, url, **given)


@pytest.mark.parametrize(
    ("path", "timeout", "trouble"),
    [("/slow", 0.05, "timeout"), ("/drop", 5, "lost")],
)
async def test_troubles_of_blocking_code_have_names(
    server: tuple[str, list[Any]], path: str, timeout: float, trouble: str
) -> None:
    with pytest.raises(NetworkError, match=path) as caught:
        await post(Blocking(), server[0] + path, timeout=timeout)  # type: ignore[arg-type]
    assert caught.value.trouble == trouble


async def test_blocking_code_sends_what_it_is_given(server: tuple[str, list[Any]]) -> None:
    url, seen = server
    port: Any = Blocking()
    reply = await post(port, f"{url}/e/k%2F?a=%20b", b"hello")
    assert (reply.status, reply.body, reply.headers["x-odd-case"]) == (200, b"hello", "Yes")
    method, path, headers, body, _ = seen[0]
    assert (method, path, body) == ("POST", "/e/k%2F?a=%20b", b"hello")
    assert headers["x-a"] == "1"
    assert "user-agent" not in headers
    assert (await post(port, f"{url}/missing")).status == 404
    for wrong in ({"x-a": "1\r\nx-b: 2"}, {"x-a": "\n"}, {"x-a": "é–"}):
        with pytest.raises(NetworkError):
            await port.request("POST", url, headers=wrong, body=None, timeout_seconds=5)
    for bad in ("http://", "nonsense", "http://h:x/"):
        with pytest.raises(NetworkError):
            await post(port, bad)


def test_a_connection_the_server_closed_meanwhile_is_not_used_again() -> None:
    """The server answers once per connection and hangs up without saying so."""
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/"

    def serve() -> None:
        for _ in range(2):
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    thread = threading.Thread(target=serve)
    thread.start()
    port = BlockingPort(AiohttpPort)
    for _ in range(2):
        reply = port.request_sync("POST", url, headers={}, body=b"x", timeout_seconds=5)
        assert reply.body == b"ok"
        deadline = time.monotonic() + 5
        while not port._threads.kept[("http", url[7:-1])].is_stale():
            assert time.monotonic() < deadline
            time.sleep(0.005)
    thread.join()
    listening.close()


OLD = b"HTTP/1.0 200 OK\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n"


@contextmanager
def saying(pieces: list[bytes]) -> Iterator[str]:
    """A peer that answers one request with these bytes, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection, connection.makefile("rb") as asked:
                while asked.readline() != b"\r\n":
                    pass
                asked.read(1)
                for piece in pieces:
                    connection.sendall(piece)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        thread.join()


@pytest.mark.parametrize(
    ("said", "body"),
    [
        (OLD + b'{"ids":["a"]}', b'{"ids":["a"]}'),
        (OLD + b"42", b"42"),
        (OLD + b"a\nb", b"a\nb"),
        (OLD + b"x" * 20_000, b"x" * 20_000),
        (OLD, b""),
        (OLD + b"2\r\n42\r\n0\r\n\r\n", b"42"),
        (OLD.replace(b"1.0", b"1.1") + b"2\r\n42\r\n0\r\n\r\n", b"42"),
        # Reading pauses on the way, and goes on with what had come.
        (
            OLD.replace(b"1.0", b"1.1")
            + (b"10000\r\n" + b"x" * 0x10000 + b"\r\n") * 50
            + b"0\r\n\r\n",
            b"x" * 50 * 0x10000,
        ),
    ],
    ids=lambda x: str(len(x)),
)
@pytest.mark.parametrize("piecewise", [False, True])
@pytest.mark.parametrize("kind", [AiohttpPort, PlainHttp, Blocking])
async def test_an_old_answer_that_only_says_it_is_in_chunks_is_read(
    kind: Any, said: bytes, body: bytes, piecewise: bool
) -> None:
    cut = len(OLD) + 1
    port = kind()
    with saying([said[:9], said[9:cut], said[cut:]] if piecewise else [said]) as url:
        reply = await post(port, url)
    assert (reply.status, reply.headers["x-a"], reply.body) == (200, "1", body)
    if isinstance(port, AiohttpPort):
        await port.close()
