"""The one path that the house is built for, walked in the browser from end to end.

A student hands in a file, the worker scans it, the teacher of the class marks and returns it,
nobody else finds it, and security sees it all in the log. Once with JavaScript and once without.
"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from dask_platform.entry.worker import make_jobs, run_worker
from tests.browser.site import Site, Visitor
from tests.features.handins.desk import pdf
from tests.world import PASSWORD, World

pytestmark = pytest.mark.browser

COMMENT = "Fint skrevet. Husk punktum."
ANSWER = "Kjære skole. Her er brevet mitt."


def work_off_the_queue(world: World) -> None:
    """What the worker process does, once, until nothing waits."""
    failed: list[BaseException] = []

    def work() -> None:
        # In a thread of its own: Playwright keeps an event loop running in ours.
        try:
            with world.worker() as platform:
                jobs = make_jobs(world.url("dask_worker"))
                asyncio.run(run_worker(jobs, platform, wait=False))
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


def press_until(page: Page, selector: str, *, most: int = 60) -> None:
    """Tab on to the element, as a person without a mouse gets there."""
    for _ in range(most):
        if page.locator(f"{selector}:focus").count():
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{selector} is not reached with the Tab key on {page.url}")


def log_in(page: Page, name: str) -> None:
    """With the keyboard alone."""
    page.goto("/login")
    press_until(page, "input[name=username]")
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text(name.capitalize())


def open_class(page: Page) -> None:
    page.goto("/classes")
    press_until(page, "main .cards a")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("Norsk")


def hand_in(page: Page, file: Path) -> str:
    """Read a page, answer the assignment with a text and a file; the attempt's address."""
    open_class(page)
    press_until(page, "main a:has-text('Les')")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("Om les.")
    open_class(page)
    press_until(page, "main a:has-text('Brev')")
    page.keyboard.press("Enter")
    press_until(page, "textarea[name=text]")
    page.keyboard.type(ANSWER)
    press_until(page, "input[type=file]")
    # The window in which files are chosen is the machine's own and cannot be typed in here.
    page.locator("input[type=file]").set_input_files(file)
    press_until(page, "button[formaction$='/files']")
    page.keyboard.press("Enter")
    expect(page.locator("#files ~ *").first).to_contain_text(file.name)
    press_until(page, "button[value=hand-in]")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text(file.name)
    press_until(page, "main form button[type=submit]")
    page.keyboard.press("Enter")
    page.wait_for_url("**/receipt")
    return page.url.removesuffix("/receipt")


def mark(visitor: Visitor, address: str, sent: bytes) -> None:
    """The teacher opens the work, downloads what was sent, and returns it."""
    page = visitor.page
    page.goto("/")
    page.locator("main a[href$='/work']").first.click()
    page.locator(f"main a[href$='/attempts/{address.rsplit('/', 1)[1]}']").first.click()
    expect(page.locator("main")).to_contain_text(ANSWER)
    with page.expect_download() as waiting:
        page.locator("main a[href*='/files/']").click()
    download = waiting.value
    assert download.path().read_bytes() == sent
    assert download.suggested_filename.startswith("innlevering")
    assert download.suggested_filename.endswith(".pdf")
    page.get_by_role("radio", name="5").check()
    page.locator("[name=comment]").fill(COMMENT)
    page.locator("button[formaction$='/return'], form[action$='/return'] button").first.click()
    expect(page.locator("main")).to_contain_text("Gitt tilbake")


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_a_hand_in_from_the_student_to_the_teacher_and_back(
    site: Site, script: bool, tmp_path: Path
) -> None:
    sent = pdf("brev")
    file = tmp_path / "brevet mitt.pdf"
    file.write_bytes(sent)
    world = site.world

    with site.visitor(script=script) as anna:
        log_in(anna.page, "anna")
        address = hand_in(anna.page, file)
        receipt = anna.page.locator("main").inner_text()
        work_off_the_queue(world)

        with site.visitor(script=script) as tora:
            log_in(tora.page, "tora")
            mark(tora, address, sent)
            tora.fail_on_complaints()

        for stranger in ("bo", "cem", "even", "siri", "odd", "sigrid", "olga"):
            with site.visitor(stranger, script=script) as other:
                for place in (address, f"{address}/receipt"):
                    answer = other.page.goto(place)
                    assert answer is not None
                    assert answer.status == 404, f"{stranger} at {place}"
                    assert "brev" not in other.page.locator("main").inner_text().lower()

        anna.page.goto(address)
        main = anna.page.locator("main")
        expect(main).to_contain_text(COMMENT)
        expect(main).to_contain_text("5")
        anna.fail_on_complaints()
    assert ANSWER in receipt or "brevet mitt.pdf" in receipt

    with site.visitor("sigrid", script=script) as sigrid:
        sigrid.page.goto("/log")
        log = sigrid.page.locator("main").inner_text()
        for line in (
            "Logget inn",
            "La til en fil i et utkast",
            "Leverte arbeid",
            "Sjekket en fil for virus",
            "Åpnet arbeidet til en elev",
            "Lastet ned filen til en elev",
            "Ga tilbake vurdert arbeid",
        ):
            assert line in log, f"the log does not show «{line}»"
        assert ANSWER not in log
        assert COMMENT not in log


def test_the_upload_tells_how_far_it_has_come(site: Site, tmp_path: Path) -> None:
    """With script on, a slow line shows a progress bar, and the sending can be stopped."""
    file = tmp_path / "stor.pdf"
    file.write_bytes(pdf("x" * 400_000))
    with site.visitor("anna") as anna:
        page = anna.page
        wire = anna.context.new_cdp_session(page)
        wire.send(
            "Network.emulateNetworkConditions",
            {"offline": False, "latency": 5, "downloadThroughput": -1, "uploadThroughput": 60_000},
        )
        page.goto(f"/classes/{site.world.id('class nord')}/assignments/{site.world.id('brev')}")
        page.locator("textarea[name=text]").fill(ANSWER)
        page.locator("input[type=file]").set_input_files(file)
        page.locator("button[formaction$='/files']").click()
        bar = page.locator("[data-upload-panel] progress")
        expect(bar).to_be_visible()
        page.wait_for_function(
            "() => { const bar = document.querySelector('[data-upload-panel] progress');"
            " return bar && bar.value > 0 && bar.value < 100; }"
        )
        page.locator("[data-upload-panel] button").click()
        expect(page.locator("[data-upload-panel]")).to_contain_text("Du stoppet sendingen")
        assert page.locator("textarea[name=text]").input_value() == ANSWER
        anna.fail_on_complaints()
