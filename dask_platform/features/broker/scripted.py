"""The profile ``scripted``: the site's own script runs, in the site's own origin, shut in.

What shuts it in, outermost first: the broker decides each request by the rule's own paths; the
page's policy names this rule's labels and no other; the sandbox and the permissions close what is
no request; the guard (``static/js/guard.js``), which runs first, turns every way out of the origin
into our own door ``/_dask/go``, where it is decided.

A helper's host has a label too. It gives script, pictures and the like to the pages of the rules
that list it, which it knows by their ``Origin``, and never a page. That the browser has a session
there is ``entering``'s part.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import webencodings
from flask import render_template
from flask_babel import gettext as _
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response as AnyResponse

from dask_platform.features.broker import fetching, rendering, tickets
from dask_platform.features.broker.addresses import OWN, Domain, go, is_own, target_of, via
from dask_platform.features.broker.deciding import Desk
from dask_platform.features.broker.entering import of_site, rules_of, tag_of
from dask_platform.features.broker.fetching import Kind as Mime
from dask_platform.features.broker.renderings import Sheets
from dask_platform.features.broker.transfer import Sent
from dask_platform.features.whitelists.engine import Decision, Engine
from dask_platform.features.whitelists.rules import Profile, Rule
from dask_platform.kernel.errors import Invalid
from dask_platform.security.reader import Kind, Place
from dask_platform.security.reader.encoding import decode
from dask_platform.security.scripted import Frame, rewrite
from dask_platform.security.scripted_css import map_css
from dask_platform.web.app import static_url
from dask_platform.web.context import actor, platform

#: What a page may not do, whatever it asks: all that a browser has of it, and of its future ways to
#: send. A name that a browser does not know is passed over.
CLOSED: Final = ", ".join(
    f"{name}=()"
    for name in (
        *("accelerometer", "ambient-light-sensor", "attribution-reporting", "battery"),
        *("bluetooth", "browsing-topics", "camera", "clipboard-read", "clipboard-write"),
        *("compute-pressure", "cross-origin-isolated", "direct-sockets", "display-capture"),
        *("encrypted-media", "gamepad", "geolocation", "gyroscope", "hid"),
        *("identity-credentials-get", "idle-detection", "interest-cohort"),
        *("join-ad-interest-group", "keyboard-map"),
        *("local-fonts", "local-network-access", "magnetometer", "microphone", "midi"),
        *("otp-credentials", "payment", "picture-in-picture", "private-aggregation"),
        *("publickey-credentials-create", "publickey-credentials-get", "run-ad-auction"),
        *("screen-wake-lock", "serial", "shared-storage", "smart-card", "speaker-selection"),
        *("storage-access", "sync-xhr", "unload", "usb", "web-share", "window-management"),
        "xr-spatial-tracking",
    )
)
_PICTURES: Final = "image/"
_SOUND: Final = ("audio/", "video/")
_SAVED: Final = frozenset({"application/pdf", "text/plain", "text/csv"})
_NEVER_HERE: Final = ("worker-src", "child-src", "frame-src", "fenced-frame-src", "object-src")
_WORKERS: Final = frozenset({"serviceworker", "sharedworker", "webtransport", "worker"})
_SHEETS_KEPT: Final = 128
_sheets = Sheets(_SHEETS_KEPT)


# -- requests -----------------------------------------------------------------------------------


def is_shut(given: Headers) -> bool:
    """Whether the request is one that no site may make through a page: a service worker's own
    script, a socket, a stream of events."""
    return (
        given.get("Service-Worker") is not None
        or given.get("Upgrade") is not None
        or given.get("Sec-Fetch-Dest") in _WORKERS
        or "text/event-stream" in given.get("Accept", "")
    )


def is_page_load(given: Headers) -> bool:
    """Whether a person goes to a page with it, as far as the browser says: what links do and
    ``fetch`` does not. A browser that says nothing may be one."""
    return (
        given.get("Sec-Fetch-Mode", "navigate") == "navigate"
        and given.get("Sec-Fetch-Dest", "document") == "document"
    )


@dataclass(frozen=True, slots=True)
class Helping:
    """A request to a helper's label for a page of ``rule``; ``origin`` is the page's, where the
    browser said it."""

    rule: Rule
    origin: str | None

    def headers(self) -> dict[str, str]:
        """Who may use the answer: pages of that site, and no page of any other."""
        given = {"Cross-Origin-Resource-Policy": "same-site", "Vary": "Cookie, Origin"}
        if self.origin is not None:
            given["Access-Control-Allow-Origin"] = self.origin
            given["Access-Control-Allow-Credentials"] = "true"
        return given


def helping(
    at: Desk, decision: Decision, host: str, domain: Domain, given: Headers
) -> Helping | None:
    """Whom an allowed request to ``host``'s own label helps; None where it is for itself."""
    address = decision.address
    if address is None:
        return None
    origin = given.get("Origin")
    shown = domain.back(f"{origin}/") if origin else None
    page = shown.removeprefix("https://").rstrip("/") if shown else None
    if page is not None and page != host:
        for rule in rules_of(at, page):
            listed = any(one.host == host for one in rule.helpers)
            if listed and Engine.of([rule]).judge(address, at.asked).allowed:
                return Helping(rule, origin)
        return None
    rule = at.rule(decision)
    if origin is None and rule.profile is Profile.SCRIPTED and not of_site(rule, host):
        return Helping(rule, None)
    return None


