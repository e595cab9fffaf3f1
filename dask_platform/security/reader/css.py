"""Style sheets of a site: read as tokens, and only what is known written down again.

Every address goes through ``place``; selectors are narrowed to the container (``selectors``);
functions, at-rules and tokens that are not listed take their declaration or rule with them. Escapes
do not survive: what is written comes from the tokens' values. ``position: fixed`` and ``sticky``
become ``static``; that is for reading, and is not what keeps our bar uncovered. The page around
does that (see ``reader/__init__``).

Costly (about 2 ms a KB): the caller keeps the answer by the hash of what went in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

import tinycss2  # type: ignore[import-untyped]
from tinycss2 import ast

from dask_platform.security.reader.addresses import checked, resolve
from dask_platform.security.reader.parts import RESERVED_CLASSES, Kind, Place
from dask_platform.security.reader.selectors import scoped

MOST_CHARACTERS: Final = 2_000_000
MOST_DEPTH: Final = 16
MOST_RULES: Final = 30_000

#: A token or rule of tinycss2, which has no types.
Node = Any

_PlaceRaw = Callable[[str, Kind], "str | None"]

_GROUPS: Final = frozenset(("container", "layer", "media", "supports"))
_KEYFRAMES: Final = frozenset(("keyframes", "-webkit-keyframes"))
_FUNCTIONS: Final = frozenset(
    (
        *("abs", "attr", "blur", "brightness", "calc", "circle", "clamp", "color", "color-mix"),
        *("conic-gradient", "contrast", "counter", "counters", "cubic-bezier", "drop-shadow"),
        *("ellipse", "fit-content", "format", "grayscale", "hsl", "hsla", "hue-rotate", "hwb"),
        *("inset", "invert", "lab", "lch", "light-dark", "linear", "linear-gradient", "local"),
        *("matrix", "matrix3d", "max", "min", "minmax", "mod", "oklab", "oklch", "opacity"),
        *("path", "perspective", "polygon", "radial-gradient", "rem", "repeat"),
        *("repeating-conic-gradient", "repeating-linear-gradient", "repeating-radial-gradient"),
        *("rgb", "rgba", "rotate", "rotate3d", "rotatex", "rotatey", "rotatez", "round"),
        *("saturate", "scale", "scale3d", "scalex", "scaley", "scalez", "sepia", "sign", "skew"),
        *("skewx", "skewy", "steps", "tech", "translate", "translate3d", "translatex"),
        *("translatey", "translatez", "var", "-webkit-gradient", "-webkit-linear-gradient"),
    )
)
_IMAGE_SETS: Final = frozenset(("image-set", "-webkit-image-set"))
_IN_QUERIES: Final = frozenset(("selector", "style", "font-tech", "font-format"))
#: Properties that run something, or that have an address where no picture is meant.
_REFUSED: Final = frozenset(("behavior", "-moz-binding", "-ms-behavior", "cursor"))
_CURSORS: Final = re.compile(r"[a-z-]{1,20}")
_NAME: Final = re.compile(r"-{0,2}[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_\u0080-\U0010ffff-]{0,99}")
_MARKS: Final = frozenset((",", "/", "+", "-", "*", ":", "<", ">", "=", "<=", ">=", ".", ";"))
_PLAIN: Final = frozenset(
    ("ident", "number", "percentage", "dimension", "hash", "string", "whitespace", "unicode-range")
)
_MOVES_WITH_THE_PAGE: Final = frozenset(("fixed", "sticky", "-webkit-sticky"))
#: Font names that no site may give a new meaning: those of the platform's look, and no font's.
_TAKEN: Final = frozenset(
    ("inter", "serif", "sans-serif", "monospace", "system-ui", "cursive", "fantasy", "inherit")
)


class _RefusedError(Exception):
    """Something that is not known: the declaration or rule around it goes."""


def clean_css(text: str, *, base: str, place: Place) -> str:
    """The style sheet ``text``, found at ``base``, as it may stand on a page inside the container.

    Pure: the same text, base and answers of ``place`` give the same sheet. Cleaning what was
    cleaned changes nothing. Too long a sheet comes out empty.
    """
    if len(text) > MOST_CHARACTERS:
        return ""
    cleaner = _Cleaner(_placing(base, place))
    rules = tinycss2.parse_stylesheet(text, skip_comments=True, skip_whitespace=True)
    return _settled("\n".join(cleaner.sheet(rules)))


def clean_declarations(text: str, *, base: str, place: Place) -> str | None:
    """The value of a ``style=""``, by the same rules; None where nothing is left of it."""
    if len(text) > 4_000:
        return None
    if "(" not in text and "\\" not in text:
        return _plain_declarations(text)
    return _declarations(text, _placing(base, place))


@lru_cache(maxsize=4096)
def _plain_declarations(text: str) -> str | None:
    """Declarations without function, address or escape. They mean the same on every page."""
    return _declarations(text, lambda _url, _kind: None)


def _declarations(text: str, place: _PlaceRaw) -> str | None:
    nodes = tinycss2.parse_blocks_contents(text, skip_comments=True, skip_whitespace=True)
    written = _Cleaner(place).declarations(nodes)
    return _settled(written).replace("\n", " ") or None


def _placing(base: str, place: Place) -> _PlaceRaw:
    def placed(raw: str, kind: Kind) -> str | None:
        if raw.startswith("#"):
            return None
        found = resolve(raw, base)
        ours = None if found is None else place(found[0], kind)
        return None if ours is None else checked(ours)

    return placed


def _settled(text: str) -> str:
    # No end tag and no comment mark of HTML, wherever the sheet is put. A backslash that escapes
    # the sign goes with it: left behind, it would escape the backslash of the new spelling.
    return re.sub(r"(?<!\\)((?:\\\\)*)\\?<(?=[/!?])", r"\1\\3c ", text)


class _Cleaner:
    def __init__(self, place: _PlaceRaw) -> None:
        self._place = place
        self._rules = 0

    # Rules --------------------

    def sheet(self, rules: Sequence[Node]) -> list[str]:
        """The rules of a whole sheet: imports stand before all others or count for nothing."""
        written: list[str] = []
        early = True
        for rule in rules:
            if rule.type == "at-rule" and rule.lower_at_keyword == "import":
                if early and (line := self._try(self._import, rule)):
                    written.append(line)
                continue
            if rule.type == "at-rule" and rule.lower_at_keyword == "charset":
                continue
            early = early and rule.type == "at-rule" and rule.content is None
            if line := self._rule(rule, 0):
                written.append(line)
        return written

    @staticmethod
    def _try(write: Callable[..., str], *arguments: object) -> str:
        try:
            return write(*arguments)
        except _RefusedError:
            return ""

    def _rule(self, rule: Node, depth: int) -> str:
        self._rules += 1
        if self._rules > MOST_RULES or depth > MOST_DEPTH:
            return ""
        if rule.type == "qualified-rule":
            return self._style_rule(rule)
        if rule.type == "at-rule":
            return self._try(self._at_rule, rule, depth)
        return ""

    def _style_rule(self, rule: Node) -> str:
        selectors = scoped(rule.prelude)
        if not selectors:
            return ""
        # Rules nested in a rule would need narrowing of another kind; they go.
        body = self.declarations(_contents(rule.content))
        return f"{selectors} {{ {body} }}" if body else ""

    def _at_rule(self, rule: Node, depth: int) -> str:
        name = rule.lower_at_keyword
        if name in _GROUPS:
            prelude = _query(rule.prelude)
            if rule.content is None:
                return f"@layer {prelude};" if name == "layer" and prelude else ""
            inner = self._inside(rule.content, depth)
            return f"@{name} {prelude} {{\n{inner}\n}}" if inner else ""
        if rule.content is None:
            return ""
        if name == "font-face":
            return self._font(rule.content)
        if name in _KEYFRAMES:
            return self._keyframes(name, rule)
        return ""

    def _inside(self, content: Sequence[Node], depth: int) -> str:
        rules = tinycss2.parse_rule_list(content, skip_comments=True, skip_whitespace=True)
        return "\n".join(line for one in rules if (line := self._rule(one, depth + 1)))

    def _import(self, rule: Node) -> str:
        nodes = [one for one in rule.prelude if one.type != "comment"]
        while nodes and nodes[0].type == "whitespace":
            nodes.pop(0)
        if rule.content is not None or not nodes:
            return ""
        placed = self._address(nodes[0], "style").serialize()
        media = _query(nodes[1:])
        return f"@import {placed}{' ' if media else ''}{media};"

    def _font(self, content: Sequence[Node]) -> str:
        """A font of the site, unless it takes the name of one that the platform's own look uses."""
        nodes = _contents(content)
        for one in nodes:
            if one.type == "declaration" and one.lower_name == "font-family":
                name = " ".join(
                    part.value for part in one.value if part.type in ("ident", "string")
                ).lower()
                if name in _TAKEN or name.startswith(RESERVED_CLASSES):
                    return ""
        body = self.declarations(nodes, "font")
        return f"@font-face {{ {body} }}" if "src:" in body else ""

    def _keyframes(self, name: str, rule: Node) -> str:
        titles = [one for one in rule.prelude if one.type not in ("whitespace", "comment")]
        if len(titles) != 1 or titles[0].type != "ident" or not _NAME.fullmatch(titles[0].value):
            return ""
        frames = []
        for one in tinycss2.parse_rule_list(
            rule.content or [], skip_comments=True, skip_whitespace=True
        )[:200]:
            if one.type == "qualified-rule":
                at = tinycss2.serialize(one.prelude).strip()
                body = self.declarations(_contents(one.content))
                if body and re.fullmatch(
                    r"(?:from|to|[0-9.]+%)(?:\s*,\s*(?:from|to|[0-9.]+%))*", at
                ):
                    frames.append(f"{re.sub(r'[^a-z0-9.%,]', '', at)} {{ {body} }}")
        inner = "\n".join(frames)
        return f"@{name} {titles[0].serialize()} {{\n{inner}\n}}" if frames else ""

    # Declarations --------------------

    def declarations(self, nodes: Sequence[Node], kind: Kind = "image") -> str:
        """The declarations among ``nodes`` that are known all through."""
        written = [
            line
            for one in nodes
            if one.type == "declaration" and (line := self._try(self._declaration, one, kind))
        ]
        return " ".join(written)

    def _declaration(self, one: Node, kind: Kind) -> str:
        custom = one.name.startswith("--")
        name = one.name if custom else one.lower_name
        if not _NAME.fullmatch(name):
            return ""
        value = one.value
        if name in _REFUSED:
            word = tinycss2.serialize(value).strip().lower()
            if name != "cursor" or not _CURSORS.fullmatch(word):
                return ""
        if name == "position":
            word = tinycss2.serialize(value).strip().lower()
            if word not in ("static", "relative", "absolute"):
                return "position: static;" if word in _MOVES_WITH_THE_PAGE else ""
        text = tinycss2.serialize(self._value(value, kind, 0)).strip()
        if not text and not custom:
            return ""
        return f"{ast.IdentToken(0, 0, name).serialize()}: {text}{_important(one)};"

    def _value(self, nodes: Sequence[Node], kind: Kind, depth: int) -> list[Node]:
        """The same tokens, with our addresses. Raises ``_RefusedError``."""
        if depth > MOST_DEPTH:
            raise _RefusedError
        return [self._token(node, kind, depth) for node in nodes]

    def _token(self, node: Node, kind: Kind, depth: int) -> Node:
        match node.type:
            case "whitespace" | "comment":
                return ast.WhitespaceToken(0, 0, " ")
            case type_ if type_ in _PLAIN:
                return node
            case "literal" if node.value in _MARKS:
                return node
            case "url":
                return self._address(node, kind)
            case "() block":
                return ast.ParenthesesBlock(0, 0, self._value(node.content, kind, depth + 1))
            case "[] block":
                return ast.SquareBracketsBlock(0, 0, self._value(node.content, kind, depth + 1))
            case "function" if node.lower_name in ("url", "src"):
                return self._address(node, kind)
            case "function" if node.lower_name in _IMAGE_SETS:
                parts = [self._in_image_set(one) for one in node.arguments]
                return ast.FunctionBlock(0, 0, node.lower_name, parts)
            case "function" if node.lower_name in _FUNCTIONS:
                parts = self._value(node.arguments, kind, depth + 1)
                return ast.FunctionBlock(0, 0, node.lower_name, parts)
        raise _RefusedError

    def _in_image_set(self, node: Node) -> Node:
        """A text in an image set is an address, and nothing may stand for one (``var``)."""
        match node.type:
            case "string" | "url":
                return self._address(node, "image")
            case "function" if node.lower_name == "url":
                return self._address(node, "image")
            case "function" if node.lower_name == "type" and all(
                one.type in ("string", "whitespace") for one in node.arguments
            ):
                return node
            case "dimension" | "whitespace":
                return node
            case "literal" if node.value == ",":
                return node
        raise _RefusedError

    def _address(self, node: Node, kind: Kind) -> Node:
        """``url("…")`` with our address for the one in ``node``. Raises ``_RefusedError`` where
        there is no place for it."""
        raw: str | None = None
        if node.type in ("string", "url"):
            raw = node.value
        elif node.type == "function" and node.lower_name in ("url", "src"):
            inner = [one for one in node.arguments if one.type not in ("whitespace", "comment")]
            if len(inner) == 1 and inner[0].type == "string":
                raw = inner[0].value
        placed = None if raw is None else self._place(raw, kind)
        if placed is None:
            raise _RefusedError
        return ast.URLToken(0, 0, placed, f'url("{_escaped(placed)}")')


