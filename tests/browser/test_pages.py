"""Every page for every role in a real Chromium: what a person meets, not what a template says.

Each role follows the links from its front page. What is asked of a page stands in
``inspection.py``.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

import pytest
from playwright.sync_api import Response
from sqlalchemy import text
from werkzeug.exceptions import HTTPException

from tests.browser.inspection import AXE_SCRIPT, faults
from tests.browser.school_work import LOCALES, fill
from tests.browser.site import Site, Visitor
from tests.world import PASSWORD

pytestmark = pytest.mark.browser

#: One of each role, and those whose pages differ: work that waits, a second factor, no class.
WHO = ("anna", "bo", "dag", "tora", "even", "odd", "sigrid", "stein", "olga")
#: Pages that differ much from one to the next: two of them are looked at, of others one a person.
VARIED = {
    "courses.course",
    "courses.item",
    "handins.assignment",
    "handins.attempt",
    "identity.person",
}
#: Files that are saved, not shown.
ATTACHMENTS = {"handins.file", "audit.export"}
#: GET endpoints that no link leads to and why; each is looked at by a test of its own below.
NOT_BY_LINK = {
    "identity.login": "for those who are not logged in",
    "identity.second_factor": "the second step of logging in",
    "handins.hand_in": "the last step after the draft's button",
    "recorder.draft": "for who has recorded a site: see tests/browser/test_recorder.py",
    "recorder.open_site": "leads out of the school: see tests/browser/test_recorder.py",
    "recorder.recording": "for who has recorded a site: see tests/browser/test_recorder.py",
    "whitelists.picture_of_copy": "a picture, and no page",
    "resources.open_site": "leads out of the school: see tests/browser/test_broker.py",
}


@pytest.fixture(scope="module")
def school(shared_site: Site) -> Site:
    fill(shared_site.world)
    return shared_site


@dataclass
class Walk:
    """One person's way through the pages."""

    site: Site
    name: str
    in_the_dark: set[str]
    seen: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    def go(self) -> Walk:
        kinds: Counter[str] = Counter()
        ways = deque(["/"])
        known = {"/"}
        with self.site.visitor(self.name) as visitor:
            visitor.context.add_init_script(AXE_SCRIPT)
            visitor.page.on("response", self._note)
            while ways:
                path = ways.popleft()
                endpoint = self._endpoint(path)
                kinds[endpoint] += 1
                if kinds[endpoint] > (2 if endpoint in VARIED else 1):
                    continue
                if endpoint in ATTACHMENTS:
                    self._save(visitor, path)
                    continue
                fresh = [link for link in self._look(visitor, path) if link not in known]
                known.update(fresh)
                ways.extend(dict.fromkeys(fresh))
        return self

    def _look(self, visitor: Visitor, path: str) -> list[str]:
        answer = visitor.page.goto(path)
        assert answer is not None
        found = [] if answer.status == 200 else [f"status {answer.status}"]
        found += visitor.complaints
        visitor.complaints.clear()
        endpoint = self._endpoint(path)
        # Colours are the same for everybody: the dark ones are looked at once a page.
        found += faults(
            visitor.page, LOCALES.get(self.name, "nb"), dark=endpoint not in self.in_the_dark
        )
        self.in_the_dark.add(endpoint)
        self.problems += [f"{path}: {one}" for one in found]
        return links(visitor, path)

    def _save(self, visitor: Visitor, path: str) -> None:
        answer = visitor.context.request.get(path)
        self.seen.add(self._endpoint(path))
        if answer.status != 200:
            self.problems.append(f"{path}: status {answer.status}")
        if not answer.headers.get("content-disposition", "").startswith("attachment"):
            self.problems.append(f"{path}: is not sent as an attachment")

    def _note(self, response: Response) -> None:
        """Pictures, styles and scripts count too: they come with the pages that show them."""
        if response.status == 200:
            self.seen.add(self._endpoint(urlsplit(response.url).path))

    def _endpoint(self, path: str) -> str:
        try:
            adapter = self.site.world.app.url_map.bind("localhost")
            return str(adapter.match(urlsplit(path).path)[0])
        except HTTPException:
            self.problems.append(f"{path}: a link that leads nowhere")
            return "none"


def links(visitor: Visitor, path: str) -> list[str]:
    """Where the page leads: its links, without the places inside a page."""
    found = visitor.page.eval_on_selector_all(
        "a[href]", "all => all.map(one => one.getAttribute('href'))"
    )
    whole = [urljoin(path, href).split("#", 1)[0] for href in found]
    return [address for address in whole if address.startswith("/")]


@pytest.fixture(scope="module")
def walks(school: Site) -> dict[str, Walk]:
    return {}


def walk(school: Site, walks: dict[str, Walk], name: str) -> Walk:
    """Each person walks once, for whichever test asks first."""
    if name not in walks:
        dark = set().union(*(done.in_the_dark for done in walks.values()))
        walks[name] = Walk(school, name, dark).go()
    return walks[name]


@pytest.mark.parametrize("name", WHO)
def test_every_page_that_a_person_reaches(school: Site, walks: dict[str, Walk], name: str) -> None:
    done = walk(school, walks, name)
    assert not done.problems, f"{name}:\n" + "\n".join(done.problems)