# -- pages --------------------------------------------------------------------------------------


def policy(rule: Rule, domain: Domain, nonce: str) -> dict[str, str]:
    """The headers of a page: what its script may run, show and ask. Names the label that it is on
    (``'self'``) and those of the rule's helpers, each for what the rule says that it gives."""
    labels = [(_origin(domain, one.host), one.types) for one in rule.helpers]

    def giving(*kinds: str) -> list[str]:
        return [label for label, types in labels if any(one.startswith(kinds) for one in types)]

    programs = tuple(fetching.SCRIPT)
    runs = ["'self'", f"'nonce-{nonce}'", *giving(*programs)]
    types = {*rule.types, *(one for _label, listed in labels for one in listed)}
    if "application/wasm" in types:
        runs.append("'wasm-unsafe-eval'")
    parts = {
        "default-src": ["'none'"],
        "script-src": runs,
        "script-src-attr": ["'none'"],
        "style-src": ["'self'", "'unsafe-inline'", *giving("text/css")],
        "img-src": ["'self'", "data:", "blob:", *giving(_PICTURES)],
        "font-src": ["'self'", "data:"],
        "media-src": ["'self'", "blob:", *giving(*_SOUND)],
        "connect-src": ["'self'"],
        "manifest-src": ["'none'"],
        **{key: ["'none'"] for key in _NEVER_HERE},
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        "webrtc": ["'block'"],
        "trusted-types": ["default"],
        "require-trusted-types-for": ["'script'"],
        "sandbox": ["allow-scripts", "allow-same-origin", "allow-forms"],
    }
    if _SAVED.intersection(rule.types):
        parts["sandbox"].append("allow-downloads")
    # A nonce is good for any address: who has it may fetch script from anywhere. So a second policy
    # knows no nonce and holds what is fetched to the labels; both must agree.
    hosts = [*(one for one in runs if not one.startswith("'nonce-")), "'unsafe-inline'"]
    policies = (parts, {"script-src": hosts})
    return {
        "Content-Security-Policy": ", ".join(
            "; ".join(f"{key} {' '.join(one[key])}" for key in one) for one in policies
        ),
        "Permissions-Policy": CLOSED,
    }


