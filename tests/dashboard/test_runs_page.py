"""The list of runs, as a person uses it."""

import pytest
from playwright.async_api import Page, expect

from stepwell.server.api.v2 import runs
from stepwell.server.query import search
from tests.dashboard.barriers import barriers
from tests.dashboard.shop import Shop

pytestmark = pytest.mark.asyncio(loop_scope="package")


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


async def test_runs_of_one_app_and_by_any_of_their_times(page: Page, shop: Shop) -> None:
    run = await shop.run("order/placed", "COMPLETED")
    await shop.run("order/asked", "RUNNING", order=1)
    await page.goto("runs")
    await expect(page.locator("a.row")).to_have_count(2)
    await page.get_by_role("combobox", name="App").select_option("shop")
    await expect(page).to_have_url(f"{shop.url}/runs?app=shop")
    await page.get_by_role("button", name="All time").click()
    menu = page.get_by_role("group", name="Time")
    await menu.get_by_role("button", name="Ended").click()
    await expect(page.locator("a.row")).to_have_count(1)
    await expect(page).to_have_url(f"{shop.url}/runs?app=shop&time=ended")
    assert await barriers(page, ".time-menu") == []
    await page.set_viewport_size({"width": 1280, "height": 860})
    ended = run["endedAt"][:16]
    await menu.get_by_label("From").fill(ended)
    await menu.get_by_label("Until").fill(ended)
    await expect(menu.get_by_role("alert")).to_have_text("The end comes after the beginning")
    await menu.get_by_label("Until").fill("2090-01-01T00:00")
    await menu.get_by_role("button", name="Show these").click()
    await expect(menu).to_be_hidden()
    await expect(page.locator("a.row")).to_contain_text(run["id"])
    await page.reload()
    await expect(page.get_by_role("button", name="Ended from")).to_contain_text("until 1 Jan 2090")
    await expect(page.locator("a.row")).to_have_count(1)
    await page.get_by_role("button", name="Act on all").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("1run matches now")
    await expect(dialog).to_contain_text("Runs that end later are left alone")
    await dialog.get_by_text("Run again", exact=True).click()
    await dialog.get_by_role("button", name="Run again 1 run").click()
    await expect(page.get_by_role("region", name="Running again many runs")).to_contain_text(
        "1 of 1"
    )
    await page.get_by_role("button", name="Ended from").click()
    await menu.get_by_label("Last hour").click()
    await expect(page).to_have_url(f"{shop.url}/runs?app=shop&last=1h&time=ended")
    await menu.get_by_role("button", name="Started").click()
    await expect(page.locator("a.row")).to_have_count(3)


async def test_runs_of_one_session_are_listed_kept_as_a_view_and_acted_on(
    page: Page, shop: Shop
) -> None:
    session = "user=7, the elder"
    theirs = {
        "name": "order/asked",
        "data": {"order": 1},
        "meta": {"sessions": {"user": "7, the elder"}},
    }
    async with shop.http.post(f"{shop.url}/e/key", json=theirs) as answer:
        run = await shop.run_of((await answer.json(content_type=None))["ids"][0], "RUNNING")
    await shop.run("order/asked", "RUNNING", order=2)
    await page.goto("runs")
    await page.get_by_role("button", name="Session").click()
    field = page.get_by_label("Session", exact=True)
    await field.fill("user")
    await expect(page.get_by_role("button", name="Add")).to_be_disabled()
    await field.fill(session)
    await field.press("Enter")
    await expect(page.locator("a.row")).to_have_count(1)
    await expect(page.locator("a.row")).to_contain_text(run["id"])
    await expect(page).to_have_url(f"{shop.url}/runs?session=user%3D7%2C+the+elder")
    await page.get_by_role("button", name="Act on all").click()
    await expect(page.get_by_role("dialog")).to_contain_text("1run matches now")
    await page.keyboard.press("Escape")
    await page.reload()
    await page.get_by_role("button", name=f"Leave out session {session}").click()
    await expect(page.locator("a.row")).to_have_count(2)


async def test_runs_are_searched_by_a_condition_and_what_is_wrong_with_it_is_marked(
    page: Page, shop: Shop
) -> None:
    seventh = await shop.run("order/refunded", "FAILED", order=7)
    await shop.run("order/refunded", "FAILED", order=8)
    await page.goto("runs")
    await expect(page.locator("a.row")).to_have_count(2)
    await page.keyboard.press("/")
    field = page.get_by_label("Condition")
    await expect(field).to_be_focused()
    await field.fill("event.data.order ==== 7")
    await field.press("Enter")
    wrong = page.get_by_role("alert")
    await expect(wrong).to_contain_text("'==' is not expected here")
    await expect(wrong.locator("mark")).to_have_text("==")
    await expect(field).to_have_attribute("aria-invalid", "true")
    await field.fill("event.data.order == 7")
    await field.press("Enter")
    await expect(page).to_have_url(f"{shop.url}/runs?query=event.data.order+%3D%3D+7")
    await expect(page.locator("a.row")).to_have_count(1)
    await expect(page.locator("a.row")).to_contain_text(seventh["id"])
    await expect(wrong).to_have_count(0)


