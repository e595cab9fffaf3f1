"""What a recording saw, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dask_platform.features.whitelists.rules import Kind


class What(StrEnum):
    """What kind of place it is. ``FORM`` and ``LINK`` were found in a page and left alone."""

    PAGE = "page"
    PICTURE = "picture"
    STYLE = "style"
    SCRIPT = "script"
    FONT = "font"
    MEDIA = "media"
    FETCH = "fetch"
    FILE = "file"
    FORM = "form"
    LINK = "link"


#: The note of a page that has script.
RUNS: Final = "script"
#: What a page is made of, beside itself.
PARTS: Final = frozenset(
    {What.PICTURE, What.STYLE, What.SCRIPT, What.FONT, What.MEDIA, What.FETCH, What.FILE}
)
#: What a cleaned page has no use for.
OF_SCRIPT: Final = frozenset({What.SCRIPT, What.FETCH})
# As browsers say it in Sec-Fetch-Dest.
_DESTINATIONS: Final = {
    "document": What.PAGE,
    "image": What.PICTURE,
    "style": What.STYLE,
    "script": What.SCRIPT,
    "font": What.FONT,
    "audio": What.MEDIA,
    "video": What.MEDIA,
    "track": What.MEDIA,
    "empty": What.FETCH,
}
#: As browsers say it in the report of a policy: ``script-src-elem``, ``img-src``.
DIRECTIVES: Final = {
    "script-src": What.SCRIPT,
    "script-src-elem": What.SCRIPT,
    "style-src": What.STYLE,
    "style-src-elem": What.STYLE,
    "img-src": What.PICTURE,
    "font-src": What.FONT,
    "media-src": What.MEDIA,
    "connect-src": What.FETCH,
    "frame-src": What.PAGE,
    "form-action": What.FORM,
}
HTML: Final = frozenset({"text/html", "application/xhtml+xml"})
_SCRIPTS: Final = frozenset({"text/javascript", "application/javascript", "application/wasm"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A parameter and what it looked like; ``shape`` None: like nothing that a rule can open."""

    name: str
    shape: Kind | None
    length: int


@dataclass(frozen=True, slots=True)
class Seen:
    """One place, see ``RecordingSeen``. ``path`` is written as in an address."""

    host: str
    path: str
    kind: What
    query: tuple[Asked, ...] = ()
    mime: str = ""
    status: int = 200
    size: int = 0
    text: int = 0
    title: str = ""
    times: int = 1
    wanted: bool = False
    note: str = ""

    @property
    def url(self) -> str:
        """Its address, without what its parameters held."""
        return f"https://{self.host}{self.path}"

    @property
    def whole(self) -> bool:
        """Whether it was fetched, and there."""
        return self.status in (200, 203, 206) and not self.wanted


def kind_of(destination: str, mime: str, *, page: bool) -> What:
    """What an answer was asked for as. The browser says it; where it does not, the type does.
    ``page``: it was asked for under the host that it is shown at."""
    said = _DESTINATIONS.get(destination)
    if said is not None:
        return said
    family = mime.partition("/")[0]
    if mime in HTML and page:
        return What.PAGE
    if mime == "text/css":
        return What.STYLE
    if mime in _SCRIPTS:
        return What.SCRIPT
    by_family = {"image": What.PICTURE, "font": What.FONT, "audio": What.MEDIA}
    return by_family.get(family, What.MEDIA if family == "video" else What.FILE)
