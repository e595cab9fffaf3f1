"""The bytes that go out. Whatever a student could vary is checked here once more, as text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from dask_platform.kernel.errors import UpstreamAddressRefused
from dask_platform.kernel.ports import UpstreamRequest
from dask_platform.security import weburl

LARGEST_FORM: Final = 64 * 1024
LARGEST_COOKIE: Final = 8 * 1024
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e]+")
ETAG: Final = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')
_FORM: Final = re.compile(rb"[A-Za-z0-9*\-._~!'()+%&=]*")


@dataclass(frozen=True, slots=True)
class Voice:
    """How the installation presents itself to every site, for every student alike. Neither may
    tell who runs it: what leaves the house does not say where it comes from."""

    user_agent: str
    accept_language: str = "nb,no;q=0.9,nn;q=0.8,en;q=0.5"

    def __post_init__(self) -> None:
        for value in (self.user_agent, self.accept_language):
            if not _HEADER_VALUE.fullmatch(value):
                raise ValueError(f"cannot stand in a header: {value!r}")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request ready to be sent to ``host``."""

    host: str
    data: bytes
    method: str


def outgoing(request: UpstreamRequest, voice: Voice) -> Outgoing:
    """Raises ``UpstreamAddressRefused`` for a url that is not in the form that rules decide on,
    ``ValueError`` for what no caller should ask."""
    try:
        address = weburl.parse(request.url)
    except weburl.BadAddress as problem:
        raise UpstreamAddressRefused(f"not a canonical address: {problem.fault}") from None
    if address.text != request.url:
        raise UpstreamAddressRefused("not a canonical address: fragment")
    target = address.text.removeprefix(f"https://{address.host}")
    # A packed range would be a range of the packed bytes, and a packed HEAD tells a packed length.
    coding = "gzip" if request.span is None and request.method != "HEAD" else "identity"
    lines = [
        f"{request.method} {target} HTTP/1.1",
        f"Host: {address.host}",
        f"User-Agent: {voice.user_agent}",
        "Accept: */*",
        f"Accept-Language: {voice.accept_language}",
        f"Accept-Encoding: {coding}",
    ]
    if request.span is not None:
        lines.append(f"Range: bytes={_span(request)}")
    if request.etag is not None:
        if not ETAG.fullmatch(request.etag) or request.method == "POST":
            raise ValueError("no etag")
        lines.append(f"If-None-Match: {request.etag}")
    if request.cookie is not None:
        if not _HEADER_VALUE.fullmatch(request.cookie) or len(request.cookie) > LARGEST_COOKIE:
            raise ValueError("cannot stand in a Cookie header")
        lines.append(f"Cookie: {request.cookie}")
    lines += _form(request)
    head = "\r\n".join([*lines, "", ""]).encode("ascii")
    return Outgoing(address.host, head + (request.form or b""), request.method)


def _span(request: UpstreamRequest) -> str:
    first, last = request.span or (0, None)
    if request.method != "GET" or first < 0 or (last is not None and last < first):
        raise ValueError("no range of a GET")
    return f"{first}-{'' if last is None else last}"


def _form(request: UpstreamRequest) -> list[str]:
    if request.method not in ("GET", "HEAD", "POST"):
        raise ValueError(f"method {request.method!r}")
    if (request.form is not None) != (request.method == "POST"):
        raise ValueError("a POST has a form, and nothing else has one")
    if request.form is None:
        return []
    if not _FORM.fullmatch(request.form) or len(request.form) > LARGEST_FORM:
        raise ValueError("not in the encoding of forms")
    length = len(request.form)
    return ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {length}"]
