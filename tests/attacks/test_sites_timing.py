"""What a student could read off the time that a page takes: whether another has been there."""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from dask_platform.features.broker.deciding import Desk
from dask_platform.features.broker.renderings import Renderings, Sheets
from dask_platform.features.whitelists.engine import Asked, Engine
from dask_platform.security.reader import Place, Policy, Rendered, render
from tests.features.broker.conftest import SITE
from tests.features.whitelists.build import rule

ANNA, BO = uuid4(), uuid4()
#: What cleaning takes, in seconds; all that is not cleaning takes far less.
CLEANING = 0.15


def desk(**asked: object) -> Desk:
    one = rule()
    at = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)
    return Desk(Engine.of([one]), {one.id: one}, Asked(at, **asked))  # type: ignore[arg-type]


class Page:
    """Asks for a page, or for a style sheet, as one or the other student."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.at = desk()
        self.pages, self.sheets = Renderings(), Sheets(8)
        self.times = 0

    def seconds(self, who: object, at: Desk | None = None) -> float:
        begun = time.monotonic()
        if self.kind == "page":
            self.pages.of(
                b"<p>x", None, SITE, "leksikon.no", "https://skole.no", at or self.at, Policy(),
                who, self._page,  # type: ignore[arg-type]
            )  # fmt: skip
        else:
            self.sheets.of(
                b"p{}", SITE, "leksikon.no", at or self.at, lambda *_: None, who, self._sheet  # type: ignore[arg-type]
            )  # fmt: skip
        return time.monotonic() - begun

    def _page(self) -> Rendered:
        self._clean()
        return render(
            b"<p>x", charset=None, base=SITE, place=lambda *_: None, ask=lambda _: None,
            policy=Policy(),
        )  # fmt: skip

    def _sheet(self, place: Place) -> str:
        self._clean()
        return str(place(f"{SITE}/a.png", "image"))

    def _clean(self) -> None:
        self.times += 1
        time.sleep(CLEANING)


@pytest.mark.parametrize("kind", ["page", "sheet"])
def test_what_was_cleaned_for_another_comes_no_sooner(kind: str) -> None:
    page = Page(kind)
    first = page.seconds(ANNA)
    second = page.seconds(BO)
    assert page.times == 1, "the processor is spared"
    assert second >= CLEANING
    assert second == pytest.approx(first, abs=CLEANING / 3)


@pytest.mark.parametrize("kind", ["page", "sheet"])
def test_what_one_has_had_comes_at_once(kind: str) -> None:
    page = Page(kind)
    for who in (ANNA, BO):
        page.seconds(who)
    again = [page.seconds(who) for who in (ANNA, BO, ANNA, BO)]
    assert page.times == 1
    assert statistics.median(again) < CLEANING / 3


def test_another_scope_does_not_take_a_sheet_away() -> None:
    """Made anew for somebody whose answers differ, it would be slow again for who had it."""
    page, elsewhere = Page("sheet"), desk(unit="sor")
    page.seconds(ANNA)
    page.seconds(BO, elsewhere)
    assert page.seconds(ANNA) < CLEANING / 3
