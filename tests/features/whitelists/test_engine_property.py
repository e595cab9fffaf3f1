"""Over generated rules: the fast way opens what the plain way opens, and nothing else."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dask_platform.features.whitelists.engine import Asked, Engine, fold, under
from dask_platform.kernel.clock import from_oslo
from tests.features.whitelists import reference
from tests.features.whitelists.build import rule
from tests.features.whitelists.test_engine import NOON, NOW

SEGMENTS = st.sampled_from(["a", "b", "ab", "A", "å"])
PATHS = st.lists(SEGMENTS, max_size=2).map(lambda parts: "/" + "/".join(parts))
HOSTS = st.sampled_from(["a.no", "a.no", "a.no", "x.a.no", "xa.no"])
PARAMETERS = st.builds(
    lambda name, kind, length: (
        {"name": name, "type": kind, "length": length}
        | ({"choices": ["1", "a"]} if kind == "choice" else {})
    ),
    st.sampled_from(["p", "q"]),
    st.sampled_from(["integer", "word", "date", "choice", "text"]),
    st.sampled_from([2, 10]),
)
ONE_EACH = st.lists(PARAMETERS, min_size=1, max_size=2, unique_by=lambda one: one["name"])
WHOLE_SCOPE = {
    "units": ["nord"],
    "security_levels": ["low"],
    "courses": ["norsk"],
    "sittings": ["eksamen"],
}
SCOPES = st.sampled_from(sorted(WHOLE_SCOPE)).map(lambda key: {key: WHOLE_SCOPE[key]})
# What a rule may say besides host and paths. Few at a time: a rule with all of them opens nothing,
# and two ways of opening nothing always agree.
EXTRAS = st.one_of(
    st.tuples(st.just("subdomains"), st.just(True)),
    st.tuples(st.just("only"), st.lists(PATHS, max_size=2)),
    st.tuples(st.just("closed"), st.lists(PATHS.filter(lambda p: p != "/"), max_size=2)),
    st.tuples(st.just("query"), ONE_EACH),
    st.tuples(st.just("query"), ONE_EACH),
    st.tuples(st.just("without"), st.sampled_from([["b"], ["Å"]])),
    st.tuples(st.just("longest"), st.sampled_from([1, 3])),
    st.tuples(st.just("scope"), SCOPES),
    st.tuples(st.just("hours"), st.just([{"days": ["mon"], "from": "08:00", "to": "15:00"}])),
    st.tuples(st.just("supervised"), st.just(True)),
    st.tuples(st.just("expires"), st.sampled_from(["2026-11-22", "2026-11-23"])),
    st.tuples(
        st.just("forms"),
        st.builds(lambda path, one: [{"path": path, "fields": [one]}], PATHS, PARAMETERS),
    ),
    st.tuples(
        st.just("helpers"),
        st.builds(
            lambda host, path, query: [
                {"host": host, "paths": [path], "query": query, "types": ["image/png"]}
            ],
            HOSTS,
            PATHS,
            st.one_of(st.just([]), ONE_EACH),
        ),
    ),
)
ALLOWING = st.builds(
    lambda host, path, extras: {"host": host, "paths": [path], **dict(extras)},
    HOSTS,
    st.one_of(st.just("/"), PATHS),
    st.lists(EXTRAS, max_size=2),
)
DENYING = st.builds(
    lambda host, path, below: {
        "host": host,
        "paths": [path],
        "subdomains": below,
        "effect": "deny",
    },
    HOSTS,
    PATHS.filter(lambda p: p != "/"),
    st.booleans(),
)
RULES = st.lists(st.one_of(ALLOWING, ALLOWING, ALLOWING, DENYING), min_size=1, max_size=3).map(
    lambda many: [rule(**{"id": f"r{at}", **one}) for at, one in enumerate(many)]
)
PAIRS = st.tuples(
    st.sampled_from(["p", "q"]),
    st.sampled_from(["", "1", "a", "12345", "2026-11-22", "a+b", "//x", "%C3%A5"]),
).map("=".join)
QUERIES = st.lists(PAIRS, min_size=1, max_size=2).map(lambda pairs: "?" + "&".join(pairs))
URLS = st.builds(
    lambda host, path, query, end: f"https://{host}{path.replace('å', '%C3%A5')}{end}{query}",
    HOSTS,
    PATHS,
    st.one_of(st.just(""), QUERIES, QUERIES),
    st.sampled_from(["", "", "", "", "", "/", "b", "/b", "/../a", "//a", "%2e", "%2Fa", ";a"]),
)
WHO = st.one_of(
    st.just(NOW),
    st.builds(
        Asked,
        at=st.sampled_from([NOON, NOON, from_oslo(datetime(2026, 11, 24, 9))]),
        unit=st.sampled_from([None, "nord"]),
        level=st.sampled_from([None, "low"]),
        courses=st.sampled_from([frozenset[str](), frozenset({"norsk"})]),
        sitting=st.sampled_from([None, None, None, "eksamen"]),
        opened=st.sampled_from([frozenset[str](), frozenset({"r0", "r1", "r2"})]),
        stopped=st.sampled_from([frozenset[str](), frozenset[str](), frozenset({"r0"})]),
    ),
)


@settings(max_examples=1000)
@given(RULES, URLS, WHO, st.sampled_from(["GET", "GET", "HEAD", "POST"]))
def test_the_engine_agrees_with_the_plain_reading(
    rules: list[Any], url: str, asked: Asked, method: str
) -> None:
    """Never wider, which would be a hole; and never narrower, which would be a blank page."""
    got = Engine.of(rules).decide(url, asked, method)
    assert got.allowed == reference.allows(rules, url, asked, method), (url, got)


@given(PATHS, PATHS)
def test_under_is_by_segments(path: str, prefix: str) -> None:
    assert under(path, prefix) == (
        path.split("/")[1:][: len(prefix.strip("/").split("/"))] == prefix.strip("/").split("/")
        or prefix == "/"
    )


@given(st.text(max_size=20))
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)
