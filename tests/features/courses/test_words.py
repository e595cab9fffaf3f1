"""Deadlines in plain words, by Norway's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import session

from dask_platform.features.courses.rendering import place_links
from dask_platform.features.courses.titles import one_line, slug_for
from dask_platform.features.courses.words import deadline_words
from dask_platform.kernel.errors import Invalid
from tests.world import World

DUE = datetime(2026, 12, 4, 11, tzinfo=UTC)
CUTOFF = DUE + timedelta(days=7)
BEFORE, BETWEEN, AFTER = DUE, DUE + timedelta(seconds=1), CUTOFF + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("due", "cutoff", "now", "expected"),
    [
        (None, None, BEFORE, ""),
        (DUE, None, BEFORE, "Deadline: D."),
        (DUE, DUE, BEFORE, "Deadline: D."),
        (DUE, CUTOFF, BEFORE, "Deadline: D. You can hand in late until C."),
        (None, CUTOFF, BEFORE, "You can hand in until C."),
        (DUE, None, BETWEEN, "The deadline has passed. It was D. You can still hand in late."),
        (
            DUE, CUTOFF, BETWEEN,
            "The deadline has passed. It was D. You can hand in late until C.",
        ),
        (DUE, CUTOFF, CUTOFF, "The deadline has passed. It was D. You can hand in late until C."),
        (DUE, CUTOFF, AFTER, "The assignment is closed. It closed on C."),
        (None, CUTOFF, AFTER, "The assignment is closed. It closed on C."),
    ],
)  # fmt: skip
def test_says_what_a_student_can_still_do(
    shared_world: World,
    due: datetime | None,
    cutoff: datetime | None,
    now: datetime,
    expected: str,
) -> None:
    with shared_world.app.test_request_context():
        session["locale"] = "en"
        words = deadline_words(due, cutoff, now)
    day = "Friday, {} December 2026 at 12:00"
    for letter, number in (("D", "4"), ("C", "11")):
        for written in (day.format(number), f"Friday, December {number}, 2026 at 12:00"):
            words = words.replace(written, letter)
    assert words == expected


def test_links_are_placed_where_the_reader_is() -> None:
    html = '<p><a href="/items/a">A</a> <a href="/items/b"><em>B</em></a> /items/a</p>'
    placed = place_links(html, lambda slug: f"/here/{slug}", {"a"})
    assert placed == '<p><a href="/here/a">A</a> <em>B</em> /items/a</p>'


def test_a_title_is_one_line_and_a_slug_is_like_it() -> None:
    assert one_line("  Fare \n og\u2028risiko ", 80) == "Fare og risiko"
    assert slug_for("Fare & Risiko, på Ærlig ål", (), fallback="x") == "fare-risiko-pa-aerlig-al"
    assert slug_for("a", {"a", "a-2"}, fallback="x") == "a-3"
    assert slug_for("日本", (), fallback="side") == "side"
    with pytest.raises(Invalid):
        one_line(" \u200b ", 80)
