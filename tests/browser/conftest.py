"""One Chromium and one served school a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.site import CHROMIUM, FLAGS, Site, served
from tests.world import World


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Gone with the module: while Playwright runs, nothing else may have an event loop here."""
    if not CHROMIUM.exists():
        pytest.fail(f"{CHROMIUM} is missing. Install the Debian package chromium.", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shared_site(shared_world: World, chromium: Browser) -> Iterator[Site]:
    """For the tests of a module that look and change little."""
    with served(shared_world) as origin:
        yield Site(shared_world, origin, chromium)


@pytest.fixture
def site(world: World, chromium: Browser) -> Iterator[Site]:
    """A school of one's own."""
    with served(world) as origin:
        yield Site(world, origin, chromium)