def _escaped(url: str) -> str:
    return re.sub(r'["\\<\n\r\f]', lambda mark: f"\\{ord(mark[0]):x} ", url)


def _important(one: Node) -> str:
    return " !important" if one.important else ""


def _contents(content: Sequence[Node]) -> list[Node]:
    found: list[Node] = tinycss2.parse_blocks_contents(
        content, skip_comments=True, skip_whitespace=True
    )
    return found


def _query(nodes: Sequence[Node]) -> str:
    """The condition of a group of rules, or its name. Raises ``_RefusedError``."""
    return str(tinycss2.serialize(_known(nodes, 0))).strip()


def _opens_a_tag(before: Node, node: Node) -> bool:
    """``</`` and ``<!`` outside strings: no condition has them, and an escape would join the words
    around them to another name."""
    return before.type == "literal" and before.value == "<" and node.value in "/!?"


def _known(nodes: Sequence[Node], depth: int) -> list[Node]:
    if depth > MOST_DEPTH:
        raise _RefusedError
    known: list[Node] = []
    for node in nodes:
        match node.type:
            case "whitespace" | "comment":
                known.append(ast.WhitespaceToken(0, 0, " "))
            case "ident" | "number" | "dimension" | "percentage" | "hash":
                known.append(node)
            case "literal" if node.value in _MARKS - {";"}:
                if known and _opens_a_tag(known[-1], node):
                    raise _RefusedError
                known.append(node)
            case "() block":
                known.append(ast.ParenthesesBlock(0, 0, _known(node.content, depth + 1)))
            case "function" if node.lower_name in _IN_QUERIES | _FUNCTIONS:
                inner = _known(node.arguments, depth + 1)
                known.append(ast.FunctionBlock(0, 0, node.lower_name, inner))
            case _:
                raise _RefusedError
    return known
