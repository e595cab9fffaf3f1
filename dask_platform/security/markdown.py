"""Markdown that a teacher writes becomes a page, or a list of what is wrong with it.

CommonMark with tables, and no HTML. A course page may name nothing outside the platform: an
address that leads out, or a picture that is not there, is a problem with a line number, and the
course is not published until it is gone. The page is rendered all the same, without the address,
so that the writer sees the rest in the preview.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

from dask_platform.kernel.errors import TooLarge
from dask_platform.kernel.messages import N_
from dask_platform.security.html import clean_html, is_local_path
from dask_platform.security.problems import Problem

MAX_CHARS: Final = 50_000
"""Characters of one page of Markdown: a page takes a lesson, not a book."""

MAX_NESTING: Final = 20
"""Lists and quotations inside one another. Deeper text is not rendered, so it is a problem."""

HEADINGS: Final = ("h2", "h3", "h4", "h5")
"""The page's own title is the h1."""

Resolve = Callable[[str], str | None]
"""An address as written → the path on this platform, or None where there is no such thing."""

_CONTAINERS = frozenset({"blockquote_open", "list_item_open"})
_LEADS_OUT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|[/\\]{2}")


@dataclass(frozen=True, slots=True)
class Rendered:
    """The page, clean, and what is wrong with it, in the order of the lines."""

    html: str
    problems: list[Problem]


def _parser(*, html: bool) -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": html, "maxNesting": MAX_NESTING}).enable("table")
    # Every address comes through as written, however bad, so that it can be named as a problem.
    # Left to itself the parser turns ``[x](javascript:y)`` into text, and nobody is told.
    parser.validateLink = lambda url: True  # type: ignore[method-assign]
    parser.normalizeLink = lambda url: url  # type: ignore[method-assign]
    return parser


def _inline(tokens: Sequence[Token]) -> Iterator[tuple[int, Token]]:
    """Each token inside running text, with its line from 1. A line break moves one line on."""
    for block in tokens:
        if block.type != "inline" or block.map is None:
            continue
        first, end = block.map
        line = first + 1
        for token in block.children or []:
            yield min(line, end), token
            if token.type in {"softbreak", "hardbreak"}:
                line += 1


def _raw_html(source: str) -> Iterator[Problem]:
    message = N_("HTML is not used here: %(markup)s. Write it in Markdown.")
    tokens = _parser(html=True).parse(source)
    for block in tokens:
        if block.type == "html_block" and block.map is not None:
            yield Problem(block.map[0] + 1, message, {"markup": _short(block.content)})
    for line, token in _inline(tokens):
        if token.type == "html_inline":
            yield Problem(line, message, {"markup": _short(token.content)})


def _short(text: str) -> str:
    """At most 80 characters on one line, to be quoted in a sentence."""
    line = " ".join(text.split())
    return line if len(line) <= 80 else line[:79] + "…"


class _Addresses:
    """Resolves each address of one page, and remembers what came out as allowed."""

    def __init__(self) -> None:
        self.allowed: set[tuple[str, str]] = set()
        self.problems: list[Problem] = []

    def settle(self, token: Token, attribute: str, line: int, resolve: Resolve) -> None:
        """Put the resolved path in the token, or note the problem and take the address out."""
        written = str(token.attrs.pop(attribute, ""))
        shown = {"address": _short(written) or "()"}
        picture = token.type == "image"
        if _LEADS_OUT.match(written) is not None:
            message = (
                N_("This picture lies outside the platform: %(address)s. Put it in the course.")
                if picture
                else N_("This link leads out of the platform: %(address)s. Remove it.")
            )
        else:
            path = resolve(written) if written and written.isprintable() else None
            if path is not None and is_local_path(path):
                token.attrs = {attribute: path, **token.attrs}
                self.allowed.add((attribute, path))
                return
            message = (
                N_("There is no such picture: %(address)s. Check the name.")
                if picture
                else N_("There is no such page: %(address)s. Check the name.")
            )
        self.problems.append(Problem(line, message, shown))


def _headings(tokens: Sequence[Token]) -> Iterator[Problem]:
    """Note headings of a level the page may not have, and bring them to the nearest one."""
    for token in tokens:
        if token.type not in {"heading_open", "heading_close"} or token.tag in HEADINGS:
            continue
        top = token.tag == "h1"
        token.tag = HEADINGS[0] if top else HEADINGS[-1]
        if token.type == "heading_open" and token.map is not None:
            yield Problem(
                token.map[0] + 1,
                N_("Start with ## here. The title of the page is the only heading with one #.")
                if top
                else N_("This heading is too deep. Use ## to #####."),
            )


NO_DESCRIPTION = N_("This picture has no description: %(address)s. Say in words what it shows.")


def _empty_headers(tokens: Sequence[Token]) -> None:
    """The empty corner of a table heads nothing: a plain cell, which no screen reader names."""
    for before, inside, after in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if before.type == "th_open" and not inside.content.strip():
            before.type, before.tag = "td_open", "td"
            after.type, after.tag = "td_close", "td"


def render_markdown(source: str, *, resolve_image: Resolve, resolve_link: Resolve) -> Rendered:
    """``source`` as clean HTML, with every problem in it.

    The resolvers are asked only about addresses without scheme, host or hidden characters.
    Raises ``TooLarge`` over ``MAX_CHARS``, or where the page has too many parts.
    """
    if len(source) > MAX_CHARS:
        raise TooLarge(
            N_("This page is too long. The limit is %(limit)s characters."), limit=MAX_CHARS
        )
    parser = _parser(html=False)
    tokens = parser.parse(source)
    _empty_headers(tokens)
    addresses = _Addresses()
    problems = [*_raw_html(source), *_headings(tokens)]
    for line, token in _inline(tokens):
        if token.type == "link_open":
            addresses.settle(token, "href", line, resolve_link)
        elif token.type == "image":
            if not token.content.strip():
                shown = {"address": _short(str(token.attrs.get("src", "")))}
                problems.append(Problem(line, NO_DESCRIPTION, shown))
            addresses.settle(token, "src", line, resolve_image)
    for block in tokens:
        if block.type == "th_open":
            block.attrSet("scope", "col")
        if block.type in _CONTAINERS and block.level >= MAX_NESTING - 1 and block.map is not None:
            problems.append(
                Problem(
                    block.map[0] + 1, N_("Lists or quotations lie too deep inside one another.")
                )
            )
            break
    problems += addresses.problems
    html = clean_html(
        parser.renderer.render(tokens, parser.options, {}),
        allow_url=lambda _tag, attribute, url: (attribute, url) in addresses.allowed,
    )
    return Rendered(html, sorted(problems, key=lambda problem: problem.line))
