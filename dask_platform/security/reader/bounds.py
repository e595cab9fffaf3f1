"""Pages that would take a tree too long to grow are refused before it is grown.

The parser is fast on every page a person wrote, but some of its steps take time with the *square*
of what they are given: elements open inside each other, attributes on one tag, and formatting that
is never closed and opened again in every paragraph. 100,000 nested ``<div>`` keep it busy for more
than a minute. So depth, attributes and unclosed formatting are counted beforehand. Few tags cannot
hurt, and most pages are let through on that alone.

The counting only bounds time. What is *shown* is decided on the tree.
"""

from __future__ import annotations

import re
from typing import Final

from dask_platform.kernel.errors import TooLarge
from dask_platform.kernel.messages import N_

MOST_CHARACTERS: Final = 4_000_000
MOST_TAGS: Final = 120_000
MOST_DEPTH: Final = 1_000
MOST_ATTRIBUTES: Final = 500
MOST_REOPENED: Final = 50_000
"""Elements that the parser would open again by itself."""

_FEW_TAGS: Final = 4_000
_FEW_FORMATS: Final = 64

TOO_TANGLED: Final = N_("This page is put together in a way that is too complicated to show.")
TOO_LONG: Final = N_("This page is too long to show.")

_FORMATTING: Final = frozenset(
    ("b", "big", "code", "em", "font", "i", "s", "small", "strike", "strong", "tt", "u")
)
_FORMAT_TAG: Final = re.compile(
    r"<(?=[bcefistu])(?:b|big|code|em|font|i|s|small|strike|strong|tt|u)[\t\n\f\r /]", re.IGNORECASE
)
_QUOTED_END: Final = re.compile(r"""=[\t\n\f\r ]*(?:"[^">]*>|'[^'>]*>)""")
_LONG_TAG: Final = re.compile(r"<[A-Za-z/][^>]{4000}")
_VOID: Final = frozenset(
    (
        *("area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "img"),
        *("input", "keygen", "link", "meta", "param", "source", "track", "wbr"),
    )
)
#: Start tags that end the one before them, where that is still the innermost.
_ENDED_BY_THE_NEXT: Final = frozenset(
    (
        *("p", "li", "dd", "dt", "option", "optgroup", "tr", "td", "th", "tbody", "thead"),
        *("tfoot", "rb", "rp", "rt", "rtc", "a", "nobr"),
    )
)
_RAW: Final = frozenset(
    ("iframe", "noembed", "noframes", "script", "style", "textarea", "title", "xmp")
)
_RAW_ENDS: Final = {
    name: re.compile(rf"</{name}[\t\n\f\r /][^>]*>|</{name}>", re.IGNORECASE) for name in _RAW
}
#: In a drawing or formula nothing is raw.
_FOREIGN: Final = frozenset(("math", "svg"))
# A token as the standard's tokenizer cuts it: comment, bogus comment, or tag with attributes.
_TOKEN: Final = re.compile(
    r"""<(?:
      !--(?:>|->|.*?(?:--!?>|\Z))
    | (?P<end>/)?(?P<name>[A-Za-z][^\t\n\f\r\x20/>]*+)
      (?P<attributes>(?:
          [\t\n\f\r\x20/]++
        | =?[^\t\n\f\r\x20/=>]++
          (?:[\t\n\f\r\x20]*+=[\t\n\f\r\x20]*+(?:"[^"]*+"|'[^']*+'|[^\t\n\f\r\x20>"'][^\t\n\f\r\x20>]*+)?+)?+
        | =
      )*+)>
    | [!?/][^>]*+>
    )""",
    re.VERBOSE | re.DOTALL,
)
_ATTRIBUTE: Final = re.compile(
    r"""=?[^\t\n\f\r\x20/=>]++
    (?:[\t\n\f\r\x20]*+=[\t\n\f\r\x20]*+(?:"[^"]*+"|'[^']*+'|[^\t\n\f\r\x20>"']*+))?+""",
    re.VERBOSE,
)
_BEGUN: Final = re.compile(r"<(?:[A-Za-z!?]|/[^>])")
#: Most end tags close nothing on the far side of these.
_WALLS: Final = frozenset(
    ("applet", "button", "caption", "foreignobject", "marquee", "math", "object", "svg", "td", "th")
)
_TABLE: Final = frozenset(
    ("caption", "colgroup", "table", "tbody", "td", "tfoot", "th", "thead", "tr")
)


def check(text: str) -> None:
    """Raise ``TooLarge`` for a page that is too long, or that costs too much to read."""
    if len(text) > MOST_CHARACTERS:
        raise TooLarge(TOO_LONG)
    tags = text.count("<")
    if tags > MOST_TAGS:
        raise TooLarge(TOO_TANGLED)
    if (
        tags > _FEW_TAGS
        or len(_FORMAT_TAG.findall(text)) > _FEW_FORMATS
        or len(_QUOTED_END.findall(text)) > 3
        or _LONG_TAG.search(text)
    ):
        _count(text)


def _count(text: str) -> None:
    """Follow the tags with a stack that is at least about as deep as the parser's.

    An end tag closes what it names where that is near; one that names nothing near closes nothing,
    so that a stray end tag cannot make the stack look shallow.
    """
    stack: list[str] = []
    #: Formatting that its parent's end took with it: it is opened again and again, each kind at
    #: most three times.
    left: dict[str, int] = {}
    reopened = at = 0
    while (at := text.find("<", at)) >= 0:
        found = _TOKEN.match(text, at)
        if found is None:
            if _BEGUN.match(text, at):
                # A tag that the page ends in: the parser forgets it.
                return
            at += 1
            continue
        at = found.end()
        name = found["name"]
        if name is None:
            continue
        name = name.lower()
        attributes = found["attributes"]
        if len(attributes) > MOST_ATTRIBUTES and (
            len(_ATTRIBUTE.findall(attributes)) > MOST_ATTRIBUTES
        ):
            raise TooLarge(TOO_TANGLED)
        if found["end"]:
            _close(stack, name, left)
            continue
        reopened += len(left)
        if name in _VOID:
            continue
        if name == "plaintext":
            break
        if name in _RAW and not _FOREIGN.intersection(stack):
            end = _RAW_ENDS[name].search(text, at)
            if end is None:
                return
            if name == "script" and "<!--" in text[at : end.start()]:
                # It may go on past this end tag, and hide others: counted as never closed.
                stack.append(name)
            at = end.end()
            continue
        if stack and name in _ENDED_BY_THE_NEXT and stack[-1] == name:
            stack.pop()
        stack.append(name if name not in _FORMATTING else f"{name}{attributes}")
        if len(stack) > MOST_DEPTH or reopened > MOST_REOPENED:
            raise TooLarge(TOO_TANGLED)


def _close(stack: list[str], name: str, left: dict[str, int]) -> None:
    for back in range(1, min(len(stack), 24) + 1):
        opened = stack[-back]
        if opened == name or (name in _FORMATTING and opened.split(None, 1)[0] == name):
            for inner in stack[len(stack) - back + 1 :]:
                if inner.partition(" ")[0] in _FORMATTING:
                    left[inner] = left.get(inner, 0) + 1
            del stack[len(stack) - back :]
            return
        if opened in ("table", "template") or (opened in _WALLS and name not in _TABLE):
            return
