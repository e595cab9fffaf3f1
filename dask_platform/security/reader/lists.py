"""What may stand on a page: elements, attributes and the shape of each value.

Everything else goes. An element that is not listed leaves its content behind, except those in
``DROPPED``, which go with all they hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from dask_platform.security.reader.parts import PREFIX, RESERVED_CLASSES

Shape = Callable[[str], "str | None"]
"""What a value becomes; None: the attribute goes."""

#: Element → what is written for it.
KEPT: Final = {
    name: name
    for name in (
        *("abbr", "address", "article", "aside", "b", "bdi", "bdo", "blockquote", "caption"),
        *("cite", "code", "colgroup", "data", "dd", "del", "details", "dfn", "div", "dl", "dt"),
        *("em", "figcaption", "figure", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header"),
        *("i", "ins", "kbd", "li", "main", "mark", "meter", "nav", "ol", "p", "pre"),
        *("progress", "q", "rp", "rt", "ruby", "s", "samp", "section", "small"),
        *("span", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th"),
        *("thead", "time", "tr", "u", "ul", "var"),
    )
} | {
    "acronym": "abbr",
    "big": "span",
    "center": "div",
    "dir": "ul",
    "font": "span",
    "listing": "pre",
    "menu": "ul",
    "nobr": "span",
    "plaintext": "pre",
    # Older parsers nest these in ways of their own.
    "hgroup": "div",
    "search": "div",
    "strike": "s",
    "tt": "code",
    "xmp": "pre",
}
VOID: Final = frozenset(("br", "col", "hr", "wbr"))
#: Written by handlers of their own.
HANDLED: Final = frozenset(
    (
        *("a", "audio", "button", "fieldset", "form", "img", "input", "label", "legend", "option"),
        *("optgroup", "picture", "select", "source", "summary", "textarea", "track", "video"),
    )
)
DROPPED: Final = frozenset(
    (
        *("applet", "base", "datalist", "embed", "fencedframe", "frame", "frameset", "iframe"),
        *("input", "keygen", "link", "map", "meta", "noembed", "noframes", "optgroup", "option"),
        *("param", "portal", "script", "select", "selectedcontent", "source", "style"),
        *("template", "textarea", "title", "track"),
    )
)

_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]+")
_MOST_TEXT: Final = 2_000
_LANGUAGE: Final = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8}){0,5}")
_LENGTH: Final = re.compile(r"[0-9]{1,5}(?:\.[0-9]{1,3})?%?")
_IDS: Final = re.compile(r"[^\x00-\x20\x7f-\x9f\"'<>`]{1,200}")
_CLASS: Final = re.compile(r"[A-Za-z0-9_\u00a1-\uffff:@/.%-]{1,100}")
_SIZES: Final = re.compile(r"[A-Za-z0-9 (),.:%+*/<>=-]{1,500}")
MEDIA: Final = re.compile(r"[A-Za-z0-9 (),.:/<>=-]{0,300}")


def text(value: str) -> str:
    """Free text: a title, a label. Controls become one space; 2,000 characters at most."""
    return _CONTROLS.sub(" ", value[:_MOST_TEXT])


def _matching(pattern: re.Pattern[str]) -> Shape:
    return lambda value: value if pattern.fullmatch(value) else None


def _one_of(*words: str) -> Shape:
    allowed = frozenset(words)

    def shape(value: str) -> str | None:
        word = value.strip().lower()
        return word if word in allowed else None

    return shape


def _number(least: int, most: int) -> Shape:
    def shape(value: str) -> str | None:
        digits = value.strip()
        if not re.fullmatch(r"-?[0-9]{1,9}", digits):
            return None
        return str(min(max(int(digits), least), most))

    return shape


def _decimal(value: str) -> str | None:
    return value if re.fullmatch(r"-?[0-9]{1,12}(?:\.[0-9]{1,12})?", value) else None


def flag(_value: str) -> str:
    """An attribute that says all by being there."""
    return ""


def identifier(value: str) -> str | None:
    """An id or name of the site, moved to where it can meet none of ours."""
    if not _IDS.fullmatch(value):
        return None
    return value if value.startswith(PREFIX) else PREFIX + value


def _identifiers(value: str) -> str | None:
    found = [one for one in map(identifier, value.split()[:30]) if one is not None]
    return " ".join(found) or None


def classes(value: str) -> str | None:
    """The class names that are the site's own."""
    kept = [
        one
        for one in value.split()[:60]
        if not one.lower().startswith(RESERVED_CLASSES) and _CLASS.fullmatch(one)
    ]
    return " ".join(kept) or None