async def test_runs_that_failed_with_one_class_of_error(page: Page, shop: Shop) -> None:
    run = await shop.run("order/refunded", "FAILED")
    await shop.run("parcel/lost", "FAILED")
    await page.goto("runs?query=event.data+!%3D+null")
    await expect(page.locator("a.row")).to_have_count(2)
    await page.get_by_label("Error").select_option("ValueError")
    await expect(page.locator("a.row")).to_have_count(1)
    await expect(page.locator("a.row")).to_contain_text(run["id"])
    await page.reload()
    await expect(page.get_by_label("Error")).to_have_value("ValueError")
    await page.get_by_label("Error").select_option("")
    await expect(page).to_have_url(f"{shop.url}/runs?query=event.data+%21%3D+null")


async def test_a_condition_is_completed_with_fields_that_events_have(
    page: Page, shop: Shop
) -> None:
    await shop.run("order/refunded", "FAILED", orderNumber=7)
    await page.goto("runs")
    field = page.get_by_label("Condition")
    await field.press_sequentially("event.data.o")
    choice = page.get_by_role("option", name="event.data.orderNumber")
    await expect(choice).to_be_visible()
    assert await barriers(page, "form.search") == []
    await page.set_viewport_size({"width": 1280, "height": 860})
    await field.press("ArrowDown")
    await expect(choice).to_have_attribute("aria-selected", "true")
    await field.press("Enter")
    await expect(field).to_have_value("event.data.orderNumber")
    await field.press_sequentially(" == 7")
    await expect(page.locator(".choices-one")).to_have_count(0)
    await field.press("Enter")
    await expect(page).to_have_url(f"{shop.url}/runs?query=event.data.orderNumber+%3D%3D+7")


async def test_what_is_wrong_on_the_second_line_is_marked_there(page: Page, shop: Shop) -> None:
    await page.goto("runs?query=event.data.a+%3D%3D+1%0A++event.data.b+%3D%3D%3D%3D+2")
    wrong = page.get_by_role("alert")
    await expect(wrong.locator("code")).to_have_text("  event.data.b ==== 2")
    await expect(wrong.locator("mark")).to_have_text("==")


async def test_a_list_that_is_read_stands_still_and_counts_what_came(
    page: Page, shop: Shop
) -> None:
    for _ in range(30):
        await shop.send("order/refunded")
    await page.goto("runs")
    await expect(page.locator("a.row")).to_have_count(30)
    await page.evaluate("scrollTo(0, 400)")
    first = await page.locator("a.row").first.get_attribute("href")
    await shop.run("order/placed", "COMPLETED")
    await page.get_by_role("button", name="1 new").click()
    await expect(page.locator("a.row").first).to_contain_text("shop-fulfil")
    assert await page.locator("a.row").nth(1).get_attribute("href") == first
    await expect(page.get_by_role("button", name="1 new")).to_have_count(0)


