"""What a page may cost, counted: bytes, requests and elements. No verdict by the clock."""

import asyncio
import re

import pytest
from playwright.async_api import Browser, Page, Route, expect

from stepwell.server.dashboard.files import PAGE, STATIC
from tests.dashboard.conftest import window
from tests.dashboard.shop import BIG, Shop

pytestmark = pytest.mark.asyncio(loop_scope="package")

FIRST_BYTES_MAX = 45_000
"""Of everything that the first row needs, compressed: the page, its script and its style."""
REQUESTS_MAX = 12
NEEDED = re.compile(r"session|api/v2/(runs|stream)\?.*")
"""What a page asks of the API before the first row; the rest of its questions may wait."""
PALETTE_ELEMENTS_MAX = 200
BROKEN_OFF = ("Failed to load", "net::ERR")
ELEMENTS_MAX = 1_500
MEMBERS = 95_000
LARGE = f"""const asked = fetch;
const member = '{{"id":{BIG},"name":"plum","price":7}}';
globalThis.fetch = async (...given) => {{
    const answer = await asked(...given);
    if (!answer.url.includes("/trace?")) return answer;
    const many = `[${{(member + ",").repeat({MEMBERS - 1})}}${{member}}]`;
    const text = (await answer.text()).replace('"data":1', `"data":${{many}}`);
    return new Response(text, answer); }};"""
"""Puts five megabytes in the place of a step's result."""
OF_A_HUNDRED_MAX = 2_000
"""Elements of a hundred members of a list, with three fields each."""
HEAP_BYTES_MAX = 80_000_000
GROWN_BYTES_MAX = 3_000_000
"""By so much the heap may grow in ten minutes in which things happen all the time."""
COUNTED = """const own = JSON.stringify; globalThis.written = 0;
JSON.stringify = (...given) => {
    const text = own(...given); globalThis.written += text?.length ?? 0; return text; };"""
"""Counts the characters that a page writes as JSON."""
OF_A_CHANGE_MAX = 4
"""Requests that one change of one run leads to on an open page."""


async def elements(page: Page) -> int:
    count: int = await page.evaluate("document.body.querySelectorAll('*').length")
    return count


async def test_the_first_view_takes_few_requests_bytes_and_elements(
    browser: Browser, shop: Shop
) -> None:
    for _ in range(60):
        await shop.send("order/refunded")
    await shop.run("order/refunded", "FAILED")
    async with window(browser, shop) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto("runs")
        await expect(page.locator("a.row").first).to_be_visible()
        assert len(asked) <= REQUESTS_MAX, asked
        assert await elements(page) <= ELEMENTS_MAX


async def test_the_first_row_waits_for_nothing_but_what_it_is_made_of(
    browser: Browser, shop: Shop
) -> None:
    """At four times the processor's time, this is what keeps the largest paint early."""
    await shop.run("order/refunded", "FAILED")
    named = set(re.findall(r"assets/[\w.-]+", (STATIC / PAGE).read_text(encoding="utf-8")))
    sizes = {one: (STATIC / f"{one}.gz").stat().st_size for one in named}
    assert {one.rpartition(".")[2] for one in named} == {"js", "css"}
    # The style is there whole from the beginning: pages share parts of it.
    assert {f"assets/{path.name}" for path in STATIC.glob("assets/*.css")} < named
    assert 10_000 < sum(sizes.values()) <= FIRST_BYTES_MAX, sizes

    over = asyncio.Event()

    async def let_through(route: Route) -> None:
        path = route.request.url.removeprefix(f"{shop.url}/")
        if path in {*named, "runs", "theme.js", "icon.svg"} or NEEDED.fullmatch(path):
            await route.continue_()
        else:
            await over.wait()
            await route.abort()

    async with window(browser, shop, expected=BROKEN_OFF) as page:
        await page.route("**/*", let_through)
        await page.goto("runs")
        await expect(page.locator("a.row")).to_have_count(1)
        await _let_go(page, over)


