"""The page of a function: what it was before."""

import pytest
from playwright.async_api import Page, expect

from tests.dashboard.barriers import barriers
from tests.dashboard.shop import Shop
from tests.unit.server.api.harness import function, registration

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_versions_of_a_function_are_compared(page: Page, shop: Shop) -> None:
    async def register(**more: object) -> None:
        told = registration(function("bill", event="x", app="till", **more), app="till")
        told["appVersion"] = f"1.{more['retries']}"
        async with shop.http.post(f"{shop.url}/fn/register", json=told) as answer:
            assert answer.status == 200, await answer.text()

    await register(retries=2)
    await page.goto("functions/till/till-bill")
    versions = page.locator(".versions")
    await expect(versions).to_contain_text("Version 1now")
    await expect(versions.get_by_role("listitem")).to_have_count(1)
    await register(retries=5, description="Bills.")
    await expect(versions.get_by_role("listitem")).to_have_count(2)
    await expect(versions.locator("summary")).to_contain_text("app 1.5")
    await expect(versions.locator("summary")).to_contain_text("retries, description")
    await expect(versions.locator(".diff-gone")).to_contain_text('"value": 2')
    await expect(versions.locator(".diff-new")).to_have_count(2)
    assert await barriers(page, ".versions") == []
