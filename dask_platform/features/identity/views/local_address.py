"""Where to go next, when the page that sent somebody here says so."""

from __future__ import annotations

import re

from flask import url_for

# A path of this host and nothing a browser could read as another: no second slash or backslash
# (``//evil``, ``/\evil``), no control character or space (browsers drop them), no fragment.
_LOCAL = re.compile(r"/(?![/\\])[!-\"$-\[\]-~]{0,1999}|/")
_NOT_THERE = ("/login", "/logout")


def safe_next(wanted: str | None) -> str:
    """``wanted`` if it is a plain path of ours, otherwise the front page."""
    if (
        not wanted
        or _LOCAL.fullmatch(wanted) is None
        or wanted.startswith(_NOT_THERE)
        or "\\" in wanted
    ):
        return url_for("home.home")
    return wanted
