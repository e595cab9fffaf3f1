"""The parser inside bleach, with bounds.

bleach 6.4.0 is the last of its line and is pinned, so what it lacks is added here: its parser has
no limit on depth, on attributes or on the length of a tag, and several of its steps take time with
the *square* of what they are given. A page made for the purpose keeps a worker busy for minutes.
Everything below only counts and refuses, or does the same in linear time; what is *allowed* is
still decided by bleach, and by nh3 after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element

from bleach import html5lib_shim
from bleach.sanitizer import Cleaner

from dask_platform.kernel.errors import TooLarge
from dask_platform.kernel.messages import N_

MAX_DEPTH = 100
"""Elements open at the same time. A page a person wrote has about ten."""

MAX_ELEMENTS = 10_000
"""Elements on one page, those counted too that the parser opens again by itself."""

MAX_ATTRIBUTES = 64
"""Attributes on one tag: the parser compares each with all before it."""

MAX_TAG = 32_768
"""Characters of one tag or comment."""

DROPPED_WITH_CONTENT = frozenset({"iframe", "noembed", "noframes", "script", "style", "xmp"})
"""Elements whose content is not text for a reader. A browser reads it raw, up to the end tag."""

_VOID = frozenset({"br", "hr", "img"})
_START = html5lib_shim.TAG_TOKEN_TYPE_START
_TAGS = html5lib_shim.TAG_TOKEN_TYPES
_CHARACTERS = html5lib_shim.TAG_TOKEN_TYPE_CHARACTERS
_SPACES = 2  # html5lib's number for a run of white space; bleach gives it no name
_TEXTS = frozenset({_CHARACTERS, _SPACES})

Token = dict[str, Any]


def too_tangled() -> TooLarge:
    return TooLarge(
        N_(
            "This page is put together in a way that is too complicated. Make it simpler, or split "
            "it."
        )
    )


class _BoundedStream(html5lib_shim.InputStreamWithMemory):
    """Counts what is read since the tokenizer last stood in plain text."""

    read = 0

    def char(self) -> str:
        self.read += 1
        if self.read > MAX_TAG:
            raise too_tangled()
        return super().char()

    def charsUntil(self, characters: Any, opposite: bool = False) -> str:  # noqa: N802
        found = super().charsUntil(characters, opposite)
        self.read += len(found)
        return found


class _BoundedTokenizer(html5lib_shim.BleachHTMLTokenizer):
    """Refuses what is out of bounds, drops scripts with their content, joins runs of text."""

    parser: Any
    state: Any
    currentToken: Any  # noqa: N815

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stream: Any = _BoundedStream(self.stream._inner_stream)
        self._dropping = False
        self._elements = 0

    def __iter__(self) -> Iterator[Any]:
        """Tokens, neighbouring texts joined into one.

        The tree appends to the text of an element by copying it, so a million single ``&`` would
        copy the text a million times. Text that follows ``<pre>`` loses its leading line breaks:
        a parser drops the first one, and would drop another each time the page is cleaned.
        """
        text: list[str] = []
        after_pre = False
        token: Any
        for token in super().__iter__():
            if token["type"] in _TAGS:
                if text:
                    yield self._characters("".join(text), after_pre)
                    text = []
                self._count(token)
                yield token
                after_pre = token["type"] == _START and token["name"] == "pre"
            elif token["type"] in _TEXTS and not self._dropping:
                text.append(token["data"])
        if text:
            yield self._characters("".join(text), after_pre)

    @staticmethod
    def _characters(data: str, after_pre: bool) -> Token:
        return {"type": _CHARACTERS, "data": data.lstrip("\n") if after_pre else data}

    def _count(self, token: Token) -> None:
        tree = self.parser.tree
        if token["type"] != _START:
            # A stray </p> or </br> makes an element; other end tags make none.
            self._elements += token["name"] in {"p", "br"}
        else:
            reopened = len(tree.activeFormattingElements)
            self._elements += 1 + reopened
            if len(tree.openElements) + reopened > MAX_DEPTH:
                raise too_tangled()
        if self._elements > MAX_ELEMENTS:
            raise too_tangled()

    def dataState(self) -> Any:  # noqa: N802
        self.stream.read = 0
        return super().dataState()

    def rawtextState(self) -> Any:  # noqa: N802
        self.stream.read = 0
        return super().rawtextState()

    def attributeNameState(self) -> Any:  # noqa: N802
        if len(self.currentToken["data"]) > MAX_ATTRIBUTES:
            raise too_tangled()
        return super().attributeNameState()

    def emitCurrentToken(self) -> None:  # noqa: N802
        token = self.currentToken
        if token["name"].lower() not in DROPPED_WITH_CONTENT:
            super().emitCurrentToken()
            return
        self._dropping = token["type"] == _START
        self.state = self.rawtextState if self._dropping else self.dataState


class _BoundedParser(html5lib_shim.BleachHTMLParser):
    def _parse(
        self,
        stream: Any,
        innerHTML: bool = False,  # noqa: N803
        container: str = "div",
        scripting: bool = True,
        **kwargs: Any,
    ) -> None:
        self.innerHTMLMode = innerHTML
        self.container = container
        self.scripting = scripting
        self.tokenizer = _BoundedTokenizer(
            stream=stream, consume_entities=self.consume_entities, parser=self, **kwargs
        )
        self.reset()
        self.mainLoop()

    def parseError(self, *_: Any) -> None:  # noqa: N802
        """Broken markup is expected here; a record of each fault only takes memory."""


def walk(fragment: Element) -> Iterator[Token]:
    """The tree as tokens, in linear time and without recursion; comments are left out.

    The walker that comes with bleach looks every element up among its siblings, twice.
    """
    stack: list[tuple[Element, Iterator[Element]]] = [(fragment, iter(fragment))]
    if fragment.text:
        yield {"type": "Characters", "data": fragment.text}
    while stack:
        parent, children = stack[-1]
        child = next(children, None)
        if child is None:
            stack.pop()
            if stack:
                yield {"type": "EndTag", "name": parent.tag, "namespace": None}
                if parent.tail:
                    yield {"type": "Characters", "data": parent.tail}
            continue
        name = child.tag
        if isinstance(name, str) and name not in _VOID and not name.startswith("<"):
            yield {
                "type": "StartTag",
                "name": name,
                "namespace": None,
                "data": {(None, key): value for key, value in child.items()},
            }
            if child.text:
                yield {"type": "Characters", "data": child.text}
            stack.append((child, iter(child)))
            continue
        if name in _VOID:
            yield {
                "type": "EmptyTag",
                "name": name,
                "namespace": None,
                "data": {(None, key): value for key, value in child.items()},
            }
        if child.tail:
            yield {"type": "Characters", "data": child.tail}


class BoundedCleaner(Cleaner):
    """bleach's cleaner on the bounded parser. Not for two threads: make one for each text."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.parser = _BoundedParser(
            tags=self.tags, strip=self.strip, consume_entities=False, namespaceHTMLElements=False
        )
        self.walker: Any = walk
