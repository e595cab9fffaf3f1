"""From what was seen to the smallest rule: everything chosen is open, and nothing beside it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_platform.features.recorder.paths import opened, plain
from dask_platform.features.recorder.proposing import Draft, Said, propose
from dask_platform.features.recorder.seen import PARTS, Asked, Seen, What
from dask_platform.features.whitelists.checks import best_case, check
from dask_platform.features.whitelists.engine import Engine, under
from dask_platform.features.whitelists.files import Folder, Placed
from dask_platform.features.whitelists.rules import Form, Kind, Parameter, Profile
from dask_platform.kernel.clock import from_oslo
from dask_platform.kernel.errors import Invalid

HOST = "leksikon.no"
HELPERS = ("cdn.leksikon.no", "bilder.example.com", "skrift.example.net")
NOW = from_oslo(datetime(2026, 11, 22, 10))
SAID = Said(
    id="leksikon", title=("Leksikon", "Leksikon"), description=("Oppslag.", "Oppslag."),
    owner="Kontoret", author="Sigrid", reason="Til norskfaget.", expires=date(2027, 6, 30),
)  # fmt: skip


def page(path: str, host: str = HOST, **said: Any) -> Seen:
    return Seen(host, path, What.PAGE, **{"mime": "text/html", "size": 3000, **said})


def part(path: str, host: str = HOST, kind: What = What.PICTURE, **said: Any) -> Seen:
    return Seen(host, path, kind, **{"mime": "image/png", "size": 10, **said})


def drafted(seen: list[Seen], *chosen: str, **said: Any) -> Draft:
    every = [one.path for one in seen if one.kind is What.PAGE]
    return propose(HOST, seen, chosen or every, replace(SAID, **said))


def left(draft: Draft) -> str:
    return "\n".join(one.message % one.params for one in draft.left)


# -- paths --------------------------------------------------------------------------------------


def test_two_pages_stand_for_themselves_and_three_for_their_part() -> None:
    assert opened(["/fag/a", "/fag/b"], parts=True) == ([], ["/fag/a", "/fag/b"])
    assert opened(["/fag/a", "/fag/b", "/fag/c"], parts=True) == (["/fag"], [])
    assert opened(["/fag/a", "/fag/b", "/fag/c"], parts=False)[0] == []


def test_a_part_is_the_longest_that_three_share() -> None:
    deep = ["/fag/x/1", "/fag/x/2", "/fag/x/3"]
    assert opened([*deep, "/fag/y"], parts=True) == (["/fag/x"], ["/fag/y"])
    assert opened([*deep, "/fag/y", "/fag/z", "/fag/w"], parts=True) == (["/fag"], [])


def test_the_whole_site_is_never_a_part() -> None:
    assert opened(["/", "/a", "/b", "/c", "/d"], parts=True) == ([], ["/", "/a", "/b", "/c", "/d"])


def test_a_page_belongs_to_the_part_it_heads() -> None:
    assert opened(["/fag/", "/fag/a", "/fag/b"], parts=True) == (["/fag"], [])


@given(st.text(alphabet="abæ/%2.;:*?#\\-_~é", max_size=12))
def test_a_plain_path_is_one_that_a_rule_takes(text: str) -> None:
    path = plain(HOST, f"/{text}")
    if path is not None:
        assert Form(path=path, fields=(Parameter(name="q", type=Kind.TEXT),)).path == path


# -- rules --------------------------------------------------------------------------------------

segments = st.text(alphabet="abcæé1-_.", min_size=1, max_size=6).filter(
    lambda one: one not in (".", "..")
)
paths = st.lists(segments, max_size=4).map(lambda parts: "/" + "/".join(parts))
shapes = st.one_of(st.none(), st.sampled_from([Kind.INTEGER, Kind.DATE, Kind.WORD, Kind.TEXT]))
asked = st.builds(
    Asked, st.sampled_from(["id", "side", "url", "q", "år", "lang"]), shapes, st.integers(0, 700)
)
pages = st.builds(
    page,
    paths.map(lambda path: _written(path)),
    query=st.lists(asked, max_size=3).map(tuple),
    size=st.integers(0, 10**7),
    status=st.sampled_from([200, 200, 200, 404, 302]),
)
parts = st.builds(
    part,
    paths.map(lambda path: _written(path)),
    st.sampled_from([HOST, *HELPERS, "github.io", "leks1kon.no"]),
    st.sampled_from(sorted(PARTS)),
    mime=st.sampled_from(["image/png", "text/css", "font/woff2", "text/html"]),
    size=st.integers(0, 10**7),
    query=st.lists(asked, max_size=3).map(tuple),
    status=st.sampled_from([200, 200, 403]),
)
alone = st.builds(
    lambda path, kind: Seen(HOST, _written(path), kind, status=0, note="login"),
    paths,
    st.sampled_from([What.FORM, What.LINK]),
)


def _written(path: str) -> str:
    return quote(path, safe="/-_.")


@given(
    st.lists(pages, min_size=1, max_size=12), st.lists(parts, max_size=12),
    st.lists(alone, max_size=5), st.booleans(), st.sampled_from([Profile.READER, Profile.SCRIPTED]),
)  # fmt: skip
def test_what_is_chosen_is_open_and_nothing_beside_it(
    opened_pages: list[Seen], needed: list[Seen], found: list[Seen], wide: bool, profile: Profile
) -> None:
    seen = [*opened_pages, *needed, *found]
    try:
        draft = drafted(seen, parts=wide, profile=profile)
    except Invalid:
        assert not any(one.whole and plain(HOST, one.path) for one in opened_pages)
        return
    rule = draft.rule
    problems = check(Folder((Placed(rule, rule.id),), {}), NOW)
    assert not [one for one in problems if not one.warning], problems
    engine, who = Engine.of([rule]), best_case(rule, {})
    for one in opened_pages:
        if one.whole and plain(HOST, one.path):
            got = engine.decide(one.url, who)
            assert got.allowed, (one.url, got.reason, rule)
            away = f"{one.url.rstrip('/')}-ved-siden"
            inside = any(under(plain(HOST, one.path) or "", p) for p in rule.paths)
            assert inside or not engine.decide(away, who).allowed
    for one in needed:
        used = one.whole and one.mime != "text/html" and plain(one.host, one.path)
        if used and (profile is Profile.SCRIPTED or one.kind not in (What.SCRIPT, What.FETCH)):
            told = f"{one.host}{one.path}" in left(draft) or f"{one.host}:" in left(draft)
            assert told or engine.decide(one.url, who).allowed, (one.url, rule)
    assert "/" not in rule.paths
    assert all("/" not in helper.paths for helper in rule.helpers)
    if not wide:
        assert rule.paths == ()


@pytest.mark.parametrize("wide", [True, False])
def test_a_page_with_its_parameters_is_open(wide: bool) -> None:
    query = (Asked("id", Kind.INTEGER, 3), Asked("dag", Kind.DATE, 10), Asked("v", Kind.WORD, 5))
    draft = drafted([page("/a", query=query)], parts=wide)
    assert [(one.name, one.type, one.length) for one in draft.rule.query] == [
        ("id", Kind.INTEGER, 4), ("dag", Kind.DATE, 16), ("v", Kind.WORD, 8),
    ]  # fmt: skip
    engine, who = Engine.of([draft.rule]), best_case(draft.rule, {})
    assert engine.decide(f"https://{HOST}/a?id=123&dag=2026-11-22&v=2.0.1", who).allowed
    assert not engine.decide(f"https://{HOST}/a?id=hei", who).allowed


def test_free_text_and_relays_stay_closed_and_are_told() -> None:
    query = (Asked("q", Kind.TEXT, 9), Asked("url", Kind.WORD, 9), Asked("x", None, 9))
    draft = drafted([page("/a", query=query)])
    assert draft.rule.query == ()
    for name in ("q", "url", "x"):
        assert f"?{name}=" in left(draft)


def test_the_same_parameter_is_as_wide_as_all_it_was_seen_as() -> None:
    seen = [
        page("/a", query=(Asked("v", Kind.INTEGER, 2),)),
        page("/b", query=(Asked("v", Kind.DATE, 10),)),
    ]
    assert [one.type for one in drafted(seen).rule.query] == [Kind.WORD]


def test_a_helper_gives_what_was_needed_of_it() -> None:
    seen = [
        page("/a"),
        part("/s/a.css", "cdn.leksikon.no", What.STYLE, mime="text/css"),
        part("/js/a.js", "cdn.leksikon.no", What.SCRIPT, mime="text/javascript"),
    ]
    reader = drafted(seen).rule
    assert [(h.host, h.paths, h.types) for h in reader.helpers] == [
        ("cdn.leksikon.no", ("/s/a.css",), ("text/css",))
    ]
    scripted = drafted(seen, profile=Profile.SCRIPTED).rule
    assert scripted.helpers[0].paths == ("/js/a.js", "/s/a.css")
    assert scripted.helpers[0].types == ("text/css", "text/javascript")


def test_a_host_that_no_rule_can_name_is_told() -> None:
    seen = [page("/a"), part("/b.png", "github.io"), part("/b.png", "leks1kon.no")]
    draft = drafted(seen)
    assert draft.rule.helpers == ()
    assert "github.io" in left(draft)
    assert "leks1kon.no" in left(draft)


def test_forms_are_told_and_the_places_where_people_write_are_closed() -> None:
    seen = [
        page("/fag/a"), page("/fag/b"), page("/fag/c"),
        Seen(HOST, "/fag/logg-inn", What.LINK, status=0, note="login"),
        Seen(HOST, "/fag/sok", What.FORM, status=0, note="GET"),
        Seen(HOST, "/fag/a", What.LINK, status=0, note="talk"),
    ]  # fmt: skip
    draft = drafted(seen)
    assert draft.rule.paths == ("/fag",)
    assert draft.rule.closed == ("/fag/logg-inn", "/fag/sok")
    assert draft.rule.forms == ()
    assert f"{HOST}/fag/sok: a form was found" in left(draft)
    assert f"https://{HOST}/fag/logg-inn" in draft.rule.examples.refused


def test_the_largest_is_twice_what_was_seen_in_powers_of_two() -> None:
    assert drafted([page("/a", size=3000)]).rule.largest == 8192
    assert drafted([page("/a", size=0)]).rule.largest == 1024


def test_nothing_wanted_missing_or_elsewhere_is_opened() -> None:
    seen = [
        page("/a"), page("/borte", status=404), page("/b", "annen.no"),
        part("/x.js", "sporing.example.com", What.SCRIPT, wanted=True, status=0),
    ]  # fmt: skip
    rule = drafted(seen, profile=Profile.SCRIPTED).rule
    assert rule.only == ("/a",)
    assert rule.helpers == ()


def test_nothing_chosen_is_no_rule() -> None:
    with pytest.raises(Invalid):
        drafted([page("/a")], "/b")
    with pytest.raises(Invalid):
        drafted([page("/a*b")])


def test_what_the_officer_wrote_wrong_is_told_at_its_field() -> None:
    with pytest.raises(Invalid) as caught:
        drafted([page("/a")], id="Ikke Bra")
    assert caught.value.field == "id"
