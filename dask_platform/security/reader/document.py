"""A page of a site becomes an article that runs nothing and fetches only from us."""

from __future__ import annotations

from typing import Final, Literal

from selectolax.lexbor import LexborHTMLParser

from dask_platform.security.reader import bounds, lists
from dask_platform.security.reader.addresses import Addresses, Given, Placed
from dask_platform.security.reader.css import clean_css, clean_declarations
from dask_platform.security.reader.encoding import decode
from dask_platform.security.reader.markup import escape
from dask_platform.security.reader.parts import (
    Ask,
    CleanStyle,
    Place,
    Policy,
    Rendered,
    Sheet,
    Style,
)
from dask_platform.security.reader.writer import StyleAttribute, Writer

MOST_ROUNDS: Final = 4
MOST_SHEETS: Final = 60
MOST_TITLE: Final = 300

#: What is written is read in the mode that the page around it has.
_STANDARD_MODE: Final = "<!DOCTYPE html>"


def render(
    html: bytes,
    *,
    charset: str | None,
    base: str,
    place: Place,
    ask: Ask,
    policy: Policy,
    clean_style: CleanStyle | None = None,
) -> Rendered:
    """The article in ``html``, which was fetched from ``base`` (its last address, after redirects).

    ``charset`` is what the server said, if anything. ``clean_style`` is ``clean_css`` for the text
    of a ``<style>``, behind a cache; without it the sheet is cleaned anew each time, which is slow.

    What comes out parses to the tree that it was written from, and rendering it again changes
    nothing. Raises ``TooLarge`` for a page that is too long or takes too long to read.
    """
    text, encoding = decode(html, charset)
    bounds.check(text)
    tree = LexborHTMLParser(text)
    addresses = Placed(base, place, ask)
    if (marked := tree.css_first("base[href]")) is not None:
        addresses.rebase(marked.attributes.get("href") or "")
    at = addresses.base
    sheets: list[Sheet | Style] = []
    styles: set[str] = set()

    def style_attribute(value: str) -> str | None:
        cleaned = clean_declarations(value, base=at, place=place)
        if cleaned is not None:
            styles.add(cleaned)
        return cleaned

    def on_sheet(sheet: Sheet) -> None:
        if len(sheets) < MOST_SHEETS:
            sheets.append(sheet)

    def on_style(source: str, media: str) -> None:
        if len(sheets) < MOST_SHEETS:
            cleaned = (
                clean_css(source, base=at, place=place)
                if clean_style is None
                else clean_style(source)
            )
            if cleaned:
                sheets.append(Style(cleaned, media))

    writer = Writer(addresses, policy, style_attribute, on_sheet, on_style)
    if tree.head is not None:
        writer.read_head(tree.head)
    # A page of frames has no body, and nothing to show.
    written = "" if tree.body is None else writer.write(tree.body)
    given = Given(addresses)
    article = _settled(written, given, policy, lambda value: value if value in styles else None)
    root = {} if tree.root is None else tree.root.attributes
    body = {} if tree.body is None else tree.body.attributes
    classes = lists.classes(f"{root.get('class') or ''} {body.get('class') or ''}")
    return Rendered(
        html=article,
        title=_title(tree),
        language=lists.language(root.get("lang") or body.get("lang") or "") or "",
        direction=_direction(root.get("dir") or body.get("dir") or ""),
        classes=tuple((classes or "").split()),
        sheets=tuple(sheets),
        icon=writer.icon,
        encoding=encoding,
        refused=tuple(addresses.refused),
    )


def _settled(written: str, addresses: Addresses, policy: Policy, style: StyleAttribute) -> str:
    """``written``, brought to where a parser makes the same text of it.

    Most pages are there at once, and the parser's own serialisation shows it. Where elements that
    went have left others side by side that cannot stand so (a paragraph in a paragraph, a link in a
    link), the parser moves them, and what it makes is written again, with no address but those that
    were handed out. What does not come to rest keeps its text and loses its elements.
    """
    for _ in range(MOST_ROUNDS):
        tree = LexborHTMLParser(_STANDARD_MODE + written)
        if tree.body is None:
            break
        if tree.body.inner_html == written:
            return written
        again = Writer(addresses, policy, style).write(tree.body)
        if again == written:
            return written
        written = again
    words = LexborHTMLParser(written).text(separator=" ").split()
    return f"<p>{escape(' '.join(words))}</p>" if words else ""


def _title(tree: LexborHTMLParser) -> str:
    for found in tree.css("title"):
        # The name of a drawing is a title too.
        if found.parent is not None and found.parent.tag in ("head", "body"):
            words = " ".join(lists.text(found.text(deep=True)).split())
            return words[:MOST_TITLE]
    return ""


def _direction(value: str) -> Literal["ltr", "rtl", ""]:
    match lists.direction(value):
        case "rtl":
            return "rtl"
        case "ltr":
            return "ltr"
        case _:
            return ""
