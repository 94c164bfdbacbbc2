"""The list of runs, as a person uses it."""

from playwright.async_api import Page, expect

from tests.dashboard.shop import Shop


async def test_a_run_appears_by_itself_and_opens(page: Page, shop: Shop) -> None:
    await page.goto("")
    await expect(page.get_by_role("heading", name="No runs yet")).to_be_visible()
    run = await shop.run("order/placed", "COMPLETED")
    row = page.locator("a.row")
    await expect(row).to_have_count(1)
    await expect(row).to_contain_text("shop-fulfil")
    await expect(row).to_contain_text("Completed")
    await row.click()
    await expect(page).to_have_url(f"{shop.url}/runs/{run['id']}")


async def test_filters_stand_in_the_address_and_survive_going_back(page: Page, shop: Shop) -> None:
    failed = await shop.run("order/refunded", "FAILED")
    await shop.run("order/placed", "COMPLETED")
    await page.goto("runs")
    await expect(page.locator("a.row")).to_have_count(2)
    await page.get_by_role("button", name="Failed").click()
    await expect(page).to_have_url(f"{shop.url}/runs?status=FAILED")
    await expect(page.locator("a.row")).to_have_count(1)
    await page.locator("a.row").click()
    await expect(page).to_have_url(f"{shop.url}/runs/{failed['id']}")
    await page.go_back()
    await expect(page).to_have_url(f"{shop.url}/runs?status=FAILED")
    await expect(page.get_by_role("button", name="Failed")).to_have_attribute(
        "aria-pressed", "true"
    )
    await page.reload()
    await expect(page.locator("a.row")).to_have_count(1)


async def test_a_filter_that_matches_nothing_says_so(page: Page, shop: Shop) -> None:
    await shop.run("order/placed", "COMPLETED")
    await page.goto("runs?status=CANCELLED")
    await expect(page.get_by_role("heading", name="No run matches")).to_be_visible()
    await page.get_by_role("link", name="Show all runs").click()
    await expect(page.locator("a.row")).to_have_count(1)


async def test_runs_of_one_function_in_the_order_asked_for(page: Page, shop: Shop) -> None:
    first = await shop.run("order/refunded", "FAILED")
    last = await shop.run("order/refunded", "FAILED")
    await shop.run("order/placed", "COMPLETED")
    await page.goto("runs")
    await page.get_by_label("Function", exact=True).select_option("shop-refund")
    await expect(page.locator("a.row")).to_have_count(2)
    await expect(page.locator("a.row").first).to_contain_text(last["id"])
    await page.get_by_role("button", name="Newest first").click()
    await expect(page.locator("a.row").first).to_contain_text(first["id"])


async def test_a_page_that_is_held_stands_still(page: Page, shop: Shop) -> None:
    await shop.run("order/placed", "COMPLETED")
    await page.goto("runs")
    await expect(page.locator("a.row")).to_have_count(1)
    await page.get_by_role("button", name="Live").click()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await shop.run("order/placed", "COMPLETED")
    await page.wait_for_timeout(2_000)
    assert asked == []
    await expect(page.locator("a.row")).to_have_count(1)
    await page.get_by_role("button", name="Held").click()
    await expect(page.locator("a.row")).to_have_count(2)


async def test_further_pages_and_few_rows_drawn(page: Page, shop: Shop) -> None:
    for _ in range(120):
        await shop.send("order/refunded")
    await shop.run("order/refunded", "FAILED")
    await page.goto("runs?order=oldest")
    await page.get_by_role("button", name="Show more").click()
    await page.get_by_role("button", name="Show more").click()
    await expect(page.get_by_role("button", name="Show more")).to_have_count(0)
    height = await page.locator(".rows").evaluate("element => element.scrollHeight")
    assert height > 121 * 44
    assert await page.locator("a.row").count() < 60
    await page.evaluate("scrollTo(0, document.body.scrollHeight)")
    await expect(page.locator("a.row").last).to_be_in_viewport()


async def test_keys_walk_the_list_and_go_places(page: Page, shop: Shop) -> None:
    await shop.run("order/refunded", "FAILED")
    second = await shop.run("order/placed", "COMPLETED")
    await page.goto("runs")
    rows = page.locator("a.row")
    await expect(rows).to_have_count(2)
    await rows.last.focus()
    await page.keyboard.press("k")
    await expect(rows.first).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(f"{shop.url}/runs/{second['id']}")
    await page.keyboard.press("g")
    await page.keyboard.press("e")
    await expect(page).to_have_url(f"{shop.url}/events")
    await page.get_by_label("Name of an event").focus()
    await page.keyboard.type("gr")
    await expect(page).to_have_url(f"{shop.url}/events")
