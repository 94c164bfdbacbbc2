"""One run on a page: the waterfall, what each step gave, and what can be done."""

import pytest
from playwright.async_api import Page, expect

from tests.dashboard.shop import BIG, SCRIPT, Shop

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_the_waterfall_names_each_step_and_shows_what_it_gave(page: Page, shop: Shop) -> None:
    run = await shop.run("order/placed", "COMPLETED", note=SCRIPT[:-1])
    await page.goto(f"runs/{run['id']}")
    lines = page.get_by_role("treeitem")
    await expect(lines).to_have_count(4)
    await lines.filter(has_text="charge the card").click()
    panel = page.get_by_role("region", name="Details")
    await expect(panel).to_contain_text(str(BIG))
    await expect(panel).to_contain_text("<img src=x onerror=")
    assert await page.title() == "Stepwell"


async def test_keys_walk_the_waterfall(page: Page, shop: Shop) -> None:
    run = await shop.run("order/placed", "COMPLETED")
    await page.goto(f"runs/{run['id']}")
    tree = page.get_by_role("tree")
    await tree.focus()
    panel = page.get_by_role("region", name="Details")
    for name in ("charge the card", "let the glue dry", "pack the parcel"):
        await page.keyboard.press("ArrowDown")
        await expect(panel.get_by_role("heading", name=name)).to_be_visible()


async def test_a_failure_shows_the_users_own_line_and_its_cause(page: Page, shop: Shop) -> None:
    run = await shop.run("order/refunded", "FAILED")
    await page.goto(f"runs/{run['id']}")
    panel = page.get_by_role("region", name="Details")
    await expect(panel).to_contain_text("ValueError: the customer has no account")
    await expect(panel).to_contain_text("in pay")
    await expect(panel).to_contain_text("KeyError: 'account'")
    await panel.get_by_role("link", name="failed with ValueError").click()
    await expect(page.get_by_label("Condition")).to_have_value('error.name == "ValueError"')
    await expect(page.locator("a.row")).to_contain_text(run["id"])


async def test_where_the_time_went_is_told_at_a_glance(page: Page, shop: Shop) -> None:
    run = await shop.run("order/placed", "COMPLETED")
    spent = (await shop.get(f"api/v2/runs/{run['id']}/trace"))["data"]["spent"]
    assert spent["waitingMs"] >= 50
    await page.goto(f"runs/{run['id']}")
    told = page.locator(".spent-parts")
    await expect(told).to_contain_text(f"Waiting{spent['waitingMs']} ms")
    await expect(told).to_contain_text("Between")
    await expect(page.locator(".spent-bar i")).to_have_count(sum(ms > 0 for ms in spent.values()))


async def test_a_step_shows_its_arguments_and_offers_them_to_be_changed(
    page: Page, shop: Shop
) -> None:
    run = await shop.run("order/placed", "COMPLETED")
    await page.goto(f"runs/{run['id']}")
    await page.get_by_role("treeitem").filter(has_text="pack the parcel").click()
    panel = page.get_by_role("region", name="Details")
    await expect(panel.get_by_role("heading", name="Input")).to_be_visible()
    await panel.get_by_role("button", name="Run again from here").click()
    text = page.get_by_role("dialog").get_by_role("textbox")
    await expect(text).to_have_value('[\n  "small"\n]')


async def test_a_step_is_copied_as_code(page: Page, shop: Shop) -> None:
    run = await shop.run("order/placed", "COMPLETED")
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.goto(f"runs/{run['id']}")
    await page.get_by_role("treeitem").filter(has_text="pack the parcel").click()
    panel = page.get_by_role("region", name="Details")
    await panel.get_by_role("button", name="Copy the step as code").click()
    await panel.get_by_role("button", name="Command that runs again from it").click()
    await expect(page.get_by_text("Copied Command that runs again")).to_be_visible()
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(f"stepwell rerun {run['id']} --from-step ")
    assert copied.endswith("""--input '["small"]'""")


async def test_an_attempt_is_compared_with_the_one_before_it(page: Page, shop: Shop) -> None:
    run = await shop.run("parcel/lost", "FAILED")
    await page.goto(f"runs/{run['id']}")
    panel = page.get_by_role("region", name="Details")
    await page.get_by_role("treeitem", name="look for it").first.click()
    await expect(panel.get_by_text("Compared with attempt 1")).to_be_visible()
    await expect(panel.locator(".diff-gone").first).to_contain_text("in drawer 1")
    await expect(panel.locator(".diff-new").first).to_contain_text("in drawer 2")
    assert await page.locator(".fall-bar.retry").count() == 1


async def test_a_run_that_waits_says_for_what_and_moves_on_by_itself(
    page: Page, shop: Shop
) -> None:
    run = await shop.run("order/asked", "RUNNING", order=7)
    await page.goto(f"runs/{run['id']}")
    why = page.get_by_role("region", name="Why it is here")
    await expect(why).to_contain_text("waits for an event order/approved")
    await expect(why).to_contain_text("since")
    await shop.send("order/approved", order=7)
    await expect(page.locator(".run-title")).to_contain_text("Completed")


async def test_runs_that_began_each_other_are_a_tree_of_links(page: Page, shop: Shop) -> None:
    top = await shop.run("day/closed", "COMPLETED")
    await page.goto(f"runs/{top['id']}")
    tree = page.get_by_role("region", name="Runs that began each other")
    await expect(tree.locator("a")).to_have_count(2)
    await expect(tree.locator("li li a")).to_contain_text("shop-import")
    await expect(tree.locator("li li a")).to_contain_text("invoked by bring in the rows")
    await page.get_by_role("treeitem").filter(has_text="bring in the rows").click()
    panel = page.get_by_role("region", name="Details")
    await panel.get_by_role("link", name="shop-import").click()
    await expect(page.locator("h1")).to_have_text("shop-import")
    await expect(tree.locator("a[aria-current]")).to_contain_text("shop-import")
    await page.locator(".facts").get_by_role("link", name="shop-close").click()
    await expect(page).to_have_url(f"{shop.url}/runs/{top['id']}")