async def test_the_palette_opens_before_any_answer_and_with_few_elements(
    browser: Browser, shop: Shop
) -> None:
    over = asyncio.Event()

    async def hold(route: Route) -> None:
        await over.wait()
        await route.abort()

    async with window(browser, shop, expected=BROKEN_OFF) as page:
        await page.goto("runs")
        await expect(page.get_by_role("heading", name="No runs yet")).to_be_visible()
        await page.route("**/*", hold)
        before = await elements(page)
        await page.keyboard.press("Control+k")
        palette = page.get_by_role("dialog", name="Go to or do")
        await expect(palette.get_by_role("combobox")).to_be_focused()
        await expect(palette.get_by_role("option").first).to_be_visible()
        assert await elements(page) < before + PALETTE_ELEMENTS_MAX
        await _let_go(page, over)


async def _let_go(page: Page, over: asyncio.Event) -> None:
    """Breaks off the requests that were held. That fails for those that the page gave up itself."""
    await page.unroute_all(behavior="ignoreErrors")
    over.set()


async def test_a_change_is_asked_for_once_and_leaves_no_element_behind(
    page: Page, shop: Shop
) -> None:
    await shop.run("order/refunded", "FAILED")
    await page.goto("runs")
    await expect(page.locator("a.row")).to_have_count(1)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    waiting = await shop.run("order/asked", "RUNNING")
    await expect(page.locator("a.row")).to_have_count(2)
    before = await elements(page)
    for _ in range(3):
        await page.locator("a.row").first.click()
        await expect(page.locator(".run-title")).to_contain_text("shop-approve")
        await page.go_back()
        await expect(page.locator("a.row")).to_have_count(2)
    assert await elements(page) <= before
    lists = [url for url in asked if "/api/v2/runs?" in url]
    assert len(lists) <= OF_A_CHANGE_MAX + 3, (lists, waiting)


async def test_a_large_result_costs_what_is_seen_of_it(browser: Browser, shop: Shop) -> None:
    run = await shop.run("rows/uploaded", "COMPLETED", rows=1)
    async with window(browser, shop) as page:
        await page.add_init_script(COUNTED)
        await page.add_init_script(LARGE)
        await page.goto(f"runs/{run['id']}")
        await page.get_by_role("treeitem").filter(has_text="row 0").click()
        panel = page.get_by_role("region", name="Details")
        many = panel.get_by_role("button", name=f"{MEMBERS} items")
        await expect(many).to_be_visible()
        before = await elements(page)
        await many.click()
        await expect(panel.get_by_role("button", name="94,900 more")).to_be_visible()
        await expect(panel.get_by_text(str(BIG)).first).to_be_visible()
        assert await elements(page) < before + OF_A_HUNDRED_MAX
        assert await page.evaluate("written") < 10_000
        await panel.get_by_role("button", name="Copy the output").click()
        assert await page.evaluate("written") > MEMBERS


async def test_ten_minutes_of_changes_leave_nothing_in_memory(browser: Browser, shop: Shop) -> None:
    for _ in range(60):
        await shop.send("order/refunded")
    async with window(browser, shop) as page:
        told = await page.context.new_cdp_session(page)

        async def heap() -> int:
            await told.send("HeapProfiler.collectGarbage")
            return int((await told.send("Runtime.getHeapUsage"))["usedSize"])

        async def change() -> None:
            """Something happens and is shown, and forty seconds of the page's own time pass."""
            run = await shop.run("order/refunded", "FAILED")
            await page.clock.fast_forward(40_000)
            await expect(page.locator("a.row").first).to_contain_text(run["id"])

        await page.clock.install()
        await page.goto("runs")
        for _ in range(5):  # until all that is loaded later is there, too
            await change()
        before = await heap()
        for _ in range(15):
            await change()
        after = await heap()
        assert after < HEAP_BYTES_MAX
        assert after - before < GROWN_BYTES_MAX, (before, after)
