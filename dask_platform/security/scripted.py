"""A page whose own script runs, with every address mapped to where it lies.

Unlike the reader, this is no cleaner: what script does cannot be read off a page. The wall is the
policy that the page is sent with, and the broker behind it, which decides each request. What is
done here makes listed things be found where they lie, shuts what the policy would shut anyway with
a better word than an error, and removes what would act before or beside the policy.

The tree is that of the HTML standard, read as a browser with script reads it, and written back:
element names, ids, classes and order stay, because the site's script counts on them. Gone are:
other pages inside the page, plug-ins, handlers in attributes, ``<meta http-equiv>``, ``<base>``,
``<noscript>``, prefetching of every kind, ``ping``, targets, and forms that no rule names (their
fields stay for the script; they send nothing).

``scripted_elements`` says it element by element, ``scripted_css`` does the style sheets.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

from dask_platform.kernel.errors import TooLarge
from dask_platform.security.reader import bounds, lists
from dask_platform.security.reader.encoding import decode
from dask_platform.security.reader.parts import AllowedForm, Ask, Kind, Place
from dask_platform.security.scripted_elements import Elements, Mapped

MOST_ROUNDS: Final = 4
MOST_TITLE: Final = 300


@dataclass(frozen=True, slots=True)
class Frame:
    """What of ours goes into the page before anything of the site: ``script`` are the attributes of
    a script element, first in the head; ``bar`` is markup, first in the body; ``icon`` is for a
    page without one, for which the browser would ask the site."""

    script: Mapping[str, str] = field(default_factory=dict)
    bar: str = ""
    icon: str = ""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """``html`` is the whole document, UTF-8. ``refused`` are the addresses without a place, each
    once, the first 200, with what they were for."""

    html: str
    title: str
    encoding: str
    refused: tuple[tuple[Kind, str], ...]


def rewrite(
    data: bytes,
    *,
    charset: str | None,
    base: str,
    place: Place,
    ask: Ask,
    nonce: str = "",
    forms: tuple[AllowedForm, ...] = (),
    ask_words: str = "Ask for this page",
    modules: Mapping[str, str] | None = None,
    frame: Frame | None = None,
) -> Rewritten:
    """The page in ``data``, which was fetched from ``base`` (its last address, after redirects).

    ``place(url, kind)`` is asked for absolute ``http`` and ``https`` addresses without a fragment
    (``kind`` says what for; ``script`` also for modules) and answers with an address of ours or a
    path, None where it is not open; an address that is ours already is answered with itself.
    ``ask(url)`` is where a link without a place leads instead. Each script gets ``nonce``.
    ``modules`` maps prefixes of addresses that modules import to prefixes of ours
    (``https://cdn.example/`` to ``https://cdn-example.ressurs.example/``).

    Rewriting what was rewritten, without ``frame``, changes nothing. Raises ``TooLarge`` for a page
    that is too long, too tangled, or that no parser reads the same way twice.
    """
    text, encoding = decode(data, charset)
    bounds.check(text)
    addresses = Mapped(base, place, ask)
    elements = Elements(addresses, nonce, forms, ask_words, modules or {})
    tree = LexborHTMLParser(text, scripting=True)
    title = _title(tree)
    if (marked := tree.css_first("base[href]")) is not None:
        addresses.rebase(marked.attributes.get("href") or "")
    _apply(elements, tree)
    written = _settled(elements, tree.html or "")
    if frame is not None:
        written = _framed(written, frame)
    return Rewritten(written, title, encoding, addresses.refusals())


def _apply(elements: Elements, tree: LexborHTMLParser) -> None:
    """Each element of the page once, and those that wait in a ``<template>`` for script."""
    if tree.root is None:
        return
    elements.page(tree)
    fragments: list[LexborNode] = [tree.root]
    while fragments:
        part = fragments.pop()
        elements.part(part)
        fragments += part.template_fragments()


def _settled(elements: Elements, written: str) -> str:
    """``written``, brought to where a parser makes the same text of it.

    A tree can be written so that it is read as another (a paragraph in a paragraph, style in a
    drawing). What comes to light then is rewritten too, until nothing moves.
    """
    for _ in range(MOST_ROUNDS):
        tree = LexborHTMLParser(written, scripting=True)
        elements.again()
        _apply(elements, tree)
        again = tree.html or ""
        if again == written:
            return written
        written = again
    raise TooLarge(bounds.TOO_TANGLED)


def _framed(written: str, frame: Frame) -> str:
    """Put in last, so that nothing of the site's is taken for ours, nor ours for the site's."""
    tree = LexborHTMLParser(written, scripting=True)
    if tree.head is None:
        return written
    charset = tree.create_node("meta")
    charset.attrs["charset"] = "utf-8"
    script = tree.create_node("script")
    for name, value in frame.script.items():
        script.attrs[name] = value
    if frame.icon and tree.css_first('link[rel~="icon" i]') is None:
        icon = tree.create_node("link")
        icon.attrs["rel"], icon.attrs["href"] = "icon", frame.icon
        tree.head.insert_child(icon)
    for node in (script, charset) if frame.script else (charset,):
        first = tree.head.first_child
        if first is None:
            tree.head.insert_child(node)
        else:
            first.insert_before(node)
    if tree.body is None or not frame.bar:
        return tree.html or ""
    # The parser of fragments leaves out what is in a template; so the text is put in as text, at a
    # place that no page can have named.
    name = f"dask-bar-{secrets.token_hex(16)}"
    bar = tree.create_node(name)
    if tree.body.first_child is None:
        tree.body.insert_child(bar)
    else:
        tree.body.first_child.insert_before(bar)
    return (tree.html or "").replace(f"<{name}></{name}>", f"<dask-bar>{frame.bar}</dask-bar>", 1)


def _title(tree: LexborHTMLParser) -> str:
    found = tree.css_first("head > title") or tree.css_first("body > title")
    words = "" if found is None else " ".join(lists.text(found.text(deep=True)).split())
    return words[:MOST_TITLE]
