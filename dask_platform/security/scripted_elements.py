"""What becomes of each element of a page whose own script runs. See ``scripted``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

from dask_platform.security.reader.addresses import Placed, checked, srcset
from dask_platform.security.reader.markup import escape
from dask_platform.security.reader.parts import AllowedForm, Ask, Kind, Place
from dask_platform.security.scripted_css import map_css

#: Where an import map is written wrong it means nothing, to us as to the browser.
MOST_MODULES: Final = 500

_SPACE: Final = "\t\n\f\r "
#: Gone with what is in them. Children, which only a drawing can give them, stay.
_GONE: Final = frozenset(
    ("base", "bgsound", "fencedframe", "frame", "noembed", "noframes", "noscript", "portal")
)
#: Pages and programs inside the page: what they would have shown becomes a link.
_EMBEDDED: Final = {
    "iframe": "src", "frame": "src", "embed": "src", "object": "data", "applet": "code",
    "portal": "src", "fencedframe": "src",
}  # fmt: skip
#: Attributes that go from every element: other ways to run, to send or to fetch.
_NEVER: Final = frozenset(
    (
        *("archive", "attributionsrc", "cite", "classid", "code", "codebase", "data", "dirname"),
        "dynsrc",
        *("formaction", "formenctype", "formmethod", "formtarget", "longdesc", "lowsrc"),
        *("manifest", "nonce", "ping", "profile", "referrerpolicy", "srcdoc", "target"),
        *("browsingtopics", "sharedstoragewritable", "privatetoken", "adauctionheaders", "csp"),
    )
)
_PICTURE_ATTRIBUTES: Final = {
    "background": "image", "data-src": "image", "data-original": "image", "poster": "image",
}  # fmt: skip
_SETS: Final = frozenset(("srcset", "data-srcset", "imagesrcset"))
_HREFS: Final = ("href", "xlink:href")
_ADDRESSED: Final = frozenset(("action", "href", "src", "xlink:href"))
#: Those that the element's own rule looks at.
_OWN: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("a", "area"), ("href", "xlink:href")),
    **dict.fromkeys(("audio", "embed", "frame", "iframe", "img", "input"), ("src",)),
    **dict.fromkeys(("fencedframe", "portal", "source", "track", "video"), ("src",)),
    "form": ("action",), "link": ("href",), "script": ("href", "src", "xlink:href"),
}  # fmt: skip
#: Attributes that are written as style sheets are.
_PAINT: Final = frozenset(
    (
        *("clip-path", "cursor", "fill", "filter", "marker", "marker-end", "marker-mid"),
        *("marker-start", "mask", "stroke", "style"),
    )
)
_LINKS: Final = frozenset(("a", "area"))
_IN_DATA: Final = re.compile(
    r"data:image/(?:png|jpeg|gif|webp|avif|svg\+xml)[;,][^\x00-\x1f]*", re.IGNORECASE
)
_DATA_KINDS: Final = frozenset(("image", "icon"))
_JAVASCRIPT: Final = frozenset(
    (
        *("", "module", "text/javascript", "application/javascript", "text/ecmascript"),
        *("application/ecmascript", "application/x-javascript", "text/x-javascript"),
        "text/jscript",
    )
)
_PRELOADED: Final[Mapping[str, Kind]] = {
    "font": "font", "image": "image", "script": "script", "style": "style",
}  # fmt: skip
_ANIMATED: Final = frozenset(("animate", "animatemotion", "animatetransform", "set", "discard"))
_CONTROLS: Final = frozenset(("button", "input", "object", "output", "select", "textarea"))

Handler = Callable[[LexborNode], None]


class Mapped(Placed):
    """The addresses of a page on their way to where they lie. In later rounds (see
    ``scripted._settled``) an address that was handed out stands for itself."""

    def __init__(self, base: str, place: Place, ask: Ask) -> None:
        super().__init__(base, place, ask)
        self._later = False

    def later(self) -> None:
        self._later = True

    def place(self, raw: str | None, kind: Kind) -> str | None:
        if raw is None:
            return None
        raw = raw.strip(_SPACE)
        if self._later and raw in self.given:
            return raw
        if kind in _DATA_KINDS and _IN_DATA.fullmatch(raw):
            return raw
        placed = super().place(raw, kind)
        fragment = raw.partition("#")[2]
        if placed is None or not fragment or kind in ("form", "link"):
            return placed
        placed = checked(f"{placed}#{fragment}") if not re.search(r"[\s\\]", fragment) else placed
        self.given.add(placed)
        return placed

    def link(self, raw: str) -> str | None:
        """As ``place``, with the fragment; a part of the same page stays as it is written."""
        raw = raw.strip(_SPACE)
        if raw.startswith("#"):
            return raw
        if self._later and raw in self.given:
            return raw
        placed = self.place(raw, "link")
        fragment = raw.partition("#")[2]
        if placed is None or not fragment or re.search(r"[\s\\]", fragment):
            return placed
        placed = f"{placed}#{fragment}"
        self.given.add(placed)
        return placed

    def css(self, text: str) -> str:
        """A style sheet or a declaration of the page."""

        def placed(url: str, kind: Kind) -> str | None:
            return self.place(url, kind)

        return map_css(text, base=self.base, place=placed, ours=self.given if self._later else ())

    def refusals(self) -> tuple[tuple[Kind, str], ...]:
        return tuple(self.refused)


class Elements:
    """The rules for elements, with what is known of this page."""

    def __init__(
        self,
        addresses: Mapped,
        nonce: str,
        forms: tuple[AllowedForm, ...],
        ask_words: str,
        modules: Mapping[str, str],
    ) -> None:
        self._at = addresses
        self._nonce = nonce
        self._forms = forms
        self._ask_words = ask_words
        self._modules = {key: checked(url) for key, url in modules.items()}
        addresses.given.update(self._modules.values())
        self._handlers: dict[str, Handler] = {
            **dict.fromkeys(_GONE, self._drop),
            **dict.fromkeys(_EMBEDDED, self._embedded),
            **dict.fromkeys(_LINKS, self._link),
            **dict.fromkeys(("audio", "video", "source", "track"), self._media),
            "form": self._form,
            "img": self._image,
            "input": self._image,
            "link": self._sheet,
            "meta": self._meta,
            "script": self._script,
            "style": self._style,
        }
        self._found_map = False

    def again(self) -> None:
        """What follows has been rewritten once."""
        self._at.later()
        self._found_map = False

    def page(self, tree: LexborHTMLParser) -> None:
        """What is decided for the page as a whole, before its elements."""
        if self._modules and tree.css_first('script[type="importmap" i]') is None:
            first = tree.css_first("script")
            if first is not None:
                node = tree.create_node("script")
                node.attrs["type"] = "importmap"
                node.inner_html = "{}"
                first.insert_before(node)

    def part(self, root: LexborNode) -> None:
        """Every element below ``root``."""
        for node in root.css("*"):
            name = (node.tag or "").lower()
            self._attributes(node, name)
            handler = self._handlers.get(name)
            if handler is not None:
                handler(node)

    # Attributes --------------------

    def _attributes(self, node: LexborNode, name: str) -> None:
        """What holds for an attribute wherever it stands."""
        for key, value in node.attributes.items():
            low = key.lower()
            if low.startswith("on") or low in _NEVER:
                if _EMBEDDED.get(name) != low:
                    del node.attrs[key]
            elif low in _SETS:
                self._put(node, key, srcset(value or "", self._at))
            elif low in _PICTURE_ATTRIBUTES:
                placed = self._at.place(value, "image")
                if placed is not None or not low.startswith("data-"):
                    self._put(node, key, placed)
            elif low in _ADDRESSED:
                if name in self._handlers:
                    if low not in _OWN.get(name, ()):
                        del node.attrs[key]
                elif not (value or "").startswith("#"):
                    self._put(node, key, self._at.place(value, "image"))
            elif low in _PAINT:
                self._put(node, key, self._at.css(value or ""))
            elif low == "attributename" and name in _ANIMATED and _leads(value or ""):
                del node.attrs[key]

    @staticmethod
    def _put(node: LexborNode, key: str, value: str | None) -> None:
        if value is None:
            if key in node.attrs:
                del node.attrs[key]
        else:
            node.attrs[key] = value

    def _place(self, node: LexborNode, key: str, kind: Kind) -> bool:
        """Map the attribute; whether it is there and has a place."""
        placed = self._at.place(node.attributes.get(key), kind)
        self._put(node, key, placed)
        return placed is not None

    # Elements --------------------

    @staticmethod
    def _drop(node: LexborNode) -> None:
        """Gone. What a drawing has put in it stays where it was: it is looked at by itself."""
        if any(child.is_element_node for child in node.iter()):
            node.unwrap()
        else:
            node.decompose()

    def _embedded(self, node: LexborNode) -> None:
        """A page in the page: a link to it, where it is open."""
        given = node.attributes
        raw = (given.get(_EMBEDDED[(node.tag or "").lower()]) or "").strip(_SPACE)
        shown = (
            "hidden" not in given
            and not {given.get("width"), given.get("height")} & {"0", "1", "0px", "1px"}
            and not re.search(r"display\s*:\s*none", given.get("style") or "", re.IGNORECASE)
        )
        if raw and shown and not raw.startswith("#"):
            placed = self._at.link(raw)
            leads = placed or self._at.ask(raw)
            if leads is not None:
                link = node.parser.create_node("a")
                link.attrs["href"] = leads
                words = given.get("title") or (raw if placed else self._ask_words)
                link.inner_html = escape(words)
                node.insert_before(link)
        self._drop(node)

    def _link(self, node: LexborNode) -> None:
        for key in _HREFS:
            raw = node.attributes.get(key)
            if raw is None:
                continue
            placed = self._at.link(raw)
            if placed is not None:
                node.attrs[key] = placed
                continue
            asked = self._at.ask(raw)
            self._put(node, key, asked)
            if asked is not None:
                node.attrs["title"] = self._ask_words

    def _image(self, node: LexborNode) -> None:
        self._place(node, "src", "image")
        self._put(node, "crossorigin", None)

    def _media(self, node: LexborNode) -> None:
        name = (node.tag or "").lower()
        self._place(node, "src", "track" if name == "track" else "media")
        self._put(node, "crossorigin", None)

    def _meta(self, node: LexborNode) -> None:
        """Only words about the page stay: ours says the characters, headers say the rest."""
        given = {key.lower(): value or "" for key, value in node.attributes.items()}
        named = given.get("name", "").strip(_SPACE).lower()
        if "http-equiv" in given or "charset" in given or named in ("referrer", "origin-trial"):
            self._drop(node)

    def _sheet(self, node: LexborNode) -> None:
        given = {key.lower(): value or "" for key, value in node.attributes.items()}
        kinds = given.get("rel", "").lower().split()
        kind: Kind | None = None
        if "stylesheet" in kinds:
            kind = "style"
            # The sheet is mapped on its way, and is not the bytes that were promised.
            self._put(node, "integrity", None)
        elif "modulepreload" in kinds:
            kind = "script"
        elif "preload" in kinds:
            kind = _PRELOADED.get(given.get("as", "").lower())
            if kind == "style":
                self._put(node, "integrity", None)
        elif any(one in ("icon", "apple-touch-icon", "mask-icon") for one in kinds):
            kind = "icon"
        if kind is None or not self._place(node, "href", kind):
            self._drop(node)
            return
        node.attrs["rel"] = " ".join(
            one for one in kinds
            if one in ("alternate", "apple-touch-icon", "icon", "mask-icon", "modulepreload",
                       "preload", "shortcut", "stylesheet")
        )  # fmt: skip
        if kind == "script":
            node.attrs["crossorigin"] = "use-credentials"
        elif kind != "font":
            self._put(node, "crossorigin", None)

    def _style(self, node: LexborNode) -> None:
        text = node.text(deep=True)
        mapped = self._at.css(text)
        if mapped != text:
            node.inner_html = re.sub(r"<(?=[/!])", r"\\3c ", mapped)

    def _script(self, node: LexborNode) -> None:
        kind = (node.attributes.get("type") or "").strip(_SPACE).lower().partition(";")[0]
        if kind == "speculationrules":
            self._drop(node)
            return
        for key in ("src", *_HREFS):
            if key in node.attributes and not self._place(node, key, "script"):
                self._drop(node)
                return
        if kind == "importmap":
            self._import_map(node)
        if kind in _JAVASCRIPT or kind == "importmap":
            if self._nonce:
                node.attrs["nonce"] = self._nonce
            # The broker's cookie goes with what it imports from a helper's host, and with itself.
            node.attrs["crossorigin"] = "use-credentials"

    def _form(self, node: LexborNode) -> None:
        """One that a rule names is sent as the rule says; any other is the script's alone."""
        given = node.attributes
        found = self._allowed(given)
        self._put(node, "enctype", None)
        if found is None:
            self._put(node, "action", None)
            # Nothing happens but the event that script waits for.
            node.attrs["method"] = "dialog"
            return
        form, placed = found
        node.attrs["action"] = placed
        node.attrs["method"] = form.method.lower()
        node.attrs["accept-charset"] = "utf-8"
        names = {one.name for one in form.fields} - {form.hidden[0] if form.hidden else ""}
        carried = False
        for control in node.css(", ".join(_CONTROLS)):
            own = control.attributes
            kind = (own.get("type") or "").lower()
            if form.hidden == (own.get("name"), own.get("value")) and kind == "hidden":
                carried = True
            elif own.get("name") not in names or kind in ("file", "password", "image"):
                self._put(control, "name", None)
        if form.hidden is not None and not carried:
            control = node.parser.create_node("input")
            control.attrs["type"] = "hidden"
            control.attrs["name"], control.attrs["value"] = form.hidden
            node.insert_child(control)

    def _allowed(self, given: Mapping[str, str | None]) -> tuple[AllowedForm, str] | None:
        action = (given.get("action") or "").strip(_SPACE)
        method = (given.get("method") or "get").strip(_SPACE).upper()
        resolved = (self._at.resolved(action or "?") or "").partition("?")[0]
        for form in self._forms:
            placed = self._at.form(form.action)
            if placed and form.method == method and (form.action == resolved or placed == action):
                return form, placed
        return None

    # Modules --------------------

    def _import_map(self, node: LexborNode) -> None:
        """The page's own names for modules, and ours for the hosts of helpers: a module that
        imports from a helper by its whole address finds it without being changed."""
        try:
            given = json.loads(node.text(deep=True) or "{}")
        except (ValueError, RecursionError):
            given = {}
        if not isinstance(given, dict):
            given = {}
        own = {} if self._found_map else dict(self._modules)
        self._found_map = True
        made: dict[str, Any] = {"imports": own | self._imports(given.get("imports"))}
        scopes = given.get("scopes")
        if isinstance(scopes, dict):
            made["scopes"] = {
                placed: self._imports(inner)
                for scope, inner in list(scopes.items())[:MOST_MODULES]
                if (placed := self._module(scope)) is not None
            }
        node.inner_html = json.dumps(made).replace("<", "\\u003c")

    def _imports(self, given: object) -> dict[str, str]:
        if not isinstance(given, dict):
            return {}
        return {
            str(name): placed
            for name, url in list(given.items())[:MOST_MODULES]
            if isinstance(url, str) and (placed := self._module(url)) is not None
        }

    def _module(self, url: str) -> str | None:
        """Where a module lies; only what is written as an address is one."""
        plain = url.startswith(("/", "./", "../")) or re.match(r"https?://", url)
        return self._at.place(url, "script") if plain else None


def _leads(attribute: str) -> bool:
    """Whether an animation of this attribute changes where something leads."""
    return attribute.lower().rpartition(":")[2].strip(_SPACE) in ("href", "src")
