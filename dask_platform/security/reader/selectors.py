"""Selectors of a site, narrowed to what stands inside the container.

``p > .x`` becomes ``:where(#dask-site) p > .x``, and ``body.home p`` becomes
``:where(#dask-site).home p``: the container stands for the page's ``<html>`` and ``<body>``. So no
rule of a site reaches the bar around it. ``:where`` counts for nothing, so the rules keep their
order of strength. A selector with anything in it that is not known here is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import tinycss2  # type: ignore[import-untyped]
from tinycss2 import ast

from dask_platform.security.reader.parts import CONTAINER, PREFIX

#: A token of tinycss2, which has no types.
Node = Any

MOST_SELECTORS: Final = 500
MOST_DEPTH: Final = 8

SCOPE: Final = f":where(#{CONTAINER})"

_COMBINATORS: Final = (">", "+", "~")
_MARKS: Final = (*_COMBINATORS, ".", ":", "*", ",")
_IN_ATTRIBUTES: Final = frozenset(("=", "~=", "|=", "^=", "$=", "*="))
_ROOTS: Final = frozenset(("html", "body"))
#: Pseudo-classes and elements that take selectors or numbers.
_FUNCTIONS: Final = frozenset(
    (
        *("dir", "has", "is", "lang", "not", "nth-child", "nth-last-child", "nth-last-of-type"),
        *("nth-of-type", "where", "-webkit-any", "matches"),
    )
)


class _RefusedError(Exception):
    pass


def scoped(prelude: Sequence[Node]) -> str:
    """The selectors of a rule that can be narrowed, or an empty text."""
    kept = []
    for selector in _split(prelude)[:MOST_SELECTORS]:
        try:
            narrowed = _narrow(selector)
        except _RefusedError:
            continue
        kept.append(narrowed)
    return ", ".join(kept)


def _split(nodes: Sequence[Node]) -> list[list[Node]]:
    """The parts between commas, without comments and without space around them."""
    parts: list[list[Node]] = [[]]
    for node in nodes:
        if node.type == "comment":
            continue
        if node == ",":
            parts.append([])
        else:
            parts[-1].append(node)
    return [_stripped(one) for one in parts]


def _stripped(nodes: list[Node]) -> list[Node]:
    first, last = 0, len(nodes)
    while first < last and nodes[first].type == "whitespace":
        first += 1
    while last > first and nodes[last - 1].type == "whitespace":
        last -= 1
    return nodes[first:last]


def _narrow(selector: list[Node]) -> str:
    """One selector under the container. Raises ``_RefusedError``."""
    if not selector or selector[0] in _COMBINATORS:
        raise _RefusedError
    if tinycss2.serialize(selector[:2]) == SCOPE:
        return SCOPE + _inside(selector[2:])
    length = _root(selector)
    if not length:
        return f"{SCOPE} {_text(selector, 0)}"
    # ``html body.home p``: the last of them that speaks of the page is the container.
    while True:
        end = length
        while end < len(selector) and not _parts(selector[end]):
            end += 1
        after = _stripped(selector[end:])
        if after and after[0] == ">":
            after = _stripped(after[1:])
        following = _root(after)
        if not following:
            return SCOPE + _inside(selector[length:])
        selector, length = after, following


def _inside(rest: list[Node]) -> str:
    """What stands after the container: more about it, or what is in it, but never a neighbour."""
    end = 0
    while end < len(rest) and not _parts(rest[end]):
        end += 1
    after = _stripped(rest[end:])
    if after and after[0] in ("+", "~"):
        raise _RefusedError
    return _text(rest, 0)


def _parts(node: Node) -> bool:
    """Whether ``node`` stands between two compounds of a selector."""
    return node.type == "whitespace" or node in _COMBINATORS


def _root(nodes: list[Node]) -> int:
    """How many tokens name the page itself at the beginning: ``html``, ``body``, ``:root``."""
    if nodes and nodes[0].type == "ident" and nodes[0].lower_value in _ROOTS:
        return 1
    if len(nodes) > 1 and nodes[0] == ":" and nodes[1].type == "ident":
        return 2 if nodes[1].lower_value == "root" else 0
    return 0


def _text(nodes: Sequence[Node], depth: int) -> str:
    return str(tinycss2.serialize(_moved(nodes, depth)))


def _moved(nodes: Sequence[Node], depth: int) -> list[Node]:
    """``nodes``, ids with the prefix that they have on the page. Raises ``_RefusedError``."""
    if depth > MOST_DEPTH:
        raise _RefusedError
    moved: list[Node] = []
    for node in nodes:
        match node.type:
            case "whitespace":
                moved.append(ast.WhitespaceToken(0, 0, " "))
            case "ident" | "number" | "dimension" | "percentage":
                moved.append(node)
            case "literal" if node.value in _MARKS:
                moved.append(node)
            case "hash" if node.is_identifier and node.value != CONTAINER:
                value = node.value if node.value.startswith(PREFIX) else PREFIX + node.value
                moved.append(ast.HashToken(0, 0, value, True))
            case "[] block" if all(_in_attribute(one) for one in node.content):
                moved.append(node)
            case "function" if node.lower_name in _FUNCTIONS:
                inner = _moved(node.arguments, depth + 1)
                moved.append(ast.FunctionBlock(0, 0, node.lower_name, inner))
            case _:
                raise _RefusedError
    return moved


def _in_attribute(node: Node) -> bool:
    return node.type in ("ident", "string", "whitespace") or (
        node.type == "literal" and node.value in _IN_ATTRIBUTES
    )
