"""The headers of the broker's answers: no script, and nothing from anywhere but this very host."""

from __future__ import annotations

from typing import Final

_PARTS: Final = (
    "default-src 'none'",
    "img-src 'self'",
    "font-src 'self'",
    "media-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
)
FIXED: Final = {
    "Content-Security-Policy": "; ".join((*_PARTS, "style-src 'self'")),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "X-Robots-Tag": "noindex",
    "X-DNS-Prefetch-Control": "off",
}


def page_policy(nonce: str) -> str:
    """For a cleaned page: its own cleaned ``<style>`` carry ``nonce``, its cleaned style attributes
    stand as they are. Neither can load anything that is not on this host."""
    own = f"style-src 'self' 'nonce-{nonce}'; style-src-attr 'unsafe-inline'"
    return "; ".join((*_PARTS, own))


#: Where the installation is reached by https, which production is.
HSTS: Final = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains"}
# A drawing opened by itself is a document: it may use its own styles, and nothing else at all.
FILE_POLICY: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'"
#: The browser may show it again for five minutes, to the student who fetched it: the next one at
#: the same PC has another token, and asks anew.
KEPT: Final = {"Cache-Control": "private, max-age=300", "Vary": "Cookie"}
