"""What a site allows to be kept, held against a plain reading of the same words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dask_platform.features.broker.freshness import directives, kept_until

NOW = datetime(2026, 11, 22, 12, 34, 56, tzinfo=UTC)
HOUR = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)

NAMES = ("no-store", "private", "no-cache", "public", "max-age", "s-maxage", "must-revalidate", "x")


@st.composite
def said(draw: st.DrawFn) -> tuple[dict[str, int | None], str]:
    """Directives as they are meant, and as a careless server writes them."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=5))
    meant: dict[str, int | None] = {}
    written = []
    for name in names:
        seconds = draw(st.integers(0, 200_000)) if name in ("max-age", "s-maxage") else None
        meant[name] = seconds
        shown = draw(st.sampled_from((name, name.upper(), name.title())))
        written.append(shown if seconds is None else f"{shown}={seconds}")
        written += draw(st.sampled_from(([], [""], [" "])))
    joint = draw(st.sampled_from((",", ", ", " ,\t")))
    return meant, joint.join(written)


def plain_reading(meant: dict[str, int | None], etag: bool) -> tuple[bool, int]:
    """Whether it may be kept, and the seconds that it may be served unasked, at the most."""
    if "no-store" in meant or "private" in meant:
        return False, 0
    seconds = meant.get("s-maxage", meant.get("max-age"))
    if seconds is None and "no-cache" not in meant:
        return False, 0
    if "no-cache" in meant or seconds is None:
        seconds = 0
    return seconds >= 60 or etag, seconds


@given(said(), st.booleans())
def test_a_plain_reading_says_the_same(
    given_: tuple[dict[str, int | None], str], etag: bool
) -> None:
    meant, written = given_
    headers = {"cache-control": written} | ({"etag": '"1"'} if etag else {})
    until = kept_until(headers, NOW)
    may, seconds = plain_reading(meant, etag)
    assert (until is not None) == may, written
    if until is not None:
        assert NOW <= until <= NOW + timedelta(seconds=seconds)
        # Never a moment that tells when somebody asked.
        assert until == NOW or until.timestamp() % 60 == 0
        assert (until > NOW) == (seconds >= 60)


@given(st.text(max_size=60), st.text(max_size=20))
@example("max-age=60\n", "")  # an end of line that is no end of the text: it read there for ever
def test_no_text_is_taken_for_leave(cache_control: str, vary: str) -> None:
    until = kept_until({"cache-control": cache_control, "vary": vary, "etag": '"1"'}, NOW)
    if until is not None:
        found = directives(cache_control)
        assert found is not None
        assert found.keys() & {"max-age", "s-maxage", "no-cache"}


@pytest.mark.parametrize(
    ("headers", "until"),
    [
        ({"cache-control": "max-age=3600"}, HOUR),
        ({"cache-control": "public, max-age=7199, s-maxage=3600"}, HOUR),
        ({"cache-control": "max-age=100000"}, datetime(2026, 11, 23, tzinfo=UTC)),
        # Older than it looks: what is left is less than to the full hour.
        ({"cache-control": "max-age=3600", "age": "3500"}, NOW + timedelta(seconds=100)),
        (
            {
                "cache-control": "max-age=3600",
                "date": format_datetime(NOW - timedelta(minutes=50), usegmt=True),
            },
            NOW + timedelta(minutes=10),
        ),
        (
            {
                "expires": format_datetime(NOW + timedelta(hours=1), usegmt=True),
                "date": format_datetime(NOW, usegmt=True),
            },
            HOUR,
        ),
        ({"cache-control": "max-age=3600", "vary": "Accept-Encoding"}, HOUR),
    ],
)
def test_served_unasked_until(headers: dict[str, str], until: datetime) -> None:
    assert kept_until(headers, NOW) == until


@pytest.mark.parametrize(
    "headers",
    [
        {"cache-control": "no-cache"},
        {"cache-control": "max-age=59"},
        {"cache-control": "max-age=60", "age": "60"},
        {"expires": "0"},
        {"expires": format_datetime(NOW - timedelta(days=1), usegmt=True)},
    ],
)
def test_kept_only_to_ask_with(headers: dict[str, str]) -> None:
    assert kept_until(headers | {"etag": '"1"'}, NOW) == NOW
    assert kept_until(headers, NOW) is None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"last-modified": "Mon, 01 Jan 2024 00:00:00 GMT"},
        {"cache-control": "public"},
        {"cache-control": 'private="x", max-age=3600'},
        {"cache-control": 'x="no-store, max-age=3600'},
        {"cache-control": "max-age=3600, max-age=7200"},
        {"cache-control": "max-age=-1"},
        {"cache-control": 'max-age="3600"'},
        {"cache-control": "max-age=3600;no-store"},
        {"cache-control": "max-age=99999999999"},
        {"cache-control": "max-age=3600", "vary": "*"},
        {"cache-control": "max-age=3600", "vary": "Cookie"},
        {"cache-control": "max-age=3600", "vary": "Accept-Encoding, User-Agent"},
        {"cache-control": "max-age=3600", "age": "x"},
        {"cache-control": "max-age=3600", "age": "1, 2"},
        {"cache-control": "max-age=3600", "date": "yesterday"},
    ],
)
def test_not_kept(headers: dict[str, str]) -> None:
    assert kept_until(headers | {"etag": '"1"'}, NOW) is None


def test_what_is_quoted_is_not_said() -> None:
    headers = {"cache-control": 'x="no-store, private", max-age=3600'}
    assert kept_until(headers, NOW) == HOUR


@given(st.integers(0, 3599), st.integers(0, 3599))
def test_whoever_comes_first_in_an_hour_it_ends_with_the_hour(one: int, other: int) -> None:
    """So that no one can tell, by when their own copy ends, that another has been there."""
    start = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    headers = {"cache-control": "max-age=5000"}
    ends = {kept_until(headers, start + timedelta(seconds=at)) for at in (one, other)}
    assert ends == {HOUR}
