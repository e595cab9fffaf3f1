"""From a page's Markdown to what is stored, and from what is stored to what is shown.

A page is stored once a course and read in many classes. So a link to another page is stored as
``/items/<slug>`` and gets the class's own address when it is shown (``place_links``). A picture is
stored under its final address.

In the text that is kept, a link names the other page's slug and a picture its name:
``[Risk](fare-og-risiko)``, ``![A drill](drill.svg)``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from uuid import UUID

from dask_platform.security.markdown import Rendered, render_markdown

# The cleaner writes a link with this one attribute and quotes every value, so this matches links of
# ours and nothing that somebody wrote: in text a "<" is escaped, in a value the quote is.
# Links do not nest.
_LINK = re.compile(r'<a href="/items/([a-z0-9-]+)">(.*?)</a>', re.DOTALL)


def item_path(slug: str) -> str:
    return f"/items/{slug}"


def media_path(media_id: UUID, name: str) -> str:
    return f"/media/{media_id}/{name}"


def link_to(slug: str) -> str:
    """How a link to the page begins in what is stored."""
    return f'<a href="{item_path(slug)}">'


def render_page(source: str, *, slugs: Collection[str], media: Mapping[str, UUID]) -> Rendered:
    """The page as it is stored. ``slugs``: the course's items; ``media``: its pictures by name."""
    return render_markdown(
        source,
        resolve_link=lambda written: item_path(written) if written in slugs else None,
        resolve_image=lambda name: media_path(media[name], name) if name in media else None,
    )


def place_links(html: str, address: Callable[[str], str], slugs: Collection[str]) -> str:
    """The stored page with its links where the reader is.

    A link to what the reader may not see (a draft, a page withdrawn) becomes plain text.
    """

    def put(match: re.Match[str]) -> str:
        slug, words = match.groups()
        return f'<a href="{address(slug)}">{words}</a>' if slug in slugs else words

    return _LINK.sub(put, html)


def portable(source: str, resolved: Mapping[str, str]) -> str:
    """``source`` with addresses of files turned into slugs and names; ``resolved`` has each."""
    for written, target in resolved.items():
        source = source.replace(f"]({written})", f"]({target})")
    return source
