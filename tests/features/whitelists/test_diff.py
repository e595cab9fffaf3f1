"""What a change opens and closes, told rightly."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings

from dask_platform.features.whitelists.diff import Request, Way, changes, consequences
from dask_platform.features.whitelists.engine import Asked, Engine
from dask_platform.features.whitelists.rules import Rule
from dask_platform.kernel.clock import from_oslo
from tests.features.whitelists.build import rule
from tests.features.whitelists.test_engine_property import RULES, URLS, WHO

NOW = Asked(at=from_oslo(datetime(2026, 11, 23, 12, 0)))
HELPER = {"host": "bilder.no", "types": ["image/png"]}
FIELD = {"name": "q", "type": "text", "length": 20}
FORM = {"path": "/sok", "fields": [FIELD]}
HOURS = {"days": ["mon"], "from": "08:00", "to": "15:00"}


@pytest.mark.parametrize(
    ("narrow", "wide", "words"),
    [
        ({}, {"subdomains": True}, "Hosts below leksikon.no too."),
        ({"paths": ["/a"]}, {"paths": ["/a", "/b"]}, "What lies under /b."),
        ({}, {"only": ["/om"]}, "The page /om."),
        ({"closed": ["/a"]}, {}, "/a is no longer kept closed."),
        ({"without": [":"]}, {}, "Paths with «:» in them too."),
        ({"longest": 50}, {"longest": 60}, "Paths of up to 60 characters."),
        ({}, {"helpers": [HELPER]}, "Files from bilder.no/ (image/png)."),
        ({}, {"query": [FIELD]}, "The parameter q (text, 20)."),
        ({}, {"forms": [FORM]}, "The form GET /sok: q (text, 20) can be sent."),
        ({"methods": ["GET"]}, {}, "Requests of the kind HEAD."),
        ({"types": ["text/html"]}, {}, "Kinds of files: –."),
        (
            {"types": ["text/html"]},
            {"types": ["text/html", "image/png"]},
            "Files of the kind image/png.",
        ),
        ({"largest": 1024}, {"largest": 2048}, "Answers of up to 2048 bytes."),
        ({}, {"profile": "scripted"}, "It is shown as scripted."),
        ({"scope": {"units": ["nord"]}}, {}, "For these units only: –."),
        (
            {"scope": {"courses": ["norsk"]}},
            {"scope": {"courses": ["norsk", "matte"]}},
            "For these courses only: matte, norsk.",
        ),
        ({"hours": [HOURS]}, {}, "Open at: –."),
        ({"supervised": True}, {}, "Open without staff having opened it."),
        ({"expires": "2027-01-01"}, {}, "It ends 2027-06-30 instead of 2027-01-01."),
    ],
)
def test_each_field_is_told_of_both_ways(
    narrow: dict[str, Any], wide: dict[str, Any], words: str
) -> None:
    one, other = rule(**narrow), rule(**wide)
    assert [(it.way, it.english) for it in changes([one], [other])] == [(Way.OPENS, words)]
    assert [it.way for it in changes([other], [one])] == [Way.CLOSES]


def test_a_rule_that_comes_and_goes() -> None:
    deny = rule(effect="deny", paths=["/a"])
    assert [(it.way, it.english) for it in changes([], [rule()])] == [
        (Way.OPENS, "New: leksikon.no/.")
    ]
    assert [it.way for it in changes([rule()], [])] == [Way.CLOSES]
    assert [it.way for it in changes([], [deny])] == [Way.CLOSES]
    assert [it.way for it in changes([deny], [])] == [Way.OPENS]
    assert [it.way for it in changes([rule()], [deny])] == [Way.CLOSES]


def test_what_a_deny_rule_says_more_of_it_closes() -> None:
    deny, wider = rule(effect="deny", paths=["/a"]), rule(effect="deny", paths=["/a", "/b"])
    assert [it.way for it in changes([deny], [wider])] == [Way.CLOSES]


def test_words_and_people_neither_open_nor_close() -> None:
    assert [it.way for it in changes([rule()], [rule(reason="En annen.")])] == [Way.ALTERS]


def test_no_field_is_forgotten() -> None:
    """A field that a rule may have and that no sentence tells of would be changed unseen."""
    other: dict[str, Any] = {
        "title": {"nb": "Annet", "nn": "Anna"},
        "description": {"nb": "Annet", "nn": "Anna"},
        "effect": "deny",
        "host": "annet.no",
        "subdomains": True,
        "paths": ["/a"],
        "only": ["/a"],
        "closed": ["/a"],
        "without": [":"],
        "longest": 10,
        "query": [FIELD],
        "methods": ["GET"],
        "types": ["text/html"],
        "largest": 2048,
        "profile": "scripted",
        "frozen_copy": {"sha256": "ab" * 32, "kind": "zim"},
        "helpers": [HELPER],
        "forms": [FORM],
        "scope": {"units": ["nord"]},
        "hours": [HOURS],
        "supervised": True,
        "owner": "Et annet kontor",
        "author": "En tredje",
        "reviewer": "En tredje",
        "reason": "En annen.",
        "expires": "2027-01-01",
        "examples": {"pass": ["https://leksikon.no/a"], "refuse": ["https://leksikon.no:1/"]},
    }
    assert set(other) == set(Rule.model_fields) - {"id"}, "give the new field another value here"
    for name, value in other.items():
        said = {"copy": value, "profile": "frozen"} if name == "frozen_copy" else {name: value}
        before = rule(profile="frozen") if name == "frozen_copy" else rule()
        assert changes([before], [rule(**said)]), f"a change of {name} is not told of"


def test_what_was_read_and_closes() -> None:
    made = [
        *[Request("https://leksikon.no/a", NOW)] * 3,
        Request("https://leksikon.no/b", NOW),
        Request("https://annet.no/", NOW),
    ]
    got = consequences(Engine.of([rule()]), Engine.of([rule(paths=["/b"])]), made)
    assert got.close == [("https://leksikon.no/a", 3)]
    assert [it.english for it in got.changes()] == ["1 pages that were read close."]
    back = consequences(Engine.of([rule(paths=["/b"])]), Engine.of([rule()]), made)
    assert (back.close, back.open) == ([], [("https://leksikon.no/a", 3)])


@settings(max_examples=300)
@given(RULES, RULES, URLS, WHO)
def test_nothing_comes_out_otherwise_without_a_word(
    old: list[Rule], new: list[Rule], url: str, asked: Asked
) -> None:
    was, now = Engine.of(old).decide(url, asked), Engine.of(new).decide(url, asked)
    ways = {change.way for change in changes(old, new)}
    if now.allowed and not was.allowed:
        assert ways & {Way.OPENS, Way.ALTERS}
    if was.allowed and not now.allowed:
        assert ways & {Way.CLOSES, Way.ALTERS}
