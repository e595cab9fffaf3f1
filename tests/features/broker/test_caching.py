"""Answers kept for others: what is kept, for whom, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest

from dask_platform.adapters.upstream import Page
from dask_platform.features.broker import caching, kept
from dask_platform.features.whitelists.engine import Asked
from dask_platform.kernel.errors import (
    UpstreamUnavailable,
)
from tests.features.broker.conftest import SITE
from tests.features.broker.way import EARLY, EMPTY, OPEN, URL, SlowUpstream, Way, on_the_way
from tests.features.whitelists.build import rule
from tests.world import World


@pytest.fixture
def way(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Way]:
    with on_the_way(world, monkeypatch) as made:
        yield made


def test_what_one_fetched_serves_another(way: Way) -> None:
    assert way.get("anna") == way.get("bo") == b"en bok"
    assert way.fetches == 1
    assert len(way.rows()) == len(way.files()) == 1


def test_when_it_has_run_out_the_site_is_asked(way: Way) -> None:
    way.get()
    way.upstream.pages[URL] = Page(b"ny utgave", headers=OPEN)
    way.world.clock.move(timedelta(hours=23, minutes=59, seconds=50))
    assert way.get("bo") == b"en bok"
    way.world.clock.move(timedelta(seconds=20))
    assert way.get("anna") == way.get("bo") == b"ny utgave"
    assert way.fetches == 2
    assert len(way.rows()) == 1


def test_what_the_site_confirms_is_fresh_again(way: Way) -> None:
    way.upstream.pages[URL] = Page(b"en bok", headers={**OPEN, "etag": '"1"'})
    way.get()
    way.world.clock.move(timedelta(days=1))
    assert way.get("bo") == b"en bok"
    assert way.upstream.requests[1].etag == '"1"'
    assert way.get("anna") == b"en bok"
    assert way.fetches == 2, "fresh again"
    assert len(way.files()) == 1, "and not written twice"


def test_a_confirmed_answer_is_not_as_old_as_it_was(way: Way) -> None:
    old = {**OPEN, "etag": '"1"', "age": "89990"}
    way.upstream.pages[URL] = Page(b"en bok", headers=old)
    way.get()
    way.world.clock.move(timedelta(minutes=1))
    way.upstream.pages[URL] = Page(b"en bok", headers={**OPEN, "etag": '"1"'})
    for who in ("bo", "anna"):
        assert way.get(who) == b"en bok"
    assert way.fetches == 2


def test_a_site_that_wants_to_be_asked_is_asked_each_time(way: Way) -> None:
    way.upstream.pages[URL] = Page(
        b"en bok", headers={**OPEN, "cache-control": "no-cache", "etag": '"1"'}
    )
    for who in ("anna", "bo", "anna"):
        assert way.get(who) == b"en bok"
    assert [one.etag for one in way.upstream.requests] == [None, '"1"', '"1"']


def test_what_a_confirmation_forbids_is_dropped(way: Way) -> None:
    way.upstream.pages[URL] = Page(b"en bok", headers={**OPEN, "etag": '"1"'})
    way.get()
    way.world.clock.move(timedelta(days=1))
    private = {"cache-control": "private", "content-type": "text/html", "etag": '"1"'}
    way.upstream.pages[URL] = Page(b"en bok", headers=private)
    assert way.get("bo") == b"en bok"
    assert way.rows() == []


def test_the_same_bytes_are_not_written_again(way: Way) -> None:
    way.get()
    before = way.files()
    way.world.clock.move(timedelta(days=1))
    way.get("bo")
    assert way.fetches == 2
    assert way.files() == before


@pytest.mark.parametrize(
    "page",
    [
        Page(b"x", headers={**OPEN, "cache-control": "private, max-age=3600"}),
        Page(b"x", headers={"content-type": "text/html"}),
        Page(b"x", headers={**OPEN, "vary": "Cookie"}),
        Page(b"x", headers={**OPEN, "content-type": "application/x-unknown"}),
        Page(b"x", headers={"cache-control": "max-age=3600"}),
        Page(b"x", headers=OPEN, set_cookies=("a=1",)),
        Page(b"x", 203, headers=OPEN),
        Page(b"x", 404, headers=OPEN),
        Page(b"", 301, headers={**OPEN, "location": "/annet"}),
    ],
)
def test_what_a_site_does_not_let_everybody_have_is_not_kept(way: Way, page: Page) -> None:
    way.upstream.pages[URL] = page
    way.get("anna")
    way.get("bo")
    assert way.fetches == 2
    assert not way.rows()
    assert not way.files()


@pytest.mark.parametrize(
    "said",
    [
        {"cookie": "a=1"},
        {"typed": True},
        {"method": "HEAD"},
        {"span": (0, 2)},
        {"method": "POST", "form": b"a=1"},
    ],
)
def test_what_is_a_students_own_is_neither_kept_nor_answered(
    way: Way, said: dict[str, Any]
) -> None:
    way.get("anna", **said)
    assert way.rows() == []
    way.get("anna")
    way.get("bo", **said)
    assert way.fetches == 3


def test_a_part_is_taken_from_the_whole(way: Way) -> None:
    way.upstream.pages[URL] = Page(
        bytes(range(200)) * 1000, headers={**OPEN, "accept-ranges": "bytes"}
    )
    plain = way.ask("anna", span=(1000, 70_000))
    told = (plain.status, dict(plain.headers), b"".join(plain.body))
    way.get("anna")
    held = way.ask("bo", span=(1000, 70_000))
    assert (held.status, dict(held.headers), b"".join(held.body)) == told
    assert way.fetches == 2
    for beyond in ((150_000, 900_000), (150_000, None)):
        held = way.ask("bo", span=beyond)
        assert held.headers["content-range"] == "bytes 150000-199999/200000"
        assert len(b"".join(held.body)) == 50_000
    assert way.fetches == 2
    assert way.ask("bo", span=(200_000, None)).status == 416
    assert way.fetches == 3, "what is not in it is the site's to say"


def test_a_site_without_parts_is_asked_for_them(way: Way) -> None:
    way.get("anna")
    way.ask("bo", span=(0, 1)).close()
    assert way.fetches == 2


@pytest.mark.parametrize(
    "other",
    [
        {"unit": "sor"},
        {"level": "low"},
        {"courses": frozenset({"kokk"})},
        {"courses": frozenset()},
        {"sitting": "eksamen"},
    ],
)
def test_another_scope_never_gets_it(way: Way, other: dict[str, Any]) -> None:
    way.rule = rule(
        scope={
            "units": ["nord", "sor"],
            "security_levels": ["high", "low"],
            "courses": ["norsk", "kokk"],
            "sittings": ["eksamen"],
        }
    )
    way.get("anna")
    way.get("bo")
    assert way.fetches == 1
    way.asked = replace(way.asked, **other)
    way.get("bo")
    assert way.fetches == 2


def test_what_the_rule_is_not_narrowed_to_makes_no_difference(way: Way) -> None:
    way.get("anna")
    way.asked = Asked(EARLY, unit="sor", level="low")
    way.get("cem")
    assert way.fetches == 1


def test_a_rule_that_changed_has_nothing_kept(way: Way) -> None:
    way.get("anna")
    way.rule = rule(closed=["/annet"])
    way.get("bo")
    assert way.fetches == 2


def test_nothing_that_a_browser_chooses_names_it() -> None:
    """The key is of address, rule and scope; everything else of a request is left out of it."""
    one = Asked(EARLY, unit="nord", level="high", courses=frozenset({"norsk"}))
    other = replace(one, at=EARLY + timedelta(days=3), stopped=frozenset({"x"}))
    assert caching.key_of(URL, rule(), one) == caching.key_of(URL, rule(), other)
    assert caching.key_of(URL, rule(), one) != caching.key_of(URL + "?", rule(), one)
    assert caching.key_of(URL, rule(), one) != caching.key_of(URL, rule(id="annen"), one)


# -- whole or not at all -----------------------------------------------------------------


def test_what_breaks_off_is_not_kept(way: Way) -> None:
    way.upstream.pages[URL] = Page(
        b"x" * 200_000, headers=OPEN, breaks=UpstreamUnavailable("broken off")
    )
    with pytest.raises(UpstreamUnavailable):
        way.get()
    caching.later.settle()
    assert not way.rows()
    assert not way.files()


def test_what_nobody_read_to_its_end_is_not_kept(way: Way) -> None:
    way.upstream.pages[URL] = Page(b"x" * 200_000, headers=OPEN)
    with way.ask() as answer:
        next(iter(answer.body))
    caching.later.settle()
    assert not way.rows()
    assert not way.files()


def test_what_is_too_large_passes_and_is_not_kept(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caching, "LARGEST", 100_000)
    way.upstream.pages[URL] = Page(b"x" * 200_000, headers=OPEN)
    assert len(way.get()) == 200_000
    assert way.files() == []


def test_a_large_answer_is_never_held_in_memory_whole(way: Way) -> None:
    import tracemalloc

    class Long(SlowUpstream):
        def _late(self, chunks: Any) -> Any:
            for _ in range(15 * 16):
                yield bytes(64 * 1024)

    upstream = Long(way.upstream.pages)
    way.platform.upstream = upstream
    size = 0
    tracemalloc.start()
    try:
        for who in ("anna", "bo"):
            with way.ask(who) as answer:
                for chunk in answer.body:
                    size += len(chunk)
            caching.later.settle()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size == 2 * 15 * 1024 * 1024
    assert len(upstream.requests) == 1
    assert peak < 6 * 1024 * 1024, peak


@pytest.mark.parametrize("harm", ["gone", "changed"])
def test_a_file_that_is_gone_or_damaged_is_fetched_again(way: Way, harm: str) -> None:
    way.get("anna")
    (key,) = way.files()
    way.platform.files.delete(key)
    if harm == "changed":
        folder = way.world.settings.files_folder / "files" / f"{key}.file"
        folder.mkdir(parents=True)
        name = "9b74c9897bac770ffc029102a200c5de" * 2 + "-6"
        (folder / name).write_bytes(b"en bot")
    for who in ("anna", "bo", "anna"):
        assert way.get(who) == b"en bok"
    assert way.fetches == 2, "and kept anew"


def test_there_is_no_room_for_more_than_was_set(way: Way) -> None:
    way.platform.settings = way.platform.settings.model_copy(update={"site_answers_bytes": 20_000})
    for number in range(5):
        way.upstream.pages[f"{SITE}/{number}"] = Page(b"%d" % number * 9000, headers=OPEN)
        way.get("anna", f"{SITE}/{number}")
    assert len(way.rows()) == len(way.files()) == 2


def test_the_sweep_takes_the_old_and_makes_room(way: Way) -> None:
    for number in range(4):
        way.upstream.pages[f"{SITE}/{number}"] = Page(b"%d" % number * 9000, headers=OPEN)
        way.get("anna", f"{SITE}/{number}")
        way.world.clock.move(timedelta(seconds=1))
    newest = max(way.rows(), key=lambda row: row["stored_at"])
    way.platform.files.put("answers/orphan", BytesIO(b""), size=0, sha256=EMPTY)
    with way.world.worker() as worker:
        worker.settings = worker.settings.model_copy(update={"site_answers_bytes": 20_000})
        kept.sweep(worker)
        assert len(way.rows()) == 2
        assert newest in way.rows()
        assert len(way.files()) == 5, "bytes stay for an hour: somebody may be reading them"
        assert worker.clock is way.world.clock
        # The store tells the real time of writing.
        way.world.clock.move(datetime.now(UTC) - way.world.clock.now() + timedelta(hours=2))
        kept.sweep(worker)
        assert {row["file_key"] for row in way.rows()} == set(way.files())
        way.world.clock.move(timedelta(days=8))
        kept.sweep(worker)
    assert not way.rows()
    assert not way.files()
