"""One HTTP request of the server: its redirects, its limits, and its words when it fails."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import brotli
import pytest
from aiohttp import web
from yarl import URL

from stepwell.server.config.network import Networks
from stepwell.server.drivers.http_pool import HttpPool, NoAnswer, _is_same_origin

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def pool() -> AsyncIterator[HttpPool]:
    made = HttpPool(timeout_s=5)
    yield made
    await made.close()


async def test_method_headers_and_body_arrive_as_given(pool: HttpPool) -> None:
    async def echo(request: web.Request) -> web.Response:
        body = await request.read()
        seen = f"{request.method} {request.path_qs} {request.headers.get('X-A')} {body.decode()}"
        assert request.headers["User-Agent"] == "Inngest"
        return web.Response(text=seen, status=206, headers={"X-Inngest-SDK": "x"})

    async with serving(echo) as url:
        headers = {"x-a": "1", "user-agent": "Inngest"}
        answer = await pool.request("POST", f"{url}/p?fnId=a%20b", headers, b"body")
    assert (answer.status, answer.body) == (206, b"POST /p?fnId=a%20b 1 body")
    assert answer.headers["x-inngest-sdk"] == "x"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_repeats_method_headers_and_body(pool: HttpPool, status: int) -> None:
    async def moved(request: web.Request) -> web.Response:
        if request.path == "/old":
            return web.Response(status=status, headers={"Location": "/new?x=1"})
        body = await request.read()
        return web.Response(text=f"{request.method} {request.headers['X-A']} {body.decode()}")

    async with serving(moved) as url:
        answer = await pool.request("POST", f"{url}/old", {"x-a": "1"}, b"body")
    assert answer.body == b"POST 1 body"


async def test_redirects_have_an_end(pool: HttpPool) -> None:
    count = 0

    async def around(request: web.Request) -> web.Response:
        nonlocal count
        count += 1
        return web.Response(status=307, headers={"Location": "/"})

    async with serving(around) as url:
        with pytest.raises(NoAnswer, match="redirects more than 60 times"):
            await pool.request("POST", url, {}, b"")
    assert count == 61


async def test_a_redirect_to_something_that_is_no_web_address_is_refused(pool: HttpPool) -> None:
    async def away(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "file:///etc/passwd"})

    async with serving(away) as url:
        with pytest.raises(NoAnswer, match="only http and https"):
            await pool.request("POST", url, {}, b"")


@pytest.mark.parametrize("encoding", ["gzip", "br"])
async def test_compressed_answers_are_read(pool: HttpPool, encoding: str) -> None:
    async def packed(request: web.Request) -> web.Response:
        pack = gzip.compress if encoding == "gzip" else brotli.compress
        return web.Response(body=pack(b"x" * 10_000), headers={"Content-Encoding": encoding})

    async with serving(packed) as url:
        answer = await pool.request("POST", url, {}, b"")
    assert answer.body == b"x" * 10_000


async def test_an_answer_is_cut_off_one_byte_beyond_the_limit(pool: HttpPool) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b"x" * 1000)
        return response

    async with serving(endless) as url:
        cut = await pool.request("POST", url, {}, b"", bytes_max=2_500)
        whole = await pool.request("POST", url, {}, b"")
    assert (len(cut.body), len(whole.body)) == (2_501, 100_000)


async def test_a_large_answer_in_chunks_is_read_to_its_end(pool: HttpPool) -> None:
    """Reading pauses on the way, and goes on with what had come."""
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    head = OLD.replace(b"1.0", b"1.1")
    async with saying(head + chunk * 50 + b"0\r\n\r\n") as (url, _):
        answer = await pool.request("GET", url, {}, b"")
    assert len(answer.body) == 50 * 0x10000


async def test_large_bodies_are_sent_whole(pool: HttpPool) -> None:
    async def measure(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    async with serving(measure) as url:
        assert (await pool.request("POST", url, {}, b"x" * 3_000_000)).body == b"3000000"


async def test_connections_are_kept_and_a_closed_one_is_replaced(pool: HttpPool) -> None:
    """The app closes a kept connection in the moment of the next call: nothing was run, so the
    call is made again at once."""
    served: list[int] = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(0)
        mine = len(served) - 1
        while await reader.readuntil(b"\r\n\r\n"):
            served[mine] += 1
            if mine == 0 and served[0] == 2:
                break
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(once, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server:
        assert (await pool.request("GET", url, {}, b"")).body == b"ok"
        assert (await pool.request("GET", url, {}, b"")).body == b"ok"
        assert served == [2, 1]
        await pool.close()


async def test_an_app_that_came_back_closed_all_kept_connections_not_only_one(
    pool: HttpPool,
) -> None:
    opened, together, gone = 0, asyncio.Event(), False

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        if opened == 3:
            together.set()
        kept = not gone
        while await reader.readuntil(b"\r\n\r\n"):
            if gone and kept:
                break
            await together.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server:
        await asyncio.gather(*(pool.request("GET", url, {}, b"") for _ in range(3)))
        gone = True
        assert (await pool.request("POST", url, {}, b"call")).body == b"ok"
        assert opened == 4
        await pool.close()


async def test_an_app_that_dies_while_it_works_is_not_called_twice(pool: HttpPool) -> None:
    calls = 0

    async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(die, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(NoAnswer, match="reset the connection while we were sending"):
            await pool.request("POST", url, {}, b"")
    assert calls == 1


async def test_an_answer_cut_short_is_told_as_such(pool: HttpPool) -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n   ")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(half, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(NoAnswer, match="reset the connection while we were reading the reply"):
            await pool.request("POST", url, {}, b"")


async def test_nobody_listens_there(pool: HttpPool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(NoAnswer, match=r"Unable to reach http://localhost:\d+/x: .*is it running"):
        await pool.request("POST", f"http://localhost:{port}/x?secret=1", {}, b"")


async def test_localhost_is_both_loopback_addresses(pool: HttpPool) -> None:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="six")

    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "::1", 0).start()
    except OSError:
        pytest.skip("this machine has no IPv6")
    port = runner.addresses[0][1]
    try:
        assert (await pool.request("GET", f"http://localhost:{port}/", {}, b"")).body == b"six"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("url", "said"), [("ftp://x/", "must begin with"), ("http:///x", "must begin"), ("x", "must")]
)
async def test_what_is_no_address_is_told(pool: HttpPool, url: str, said: str) -> None:
    with pytest.raises(NoAnswer, match=said):
        await pool.request("GET", url, {}, b"")


async def test_an_answer_that_is_no_http_is_told(pool: HttpPool) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"hello there\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(NoAnswer, match="an answer that is no HTTP"):
            await pool.request("GET", url, {}, b"")


async def test_waiting_has_an_end() -> None:
    pool = HttpPool(timeout_s=0.05)
    release = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    async with serving(slow) as url:
        with pytest.raises(NoAnswer, match=r"did not answer within 0\.05 s"):
            await pool.request("GET", url, {}, b"")
        release.set()
    await pool.close()


async def test_a_cancelled_request_lets_go_of_its_connection(pool: HttpPool) -> None:
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        arrived.set()
        await reader.read()
        gone.set()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        task = asyncio.create_task(pool.request("GET", url, {}, b""))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(gone.wait(), 5)


@asynccontextmanager
async def saying(*pieces: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that says this to whoever asks, and closes; and what it was asked."""
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    finally:
        server.close()


