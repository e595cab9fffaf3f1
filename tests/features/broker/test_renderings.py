"""Cleaned pages that are kept: never for anybody else than those who see the very same."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient

from dask_platform.features.broker.deciding import Desk
from dask_platform.features.broker.renderings import LARGEST, Renderings
from dask_platform.features.whitelists.engine import Asked, Engine
from dask_platform.kernel.errors import TooLarge
from dask_platform.security.reader import Policy, Rendered, render
from tests.features.broker.conftest import SITE, Outside, html
from tests.features.whitelists.build import rule

ANNA, BO = uuid4(), uuid4()
NOON = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)


class Made:
    """Counts how often a page was cleaned."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> Rendered:
        self.times += 1
        return render(
            b"<p>x", charset="utf-8", base=f"{SITE}/", place=lambda *_: None, ask=lambda _: None,
            policy=Policy(),
        )  # fmt: skip


def desk(**asked: Any) -> Desk:
    one = rule()
    return Desk(Engine.of([one]), {one.id: one}, Asked(NOON, **asked))


BASE: dict[str, Any] = {
    "data": b"<p>x", "charset": "utf-8", "url": f"{SITE}/", "host": "leksikon.no",
    "school": "https://skole.no", "policy": Policy(), "who": ANNA,
}  # fmt: skip


def test_the_very_same_is_cleaned_once() -> None:
    kept, made, at = Renderings(), Made(), desk()
    later = replace(at, asked=replace(at.asked, at=NOON + timedelta(seconds=29)))
    assert kept.of(**BASE, at=at, make=made) is kept.of(**BASE, at=later, make=made)
    assert made.times == 1


@pytest.mark.parametrize(
    "other",
    [
        {"data": b"<p>y"}, {"charset": "iso-8859-1"}, {"charset": None}, {"url": f"{SITE}/a"},
        {"host": "bilder.no"}, {"school": "https://annen.no"},
        {"policy": Policy(ask_words="Be om denne siden")}, {"policy": Policy(styles=False)},
    ],
)  # fmt: skip
def test_whatever_differs_is_cleaned_anew(other: dict[str, Any]) -> None:
    kept, made, at = Renderings(), Made(), desk()
    kept.of(**BASE, at=at, make=made)
    kept.of(**(BASE | other), at=at, make=made)
    assert made.times == 2


@pytest.mark.parametrize(
    "other",
    [
        {"unit": "sor"}, {"level": "low"}, {"courses": frozenset({"norsk"})}, {"sitting": "prove"},
        {"opened": frozenset({"leksikon"})}, {"stopped": frozenset({"leksikon"})},
        {"everything_stopped": True}, {"at": NOON + timedelta(seconds=31)},
    ],
)  # fmt: skip
def test_whoever_may_see_something_else_has_a_page_of_their_own(other: dict[str, Any]) -> None:
    kept, made, at = Renderings(), Made(), desk()
    kept.of(**BASE, at=at, make=made)
    kept.of(**BASE, at=replace(at, asked=replace(at.asked, **other)), make=made)
    assert made.times == 2


def test_new_rules_throw_all_away() -> None:
    kept, made, at = Renderings(), Made(), desk()
    kept.of(**BASE, at=at, make=made)
    new = replace(at, engine=Engine.of([rule(closed=["/a"])]))
    kept.of(**BASE, at=new, make=made)
    assert (made.times, len(kept)) == (2, 1)


def test_it_keeps_no_more_than_it_may_and_what_was_used_last() -> None:
    kept, made, at = Renderings(most=20), Made(), desk()
    for path in "ab":
        kept.of(**(BASE | {"url": f"{SITE}/{path}"}), at=at, make=made)
    kept.of(**(BASE | {"url": f"{SITE}/a"}), at=at, make=made)
    kept.of(**(BASE | {"url": f"{SITE}/c"}), at=at, make=made)
    assert len(kept) == 2
    kept.of(**(BASE | {"url": f"{SITE}/a"}), at=at, make=made)
    assert made.times == 3


def test_a_very_long_page_is_not_kept() -> None:
    kept, at = Renderings(), desk()
    long = replace(Made()(), html="x" * (LARGEST + 1))
    kept.of(**BASE, at=at, make=lambda: long)
    assert len(kept) == 0


def test_one_who_may_read_more_leaves_nothing_to_one_who_may_not(outside: Outside) -> None:
    """The same page for two students of two units: a link is open to the one alone."""
    outside.open(
        rule(), rule(id="atlas", host="atlas.no", scope={"units": ["nord"]}),
        rule(id="leksikon2", paths=["/norge"]),
    )  # fmt: skip
    outside.upstream.pages[f"{SITE}/norge"] = html("<a href=https://atlas.no/a>Atlas</a>")
    anna: FlaskClient = outside.visitor("anna")
    cem: FlaskClient = outside.visitor("cem")
    for client, opened in ((anna, True), (cem, False), (anna, True), (cem, False)):
        page = outside.get(client, "/norge").text
        assert ("/_dask/go?to=https%3A%2F%2Fatlas.no%2Fa" in page) is opened


def test_a_class_that_opens_a_page_together_has_it_cleaned_once() -> None:
    kept, at, began = Renderings(), desk(), threading.Event()
    go_on, made = threading.Event(), Made()

    def slow() -> Rendered:
        began.set()
        assert go_on.wait(10)
        return made()

    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(kept.of, **(BASE | {"who": uuid4()}), at=at, make=slow)
        assert began.wait(10)
        others = [
            pool.submit(kept.of, **(BASE | {"who": uuid4()}), at=at, make=slow) for _ in range(7)
        ]
        go_on.set()
        assert {id(one.result(10)) for one in (first, *others)} == {id(first.result())}
    assert made.times == 1


def test_a_page_that_cannot_be_cleaned_keeps_nobody_waiting() -> None:
    kept, at, made = Renderings(), desk(), Made()

    def fails() -> Rendered:
        raise TooLarge("too tangled")

    for _ in range(2):
        with pytest.raises(TooLarge):
            kept.of(**(BASE | {"who": uuid4()}), at=at, make=fails)
    assert kept.of(**(BASE | {"who": uuid4()}), at=at, make=made) is not None
    assert made.times == 1
