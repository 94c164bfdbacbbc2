"""The page of apps: which workers are connected, and that one is gone as soon as it is killed."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.async_api import Page, expect

from tests.dashboard.barriers import barriers
from tests.dashboard.shop import Shop

pytestmark = pytest.mark.asyncio(loop_scope="package")

WORKER = """
import asyncio, sys
import stepwell
from stepwell.connect import connect

client = stepwell.Inngest(app_id="mill", is_production=False, base_url=sys.argv[1])

@client.create_function(fn_id="grind", trigger=stepwell.TriggerEvent(event="grain/brought"))
async def grind(ctx: stepwell.Context) -> None: ...

async def main():
    async with connect([(client, [grind])], instance_id="north <b>wing</b>"):
        await asyncio.Event().wait()

asyncio.run(main())
"""


@contextmanager
def worker(url: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker in a process of its own."""
    child = subprocess.Popen([sys.executable, "-c", WORKER, url])
    try:
        yield child
    finally:
        child.kill()
        child.wait()


async def test_a_worker_that_is_killed_goes_from_the_page(page: Page, shop: Shop) -> None:
    await page.goto("apps")
    await expect(page.get_by_role("heading", name="shop")).to_be_visible()
    row = page.locator(".workers .row").filter(has_text="north <b>wing</b>")
    with worker(shop.url) as child:
        await expect(row).to_contain_text("Ready", timeout=30_000)
        await expect(page.get_by_role("heading", name="mill")).to_be_visible()
        assert await barriers(page, ".workers") == []
        child.kill()
        await expect(row).to_have_count(0, timeout=30_000)