language = _matching(_LANGUAGE)
direction = _one_of("ltr", "rtl", "auto")
length = _matching(_LENGTH)
sizes = _matching(_SIZES)
_span = _number(1, 1000)
_horizontal = _one_of("left", "right", "center", "justify", "char")
_vertical = _one_of("top", "middle", "bottom", "baseline")

#: On every element. ``style`` is cleaned by the tokeniser and not here.
GLOBAL: Final[dict[str, Shape]] = {
    "aria-hidden": _one_of("true", "false"),
    "aria-label": text,
    "class": classes,
    "dir": direction,
    "id": identifier,
    "lang": language,
    "title": text,
}
_CELL: Final[dict[str, Shape]] = {
    "abbr": text,
    "align": _horizontal,
    "colspan": _span,
    "headers": _identifiers,
    "height": length,
    "rowspan": _span,
    "scope": _one_of("col", "row", "colgroup", "rowgroup"),
    "valign": _vertical,
    "width": length,
}
_ROW: Final[dict[str, Shape]] = {"align": _horizontal, "valign": _vertical}
_WHEN: Final[dict[str, Shape]] = {"datetime": text}
_COLUMN: Final[dict[str, Shape]] = {"span": _span, "width": length}
_GAUGE: Final[dict[str, Shape]] = dict.fromkeys(
    ("value", "min", "max", "low", "high", "optimum"), _decimal
)
OWN: Final[dict[str, dict[str, Shape]]] = {
    "col": _COLUMN,
    "colgroup": _COLUMN,
    "data": {"value": text},
    "del": _WHEN,
    "details": {"open": flag},
    "div": {"align": _horizontal},
    "ins": _WHEN,
    "li": {"value": _number(-9999, 99999)},
    "meter": _GAUGE,
    "ol": {
        "reversed": flag,
        "start": _number(-9999, 99999),
        "type": lambda value: value if value in ("1", "a", "A", "i", "I") else None,
    },
    "p": {"align": _horizontal},
    "progress": _GAUGE,
    "table": {"align": _horizontal, "width": length},
    "tbody": _ROW,
    "td": _CELL,
    "tfoot": _ROW,
    "th": _CELL,
    "thead": _ROW,
    "time": _WHEN,
    "tr": _ROW,
}
#: Element → its attributes, its own and those of every element.
ATTRIBUTES: Final[dict[str, dict[str, Shape]]] = {
    name: GLOBAL | OWN.get(name, {}) for name in (*set(KEPT.values()), *VOID)
}
#: Written by handlers: what may stand there besides ``GLOBAL`` and ``style``.
HANDLED_ATTRIBUTES: Final[dict[str, frozenset[str]]] = {
    "a": frozenset(("data-ask", "href", "rel")),
    "audio": frozenset(("controls", "loop", "muted", "preload", "src")),
    "button": frozenset(("type",)),
    "form": frozenset(("accept-charset", "action", "method")),
    "img": frozenset(("alt", "height", "loading", "sizes", "src", "srcset", "width")),
    "input": frozenset(
        (
            *("autocomplete", "checked", "maxlength", "name", "placeholder", "required"),
            *("type", "value"),
        )
    ),
    "label": frozenset(("for",)),
    "option": frozenset(("selected", "value")),
    "select": frozenset(("name", "required")),
    "source": frozenset(("media", "sizes", "src", "srcset", "type")),
    "textarea": frozenset(("maxlength", "name", "placeholder", "required", "rows")),
    "track": frozenset(("default", "kind", "label", "src", "srclang")),
    "video": frozenset(
        ("controls", "height", "loop", "muted", "playsinline", "poster", "preload", "src", "width")
    ),
}
