"""A stand-in broker, and three readers of HTML that know nothing of each other.

What the reader wrote is read by Lexbor, by html5lib and by html5ever (in nh3), and each says which
elements, attributes and addresses it sees. They must see the same, and nothing that is not listed.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from xml.etree.ElementTree import Element

import nh3
from bleach import html5lib_shim
from bleach._vendor import html5lib
from bleach.sanitizer import Cleaner
from selectolax.lexbor import LexborHTMLParser, LexborNode

from dask_platform.security.reader import (
    AllowedForm,
    Field,
    Kind,
    Policy,
    Rendered,
    formulas,
    lists,
    render,
)

BASE = "https://leksikon.no/artikkel/bjørk".replace("ø", "%C3%B8")
OURS = "http://leksikon-no.r.localhost"
ASK = "http://start.r.localhost/spor?u="
FORM = AllowedForm(
    "https://leksikon.no/sok",
    "GET",
    (Field("q", "text", 40), Field("sort", "choice", choices=("dato", "navn"))),
)
POLICY = Policy(forms=(FORM,), ask_words="Be om siden")
URLS = frozenset(("action", "href", "poster", "src", "srcset"))
FOREIGN = frozenset(("math", *formulas.TEXTS, *formulas.PARTS))

Seen = list[tuple[str, dict[str, str]]]


class Broker:
    """``place`` and ``ask`` as the broker gives them, which remembers what it answered."""

    def __init__(self) -> None:
        self.given: set[str] = set()

    def place(self, url: str, kind: Kind) -> str | None:
        if url.startswith((f"{OURS}/", ASK)):
            return url
        if not url.startswith("https://leksikon.no/"):
            return None
        ours = OURS + url.removeprefix("https://leksikon.no")
        self.given.add(ours)
        return ours

    def ask(self, url: str) -> str | None:
        asked = ASK + quote(url, safe="")
        self.given.add(asked)
        return asked


def shown(
    page: bytes | str, *, charset: str | None = None, policy: Policy = POLICY
) -> tuple[Rendered, set[str]]:
    """``page`` through the reader, and every address that the broker gave for it. A text is sent as
    UTF-8 that says so."""
    broker = Broker()
    data = page.encode("utf-8", "surrogatepass") if isinstance(page, str) else page
    charset = "utf-8" if isinstance(page, str) else charset
    found = render(
        data, charset=charset, base=BASE, place=broker.place, ask=broker.ask, policy=policy
    )
    return found, broker.given


def assert_clean(found: Rendered, given: set[str]) -> None:
    """All that must hold of every page, whatever it was made of."""
    seen = by_lexbor(found.html)
    assert by_html5lib(found.html) == seen, "two parsers see two pages"
    for element, attributes in seen:
        allowed = _allowed(element)
        assert set(attributes) <= allowed, (element, attributes)
        for name, value in attributes.items():
            if name in URLS:
                for url in _urls(name, value):
                    assert url.partition("#r-")[0] in (given | {""}), (element, name, url)
            if name in ("id", "for", "headers"):
                assert all(one.startswith("r-") for one in value.split()), value
            if name == "class":
                assert not any(one.startswith(("dask-", "ds-")) for one in value.split())
    found.html.encode("utf-8")
    assert second_opinion(found.html) == _whole(found.html), "nh3 finds something to remove"
    assert third_opinion(found.html) == seen, "bleach finds something to remove"


def _urls(name: str, value: str) -> list[str]:
    return [one.split()[0] for one in value.split(", ")] if name == "srcset" else [value]


def _allowed(element: str) -> set[str]:
    if element in FOREIGN:
        return set(formulas.ATTRIBUTES)
    assert element in {*lists.KEPT.values(), *lists.VOID, *lists.HANDLED}, element
    return (
        set(lists.ATTRIBUTES.get(element, lists.GLOBAL))
        | set(lists.HANDLED_ATTRIBUTES.get(element, ()))
        | {"style"}
    )


def by_lexbor(html: str) -> Seen:
    tree = LexborHTMLParser(f"<!DOCTYPE html>{html}")
    seen: Seen = []
    assert tree.body is not None
    pending: list[LexborNode | None] = [tree.body.first_child]
    while pending:
        node = pending.pop()
        if node is None:
            continue
        pending.append(node.next)
        if node.tag == "-text":
            continue
        assert not (node.tag or "-").startswith("-"), f"a comment or declaration: {node.html}"
        seen.append((node.tag or "", {key: value or "" for key, value in node.attributes.items()}))
        pending.append(node.first_child)
    assert tree.head is not None
    assert tree.head.first_child is None, "something moved into the head"
    return seen


def by_html5lib(html: str) -> Seen:
    parser = html5lib.HTMLParser(tree=html5lib.getTreeBuilder("etree"), namespaceHTMLElements=False)
    root: Element = parser.parse(f"<!DOCTYPE html>{html}")
    body = root.find("body")
    assert body is not None
    return _in_order(body)


def _in_order(body: Element) -> Seen:
    seen: Seen = []
    for element in list(body.iter())[1:]:
        assert isinstance(element.tag, str), "a comment"
        seen.append((element.tag.rpartition("}")[2], dict(element.attrib)))
    return seen


def _every_tag() -> dict[str, set[str]]:
    names = (*lists.KEPT.values(), *lists.VOID, *lists.HANDLED, *FOREIGN)
    return {name: _allowed(name) for name in names}


_TAGS = _every_tag()


def second_opinion(html: str) -> str:
    """What nh3 leaves of it with the same lists."""
    return _whole(
        nh3.clean(
            html,
            tags=set(_TAGS),
            clean_content_tags=set(),
            attributes=_TAGS,
            url_schemes={"http"},
            link_rel=None,
        )
    )


class _AsItIs:
    """Styles have been cleaned by their tokens; bleach is asked about elements and addresses."""

    def sanitize_css(self, style: str) -> str:
        return style


def third_opinion(html: str) -> Seen:
    """What bleach leaves of it with the same lists."""
    cleaner = Cleaner(
        tags=set(_TAGS),
        attributes={name: sorted(allowed) for name, allowed in _TAGS.items()},
        protocols={"http"},
        css_sanitizer=_AsItIs(),
    )
    cleaned: Any = cleaner.clean(html)
    return by_lexbor(cleaned)


def _whole(html: str) -> str:
    tree = LexborHTMLParser(f"<!DOCTYPE html>{html}")
    assert tree.body is not None
    return tree.body.inner_html or ""


__all__ = ["BASE", "OURS", "assert_clean", "html5lib_shim", "shown"]
