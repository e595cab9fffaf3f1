"""Drawings that a course brings with it.

An SVG is a program as much as a picture. This says what is wrong with one; it changes nothing,
because the author can mend a drawing and a machine cannot. Only what a still, self-contained
drawing needs is allowed: no script, no address, no moving parts, nothing that draws itself over
and over.

The parser is expat, driven directly: a document type is refused the moment it begins, before an
entity can be declared, so no entity is ever expanded and nothing outside is ever read. That is all
that a wrapper such as defusedxml would add.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final
from xml.parsers import expat

from dask_platform.kernel.messages import N_
from dask_platform.security.problems import Problem

MAX_BYTES: Final = 512 * 1024
MAX_DEPTH: Final = 40
MAX_ELEMENTS: Final = 20_000
MAX_PROBLEMS: Final = 20

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_XML = "http://www.w3.org/XML/1998/namespace"

ALLOWED_ELEMENTS: Final = frozenset(
    {
        "circle", "clipPath", "defs", "desc", "ellipse", "g", "line", "linearGradient", "marker",
        "mask", "path", "pattern", "polygon", "polyline", "radialGradient", "rect", "stop", "style",
        "svg", "symbol", "text", "textPath", "title", "tspan", "use",
    }
)  # fmt: skip

ALLOWED_ATTRIBUTES: Final = frozenset(
    {
        "alignment-baseline", "aria-describedby", "aria-hidden", "aria-label", "aria-labelledby",
        "baseline-shift", "class", "clip-path", "clip-rule", "clipPathUnits", "color", "cx", "cy",
        "d", "direction", "display", "dominant-baseline", "dx", "dy", "fill", "fill-opacity",
        "fill-rule", "focusable", "font-family", "font-size", "font-style", "font-variant",
        "font-weight", "fr", "fx", "fy", "gradientTransform", "gradientUnits", "height", "href",
        "id", "lang", "lengthAdjust", "letter-spacing", "marker-end", "marker-mid", "marker-start",
        "markerHeight", "markerUnits", "markerWidth", "mask", "maskContentUnits", "maskUnits",
        "offset", "opacity", "orient", "overflow", "paint-order", "pathLength",
        "patternContentUnits", "patternTransform", "patternUnits", "points", "preserveAspectRatio",
        "r", "refX", "refY", "role", "rotate", "rx", "ry", "shape-rendering", "spreadMethod",
        "startOffset", "stop-color", "stop-opacity", "stroke", "stroke-dasharray",
        "stroke-dashoffset", "stroke-linecap", "stroke-linejoin", "stroke-miterlimit",
        "stroke-opacity", "stroke-width", "style", "text-anchor", "text-decoration",
        "text-rendering", "textLength", "transform", "unicode-bidi", "vector-effect", "version",
        "viewBox", "visibility", "width", "word-spacing", "writing-mode", "x", "x1", "x2", "y",
        "y1", "y2",
    }
)  # fmt: skip

# Parts that are drawn wherever something points at them. One inside another multiplies: ten
# levels of ten are ten thousand million shapes.
_DRAWN_ELSEWHERE = frozenset({"clipPath", "marker", "mask", "pattern", "symbol"})

_LOCAL_REFERENCE = re.compile(r"#[A-Za-z_][A-Za-z0-9_.-]{0,80}")
_URL = re.compile(r"url\(\s*(['\"]?)(#[A-Za-z_][A-Za-z0-9_.-]{0,80})\1\s*\)", re.IGNORECASE)
# Styles: no escape (it can spell anything), no comment (it can split a word), no at-rule, and no
# reference, not even a local one: a paint or a mask is named in its own attribute.
_BAD_STYLE = re.compile(
    r"[\\@<]|/\*|url|image|expression|behavior|binding|javascript|animation|transition|src\s*:",
    re.IGNORECASE,
)
_BAD_VALUE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?:java|vb)script\s*:|data\s*:", re.I)


NOT_UTF_8: Final = N_("The file must be saved as UTF-8.")
TOO_LARGE: Final = N_("The drawing is too large. The limit is %(limit)s KiB.")
UNREADABLE: Final = N_("The drawing cannot be read from this line on. Save it anew as plain SVG.")


class _StopError(Exception):
    """Ends the parsing at once; the problem has been noted."""


@dataclass(slots=True)
class _Open:
    """An element that has begun and not ended."""

    name: str
    id: str | None
    uses: bool = False


@dataclass(slots=True)
class _Check:
    """One reading of one drawing. Problems carry the line they were found on."""

    parser: expat.XMLParserType
    problems: list[Problem] = field(default_factory=list)
    stack: list[_Open] = field(default_factory=list)
    elements: int = 0
    title: str = ""
    style: str = ""
    used: dict[str, int] = field(default_factory=dict)
    users: set[str] = field(default_factory=set)

    def note(self, message: str, line: int | None = None, **params: Any) -> None:
        at = self.parser.CurrentLineNumber if line is None else line
        self.problems.append(Problem(at, message, params))
        if len(self.problems) >= MAX_PROBLEMS:
            raise _StopError

    def stop(self, message: str) -> None:
        self.note(message)
        raise _StopError

    def doctype(self, *_: object) -> None:
        self.stop(N_("A document type (<!DOCTYPE) is not allowed. Remove it."))

    def declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() not in {"utf-8", "us-ascii"}:
            self.stop(NOT_UTF_8)

    def instruction(self, target: str, _data: str) -> None:
        self.note(N_("The instruction <?%(name)s is not allowed. Remove it."), name=target[:40])

    def start(self, qualified: str, attributes: dict[str, str]) -> None:
        namespace, _, name = qualified.rpartition(" ")
        self.elements += 1
        if self.elements > MAX_ELEMENTS or len(self.stack) >= MAX_DEPTH:
            self.stop(N_("The drawing is too complicated. Make it simpler."))
        if not self.stack and (namespace, name) != (_SVG, "svg"):
            self.stop(N_("This is not an SVG drawing: the first element is not <svg>."))
        if namespace != _SVG or name not in ALLOWED_ELEMENTS:
            self.note(N_("The element <%(name)s> is not allowed. Remove it."), name=name[:40])
        opened = _Open(name, attributes.get("id"), uses=name == "use")
        if name == "style":
            self.style = ""
        for key, value in attributes.items():
            self._attribute(name, key, value)
        if name in _DRAWN_ELSEWHERE | {"use"}:
            holder = next((o.name for o in self.stack if o.name in _DRAWN_ELSEWHERE), None)
            if holder is not None:
                self.note(
                    N_("<%(name)s> inside <%(holder)s> is not allowed. Draw the shapes there."),
                    name=name,
                    holder=holder,
                )
        self.stack.append(opened)

    def _attribute(self, element: str, qualified: str, value: str) -> None:
        namespace, _, name = qualified.rpartition(" ")
        if namespace == _XML and name in {"lang", "space"}:
            return
        if (namespace and (namespace, name) != (_XLINK, "href")) or (
            name not in ALLOWED_ATTRIBUTES
        ):
            self.note(
                N_("The attribute %(name)s on <%(element)s> is not allowed. Remove it."),
                name=name[:40],
                element=element[:40],
            )
        elif name == "href":
            if _LOCAL_REFERENCE.fullmatch(value) is None:
                self.note(N_("An address may only point inside the drawing, as in #part."))
            elif element == "use":
                self.used.setdefault(value[1:], self.parser.CurrentLineNumber)
        elif _BAD_VALUE.search(value) is not None:
            self.note(N_("The attribute %(name)s has a value that is not allowed."), name=name)
        elif name == "style":
            self._style(value)
        elif "url" in value.lower() and _URL.fullmatch(value.strip()) is None:
            # Words in a label may well say "url"; a paint or a mask may not.
            if name not in {"aria-label", "class", "id"}:
                self.note(
                    N_("The attribute %(name)s may only point inside the drawing."), name=name
                )
        elif any(part.name in _DRAWN_ELSEWHERE for part in self.stack):
            self._reference_in_part(value)

    def _reference_in_part(self, value: str) -> None:
        for found in _URL.finditer(value):
            self.used.setdefault(found.group(2)[1:], self.parser.CurrentLineNumber)

    def _style(self, sheet: str) -> None:
        if _BAD_STYLE.search(sheet) is not None:
            self.note(
                N_("The style has something that is not allowed. Use plain colours and sizes.")
            )

    def text(self, data: str) -> None:
        if not self.stack:
            return
        if self.stack[-1].name == "style":
            self.style += data
        elif self.stack[-1].name == "title" and len(self.stack) == 2:
            self.title += data

    def end(self, _qualified: str) -> None:
        closed = self.stack.pop()
        if closed.name == "style":
            self._style(self.style)
        uses = closed.uses or closed.name in _DRAWN_ELSEWHERE - {"symbol"}
        if uses and closed.id is not None:
            self.users.add(closed.id)
        if closed.uses and self.stack:
            self.stack[-1].uses = True


def check_svg(data: bytes) -> list[Problem]:
    """What must be put right before ``data`` may be shown, with lines; empty when all is well.

    At most 20 problems, in the order they are found. Memory and time are bounded: 512 KiB, 40
    levels, 20 000 elements, no entities. Never raises.
    """
    if len(data) > MAX_BYTES:
        return [Problem(1, TOO_LARGE, {"limit": MAX_BYTES // 1024})]
    try:
        source = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return [Problem(1, NOT_UTF_8)]
    parser = expat.ParserCreate(encoding="utf-8", namespace_separator=" ")
    parser.buffer_text = True
    check = _Check(parser)
    parser.StartDoctypeDeclHandler = check.doctype
    parser.XmlDeclHandler = check.declaration
    parser.ProcessingInstructionHandler = check.instruction
    parser.StartElementHandler = check.start
    parser.EndElementHandler = check.end
    parser.CharacterDataHandler = check.text
    try:
        parser.Parse(source.encode(), True)
        if not check.title.strip():
            check.note(N_("The drawing has no <title>. Say in a few words what it shows."), 1)
        for target in check.used.keys() & check.users:
            check.note(
                N_(
                    "#%(name)s is drawn by reference and has references in it. "
                    "Draw the shapes there."
                ),
                check.used[target],
                name=target,
            )
    except expat.ExpatError as error:
        check.problems.append(Problem(error.lineno, UNREADABLE))
    except _StopError:
        pass
    return check.problems
