"""What is open, to whom, when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_platform.features.whitelists.engine import Asked, Engine, Reason
from dask_platform.kernel.clock import from_oslo
from tests.features.whitelists.build import rule

NOON = from_oslo(datetime(2026, 11, 23, 12, 0))  # a Monday
NOW = Asked(at=NOON)


def answer(url: str, asked: Asked = NOW, method: str = "GET", **said: Any) -> str:
    return str(Engine.of([rule(**said)]).decide(url, asked, method).reason)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://leksikon.no/", "allowed"),
        ("https://leksikon.no/norge", "allowed"),
        ("https://leksikon.no/norge#historie", "allowed"),
        ("https://www.leksikon.no/", "not_listed"),
        ("https://leksikon.no.evil.no/", "not_listed"),
        ("https://evilleksikon.no/", "not_listed"),
        ("https://leksikon.com/", "not_listed"),
        ("https://leksikon.no/?utm=1", "query"),
        ("https://leksikon.no", "not_canonical"),
    ],
)
def test_the_host_is_exact(url: str, reason: str) -> None:
    assert answer(url) == reason


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://leksikon.no/", "allowed"),
        ("https://nbl.leksikon.no/", "allowed"),
        ("https://a.b.leksikon.no/", "allowed"),
        ("https://evilleksikon.no/", "not_listed"),
        ("https://leksikon.no.evil.no/", "not_listed"),
    ],
)
def test_hosts_below_it_when_said(url: str, reason: str) -> None:
    assert answer(url, subdomains=True) == reason


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/fag", "allowed"),
        ("/fag/", "allowed"),
        ("/fag/norsk", "allowed"),
        ("/fagbrev", "path"),
        ("/Fag", "path"),
        ("/", "path"),
        ("/fag/admin", "closed_path"),
        ("/fag/Admin/x", "closed_path"),
        ("/fag/%61dmin", "closed_path"),
        ("/fag/%EF%BD%81dmin", "closed_path"),
        ("/fag/administrasjon", "allowed"),
        ("/om", "allowed"),
        ("/om/oss", "path"),
        ("/bok/", "path"),
        ("/bok/1", "allowed"),
    ],
)
def test_paths_end_where_segments_end(path: str, reason: str) -> None:
    said = {"paths": ["/fag", "/bok/1"], "only": ["/om"], "closed": ["/fag/admin"]}
    assert answer(f"https://leksikon.no{path}", **said) == reason


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/wiki/Oslo", "allowed"),
        ("/wiki/Spesial:S%C3%B8k", "closed_path"),
        ("/wiki/_SPESIAL:x", "closed_path"),
        ("/wiki/a%EF%BC%9Ab", "closed_path"),  # a full-width colon
        ("/wiki/" + "a" * 34, "allowed"),
        ("/wiki/" + "a" * 35, "path"),
        ("/om", "allowed"),
    ],
)
def test_what_no_path_may_hold_and_how_long_it_may_be(path: str, reason: str) -> None:
    said = {"paths": ["/wiki"], "only": ["/om"], "without": [":"], "longest": 40}
    assert answer(f"https://leksikon.no{path}", **said) == reason


def test_single_pages_alone() -> None:
    assert answer("https://leksikon.no/om", paths=[], only=["/om"]) == "allowed"
    assert answer("https://leksikon.no/", paths=[], only=["/om"]) == "path"


@pytest.mark.parametrize(
    ("query", "open_"),
    [
        ("side=3", True),
        ("side=33", True),
        ("side=333", False),
        ("side=x", False),
        ("side=-1", False),
        ("side=1&side=2", False),
        ("Side=1", False),
        ("ukjent=1", False),
        ("visning=liste", True),
        ("visning=kart", False),
        ("dag=2026-11-22", True),
        ("dag=2026-13-01", False),
        ("dag=20261122", False),
        ("ord=ku-r_2.a", True),
        ("ord=to+ord", False),
        ("q=hva+er+en+fjord%3F", True),
        ("q=" + "a" * 21, False),
        ("q=https%3A//evil.no", False),
        ("q=//evil.no", False),
        ("q=%5C%5Cevil.no", False),
        ("q=javascript:alert(1)", False),
        ("q=a%E2%80%8Bb", False),
        ("side=1&q=fjord&visning=liste", True),
        ("%73ide=3", True),
        ("side=%33", True),
    ],
)
def test_parameters_are_known_by_name_kind_and_length(query: str, open_: bool) -> None:
    said = [
        {"name": "side", "type": "integer", "length": 2},
        {"name": "visning", "type": "choice", "choices": ["liste", "bilder"]},
        {"name": "dag", "type": "date"},
        {"name": "ord", "type": "word"},
        {"name": "q", "type": "text", "length": 20},
    ]
    got = answer(f"https://leksikon.no/?{query}", query=said)
    assert got == ("allowed" if open_ else "query")


def test_a_form_opens_its_own_path_and_no_other() -> None:
    form = {"path": "/sok", "fields": [{"name": "q", "type": "text", "length": 10}]}
    said = {"paths": ["/fag"], "forms": [form]}
    assert answer("https://leksikon.no/sok?q=fjord", **said) == "allowed"
    assert answer("https://leksikon.no/fag?q=fjord", **said) == "query"
    assert answer("https://leksikon.no/sok/mer?q=fjord", **said) == "path"
    assert answer("https://leksikon.no/sok?q=fjord", method="POST", **said) == "path"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "TRACE", "CONNECT", "OPTIONS", "get"])
def test_methods_that_send_are_closed(method: str) -> None:
    assert answer("https://leksikon.no/", method=method) == "method"


def test_scope() -> None:
    scope = {"units": ["nord"], "security_levels": ["low"], "courses": ["norsk"]}
    engine = Engine.of([rule(scope=scope)])

    def ask(**who: Any) -> Reason:
        return engine.decide("https://leksikon.no/", Asked(at=NOON, **who)).reason

    norsk = frozenset({"norsk", "matte"})
    assert ask() is Reason.UNIT
    assert ask(unit="sor", level="low", courses=norsk) is Reason.UNIT
    assert ask(unit="nord", level="high", courses=norsk) is Reason.LEVEL
    assert ask(unit="nord", level="low") is Reason.COURSE
    assert ask(unit="nord", level="low", courses=norsk) is Reason.ALLOWED


def test_in_an_exam_only_its_aids_are_open() -> None:
    aid = rule(id="ordbok", host="ordbok.no", scope={"sittings": ["norsk-var"]})
    engine = Engine.of([rule(), aid])
    sitting = Asked(at=NOON, sitting="norsk-var")
    assert engine.decide("https://ordbok.no/", sitting).allowed
    assert engine.decide("https://leksikon.no/", sitting).reason is Reason.SITTING
    assert engine.decide("https://ordbok.no/", NOW).reason is Reason.SITTING


@pytest.mark.parametrize(
    ("local", "reason"),
    [
        (datetime(2026, 11, 23, 7, 59), "hours"),
        (datetime(2026, 11, 23, 8, 0), "allowed"),
        (datetime(2026, 11, 23, 15, 29, 59), "allowed"),
        (datetime(2026, 11, 23, 15, 30), "hours"),
        (datetime(2026, 11, 22, 12, 0), "hours"),  # a Sunday
        (datetime(2026, 7, 6, 8, 0), "allowed"),  # summer time
    ],
)
def test_hours_are_those_of_the_clock_on_the_wall(local: datetime, reason: str) -> None:
    said = [{"days": ["mon", "tue"], "from": "08:00", "to": "15:30"}]
    assert answer("https://leksikon.no/", Asked(at=from_oslo(local)), hours=said) == reason


@pytest.mark.parametrize(
    ("utc", "reason"),
    [
        # Clocks go back at 03:00 on 25 October: half past two comes twice, and is open twice.
        (datetime(2026, 10, 25, 0, 30), "allowed"),
        (datetime(2026, 10, 25, 1, 30), "allowed"),
        (datetime(2026, 10, 25, 2, 0), "hours"),
        # Clocks go forward at 02:00 on 29 March: there is no half past two.
        (datetime(2027, 3, 28, 0, 59), "hours"),
        (datetime(2027, 3, 28, 1, 0), "hours"),
    ],
)
def test_hours_on_the_nights_when_the_clock_changes(utc: datetime, reason: str) -> None:
    said = [{"days": ["sun"], "from": "02:00", "to": "03:00"}]
    asked = Asked(at=utc.replace(tzinfo=UTC))
    assert answer("https://leksikon.no/", asked, hours=said) == reason


def test_the_last_day_counts_whole() -> None:
    last = Asked(at=from_oslo(datetime(2027, 6, 30, 23, 59)))
    after = Asked(at=from_oslo(datetime(2027, 7, 1, 0, 0)))
    assert answer("https://leksikon.no/", last) == "allowed"
    assert answer("https://leksikon.no/", after) == "expired"


def test_supervised_is_open_only_while_staff_have_opened_it() -> None:
    assert answer("https://leksikon.no/", supervised=True) == "supervised"
    opened = Asked(at=NOON, opened=frozenset({"leksikon"}))
    assert answer("https://leksikon.no/", opened, supervised=True) == "allowed"


def test_a_stop_closes() -> None:
    assert (
        answer("https://leksikon.no/", Asked(at=NOON, stopped=frozenset({"leksikon"}))) == "stopped"
    )
    assert answer("https://leksikon.no/", Asked(at=NOON, everything_stopped=True)) == "stopped"


def test_deny_beats_allow_whoever_comes_first() -> None:
    deny = rule(
        id="lukket",
        effect="deny",
        paths=["/Logg-inn"],
        examples={"refuse": ["https://leksikon.no/"]},
    )
    for order in ([rule(), deny], [deny, rule()]):
        engine = Engine.of(order)
        assert engine.decide("https://leksikon.no/logg-inn/x", NOW).reason is Reason.DENIED
        assert engine.decide("https://leksikon.no/LOGG-INN", NOW).rule == "lukket"
        assert engine.decide("https://leksikon.no/norge", NOW).allowed


def test_a_deny_rule_does_not_run_out() -> None:
    deny = rule(
        id="lukket", effect="deny", expires="2020-01-01", examples={"refuse": ["https://a.no/"]}
    )
    assert Engine.of([rule(), deny]).decide("https://leksikon.no/", NOW).reason is Reason.DENIED


def test_a_helper_gives_its_paths_and_no_query_of_its_own() -> None:
    helper = {"host": "bilder.leksikon.no", "paths": ["/b"], "types": ["image/png"]}
    said = {"helpers": [helper], "query": [{"name": "w", "type": "integer"}]}
    assert answer("https://bilder.leksikon.no/b/1.png", **said) == "allowed"
    assert answer("https://bilder.leksikon.no/c/1.png", **said) == "path"
    assert answer("https://x.bilder.leksikon.no/b/1.png", subdomains=False, **said) == "not_listed"
    assert answer("https://bilder.leksikon.no/b/1.png?w=100", **said) == "query"


def test_the_rule_that_names_the_place_most_closely_answers() -> None:
    wide, close = rule(), rule(id="norge", paths=["/norge"])
    for order in ([wide, close], [close, wide]):
        assert Engine.of(order).decide("https://leksikon.no/norge/oslo", NOW).rule == "norge"
        assert Engine.of(order).decide("https://leksikon.no/sverige", NOW).rule == "leksikon"


def test_no_rule_no_way() -> None:
    assert Engine.of([]).decide("https://leksikon.no/", NOW).reason is Reason.NOT_LISTED


@given(st.text(max_size=50))
def test_no_text_makes_it_fall(text: str) -> None:
    assert not Engine.of([]).decide(text, NOW).allowed
