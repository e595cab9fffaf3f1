"""HTML that somebody else wrote becomes HTML that we may show.

bleach reads first, nh3 (a second, unrelated parser) reads what bleach wrote, and the result is
cleaned again: unless the second round changes nothing, the two read the same page differently and
it is refused. So ``clean_html(clean_html(x)) == clean_html(x)`` holds for every text that is
accepted. The content security policy stands behind this and is not counted on here.

No address survives by itself: the caller says which addresses of this platform a page may name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Final

import nh3

from dask_platform.kernel.errors import Invalid, TooLarge
from dask_platform.security.html_parser import BoundedCleaner, too_tangled

MAX_CHARS: Final = 1_000_000
"""Characters of one page, before and after cleaning."""

AllowUrl = Callable[[str, str, str], bool]
"""``(tag, attribute, address) -> bool``. Asked only about addresses of the shape below."""

ALLOWED_TAGS: Final = frozenset(
    {
        "a", "abbr", "blockquote", "br", "caption", "code", "dd", "details", "dl", "dt", "em",
        "figcaption", "figure", "h2", "h3", "h4", "h5", "hr", "img", "kbd", "li", "ol", "p", "pre",
        "strong", "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr",
        "ul",
    }
)  # fmt: skip

_URL_ATTRIBUTES: Final = frozenset({("a", "href"), ("img", "src")})

# Every value is matched whole. Free text (a description, a title) may hold anything but controls.
_TEXT = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f-\x9f]{0,2000}")
_NUMBER = re.compile(r"[1-9][0-9]{0,3}")
_ATTRIBUTES: Final[dict[tuple[str, str], re.Pattern[str]]] = {
    ("abbr", "title"): _TEXT,
    ("img", "alt"): _TEXT,
    ("img", "height"): _NUMBER,
    ("img", "width"): _NUMBER,
    ("ol", "start"): _NUMBER,
    ("th", "scope"): re.compile(r"(?:col|row)(?:group)?"),
}

# One segment: letters, digits, and single marks inside. So there is no empty segment, no ``.`` or
# ``..``, no scheme, no query, no fragment, no escape, no backslash, nothing invisible.
_SEGMENT = r"[A-Za-z0-9_](?:[A-Za-z0-9_.~-]*[A-Za-z0-9_])?"
_LOCAL_PATH = re.compile(rf"(?:/{_SEGMENT}){{1,12}}")
_MEDIA_PATH = re.compile(rf"/media/[0-9a-f]{{8}}[0-9a-f-]{{0,56}}/{_SEGMENT}")
_MAX_URL = 300

# What no page needs and what hides things from a reader: controls, lone surrogates, noncharacters,
# direction overrides, and the invisible "tag" characters, which can carry a message of any length.
_FORBIDDEN_CHARACTERS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)
# No character reference is this long, and bleach takes time with the square of the length.
_ENDLESS_REFERENCE = re.compile(r"&(?=[#0-9A-Za-z]{34})")


def is_local_path(url: str) -> bool:
    """Whether ``url`` is a plain absolute path on this platform, such as ``/courses/hms/1``.

    At most 300 characters and 12 segments of ASCII letters, digits and ``_ . ~ -``. No scheme, no
    host, no query, no fragment, no percent sign: a link in a page needs none of them.
    """
    return len(url) <= _MAX_URL and _LOCAL_PATH.fullmatch(url) is not None


def is_media_path(url: str) -> bool:
    """Whether ``url`` is a stored picture: ``/media/<hex or UUID>/<name>``."""
    return len(url) <= _MAX_URL and _MEDIA_PATH.fullmatch(url) is not None


def deny_all_urls(_tag: str, _attribute: str, _url: str) -> bool:
    """The rule when the caller gives none: no address at all; the text of a link stays."""
    return False


def _keep(allow_url: AllowUrl, tag: str, attribute: str, value: str) -> bool:
    if (tag, attribute) in _URL_ATTRIBUTES:
        return is_local_path(value) and allow_url(tag, attribute, value)
    pattern = _ATTRIBUTES.get((tag, attribute))
    return pattern is not None and pattern.fullmatch(value) is not None


def _attributes_by_tag() -> dict[str, set[str]]:
    by_tag: dict[str, set[str]] = {}
    for tag, attribute in (*_ATTRIBUTES, *_URL_ATTRIBUTES):
        by_tag.setdefault(tag, set()).add(attribute)
    return by_tag


_NH3_ATTRIBUTES: Final = _attributes_by_tag()


def _clean_once(text: str, allow_url: AllowUrl) -> str:
    keep = partial(_keep, allow_url)
    plain = _FORBIDDEN_CHARACTERS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    plain = _ENDLESS_REFERENCE.sub("&amp;", plain)
    # "http" is what makes bleach pass relative addresses on; ``keep`` has refused all others.
    bleached: str = BoundedCleaner(
        tags=ALLOWED_TAGS,
        attributes=keep,
        protocols=frozenset({"http"}),
        strip=True,
        strip_comments=True,
    ).clean(plain)
    if len(bleached) > 2 * MAX_CHARS:
        raise too_tangled()
    return nh3.clean(
        bleached,
        tags=set(ALLOWED_TAGS),
        clean_content_tags=set(),
        attributes=_NH3_ATTRIBUTES,
        attribute_filter=lambda tag, name, value: value if keep(tag, name, value) else None,
        strip_comments=True,
        link_rel=None,
        url_schemes=set(),
        # Without this nh3 passes on whatever it does not recognise as an absolute address,
        # ``javascript\u200b:`` among them.
        url_relative=lambda url: url if is_local_path(url) else None,
    )


def clean_html(untrusted: str, *, allow_url: AllowUrl = deny_all_urls) -> str:
    """The part of ``untrusted`` that may be stored and shown.

    Kept are the elements of ``ALLOWED_TAGS`` with a few attributes each; of other elements the text
    stays, except scripts and styles, which go with their content. ``a href`` and ``img src`` stay
    where the address is a plain path of ours (``is_local_path``) *and* ``allow_url`` says yes.

    Raises ``TooLarge`` over ``MAX_CHARS`` characters, or where elements are too many or too deep;
    ``Invalid`` where the two parsers do not come to rest on the same page.
    """
    if len(untrusted) > MAX_CHARS:
        raise TooLarge("This page is too long. The limit is %(limit)s characters.", limit=MAX_CHARS)
    current = _clean_once(untrusted, allow_url)
    for _ in range(3):
        if len(current) > MAX_CHARS:
            raise TooLarge(
                "This page is too long. The limit is %(limit)s characters.", limit=MAX_CHARS
            )
        again = _clean_once(current, allow_url)
        if again == current:
            return current
        current = again
    raise Invalid("This page has markup that cannot be made safe. Write that part again.")
