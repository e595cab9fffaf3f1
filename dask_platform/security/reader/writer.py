"""The page, written anew from its tree.

Nothing of the source is copied: each element that is listed is written with the attributes that are
listed, text is escaped, and the rest is not written. No element is ever written whose content a
browser reads by other rules than text and tags (``script``, ``style``, ``title``, ``noscript`` …)
and no drawing; formulas are written by ``formulas``. So there is nothing in what comes out that a
second parser could take for a tag.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from selectolax.lexbor import LexborNode

from dask_platform.kernel.errors import TooLarge
from dask_platform.security.reader import lists
from dask_platform.security.reader.addresses import Addresses, srcset
from dask_platform.security.reader.bounds import TOO_TANGLED
from dask_platform.security.reader.forms import FormWriter
from dask_platform.security.reader.formulas import write_formula
from dask_platform.security.reader.markup import escape, quoted
from dask_platform.security.reader.parts import Policy, Sheet

MOST_DEPTH: Final = 200
"""Elements inside each other. What lies deeper loses its tags and keeps its text."""
MOST_NODES: Final = 200_000

#: Handled at any depth: nothing is written inside them.
_WITHOUT_CHILDREN: Final = frozenset(("br", "hr", "img", "link", "math", "style", "svg", "wbr"))
#: Stands for the end of ``<noscript>``, which is not written.
_NOSCRIPT_ENDS: Final = "</noscript>"
#: Where a page that loads pictures by script keeps their addresses, the likeliest first.
_LAZY: Final = ("data-src", "data-lazy-src", "data-original", "data-lazy", "data-url")
_LAZY_SETS: Final = ("data-srcset", "data-lazy-srcset")
_TRACK_KINDS: Final = frozenset(("subtitles", "captions", "descriptions", "chapters"))
_MEDIA_TYPE: Final = re.compile(r"[a-z]+/[a-z0-9.+-]{1,60}(?:; ?codecs=[A-Za-z0-9 .,\"]{1,80})?")

Attributes = dict[str, "str | None"]
#: Writes the start of an element and says what is written after its children; None: no children.
Handler = Callable[[LexborNode, Attributes], "str | None"]
StyleAttribute = Callable[[str], "str | None"]
StyleText = Callable[[str, str], None]


class Writer:
    """Writes one tree. ``style`` cleans a ``style=""``; ``on_sheet`` takes a ``<link>``'s sheet
    and ``on_style`` the text and media of a ``<style>``."""

    def __init__(
        self,
        addresses: Addresses,
        policy: Policy,
        style: StyleAttribute,
        on_sheet: Callable[[Sheet], None] | None = None,
        on_style: StyleText | None = None,
    ) -> None:
        self._addresses = addresses
        self._policy = policy
        self._style = style
        self._on_sheet = on_sheet
        self._on_style = on_style
        self._out: list[str] = []
        #: Attributes of this page and what became of them: most stand on it many times.
        self._known: dict[tuple[str, str, str | None], str] = {}
        self._forms = FormWriter(addresses, policy, self._out, self._attributes)
        self._pictures: set[str] = set()
        self._in_noscript = 0
        self.icon: str | None = None
        self._handlers: dict[str, Handler] = {
            "a": self._link,
            "audio": self._media,
            "br": self._void,
            "col": self._void,
            "dialog": self._dialog,
            "hr": self._void,
            "img": self._image,
            "link": self._sheet,
            "math": self._formula,
            "noscript": self._noscript,
            "picture": self._picture,
            "style": self._style_text,
            "summary": self._summary,
            "svg": self._drawing,
            "video": self._media,
            "wbr": self._void,
            **self._forms.handlers,
        }

    def write(self, root: LexborNode) -> str:
        """What is inside ``root``."""
        self._walk(root)
        return "".join(self._out).lstrip("\t\n\f\r ")

    def read_head(self, head: LexborNode) -> None:
        """Style sheets and the icon. What else stands in a head is not written."""
        before = len(self._out)
        self._walk(head)
        del self._out[before:]

    # The walk --------------------

    def _walk(self, root: LexborNode) -> None:
        out = self._out
        handlers, kept, dropped = self._handlers, lists.KEPT, lists.DROPPED
        #: For each open element: what is written at its end, and what follows it.
        above: list[tuple[str, LexborNode | None]] = []
        nodes = 0
        after_pre = False
        node = root.first_child
        while True:
            if node is None:
                after_pre = False
                if not above:
                    return
                end, node = above.pop()
                if end is _NOSCRIPT_ENDS:
                    self._in_noscript -= 1
                elif end:
                    out.append(end)
                    if end == "</form>":
                        self._forms.leave()
                continue
            nodes += 1
            if nodes > MOST_NODES:
                raise TooLarge(TOO_TANGLED)
            tag = node.tag or ""
            if tag == "-text":
                text = node.text_content or ""
                # A parser drops a line break after <pre>, and would drop another each time.
                if after_pre:
                    text, after_pre = text.lstrip("\n"), False
                out.append(escape(text))
                node = node.next
                continue
            after_pre = False
            end = ""
            if (name := kept.get(tag)) is not None:
                if len(above) < MOST_DEPTH:
                    given = node.attributes
                    out.append(f"<{name}{self._attributes(name, given) if given else ''}>")
                    end = f"</{name}>"
                    after_pre = name == "pre"
            elif (handler := handlers.get(tag)) is not None and (
                len(above) < MOST_DEPTH or tag in _WITHOUT_CHILDREN
            ):
                after = handler(node, node.attributes)
                if after is None:
                    node = node.next
                    continue
                end = after
            elif tag in dropped or tag[:1] == "-":
                node = node.next
                continue
            above.append((end, node.next))
            node = node.first_child

    def _attributes(self, name: str, given: Attributes) -> str:
        known = self._known
        written = ""
        for key, value in given.items():
            try:
                written += known[name, key, value]
            except KeyError:
                kept = known[name, key, value] = self._attribute(name, key, value or "")
                written += kept
        return written

    def _attribute(self, name: str, key: str, value: str) -> str:
        shape = lists.ATTRIBUTES.get(name, lists.GLOBAL).get(key)
        if shape is not None:
            kept = shape(value)
        elif key == "style" and self._policy.styles:
            kept = self._style(value)
        else:
            return ""
        return "" if kept is None else quoted(key, kept)

    # Elements with something to decide --------------------

    def _void(self, node: LexborNode, given: Attributes) -> str | None:
        self._out.append(f"<{node.tag}{self._attributes(node.tag or '', given)}>")
        return None

    def _link(self, node: LexborNode, given: Attributes) -> str:
        href = given.get("href")
        if "id" not in given and given.get("name"):
            given = {"id": given["name"]} | given
        if href is None:
            self._out.append(f"<a{self._attributes('a', given)}>")
            return "</a>"
        placed = self._addresses.link(href)
        if placed is None:
            asked = self._addresses.ask(href)
            return "" if asked is None else self._asking(asked)
        asks = "data-ask" in given and self._addresses.is_ours(href)
        self._out.append(
            f"<a{self._attributes('a', given)}{quoted('href', placed)}"
            f"{quoted('rel', 'noopener noreferrer')}{quoted('data-ask', '') if asks else ''}>"
        )
        return "</a>"

    def _asking(self, asked: str) -> str:
        return (
            f" <a{quoted('href', asked)}{quoted('rel', 'noopener noreferrer')}"
            f"{quoted('data-ask', '')}>{escape(self._policy.ask_words)}</a>"
        )

    def _image(self, node: LexborNode, given: Attributes) -> None:
        written = self._image_text(given)
        if written is None:
            self._out.append(escape(lists.text(given.get("alt") or "")))
        else:
            self._out.append(written)

    def _image_text(self, given: Attributes) -> str | None:
        """The picture; None where it has no place; nothing where ``<noscript>`` repeats it."""
        place = self._addresses.place
        sets = next((given[key] for key in ("srcset", *_LAZY_SETS) if given.get(key)), None)
        placed_set = srcset(sets, self._addresses) if sets else None
        source = next(
            (
                found
                for key in ("src", *_LAZY)
                if (found := place(given.get(key), "image")) is not None
            ),
            None,
        )
        if source is None and placed_set is None:
            return None
        if source is not None:
            if self._in_noscript and source in self._pictures:
                return ""
            self._pictures.add(source)
        written = [f"<img{self._attributes('img', given)}"]
        for key in ("width", "height"):
            value = lists.length(given.get(key) or "")
            if value is not None:
                written.append(quoted(key, value))
        written.append(quoted("alt", lists.text(given.get("alt") or "")))
        written.append(quoted("loading", "lazy"))
        if placed_set is not None:
            written.append(quoted("srcset", placed_set))
            shown = lists.sizes(given.get("sizes") or given.get("data-sizes") or "")
            if shown is not None:
                written.append(quoted("sizes", shown))
        if source is not None:
            written.append(quoted("src", source))
        written.append(">")
        return "".join(written)

    def _picture(self, node: LexborNode, given: Attributes) -> None:
        image = node.css_first("img")
        if image is None:
            return
        written = self._image_text(image.attributes)
        if written is None:
            self._out.append(escape(lists.text(image.attributes.get("alt") or "")))
        elif written:
            sources = "".join(
                self._picture_source(one.attributes) for one in node.css("source")[:20]
            )
            self._out.append(
                f"<picture{self._attributes('picture', given)}>{sources}{written}</picture>"
            )

    def _picture_source(self, given: Attributes) -> str:
        placed = srcset(given.get("srcset") or given.get("data-srcset") or "", self._addresses)
        if placed is None:
            return ""
        written = ["<source", quoted("srcset", placed)]
        for key, pattern in (("media", lists.MEDIA), ("sizes", None), ("type", _MEDIA_TYPE)):
            value = given.get(key) or ""
            if value and (pattern.fullmatch(value) if pattern else lists.sizes(value)):
                written.append(quoted(key, value))
        return "".join(written) + ">"

    def _media(self, node: LexborNode, given: Attributes) -> str | None:
        """Sound and film with our addresses. Where none has a place, what the page says instead."""
        place = self._addresses.place
        source = place(given.get("src") or given.get("data-src"), "media")
        parts = []
        for one in node.css("source, track")[:30]:
            own = one.attributes
            if one.tag == "track":
                parts.append(self._track(own))
            elif (placed := place(own.get("src") or own.get("data-src"), "media")) is not None:
                kind = own.get("type") or ""
                shown = quoted("type", kind) if _MEDIA_TYPE.fullmatch(kind) else ""
                parts.append(f"<source{quoted('src', placed)}{shown}>")
        if source is None and not any(one.startswith("<source") for one in parts):
            return ""
        name = node.tag or ""
        written = [f"<{name}{self._attributes(name, given)}"]
        if source is not None:
            written.append(quoted("src", source))
        if name == "video":
            poster = place(given.get("poster"), "image")
            if poster is not None:
                written.append(quoted("poster", poster))
            written += [
                quoted(key, value)
                for key in ("width", "height")
                if (value := lists.length(given.get(key) or "")) is not None
            ]
        written += [quoted(key, "") for key in ("loop", "muted") if key in given]
        written.append(f"{quoted('controls', '')}{quoted('preload', 'metadata')}>")
        self._out.append(f"{''.join(written)}{''.join(parts)}</{name}>")
        return None

    def _track(self, given: Attributes) -> str:
        placed = self._addresses.place(given.get("src"), "track")
        if placed is None:
            return ""
        written = ["<track", quoted("src", placed)]
        if (kind := (given.get("kind") or "").lower()) in _TRACK_KINDS:
            written.append(quoted("kind", kind))
        if (language := lists.language(given.get("srclang") or "")) is not None:
            written.append(quoted("srclang", language))
        if given.get("label"):
            written.append(quoted("label", lists.text(given["label"] or "")))
        if "default" in given:
            written.append(quoted("default", ""))
        return "".join(written) + ">"

    def _sheet(self, node: LexborNode, given: Attributes) -> None:
        kinds = (given.get("rel") or "").lower().split()
        if "stylesheet" in kinds and "alternate" not in kinds and "disabled" not in given:
            if self._on_sheet is None or not self._policy.styles:
                return
            placed = self._addresses.place(given.get("href"), "style")
            media = given.get("media") or ""
            if placed is not None and lists.MEDIA.fullmatch(media):
                self._on_sheet(Sheet(placed, media))
        elif "icon" in kinds and self.icon is None:
            self.icon = self._addresses.place(given.get("href"), "icon")

    def _style_text(self, node: LexborNode, given: Attributes) -> None:
        media = given.get("media") or ""
        if self._on_style is not None and self._policy.styles and lists.MEDIA.fullmatch(media):
            self._on_style(node.text(deep=True), media)

    def _formula(self, node: LexborNode, given: Attributes) -> None:
        self._out.append(write_formula(node))

    def _drawing(self, node: LexborNode, given: Attributes) -> None:
        """A drawing is a program. What it is called stays, where it says that it is a picture."""
        if given.get("role") == "img" and given.get("aria-label"):
            self._out.append(escape(lists.text(given["aria-label"] or "")))

    def _dialog(self, node: LexborNode, given: Attributes) -> str | None:
        """A dialog that is closed can only be opened by script."""
        if "open" not in given:
            return None
        self._out.append(f"<div{self._attributes('div', given)}>")
        return "</div>"

    def _summary(self, node: LexborNode, given: Attributes) -> str:
        """Outside ``<details>`` it does nothing, and older parsers nest it in ways of their own."""
        inside = node.parent is not None and node.parent.tag == "details"
        name = "summary" if inside else "div"
        self._out.append(f"<{name}{self._attributes(name, given)}>")
        return f"</{name}>"

    def _noscript(self, node: LexborNode, given: Attributes) -> str:
        """There is no script here, so this is what the page shows."""
        self._in_noscript += 1
        return _NOSCRIPT_ENDS
