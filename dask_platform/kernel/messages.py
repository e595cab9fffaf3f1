"""Marking a sentence for translation where it is written, not where it is shown."""

from __future__ import annotations


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for this
    """The sentence itself: Babel finds it by this name, the page translates it later."""
    return message
