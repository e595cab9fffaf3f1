"""A site's page in our frame, and its style sheets: what the reader makes, with our addresses."""

from __future__ import annotations

import secrets
from typing import Final
from uuid import UUID

from flask import render_template
from flask_babel import gettext as _

from dask_platform.features.broker import frozen
from dask_platform.features.broker.addresses import OWN, ask_address, go, is_own, target_of, via
from dask_platform.features.broker.deciding import Desk
from dask_platform.features.broker.renderings import Renderings, Sheets
from dask_platform.features.broker.sending import hidden
from dask_platform.features.whitelists.engine import Reason
from dask_platform.features.whitelists.rules import Form, Rule
from dask_platform.kernel.errors import Invalid
from dask_platform.security.reader import (
    AllowedForm,
    Ask,
    Field,
    Kind,
    Place,
    Policy,
    Rendered,
    Sheet,
    clean_css,
    render,
)
from dask_platform.security.reader.encoding import decode
from dask_platform.web.context import actor, platform

#: How many cleaned style sheets a process keeps. They are the same for everybody who may see them.
SHEETS_KEPT = 256
_renderings = Renderings()
CLOSED_NOW: Final = frozenset({Reason.HOURS, Reason.STOPPED, Reason.SUPERVISED})
_sheets = Sheets(SHEETS_KEPT)


def page(
    data: bytes, charset: str | None, url: str, at: Desk, rule: Rule, host: str
) -> tuple[str, str]:
    """The whole page, and the one-time word that its own style sheets carry."""
    policy = Policy(forms=forms_of(rule), ask_words=_("Ask for this page"))
    school = platform().settings.public_url.rstrip("/")

    def make() -> Rendered:
        place = placing(at, host)
        return render(data, charset=charset, base=url, place=place, ask=asking(), policy=policy)

    who = actor().person_id
    made = _renderings.of(data, charset, url, host, school, at, policy, who, make)
    nonce = secrets.token_urlsafe(16)
    words = rule.title
    html = render_template(
        "broker/page.html",
        title=made.title or host,
        place={"nn": words.nn, "en": words.en or words.nb}.get(actor().locale, words.nb),
        school=school,
        language=made.language,
        direction=made.direction,
        classes=" ".join(made.classes),
        sheets=[
            (one.url if isinstance(one, Sheet) else None,
             "" if isinstance(one, Sheet) else one.text, one.media)
            for one in made.sheets
        ],
        nonce=nonce,
        body=made.html,
        search=f"{OWN}/search" if frozen.searchable(platform(), rule) else None,
    )  # fmt: skip
    return html, nonce


def style(data: bytes, charset: str | None, url: str, at: Desk, host: str, who: UUID) -> str:
    """A style sheet, cleaned for ``who``; once for the same bytes under the same rules."""

    def make(place: Place) -> str:
        text, _encoding = decode(data, charset)
        return clean_css(text, base=url, place=place)

    return _sheets.of(data, url, host, at, placing(at, host), who, make)


def placing(at: Desk, host: str) -> Place:
    """Where an address that stands in a page of ``host`` lies, for who reads it now."""

    def place(url: str, kind: Kind) -> str | None:
        secure = f"https://{url[7:]}" if url.startswith("http://") else url
        decision = at.decide(secure)
        if kind == "form" and not decision.allowed:
            decision = at.decide(secure, "POST")
        # What is only closed just now stays a link: its refusal says when it opens, or with whom.
        shown = decision.allowed or (kind == "link" and decision.reason in CLOSED_NOW)
        address = decision.address
        if not shown or address is None or is_own(address.path):
            return None
        if address.host == host:
            return target_of(address.text)
        if kind == "form":
            return None
        try:
            return go(address.text) if kind == "link" else via(address.host, address.text)
        except Invalid:
            return None  # a name too long to be shown under the broker's domain

    return place


def asking() -> Ask:
    """Where to ask for an address that is not open."""
    school = platform().settings.public_url.rstrip("/")

    def ask(url: str) -> str:
        return ask_address(school, url)

    return ask


def forms_of(rule: Rule) -> tuple[AllowedForm, ...]:
    """The forms that may be sent. One with POST carries a word of ours (see ``forms``), and is sent
    while somebody watches or not at all."""
    return tuple(
        _form(f"https://{rule.host}{form.path}", form, rule)
        for form in rule.forms
        if form.method == "GET" or rule.supervised
    )


def _form(url: str, form: Form, rule: Rule) -> AllowedForm:
    listed = form.fields if form.method == "POST" else (*form.fields, *rule.query)
    return AllowedForm(
        url,
        form.method,
        tuple(Field(one.name, one.type.value, one.length, tuple(one.choices)) for one in listed),
        hidden=hidden(url) if form.method == "POST" else None,
    )
