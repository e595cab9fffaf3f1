"""Answers kept for others: nobody can tell, decisions come first, and the second wall."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from dask_platform.adapters.upstream import Page
from dask_platform.features.broker import caching
from dask_platform.kernel.errors import (
    UpstreamError,
    UpstreamStopped,
    UpstreamTimeout,
    UpstreamTooLarge,
)
from tests.features.broker.conftest import SITE, Outside, html
from tests.features.broker.way import EMPTY, OPEN, URL, Way, on_the_way
from tests.features.whitelists.build import rule
from tests.features.whitelists.office import Office
from tests.world import World


@pytest.fixture
def way(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Way]:
    with on_the_way(world, monkeypatch) as made:
        yield made


# -- nobody can tell ---------------------------------------------------------------------


def test_another_waits_as_long_and_sees_the_same(way: Way) -> None:
    way.upstream.head, way.upstream.body = 0.35, 0.3
    first = way.timed("anna")
    way.upstream.head, way.upstream.body = 9.0, 9.0  # whoever asks now is found out
    second = way.timed("bo")
    assert way.fetches == 1
    assert second[2:] == first[2:], "headers and bytes"
    assert abs(second[0] - first[0]) < 0.12, (first[0], second[0])
    assert abs(second[1] - first[1]) < 0.12, (first[1], second[1])


def test_whoever_has_fetched_it_has_it_at_once(way: Way) -> None:
    way.upstream.head = 0.4
    assert way.timed("anna")[1] >= 0.4
    assert way.timed("anna")[1] < 0.2
    assert way.timed("bo")[1] >= 0.4
    assert way.timed("bo")[1] < 0.2
    assert way.fetches == 1


def test_whoever_broke_off_waits_again(way: Way) -> None:
    """Without the other student nothing would be kept yet, and the site would be asked."""
    way.upstream.head = 0.4
    way.upstream.pages[URL] = Page(b"x" * 200_000, headers=OPEN)
    way.timed("anna")
    with way.ask("bo") as answer:
        next(iter(answer.body))
    assert way.timed("bo")[0] >= 0.4


def test_who_came_first_in_a_day_decides_nothing_for_the_next(way: Way) -> None:
    """anna fetches early or not at all: bo, who fetches later that day and the next morning, waits
    both times just the same."""
    waits = []
    for early in (True, False):
        url = f"{SITE}/{early}"
        way.upstream.pages[url] = Page(b"en bok", headers=OPEN)
        way.upstream.head = 0.3
        if early:
            way.get("anna", url)
        way.world.clock.move(timedelta(hours=12))
        took = []
        for pause in (0, 6, 6):
            way.world.clock.move(timedelta(hours=pause))
            begun = time.monotonic()
            way.get("bo", url)
            took.append(time.monotonic() - begun > 0.2)
        waits.append(took)
    assert waits == [[True, False, True], [True, False, True]]


def test_a_wait_has_an_end(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching, "LONGEST_WAIT", 0.2)
    way.upstream.head = 0.7
    way.timed("anna")
    assert 0.2 <= way.timed("bo")[1] < 0.5


def test_no_connection_is_held_while_one_waits(way: Way) -> None:
    way.upstream.head = 0.6
    way.timed("anna")
    pool = way.platform.database.engine.pool
    waiting = threading.Thread(target=way.timed, args=("bo",))
    waiting.start()
    time.sleep(0.3)
    assert pool.checkedout() == 0  # type: ignore[attr-defined]
    waiting.join()
    assert way.fetches == 1


# -- decisions come first ----------------------------------------------------------------


def test_a_stop_comes_before_what_is_kept(way: Way) -> None:
    way.get("anna")
    way.stopped = lambda: True
    for who in ("anna", "bo"):
        with pytest.raises(UpstreamStopped):
            way.get(who)


def test_a_stop_cuts_the_waiting_and_the_middle(way: Way) -> None:
    way.upstream.pages[URL] = Page(b"x" * 500_000, headers=OPEN)
    way.upstream.head = 0.8
    way.timed("anna")
    begun = time.monotonic()
    way.stopped = lambda: time.monotonic() - begun > 0.2
    with pytest.raises(UpstreamStopped):
        way.ask("bo")
    assert time.monotonic() - begun < 0.5

    cut = False
    way.stopped = lambda: cut
    with way.ask("anna") as answer:
        chunks = iter(answer.body)
        next(chunks)
        cut = True
        with pytest.raises(UpstreamStopped):
            next(chunks)


@pytest.mark.parametrize(
    ("said", "error"),
    [({"largest": 3}, UpstreamTooLarge), ({"seconds": 0.0}, UpstreamTimeout)],
)
def test_limits_hold_for_what_is_kept(
    way: Way, said: dict[str, Any], error: type[UpstreamError]
) -> None:
    way.get("anna")
    with pytest.raises(error):
        way.get("bo", **said)


def test_a_page_that_is_open_no_more_is_not_served(outside: Outside) -> None:
    outside.upstream.pages[f"{SITE}/norge"] = Page(
        html("<h1>Norge</h1>").body, headers={**OPEN, "content-type": "text/html; charset=utf-8"}
    )
    anna, bo = outside.visitor("anna"), outside.visitor("bo")
    seen = [outside.get(who, "/norge") for who in (anna, anna, bo)]
    caching.later.settle()
    seen.append(outside.get(bo, "/norge"))
    assert [one.status_code for one in seen] == [200] * 4
    assert 1 <= len(outside.upstream.requests) < 4
    # Which of them were fetched does not show: all is the same but what is made for each anew.
    told = [{k: v for k, v in one.headers if k not in MADE_ANEW} for one in seen]
    assert told[0] == told[1] == told[2] == told[3]
    before = len(outside.upstream.requests)
    outside.open(rule(closed=["/norge"]))
    assert outside.get(bo, "/norge").status_code == 403
    Office(outside.world).stop("sigrid", "stop_rule", "leksikon", outside.world.id("nord"))
    assert outside.get(bo, "/").status_code == 403
    assert len(outside.upstream.requests) == before


MADE_ANEW = {"Content-Security-Policy", "X-Request-Id", "Date", "Set-Cookie", "Content-Length"}


# -- the second wall ---------------------------------------------------------------------


def test_the_web_role_looks_through_nothing(way: Way) -> None:
    way.get("anna")
    (row,) = way.rows()
    with way.world.connect("dask_web") as connection:
        for name in (None, "anna", "sigrid", "olga"):
            person = str(way.world.id(name)) if name else ""
            connection.execute("SELECT set_config('dask.actor', %s, false)", [person])
            assert connection.execute("SELECT count(*) FROM kept_answer").fetchone() == (0,)
            found = connection.execute(
                "SELECT count(*) FROM dask_kept_answer(%s)", [row["key"]]
            ).fetchone()
            assert found == (0 if name is None else 1,)
            for deed in (
                "INSERT INTO kept_answer SELECT * FROM kept_answer",
                "UPDATE kept_answer SET size = 1",
                "DELETE FROM kept_answer",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                    connection.execute(deed)


def test_without_an_actor_nothing_is_kept_changed_or_dropped(way: Way) -> None:
    way.get("anna")
    (row,) = way.rows()
    key, file = row["key"], row["file_key"]
    with way.world.connect("dask_web") as connection:
        assert connection.execute(
            "SELECT dask_keep_answer(%s, 'answers/x', '{}', 1, %s, NULL, now(), now(), 1, 1, 100)",
            [key, EMPTY],
        ).fetchone() == (False,)
        connection.execute(
            "SELECT dask_freshen_answer(%s, %s, '{}', now() + interval '1 year', now())",
            [key, file],
        )
        connection.execute("SELECT dask_drop_answer(%s, %s)", [key, file])
        connection.commit()
    assert way.rows() == [row]


def test_the_worker_sweeps_and_reads_no_addresses(way: Way) -> None:
    way.get("anna")
    with way.world.connect("dask_worker") as connection:
        assert connection.execute("SELECT count(key) FROM kept_answer").fetchone() == (1,)
        for column in ("headers", "etag", "sha256"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(f"SELECT {column} FROM kept_answer")
