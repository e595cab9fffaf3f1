"""Text and attributes as the HTML standard serialises them."""

from __future__ import annotations

import re
from typing import Final

_SPECIAL: Final = re.compile('[&<>"\u00a0\x00-\x08\x0b-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]')
_GONE: Final = dict.fromkeys(
    (*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0), *range(0xFDD0, 0xFDF0), 0xFFFE, 0xFFFF)
)
_TEXT: Final = str.maketrans(
    _GONE | {0x0C: " ", 0x0D: "\n"} | {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\u00a0": "&nbsp;"}
)
_VALUE: Final = str.maketrans(
    _GONE
    | {0x0C: " ", 0x0D: " ", 0x0A: " ", 0x09: " "}
    | {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\u00a0": "&nbsp;", '"': "&quot;"}
)
_VALUE_SPECIAL: Final = re.compile(_SPECIAL.pattern[:-1] + "\t\n]")


def escape(text: str) -> str:
    """``text`` between tags. Controls and noncharacters go: no page needs them."""
    return text.translate(_TEXT) if _SPECIAL.search(text) else text


def quoted(name: str, value: str) -> str:
    """A space and the attribute."""
    if _VALUE_SPECIAL.search(value):
        value = value.translate(_VALUE)
    return f' {name}="{value}"'
