"""What keeps people from using a page, as axe finds it: the only place that asks it."""

from pathlib import Path
from typing import Literal

from playwright.async_api import Page

from tests.dashboard.conftest import NARROW, WIDE

AXE = Path(__file__).resolve().parents[2] / "dashboard/node_modules/axe-core/axe.min.js"
_TOLD = """.then(found => found.violations.flatMap(one => one.nodes.map(
    node => `${one.id}: ${node.html.slice(0, 120)} ${node.failureSummary}`)))"""
ASKED: dict[Literal["light", "dark"], str] = {
    "light": "part => axe.run(part, {resultTypes: ['violations']})" + _TOLD,
    "dark": "part => axe.run(part, {resultTypes: ['violations'], runOnly: ['color-contrast']})"
    + _TOLD,
}


async def barriers(page: Page, part: str = "html") -> list[str]:
    """What axe finds in a part of the page as it is shown, on a telephone and on a desk, in light
    and dark; and whether it is wider than its window. Only colours tell dark from light."""
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[str] = []
    for size in (NARROW, WIDE):
        await page.set_viewport_size({"width": size[0], "height": size[1]})
        if await page.evaluate("document.documentElement.scrollWidth") > size[0]:
            found.append(f"wider than {size[0]} pixels")
        for scheme, asked in ASKED.items():
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            told = await page.evaluate(asked, part)
            found += [f"{size[0]} px, {scheme}: {one}" for one in told]
    return found
