"""Formulas in MathML, as far as they are drawing and nothing else.

Schools read formulas, so MathML is not dropped like other foreign content. Its danger is that text
elements may hold HTML, and that parsers differ on where one ends and the other begins. So here a
text element holds text, every other element holds only elements of this list, and no attribute
points anywhere.
"""

from __future__ import annotations

import re
from typing import Final

from selectolax.lexbor import LexborNode

from dask_platform.security.reader import lists
from dask_platform.security.reader.markup import escape, quoted

MOST_DEPTH: Final = 40
MOST_PARTS: Final = 5_000

TEXTS: Final = frozenset(("mi", "mn", "mo", "ms", "mtext"))
PARTS: Final = frozenset(
    (
        *("menclose", "mfrac", "mmultiscripts", "mover", "mpadded", "mphantom", "mprescripts"),
        *("mroot", "mrow", "mspace", "msqrt", "mstyle", "msub", "msubsup", "msup", "mtable"),
        *("mtd", "mtr", "munder", "munderover", "none"),
    )
)
_TRUTH: Final = re.compile(r"true|false")
_LENGTH: Final = re.compile(r"-?[0-9]{0,4}(?:\.[0-9]{1,4})?(?:em|ex|px|pt|%)?")
_SHAPES: Final = {
    "accent": _TRUTH,
    "accentunder": _TRUTH,
    "columnalign": re.compile(r"(?:left|center|right)(?: (?:left|center|right)){0,30}"),
    "columnspan": re.compile(r"[1-9][0-9]{0,2}"),
    "display": re.compile(r"block|inline"),
    "displaystyle": _TRUTH,
    "fence": _TRUTH,
    "largeop": _TRUTH,
    "linethickness": _LENGTH,
    "mathvariant": re.compile(r"[a-z-]{1,30}"),
    "movablelimits": _TRUTH,
    "notation": re.compile(r"[a-z ]{1,60}"),
    "rowspan": re.compile(r"[1-9][0-9]{0,2}"),
    "scriptlevel": re.compile(r"[+-]?[0-9]"),
    "separator": _TRUTH,
    "stretchy": _TRUTH,
    "symmetric": _TRUTH,
    "width": _LENGTH,
}
ATTRIBUTES: Final = frozenset((*_SHAPES, "alttext", "dir"))


def write_formula(node: LexborNode) -> str:
    """The ``<math>`` element ``node``, written anew; its text alone where it is too deep."""
    out: list[str] = []
    try:
        _write(node, "math", out, 0)
    except _TooDeepError:
        return escape(lists.text(node.attributes.get("alttext") or ""))
    return "".join(out)


class _TooDeepError(Exception):
    pass


def _write(node: LexborNode, name: str, out: list[str], depth: int) -> None:
    if depth > MOST_DEPTH or len(out) > MOST_PARTS:
        raise _TooDeepError
    out.append(f"<{name}{_attributes(node)}>")
    if name in TEXTS:
        # As text, whatever the page has put there.
        text = "".join(one.text_content or "" for one in node.iter(include_text=True))
        out.append(escape(" ".join(text.split())))
    else:
        for child in node.iter():
            tag = child.tag or ""
            if tag == "semantics":
                # The first is the formula, the others say the same in other languages.
                first = next(iter(child.iter()), None)
                child, tag = (child, "") if first is None else (first, first.tag or "")
            if tag in TEXTS or tag in PARTS:
                _write(child, tag, out, depth + 1)
    out.append(f"</{name}>")


def _attributes(node: LexborNode) -> str:
    written = []
    for key, value in node.attributes.items():
        shape = _SHAPES.get(key)
        kept: str | None = value or ""
        if key == "alttext":
            kept = lists.text(value or "")
        elif key == "dir":
            kept = lists.direction(value or "")
        elif shape is None or not shape.fullmatch(value or ""):
            continue
        if kept is not None:
            written.append(quoted(key, kept))
    return "".join(written)