def test_no_page_is_left_out(school: Site, walks: dict[str, Walk]) -> None:
    seen = set().union(*(walk(school, walks, name).seen for name in WHO))
    shown = {
        rule.endpoint
        for rule in school.world.app.url_map.iter_rules()
        if "GET" in (rule.methods or ())
    }
    missing = shown - seen - set(NOT_BY_LINK)
    assert not missing, (
        f"nobody reaches {sorted(missing)} by links from the front page.\n"
        "Remedy: link to the page, give tests/browser/school_work.py what it shows, or name it in"
        " NOT_BY_LINK with its reason and look at it in a test of its own."
    )
    assert set(NOT_BY_LINK) <= shown, "NOT_BY_LINK names an endpoint that is no more."


# -- pages that no link leads to -------------------------------------------------------------


def look(visitor: Visitor, status: int, answer: Response | None, locale: str = "nb") -> None:
    """A page as it should be, with the status that was expected. A browser writes each refusal to
    its console; anything else there is a fault."""
    assert answer is not None
    assert answer.status == status
    others = [one for one in visitor.complaints if f"status of {status}" not in one]
    visitor.complaints.clear()
    assert others + faults(visitor.page, locale) == []


def send(visitor: Visitor, button: str) -> Response:
    """Press a button that sends a form; the answer to what was sent."""
    with visitor.page.expect_response(
        lambda answer: answer.request.is_navigation_request() and answer.status != 303
    ) as waiting:
        visitor.page.locator(button).first.click()
    visitor.page.wait_for_load_state()
    return waiting.value


def test_the_log_in_page_and_a_wrong_password(school: Site) -> None:
    with school.visitor() as somebody:
        page = somebody.page
        look(somebody, 200, page.goto("/login"))
        page.fill("[name=username]", "anna")
        page.fill("[name=password]", "feil")
        look(somebody, 401, send(somebody, "main button[type=submit]"))
        page.fill("[name=username]", "")
        page.evaluate("document.querySelector('main form').noValidate = true")
        look(somebody, 400, send(somebody, "main button[type=submit]"))


@pytest.mark.parametrize("locale", ["nb", "nn", "en"])
def test_the_language_is_chosen_before_log_in(school: Site, locale: str) -> None:
    with school.visitor() as somebody:
        somebody.page.goto("/login")
        look(somebody, 200, send(somebody, f"button[name=locale][value={locale}]"), locale)


def test_the_second_step_of_logging_in(school: Site) -> None:
    with school.visitor() as stein:
        stein.context.add_cookies(
            [
                {
                    "name": "dask",
                    "value": school.world.session("stein", second_factor=False),
                    "url": school.origin,
                }
            ]
        )
        look(stein, 200, stein.page.goto("/log"), "nn")
        assert urlsplit(stein.page.url).path == "/login/second-factor"
        stein.page.locator("main input[type=text], main input[name=code]").first.fill("000000")
        look(stein, 400, send(stein, "main button[type=submit]"), "nn")


def test_the_last_step_before_handing_in(school: Site) -> None:
    world = school.world
    with school.visitor("anna") as anna:
        address = f"/classes/{world.id('class nord')}/assignments/{world.id('brev')}/hand-in"
        look(anna, 200, anna.page.goto(address))


@pytest.mark.parametrize("name", ["anna", "tora"])
def test_a_page_that_is_not_there_and_one_that_is_not_yours(school: Site, name: str) -> None:
    with school.visitor(name) as person:
        for path in ("/finnes-ikke", "/log", "/people", f"/classes/{school.world.id('class sor')}"):
            look(person, 404, person.page.goto(path), LOCALES.get(name, "nb"))
            assert person.page.locator("main a[href='/']").count() == 1


def test_a_form_that_is_too_old(school: Site) -> None:
    with school.visitor("anna") as anna:
        anna.page.goto("/account/password")
        anna.page.evaluate(
            "document.querySelectorAll('[name=csrf_token]').forEach(one => one.value = 'gammelt')"
        )
        anna.page.evaluate("document.querySelector('main form').noValidate = true")
        look(anna, 400, send(anna, "main button[type=submit]"))


def test_a_password_that_is_shown_once_and_the_first_own_one(school: Site) -> None:
    """The operator gives a new password; the person must choose another at the next log-in."""
    world = school.world
    with school.visitor("olga") as olga:
        page = olga.page
        page.goto(f"/people/{world.id('dag')}")
        page.locator("details:has(form[action$='/password']) summary").click()
        look(olga, 200, send(olga, "form[action$='/password'] button"), "en")
        once = page.locator("main dd code").inner_text()
    with school.visitor() as dag:
        page = dag.page
        page.goto("/login")
        page.fill("[name=username]", "dag")
        page.fill("[name=password]", once)
        look(dag, 200, send(dag, "main button[type=submit]"))
        fields = page.locator("main input[type=password]")
        for number in range(fields.count()):
            fields.nth(number).fill("kort")
        look(dag, 400, send(dag, "main button[type=submit]"))
        for number in range(fields.count()):
            fields.nth(number).fill(PASSWORD + " ny")
        look(dag, 200, send(dag, "main button[type=submit]"))


def test_a_session_that_was_ended_elsewhere(school: Site) -> None:
    with school.visitor("bo") as bo:
        bo.page.goto("/")
        with school.world.owner() as uow:
            uow.execute(
                text(
                    "UPDATE login_session SET ended_at = :now, ended_reason = 'staff'"
                    " WHERE person_id = :bo AND ended_at IS NULL"
                ),
                {"now": school.world.clock.now(), "bo": school.world.id("bo")},
            )
        look(bo, 200, bo.page.goto("/"), bo.page.locator("html").get_attribute("lang") or "")
        assert urlsplit(bo.page.url).path == "/login"