def page(
    data: bytes, charset: str | None, url: str, at: Desk, rule: Rule, host: str, domain: Domain,
    given: Headers,
) -> tuple[str, dict[str, str]]:  # fmt: skip
    """The whole page, and its headers. What script fetches as a part of a page gets no bar."""
    nonce = secrets.token_urlsafe(16)
    frame = _frame(rule) if is_page_load(given) else None
    made = rewrite(
        data,
        charset=charset,
        base=url,
        place=placing(at, host, frozenset(one.host for one in rule.helpers), domain),
        ask=go,
        nonce=nonce,
        forms=rendering.forms_of(rule),
        ask_words=_("Ask for this page"),
        modules={
            f"https://{one.host}/": f"{_origin(domain, one.host)}/"
            for one in rule.helpers
            if fetching.SCRIPT.intersection(one.types)
        },
        frame=frame,
    )
    headers = policy(rule, domain, nonce)
    ours = {tickets.cookie_name(platform().settings), "dask-broker-form"}
    if frame is not None and set(_cookie_names(given)) - ours:
        # The guard keeps a page's cookies in the page. Whoever got round it loses them all.
        headers["Clear-Site-Data"] = '"cookies"'
    return made.html, headers


def style(data: bytes, charset: str | None, url: str, at: Desk, host: str, who: UUID) -> str:
    """A style sheet with its addresses mapped, for pages at ``host``; once for the same bytes and
    answers. Fonts are asked for without a cookie, but for those of the page's own label: so all of
    it goes by ``via``."""

    def make(place: Place) -> str:
        text, _encoding = decode(data, charset)
        return map_css(text, base=url, place=place)

    return _sheets.of(data, url, host, at, placing(at, host, frozenset(), None), who, make)


def placing(at: Desk, host: str, helpers: frozenset[str], domain: Domain | None) -> Place:
    """Where an address that stands in a page of ``host`` lies, for who reads it now. Script comes
    from the site itself or a helper's own label, where it finds its own parts; what is shown comes
    through the site's label, where it needs no cookie of another."""

    def place(url: str, kind: Kind) -> str | None:
        secure = f"https://{url[7:]}" if url.startswith("http://") else url
        decision = at.decide(secure, "GET")
        if kind == "form" and not decision.allowed:
            decision = at.decide(secure, "POST")
        if not decision.allowed or decision.address is None or is_own(decision.address.path):
            return None
        address = decision.address
        if address.host == host:
            return target_of(address.text)
        if kind == "form" or (kind == "script" and (domain is None or address.host not in helpers)):
            return None
        try:
            if kind == "link":
                return go(address.text)
            if kind == "script" and domain is not None:
                return domain.forward(address.text)
            return via(address.host, address.text)
        except Invalid:
            return None  # a name too long to be shown under the broker's domain

    return place


def may_run_here(rule: Rule, sent: Sent, kind: Mime) -> bool:
    """What runs, and what script reads, comes from the rule of the page alone: not from another
    rule's site, which the page could ask for by ``via``."""
    beside = sent.host != sent.shown_at
    return not beside or kind.mime not in fetching.PROGRAMS or of_site(rule, sent.shown_at)


def content_type(kind: Mime) -> str:
    """The type of a program or its data, with its characters, where it says what they are."""
    characters = webencodings.lookup(kind.charset) if kind.charset else None
    return f"{kind.mime}; charset={characters.name}" if characters else kind.mime


def _frame(rule: Rule) -> Frame:
    """The guard, first of all scripts, and the bar."""
    words, settings = rule.title, platform().settings
    school = settings.public_url.rstrip("/")
    bar = render_template(
        "broker/bar.html",
        place={"nn": words.nn, "en": words.en or words.nb}.get(actor().locale, words.nb),
        school=school,
    )
    script = {
        "src": static_url("js/guard.js"),
        "data-school": school,
        "data-go": f"{OWN}/go?to=",
        "data-session": tag_of(settings, actor()),
    }
    return Frame(script, bar, static_url("img/logo.svg"))


def _origin(domain: Domain, host: str) -> str:
    return domain.forward(f"https://{host}/").rstrip("/")


def _cookie_names(given: Headers) -> list[str]:
    return [
        one.partition("=")[0].strip() for one in given.get("Cookie", "").split(";") if one.strip()
    ]


def shared(response: AnyResponse, helped: Helping | None) -> AnyResponse:
    """``response`` with word of who may use it."""
    if helped is not None:
        response.headers.update(helped.headers())
    return response
