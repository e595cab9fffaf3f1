"""The exported policy in a real Chromium, beside the engine.

Chromium reads policies from one folder of the machine. The test gives it a view of its own
(``unshare``), in which that folder is the test's; nobody else sees it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import ada_url
import pytest
from playwright.sync_api import Browser, Error, sync_playwright

from dask_platform.features.whitelists.engine import Engine
from dask_platform.features.whitelists.exports import chromium
from dask_platform.features.whitelists.rules import Rule
from tests.browser.site import CHROMIUM, FLAGS
from tests.features.whitelists.build import rule
from tests.features.whitelists.corpus import ASKED, RULES, is_plain

PAGES = ["/", "/lov", "/lov/2001", "/lovsok", "/s\N{LATIN SMALL LETTER O WITH STROKE}k", "/a b,c"]
PAGE_RULES: list[Rule] = [
    rule(id="sider", paths=[], only=PAGES),
    rule(id="lokal", host="www.lokal.no", paths=[], only=["/om"]),
    rule(id="stengt", host="lokal.no", subdomains=True, effect="deny", paths=["/hemmelig"]),
    rule(id="mappe", host="mappe.no", paths=["/lov"]),
]


@pytest.fixture(scope="module")
def managed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("chromium")
    made = chromium.export(PAGE_RULES, ASKED)
    policies = folder / "etc" / "policies" / "managed"
    policies.mkdir(parents=True)
    for name, text in made.files.items():
        (policies / name).write_text(text)
    start = folder / "chromium.sh"
    mount = f"mount --bind {shlex.quote(str(folder / 'etc'))} /etc/chromium"
    # Without root, root over nobody but oneself is enough to mount.
    as_root = "" if os.geteuid() == 0 else "--map-root-user "
    start.write_text(
        f"#!/bin/sh\nexec unshare {as_root}--mount --propagation private "
        f"""sh -c '{mount} && exec {CHROMIUM} "$@"' chromium "$@"\n"""
    )
    start.chmod(0o755)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(start),
            # Every name leads to a port where nobody is: allowed is what fails to connect.
            args=[*FLAGS, "--headless=new", "--host-resolver-rules=MAP * 127.0.0.1:9"],
        )
        yield browser
        browser.close()


def addresses() -> list[str]:
    pages = [f"https://leksikon.no{page}" for page in PAGES]
    ends = [*chromium.FOLLOWING, "?", "?x", "?x=1", "?=", "?&", "#x", "/.", "/..", "//", "%2F"]
    around = [f"{page}{end}" for page in pages[:3] for end in ends]
    return [
        *pages,
        *around,
        "https://leksikon.no/LOV",
        "https://leksikon.no/l%6Fv",
        "https://leksikon.no/lov%00",
        "https://leksikon.no/l",
        "https://leksikon.no:8443/lov",
        "http://leksikon.no/lov",
        "https://www.leksikon.no/lov",
        "https://xleksikon.no/lov",
        "https://leksikon.no.evil.no/lov",
        "https://evil.no/lov",
        "https://www.lokal.no/om",
        "https://www.lokal.no/om/oss",
        "https://lokal.no/om",
        "https://www.lokal.no/hemmelig",
        "https://mappe.no/lov",
        "data:text/html,x",
    ]


def test_the_browser_agrees(managed: Browser) -> None:
    engine = Engine.of(one for one in PAGE_RULES if one.id != "mappe")
    page = managed.new_page()
    wrong, let_through = [], 0
    for url in addresses():
        try:
            page.goto(url, timeout=20_000)
            opened = True
        except Error as error:
            opened = "ERR_BLOCKED_BY_ADMINISTRATOR" not in error.message
            assert re.search("ERR_(BLOCKED_BY_ADMIN|CONNECTION_REFUSED|UNSAFE)", error.message), url
        # A browser asks for the address as it writes it.
        asked = ada_url.normalize_url(url).partition("#")[0]
        allowed = engine.decide(asked, ASKED).allowed
        let_through += opened
        if opened != allowed and (opened or (asked == url and is_plain(url))):
            wrong.append(f"{url}: Chromium {opened}, the engine {allowed}")
    assert not wrong, "\n".join(wrong)
    assert let_through >= len(PAGES) + 1


def test_what_is_refused_is_named() -> None:
    made = chromium.export(PAGE_RULES, ASKED)
    assert made.rules == ("lokal", "sider")
    assert [one.rule for one in made.refused] == ["mappe"]
    assert {one.rule for one in chromium.export(RULES, ASKED).refused} >= {"snl", "nav", "udir"}


def test_the_policy_is_what_chromium_documents() -> None:
    (text,) = chromium.export(PAGE_RULES, ASKED).files.values()
    policy = json.loads(text)
    assert set(policy) == {"URLAllowlist", "URLBlocklist", *chromium.SHUT}
    for entries in (policy["URLAllowlist"], policy["URLBlocklist"]):
        assert entries == sorted(set(entries))
        assert len(entries) <= 1000
        assert all(isinstance(one, str) for one in entries)
    assert "*" in policy["URLBlocklist"]
    assert all(one.startswith("https://.") for one in policy["URLAllowlist"])


def test_more_than_chromium_reads_is_refused(tmp_path: Path) -> None:
    many = rule(paths=[], only=[f"/side{number}" for number in range(20)])
    (refusal,) = chromium.export([many], ASKED).refused
    assert "1000" in refusal.why
