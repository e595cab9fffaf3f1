"""A small rewriting addon for mitmdump, the yardstick: it runs in mitmproxy's own environment.

What a person would write in an afternoon: scripts, frames and handlers cut, links led through the
proxy. By regular expressions: no tree is built, and what it leaves is not safe.
"""

from __future__ import annotations

import re
from typing import Any

_CUT = re.compile(r"<(script|iframe|object)\b.*?</\1>", re.IGNORECASE | re.DOTALL)
_HANDLERS = re.compile(r'\son[a-z]+="[^"]*"', re.IGNORECASE)
_LINKS = re.compile(r'\b(href|src|srcset|action)="(https?:)?//([^/"]+)', re.IGNORECASE)


def _led(found: re.Match[str]) -> str:
    return f'{found[1]}="http://{found[3].replace(".", "-")}.ressurs.localhost'


def response(flow: Any) -> None:
    """Called by mitmproxy for each answer."""
    if flow.response.headers.get("content-type", "").startswith("text/html"):
        page = _CUT.sub("", flow.response.text)
        flow.response.text = _LINKS.sub(_led, _HANDLERS.sub("", page))
