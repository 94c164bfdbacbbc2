"""Events, functions and apps: looked at, sent, invoked and paused."""

import json
import re

import pytest
from playwright.async_api import Page, expect

from tests.dashboard.barriers import barriers
from tests.dashboard.shop import BIG, Shop

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_an_event_shows_what_it_started_and_what_it_did_not(page: Page, shop: Shop) -> None:
    event = await shop.send("order/placed", order=BIG)
    await shop.run_of(event, "COMPLETED")
    await page.goto("events")
    await page.locator("a.row", has_text="order/placed").click()
    await expect(page.locator(".json")).to_contain_text(str(BIG))
    await expect(page.locator("a.row")).to_contain_text("shop-fulfil")
    await expect(page.locator(".notice")).to_contain_text("shop-notify has no run for it")


async def test_an_event_nobody_listens_to_says_so(page: Page, shop: Shop) -> None:
    event = await shop.send("nobody/listens")
    await page.goto(f"events/{event}")
    await expect(page.get_by_role("heading", name="It started nothing")).to_be_visible()


async def test_events_are_found_by_name_by_what_they_hold_and_among_the_servers_own(
    page: Page, shop: Shop
) -> None:
    await shop.run("day/closed", "COMPLETED")
    for order in range(3):
        await shop.send("nobody/listens", order=order)
    rows = page.locator("a.row")
    await page.goto("events")
    await expect(rows).to_have_count(4)
    await page.get_by_label("Name of an event").fill("nobody/listens")
    await page.keyboard.press("Tab")
    await expect(rows).to_have_count(3)
    condition = page.get_by_label("Condition")
    await condition.fill("event.data.order == 2")
    await condition.press("Enter")
    await expect(rows).to_have_count(1)
    await page.reload()
    await expect(rows).to_have_count(1)
    await condition.fill("event.data. == 2")
    await condition.press("Enter")
    await expect(page.get_by_role("alert")).to_be_visible()
    await page.get_by_role("button", name="Clear").click()
    await expect(condition).to_have_value("")
    await page.get_by_role("button", name="The server's own").click()
    await expect(rows.filter(has_text="inngest/function.invoked")).to_have_count(1)
    await page.get_by_label("Time").select_option("Last hour")
    await expect(page).to_have_url(f"{shop.url}/events?last=1h&internal=true")
    await expect(rows.filter(has_text="nobody/listens")).to_have_count(3)


async def test_events_of_one_session_are_listed_and_stand_in_the_address(
    page: Page, shop: Shop
) -> None:
    theirs = {"name": "nobody/listens", "meta": {"sessions": {"user": "7, the elder"}}}
    async with shop.http.post(f"{shop.url}/e/key", json=theirs) as answer:
        (event,) = (await answer.json(content_type=None))["ids"]
    await shop.send("nobody/listens", order=1)
    rows = page.locator("a.row")
    await page.goto("events")
    await expect(rows).to_have_count(2)
    await page.get_by_role("button", name="Session").click()
    field = page.get_by_label("Session", exact=True)
    await field.fill("user=7, the elder")
    await field.press("Enter")
    await expect(rows).to_have_count(1)
    await expect(rows).to_have_attribute("href", f"/events/{event}")
    await expect(page).to_have_url(f"{shop.url}/events?session=user%3D7%2C+the+elder")
    await page.reload()
    await expect(rows).to_have_count(1)
    await page.get_by_role("button", name="Leave out session user=7, the elder").click()
    await expect(rows).to_have_count(2)


async def test_older_events_are_shown_when_asked_for(page: Page, shop: Shop) -> None:
    for number in range(55):
        await shop.send("nobody/listens", number=number)
    await page.goto("events")
    await expect(page.locator("a.row")).to_have_count(50)
    await page.get_by_role("button", name="Show more").click()
    await expect(page.locator("a.row")).to_have_count(55)
    await expect(page.get_by_role("button", name="Show more")).to_have_count(0)
    await shop.send("nobody/listens")
    await page.get_by_role("button", name="1 new").click()
    await expect(page.locator("a.row")).to_have_count(56)


async def test_what_is_wrong_with_an_event_is_said_before_it_is_sent(
    page: Page, shop: Shop
) -> None:
    await page.goto("runs")
    await page.get_by_role("button", name="Send event").click()
    dialog = page.get_by_role("dialog")
    text = dialog.get_by_role("textbox")
    send = dialog.get_by_role("button", name="Send", exact=True)
    for wrong, words in (
        ("{", "This is not JSON"),
        ("[]", "An event is an object"),
        ('{"data": {}}', 'needs a "name"'),
        ('{"name": "a", "data": 1}', '"data" is an object'),
    ):
        await text.fill(wrong)
        await expect(dialog.get_by_role("alert")).to_contain_text(words)
        await expect(send).to_be_disabled()
    await text.fill(json.dumps({"name": "order/refunded", "data": {"n": BIG}}))
    await text.press("Control+Enter")
    await expect(page.locator(".json")).to_contain_text(str(BIG))
    await expect(page.locator("a.row")).to_contain_text("shop-refund")


