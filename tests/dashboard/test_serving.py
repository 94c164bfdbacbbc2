"""The page over HTTP: what is served where, with which headers, and what stays the API's."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import brotli
import pytest
import pytest_asyncio

from stepwell.server.config import ServerConfig
from stepwell.server.dashboard.files import NOT_BUILT, load
from stepwell.server.dashboard.page import POLICY, Dashboard
from stepwell.server.serving import Server
from tests.dashboard.shop import Shop

pytestmark = pytest.mark.asyncio(loop_scope="package")

HTML = {"accept": "text/html,application/xhtml+xml"}


@pytest_asyncio.fixture(loop_scope="package")
async def files(tmp_path: Path) -> Path:
    """A small build of a page."""
    script = b"console.log('a page')" * 50
    assets = tmp_path / "assets"
    assets.mkdir()
    (tmp_path / "index.html").write_bytes(b'<base href="/" /><title>Stepwell</title>')
    (tmp_path / "theme.js").write_bytes(b"1")
    (assets / "index-abc.js").write_bytes(script)
    (assets / "index-abc.js.gz").write_bytes(gzip.compress(script))
    (assets / "index-abc.js.br").write_bytes(brotli.compress(script))
    return tmp_path


@pytest_asyncio.fixture(loop_scope="package")
async def http(files: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a server that serves that build."""
    import stepwell.server.serving as serving

    with pytest.MonkeyPatch.context() as patch:
        loaded = load(files)
        patch.setattr(serving, "Dashboard", lambda rest: Dashboard(rest, loaded))
        server = Server(ServerConfig(host="127.0.0.1", port=0, connect_gateway_port=0))
        await server.start()
        try:
            origin = f"http://127.0.0.1:{server.port}"
            async with aiohttp.ClientSession(origin, auto_decompress=False) as client:
                yield client
        finally:
            await server.stop()


@pytest.mark.parametrize("path", ["/", "/runs", "/runs/01H", "/functions/a/b", "/anything"])
async def test_the_page_answers_wherever_a_browser_goes(
    http: aiohttp.ClientSession, path: str
) -> None:
    async with http.get(path, headers=HTML) as answer:
        assert answer.status == 200
        assert b"<title>Stepwell</title>" in await answer.read()
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["/v1/nothing", "/v2/nothing", "/api/v2/nothing", "/health"])
async def test_an_address_of_the_api_is_never_a_page(
    http: aiohttp.ClientSession, path: str
) -> None:
    async with http.get(path, headers=HTML) as answer:
        assert answer.content_type == "application/json"


async def test_a_program_that_asks_for_what_is_not_there_gets_a_404(
    http: aiohttp.ClientSession,
) -> None:
    async with http.get("/nothing") as answer:
        assert answer.status == 404
        assert "there is nothing at /nothing" in await answer.text()
    async with http.post("/runs", headers=HTML) as answer:
        assert answer.status in {404, 405}


async def test_files_are_sent_as_small_as_the_browser_takes_them(
    http: aiohttp.ClientSession, files: Path
) -> None:
    plain = (files / "assets/index-abc.js").read_bytes()
    told = {"br": brotli.decompress, "gzip": gzip.decompress, "identity": bytes}
    for accepted, opened in told.items():
        async with http.get(
            "/assets/index-abc.js", headers={"accept-encoding": accepted}
        ) as answer:
            assert answer.headers.get("content-encoding", "identity") == accepted
            assert opened(await answer.read()) == plain
            assert "immutable" in answer.headers["cache-control"]
            assert answer.headers["vary"] == "accept-encoding"


async def test_a_file_that_has_not_changed_is_not_sent_again(http: aiohttp.ClientSession) -> None:
    async with http.get("/theme.js") as answer:
        assert answer.headers["cache-control"] == "no-cache"
        etag = answer.headers["etag"]
    async with http.get("/theme.js", headers={"if-none-match": etag}) as answer:
        assert answer.status == 304
        assert await answer.read() == b""


@pytest.mark.parametrize(
    ("prefix", "base"),
    [("/a/b", "/a/b/"), ("/a/b/", "/a/b/"), ('/"><script>', "/"), ("a", "/"), ("//evil", "/")],
)
async def test_behind_a_prefix_the_page_finds_its_files(
    http: aiohttp.ClientSession, prefix: str, base: str
) -> None:
    async with http.get("/runs", headers={**HTML, "x-forwarded-prefix": prefix}) as answer:
        assert f'<base href="{base}" />'.encode() in await answer.read()


async def test_a_checkout_without_node_says_how_to_build_the_page(tmp_path: Path) -> None:
    assert load(tmp_path).page == NOT_BUILT
    assert b"scripts/setup" in NOT_BUILT


async def test_no_ui_serves_the_apis_alone() -> None:
    server = Server(ServerConfig(host="127.0.0.1", port=0, connect_gateway_port=0, ui=False))
    await server.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as http:
            async with http.get("/runs", headers=HTML) as answer:
                assert answer.status == 404
            async with http.get("/v2/health") as answer:
                assert answer.status == 200
    finally:
        await server.stop()


async def test_the_shop_of_the_tests_answers(shop: Shop) -> None:
    assert [app["name"] for app in (await shop.get("v2/apps"))["data"]] == ["shop"]
