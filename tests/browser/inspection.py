"""What must be true of every page, whoever looks at it."""

from __future__ import annotations

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

from tests.browser.site import WIDE

__all__ = ["AXE_SCRIPT", "faults"]

NARROW = {"width": 320, "height": 700}

# In the page itself; Playwright's own channel is not bound by the page's security policy. Style
# sheets are not fetched a second time: only a rule that is off by default would read them.
_RUN_AXE = (
    "axe.run(document, {resultTypes: ['violations'], preload: {assets: ['media']}})"
    ".then(found => found.violations)"
)
_RUN_CONTRAST = _RUN_AXE.replace("{", "{runOnly: ['color-contrast'], ", 1)


def faults(page: Page, locale: str, *, dark: bool = True) -> list[str]:
    """What is wrong with the page that is open now, in words. ``dark``: its dark colours too."""
    found = [] if page.locator("html").get_attribute("lang") == locale else ["wrong html lang"]
    headings = page.locator("h1").count()
    if headings != 1:
        found.append(f"{headings} h1 headings")
    if " – DASK" not in page.title() or page.title().startswith(" –"):
        found.append(f"the title is {page.title()!r}")
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(AXE_SCRIPT)
    found += [_said(one) for one in page.evaluate(_RUN_AXE)]
    if dark:
        page.emulate_media(color_scheme="dark")
        found += [f"in the dark: {_said(one)}" for one in page.evaluate(_RUN_CONTRAST)]
        page.emulate_media(color_scheme="light")
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    width = page.evaluate("document.documentElement.scrollWidth")
    if width > NARROW["width"]:
        found.append(f"{width} px wide on a screen of {NARROW['width']} px: {_widest(page)}")
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]
    return found


def _said(violation: dict[str, object]) -> str:
    nodes = violation["nodes"]
    assert isinstance(nodes, list)
    places = "; ".join(str(node["html"])[:160] for node in nodes[:3])
    return f"axe {violation['id']} ({violation['help']}): {places}"


def _widest(page: Page) -> str:
    return str(
        page.evaluate(
            "() => Array.from(document.querySelectorAll('body *'))"
            ".filter(one => one.getBoundingClientRect().right > innerWidth)"
            ".slice(0, 3).map(one => one.outerHTML.slice(0, 120)).join(' | ')"
        )
    )
