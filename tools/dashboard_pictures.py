"""Takes the pictures of `docs/dashboard.md`, of a server that `scripts/demo --tour` has filled.

scripts/demo --tour --port 8391        # in one terminal, until it says that it stays
python -m tools.dashboard_pictures http://localhost:8391
"""

import argparse
import asyncio
import json
import urllib.parse
import urllib.request
from pathlib import Path
from typing import NamedTuple

from playwright.async_api import Browser, Route, async_playwright

from tests.dashboard.chromium import chromium

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs/pictures"
WIDE, NARROW = (1280, 800), (380, 760)
SETTLED_MS = 800


class Picture(NamedTuple):
    """A page, how it is looked at, the function whose latest run is meant, if any, and what is
    there once the page is."""

    name: str
    path: str
    size: tuple[int, int] = WIDE
    scheme: str = "light"
    function: str = ""
    seen: str = "main .card:visible"


PICTURES = (
    Picture("overview", "overview?last=1h"),
    Picture("runs", "runs"),
    Picture("failure", "runs/{run}", scheme="dark", function="studio-sync-ledger"),
    Picture("parallel", "runs/{run}", function="studio-resize-images"),
    Picture("waiting", "runs/{run}", function="studio-refund"),
    Picture("tree", "runs/{run}", function="studio-sum-folder"),
    Picture("functions", "functions/studio/studio-render-video", scheme="dark"),
    Picture("replay", "replay?app=studio&function=studio-charge-card"),
    Picture("logs", "logs", scheme="dark", seen=".tail-line"),
    Picture("schedules", "crons"),
    Picture("limits", "limits"),
    Picture("telephone", "runs/{run}", size=NARROW, function="studio-answer"),
)


def latest_run(url: str, function: str) -> str:
    """The id of the latest run of a function."""
    query = urllib.parse.urlencode({"appId": "studio", "functionId": function, "limit": 1})
    with urllib.request.urlopen(f"{url}/api/v2/runs?{query}") as answer:  # noqa: S310 - our own
        return str(json.load(answer)["data"][0]["id"])


async def _without_checkout(route: Route) -> None:
    """The lines of a traceback name files of this checkout: in a picture it stands at `/app`."""
    answer = await route.fetch()
    await route.fulfill(response=answer, body=(await answer.text()).replace(str(ROOT), "/app"))


async def take(browser: Browser, url: str, picture: Picture) -> None:
    """One picture."""
    run = latest_run(url, picture.function) if picture.function else ""
    context = await browser.new_context(
        viewport={"width": picture.size[0], "height": picture.size[1]},
        color_scheme="dark" if picture.scheme == "dark" else "light",
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="UTC",
    )
    await context.route("**/trace?*", _without_checkout)
    page = await context.new_page()
    await page.goto(f"{url}/{picture.path.format(run=run)}")
    await page.locator(picture.seen).first.wait_for()
    await page.wait_for_timeout(SETTLED_MS)
    await page.screenshot(path=FOLDER / f"{picture.name}.png")
    await context.close()


async def take_all(url: str) -> None:
    """Every picture."""
    FOLDER.mkdir(exist_ok=True)
    with chromium() as address:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.connect_over_cdp(address)
            for picture in PICTURES:
                await take(browser, url, picture)


def main() -> None:
    """Takes them all anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="of a server that was filled")
    asyncio.run(take_all(parser.parse_args().url.rstrip("/")))


if __name__ == "__main__":
    main()