OLD = b"HTTP/1.0 206 Partial\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("said", "body"),
    [
        (OLD + b'[{"op":"StepRun"}]', b'[{"op":"StepRun"}]'),
        (OLD + b"42", b"42"),
        (OLD + b"null", b"null"),
        (OLD + b"abc", b"abc"),
        (OLD + b"", b""),
        (OLD + b"2\r\n42\r\n0\r\n\r\n", b"42"),
        (OLD.replace(b"1.0", b"1.1") + b"2\r\n42\r\n0\r\n\r\n", b"42"),
    ],
)
@pytest.mark.parametrize("piecewise", [False, True])
async def test_an_old_answer_that_only_says_it_is_in_chunks_is_read(
    pool: HttpPool, said: bytes, body: bytes, piecewise: bool
) -> None:
    pieces = [said[i : i + 1] for i in range(len(said))] if piecewise else [said]
    async with saying(*pieces) as (url, _):
        answer = await pool.request("GET", url, {}, b"")
    assert (answer.status, answer.headers["x-a"], answer.body) == (206, "1", body)


async def test_header_names_are_written_in_canonical_case(pool: HttpPool) -> None:
    async with saying(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as (url, asked):
        given = {"x-api-key": "k", "X-INNGEST-SIGNATURE": "s", "traceparent": "t"}
        await pool.request("GET", url, given, b"")
    for line in (b"X-Api-Key: k", b"X-Inngest-Signature: s", b"Traceparent: t"):
        assert line in asked[0].split(b"\r\n")


SECRETS = {"Authorization": "Bearer s3", "Cookie": "c=s3", "X-Api-Key": "s3", "X-Signature": "s3"}
PLAIN = {"Content-Type": "text/plain", "Accept": "*/*"}


async def test_redirects_carry_no_secrets_to_another_origin(pool: HttpPool) -> None:
    """A signature, a provider's key, a cookie: whoever redirects would have had them."""
    seen: list[dict[str, str]] = []

    async def end(request: web.Request) -> web.Response:
        seen.append({name.lower(): value for name, value in request.headers.items()})
        return web.Response(text="end")

    async with serving(end) as other:

        async def away(request: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": request.query["to"]})

        async with serving(away) as here:
            to = f"{here}/a?to={other}/x"
            answer = await pool.request("POST", to, {**SECRETS, **PLAIN}, b"body")
            assert answer.body == b"end"
            (headers,) = seen
            assert "s3" not in str(headers)
            assert headers["content-type"] == "text/plain"
            with pytest.raises(NoAnswer, match="redirects to another origin"):
                await pool.request("POST", to, SECRETS, b"body", stays=True)
            assert len(seen) == 1


async def test_redirects_within_an_origin_carry_everything(pool: HttpPool) -> None:
    async def handle(request: web.Request) -> web.Response:
        if request.path == "/a":
            return web.Response(status=308, headers={"Location": "/b"})
        return web.Response(text=request.headers["Authorization"])

    async with serving(handle) as here:
        answer = await pool.request("POST", f"{here}/a", SECRETS, b"", stays=True)
        assert answer.body == b"Bearer s3"


@pytest.mark.parametrize(
    ("here", "there", "same"),
    [
        ("http://a/x", "http://a/y", True),
        ("http://a/x", "http://a:80/y", True),
        ("http://a/x", "https://a/y", True),
        ("https://a/x", "http://a/y", False),
        ("http://a:8080/x", "https://a/y", False),
        ("http://a/x", "http://b/y", False),
        ("http://a/x", "http://a:81/y", False),
        ("http://a/x", "https://b.a/y", False),
    ],
)
def test_what_another_origin_is(here: str, there: str, same: bool) -> None:
    assert _is_same_origin(URL(here), URL(there)) is same


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
async def test_addresses_that_are_denied_are_not_connected_to(name: str) -> None:
    """By their address, whatever name led there."""
    asked: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(text="internal")

    async with serving(handle) as origin:
        url = origin.replace("127.0.0.1", name)
        guarded = HttpPool(timeout_s=5, networks=Networks.of(["internal"], []))
        with pytest.raises(NoAnswer, match="--fetch-deny") as refused:
            await guarded.request("GET", url, {}, b"")
        assert refused.value.reason == "denied"
        assert asked == []
        await guarded.close()


async def test_a_redirect_to_an_address_that_is_denied_is_not_followed() -> None:
    asked: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request.path)
        to = str(request.url.with_host("127.0.0.2").with_path("/inside"))
        return web.Response(status=302, headers={"Location": to})

    allowed = Networks.of(["internal"], ["127.0.0.1"])
    guarded = HttpPool(timeout_s=5, networks=allowed)
    async with serving(handle) as origin:
        with pytest.raises(NoAnswer, match=r"127\.0\.0\.2 is an address"):
            await guarded.request("GET", origin, {}, b"")
    assert asked == ["/"]
    await guarded.close()