async def test_an_event_begins_as_described_and_what_it_lacks_is_said(
    page: Page, shop: Shop
) -> None:
    fields = {"order": {"type": "integer"}, "note": {"type": "string", "default": "none"}}
    data = {"type": "object", "properties": fields, "required": ["order"]}
    described = {"data": [{"name": "order/refunded", "app": "shop", "data": data}]}
    # An app of the tests describes nothing: what one says is made up.
    await page.route("**/api/v2/event-schemas*", lambda route: route.fulfill(json=described))
    await page.goto("runs")
    await page.get_by_role("button", name="Send event").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="order/refunded").click()
    text = dialog.get_by_role("textbox")
    await expect(text).to_have_value(re.compile('"order": 0'))
    assert json.loads(await text.input_value())["data"] == {"order": 0, "note": "none"}
    await text.fill('{"name": "order/refunded", "data": {"order": "7"}}')
    await expect(dialog.get_by_role("status")).to_contain_text("data.order is a string")
    await expect(dialog.get_by_role("button", name="Send", exact=True)).to_be_enabled()


async def test_an_event_begins_with_one_of_before_or_a_kept_one(page: Page, shop: Shop) -> None:
    described = {"data": [{"name": "order/asked", "app": "shop", "data": {"type": "object"}}]}
    await page.route("**/api/v2/event-schemas*", lambda route: route.fulfill(json=described))
    for order in (1, 2):
        await shop.run("order/asked", "RUNNING", order=order)
    await page.goto("runs")
    await page.get_by_role("button", name="Send event").click()
    dialog = page.get_by_role("dialog")
    text = dialog.get_by_role("textbox", name="The event, as JSON")
    await text.fill('{"name": "order/asked"}')
    before = dialog.get_by_title("Begin with event")
    await expect(before).to_have_count(2)
    await before.last.click()
    assert json.loads(await text.input_value())["data"] == {"order": 1}
    await dialog.get_by_text("As shop describes it").click()
    await expect(dialog.locator(".described pre")).to_contain_text('"type": "object"')
    await dialog.get_by_role("button", name="Keep as a sample").click()
    await dialog.get_by_label("Name of the sample").fill("the first")
    await dialog.get_by_label("Name of the sample").press("Enter")
    await expect(dialog.get_by_role("button", name="the first")).to_have_attribute(
        "aria-pressed", "true"
    )
    assert await barriers(page, "dialog[open]") == []
    await page.reload()
    await page.get_by_role("button", name="Send event").click()
    await dialog.get_by_role("button", name="the first").click()
    assert json.loads(await text.input_value()) == {"name": "order/asked", "data": {"order": 1}}
    await dialog.get_by_role("button", name="Forget this sample").click()
    await expect(dialog.get_by_role("button", name="the first")).to_have_count(0)


async def test_an_event_is_sent_again_as_it_was(page: Page, shop: Shop) -> None:
    event = await shop.send("order/refunded", n=BIG)
    await page.goto(f"events/{event}")
    await page.get_by_role("button", name="Send again").click()
    text = page.get_by_role("dialog").get_by_role("textbox")
    assert json.loads(await text.input_value()) == {"name": "order/refunded", "data": {"n": BIG}}
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(page).not_to_have_url(f"{shop.url}/events/{event}")
    assert len((await shop.get("v2/events?name=order/refunded"))["data"]) == 2


async def test_an_event_is_copied_as_code_with_its_numbers_as_they_are(
    page: Page, shop: Shop
) -> None:
    run = await shop.run("order/refunded", "FAILED", n=BIG, note="it's")
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    event = run["trigger"]["eventIds"][0]
    for path, way, wanted in (
        (f"events/{event}", "Python", f'"n": {BIG}'),
        (f"events/{event}", "curl", f"{shop.url}/api/v2/events"),
        (f"runs/{run['id']}", "Event as a command", "it'\\''s"),
        (f"runs/{run['id']}", "curl that runs it again", f"/runs/{run['id']}/rerun"),
    ):
        await page.goto(path)
        await page.get_by_role("button", name="Copy as code").click()
        await page.get_by_role("button", name=way, exact=True).click()
        await expect(page.get_by_text(f"Copied {way}")).to_be_visible()
        assert wanted in await page.evaluate("navigator.clipboard.readText()")


async def test_a_function_is_found_read_and_invoked(page: Page, shop: Shop) -> None:
    await page.goto("functions")
    await page.get_by_label("Name or trigger").fill("refunded")
    await page.locator("a.row").click()
    await expect(page.get_by_role("heading", name="refund", exact=True)).to_be_visible()
    await expect(page.locator(".pairs")).to_contain_text("Retries")
    await page.get_by_role("button", name="Invoke").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("textbox").fill('{"n": 1}')
    await dialog.get_by_role("button", name="Invoke").click()
    await expect(page.locator(".run-title")).to_contain_text("shop-refund")


async def test_apps_say_how_they_are_reached(page: Page, shop: Shop) -> None:
    await page.goto("apps")
    server = page.get_by_role("region", name="The server")
    await expect(server).to_contain_text("Connections")
    await expect(server).to_contain_text("by its own work")
    card = page.locator(".app").first
    await expect(card).to_contain_text("shop")
    await expect(card).to_contain_text("in this process")
    await expect(card).to_contain_text("Functions7")