async def test_a_search_that_ran_out_of_time_says_so_and_goes_on(
    page: Page, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await shop.run("order/refunded", "FAILED", order=7)
    monkeypatch.setattr(runs, "until_late", lambda: lambda: False)
    monkeypatch.setattr(search, "PAGE", 1)
    await page.goto("runs?query=event.data.order+%3D%3D+8")
    await expect(page.get_by_text("Two seconds were not enough")).to_be_visible()
    await expect(page.get_by_role("heading", name="No run matches")).to_have_count(0)
    await page.get_by_role("button", name="Search on").click()
    await page.get_by_role("button", name="Search on").click()
    await expect(page.get_by_text("Two seconds were not enough")).to_be_visible()


async def test_all_runs_of_a_filter_are_counted_cancelled_and_left_alone_when_stopped(
    page: Page, shop: Shop
) -> None:
    for order in range(3):
        await shop.run("order/asked", "RUNNING", order=order)
    failed = await shop.run("order/refunded", "FAILED")
    await page.goto("runs?status=RUNNING")
    await expect(page.locator("a.row")).to_have_count(3)
    await page.get_by_role("button", name="Act on all").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("3runs match now")
    pace = dialog.get_by_label("Runs a second")
    for wrong in ("0", "x", "2001"):
        await pace.fill(wrong)
        await expect(dialog.get_by_role("alert")).to_contain_text("a number from 1 to 2,000")
        await expect(dialog.get_by_role("button", name="Cancel 3 runs")).to_be_disabled()
    await pace.fill("1")
    await dialog.get_by_role("button", name="Cancel 3 runs").click()
    progress = page.get_by_role("region", name="Cancelling many runs")
    await expect(progress).to_contain_text("of 3 runs")
    await progress.get_by_role("button", name="Stop").click()
    await expect(progress).to_contain_text("Stopped")
    left = (await shop.get("v2/runs?status=RUNNING"))["data"]
    assert len(left) in {1, 2}
    assert (await shop.get(f"v2/runs/{failed['id']}"))["data"]["status"] == "FAILED"


async def test_a_page_that_is_held_stands_still(page: Page, shop: Shop) -> None:
    await shop.run("order/placed", "COMPLETED")
    await page.clock.install()
    await page.goto("runs")
    await expect(page.locator("a.row")).to_have_count(1)
    await page.get_by_role("button", name="Live").click()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await shop.run("order/placed", "COMPLETED")
    await page.clock.run_for(10_000)
    assert [url for url in asked if "/assets/" not in url] == []
    await expect(page.locator("a.row")).to_have_count(1)
    await page.get_by_role("button", name="Held").click()
    await page.clock.run_for(1_000)
    await expect(page.locator("a.row")).to_have_count(2)


async def test_further_pages_and_few_rows_drawn(page: Page, shop: Shop) -> None:
    for _ in range(120):
        await shop.send("order/refunded")
    await shop.run("order/refunded", "FAILED")
    await page.goto("runs")
    await page.get_by_role("button", name="Show more").click()
    await page.get_by_role("button", name="Show more").click()
    await shop.run("order/placed", "COMPLETED")
    await page.evaluate("scrollTo(0, 0)")
    await expect(page.locator("a.row").first).to_contain_text("shop-fulfil")
    await expect(page.get_by_role("button", name="Show more")).to_have_count(0)
    height = await page.locator(".rows").evaluate("element => element.scrollHeight")
    # The one that came pushed none away.
    assert height > 122 * 44
    assert await page.locator("a.row").count() < 60
    await page.evaluate("scrollTo(0, document.body.scrollHeight)")
    await expect(page.locator("a.row").last).to_be_in_viewport()


async def test_columns_are_chosen_and_stand_in_the_address(page: Page, shop: Shop) -> None:
    run = await shop.run("parcel/lost", "FAILED")
    await page.goto("runs?columns=trigger,waited")
    head = page.locator(".row-head")
    await expect(head).to_have_text("StatusFunctionTriggerWaitedDuration")
    await page.get_by_role("button", name="Columns").click()
    for name in ("Waited", "Retries", "Started"):
        await page.get_by_role("group", name="Columns").get_by_label(name).click()
    await expect(head).to_have_text("StatusFunctionTriggerStartedRetriesDuration")
    await expect(page).to_have_url(f"{shop.url}/runs?columns=trigger%2Cstarted%2Cretries")
    cells = page.locator("a.row > span")
    await expect(cells.nth(4)).to_have_text("1")
    await page.locator("a.row").click()
    await expect(page).to_have_url(f"{shop.url}/runs/{run['id']}")
    await page.go_back()
    await expect(head).to_contain_text("Retries")


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


async def test_the_palette_goes_anywhere_and_the_sheet_tells_the_keys(
    page: Page, shop: Shop
) -> None:
    await page.goto("runs")
    await expect(page.get_by_role("heading", name="No runs yet")).to_be_visible()
    await page.keyboard.press("Control+k")
    palette = page.get_by_role("dialog", name="Go to or do")
    field = palette.get_by_role("combobox")
    await expect(field).to_be_focused()
    await field.press_sequentially("refu")
    await expect(palette.get_by_role("option")).to_have_count(1)
    await field.press("Enter")
    await expect(page).to_have_url(f"{shop.url}/functions/shop/shop-refund")
    await expect(palette).to_have_count(0)
    await expect(page.get_by_role("heading", name="refund", exact=True)).to_be_visible()
    await page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keys")
    await expect(sheet).to_contain_text("send an event")
    await page.keyboard.press("Escape")
    await expect(sheet).to_have_count(0)


async def test_a_filter_is_kept_under_a_name_and_forgotten(page: Page, shop: Shop) -> None:
    await page.goto("runs?status=FAILED")
    await page.get_by_role("button", name="Keep this view").click()
    name = page.get_by_label("Name of the view")
    await name.fill("went <b>wrong</b>")
    await name.press("Enter")
    await expect(page.get_by_role("link", name="went <b>wrong</b>")).to_be_visible()
    await page.get_by_role("link", name="Runs", exact=True).click()
    await expect(page).to_have_url(f"{shop.url}/runs")
    await page.reload()
    await page.get_by_role("link", name="went <b>wrong</b>").click()
    await expect(page).to_have_url(f"{shop.url}/runs?status=FAILED")
    await page.get_by_role("button", name="Forget this view").click()
    await expect(page.get_by_role("link", name="went <b>wrong</b>")).to_have_count(0)
