"""A real server with a small shop inside, and a browser that looks at it.

One browser, and one process that steers it, for all tests of the package: they share a loop
(`loop_scope="package"`). Each has a server, a window and a storage of its own.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

from stepwell.server.dashboard.files import PAGE, STATIC
from tests.dashboard.chromium import MISSING, chromium, program
from tests.dashboard.shop import Shop, running_shop

WIDE = (1280, 860)
NARROW = (380, 760)
# A busy machine takes its time; what holds is seen at once all the same.
expect.set_options(timeout=30_000)


@pytest.fixture(scope="session")
def browser_address() -> Iterator[str]:
    if program() is None:
        pytest.skip(MISSING)
    if not (STATIC / PAGE).is_file():
        pytest.skip("the dashboard is not built: run scripts/setup where Node is installed")
    with chromium() as address:
        yield address


@pytest_asyncio.fixture(loop_scope="package")
async def shop() -> AsyncIterator[Shop]:
    async with running_shop() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="package", scope="package")
async def browser(browser_address: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        yield await playwright.chromium.connect_over_cdp(browser_address)


@pytest_asyncio.fixture(loop_scope="package")
async def page(browser: Browser, shop: Shop) -> AsyncIterator[Page]:
    """A window of 1,280 by 860. An error in it fails the test, and so does a line in its console
    that is not the browser's own about an answer that was a refusal."""
    async with window(browser, shop) as opened:
        yield opened


@asynccontextmanager
async def window(
    browser: Browser,
    shop: Shop | str,
    size: tuple[int, int] = WIDE,
    scheme: str = "light",
    expected: tuple[str, ...] = ("the server responded with a status of 40",),
) -> AsyncIterator[Page]:
    """A window of its own, of a shop or an address. `expected` are parts of lines that its console
    may hold."""
    async with AsyncExitStack() as stack:
        context = await browser.new_context(
            base_url=(shop if isinstance(shop, str) else shop.url) + "/",
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if scheme == "dark" else "light",
            locale="en-GB",
            timezone_id="UTC",
        )
        stack.push_async_callback(context.close)
        opened = await context.new_page()
        told: list[str] = []
        opened.on("console", lambda line: told.append(f"{line.type}: {line.text}"))
        opened.on("pageerror", lambda error: told.append(str(error)))
        yield opened
        await opened.unroute_all(behavior="ignoreErrors")  # what the test still holds or answers
        hints = ("verbose: ", *expected)
        assert [line for line in told if not any(part in line for part in hints)] == []