async def test_cancelling_asks_first_and_shows_the_end(page: Page, shop: Shop) -> None:
    run = await shop.run("order/asked", "RUNNING", order=8)
    await page.goto(f"runs/{run['id']}")
    await page.get_by_role("button", name="Cancel").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("Steps that are done stay done")
    await dialog.get_by_role("button", name="Cancel the run").click()
    await expect(page.locator(".run-title")).to_contain_text("Cancelled")
    await expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


async def test_a_key_asks_whether_to_cancel(page: Page, shop: Shop) -> None:
    run = await shop.run("order/asked", "RUNNING", order=10)
    await page.goto(f"runs/{run['id']}")
    await expect(page.get_by_role("button", name="Cancel")).to_be_enabled()
    await page.keyboard.press("c")
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("Steps that are done stay done")
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await page.keyboard.press("g")
    await page.keyboard.press("c")
    await expect(page).to_have_url(f"{shop.url}/crons")
    await expect(dialog).to_have_count(0)
    await page.keyboard.press("e")
    await expect(page.get_by_role("heading", name="No schedules")).to_be_visible()
    await expect(page).to_have_url(f"{shop.url}/crons")


async def test_an_action_that_is_refused_says_why_and_changes_nothing(
    page: Page, shop: Shop
) -> None:
    run = await shop.run("order/asked", "RUNNING", order=9)
    await page.goto(f"runs/{run['id']}")
    await page.get_by_role("button", name="Live").click()
    await page.get_by_role("button", name="Cancel").click()
    await shop.send("order/approved", order=9)
    await shop.run_of(run["trigger"]["eventIds"][0], "COMPLETED")
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Cancel the run").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("Cannot cancel an ended run")


async def test_running_again_from_a_step_starts_a_run_that_keeps_what_came_before(
    page: Page, shop: Shop
) -> None:
    run = await shop.run("order/placed", "COMPLETED")
    await page.goto(f"runs/{run['id']}")
    await page.get_by_role("treeitem").filter(has_text="pack the parcel").click()
    await page.get_by_role("button", name="Run again from here").click()
    await page.get_by_role("dialog").get_by_role("button", name="Run again").click()
    await expect(page).not_to_have_url(f"{shop.url}/runs/{run['id']}")
    await expect(page.locator(".facts")).to_contain_text(run["id"])
    await expect(page.locator(".run-title")).to_contain_text("Completed")


async def test_a_step_that_is_run_again_can_be_given_other_arguments(
    page: Page, shop: Shop
) -> None:
    run = await shop.run("order/placed", "COMPLETED")
    await page.goto(f"runs/{run['id']}")
    await page.get_by_role("treeitem").filter(has_text="pack the parcel").click()
    panel = page.get_by_role("region", name="Details")
    await expect(panel).to_contain_text("a parcel in a small box")
    await page.get_by_role("button", name="Run again from here").click()
    dialog = page.get_by_role("dialog")
    text, again = (
        dialog.get_by_label("Arguments of the step"),
        dialog.get_by_role("button", name="Run again"),
    )
    for wrong, words in (("[", "This is not JSON"), ('"large"', "are a JSON list")):
        await text.fill(wrong)
        await expect(dialog.get_by_role("alert")).to_contain_text(words)
        await expect(again).to_be_disabled()
    await text.fill('["large"]')
    await again.click()
    await expect(page.locator(".facts")).to_contain_text(run["id"])
    await page.get_by_role("treeitem").filter(has_text="pack the parcel").click()
    await expect(panel).to_contain_text("a parcel in a large box")


async def test_a_thousand_steps_are_there_and_few_of_them_drawn(page: Page, shop: Shop) -> None:
    run = await shop.run("rows/uploaded", "COMPLETED", rows=1_000)
    await page.goto(f"runs/{run['id']}")
    await expect(page.get_by_role("treeitem").first).to_be_visible()
    assert await page.get_by_role("treeitem").count() < 60
    assert await page.evaluate("document.querySelectorAll('*').length") < 1_500
    await page.locator(".fall-lines").evaluate("element => element.scrollTo(0, 1e6)")
    await expect(page.get_by_text("row 999", exact=True)).to_be_visible()


async def test_a_run_that_is_not_there_says_what_may_have_happened(page: Page, shop: Shop) -> None:
    await page.goto("runs/01HZZZZZZZZZZZZZZZZZZZZZZZ")
    await expect(page.get_by_role("heading", name="No such run")).to_be_visible()


async def test_what_the_function_wrote_is_shown_by_step_and_attempt(page: Page, shop: Shop) -> None:
    run = await shop.run("parcel/lost", "FAILED")
    await page.goto(f"runs/{run['id']}")
    panel = page.get_by_role("region", name="Details")
    lines = panel.get_by_role("listitem")
    await expect(lines).to_have_count(2)
    await expect(lines.last).to_contain_text("info, attempt 2")
    await expect(lines.last).to_contain_text("opens drawer 2")
    attempt = page.get_by_role("treeitem").filter(has_text="look for it").last
    await attempt.click()
    await expect(lines).to_have_count(1)
    other = await shop.run("order/refunded", "FAILED")
    await page.goto(f"runs/{other['id']}")
    await expect(panel).to_contain_text("Nothing was written here.")
