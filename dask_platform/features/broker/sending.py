"""A form on its way in: what the browser says of itself, and what it sends. See ``forms``."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import g, request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from dask_platform.features.broker import forms, tickets
from dask_platform.features.broker.forms import Filled, FormRefused
from dask_platform.features.whitelists.engine import Reason
from dask_platform.features.whitelists.rules import Rule
from dask_platform.security.weburl import WebAddress
from dask_platform.web.context import platform


def take_in() -> None:
    """Read what is sent while no transaction is open: bytes can be slow to come."""
    request.max_content_length = forms.LARGEST
    try:
        g.form_body = request.get_data(cache=False, parse_form_data=False)
    except RequestEntityTooLarge:
        g.form_body = None
    except Exception:
        # The browser has gone, or its chunks cannot be read. Each server has its own name for it.
        raise BadRequest("The form broke off in the middle.") from None


def hidden(url: str) -> tuple[str, str]:
    """The name and the word that the form sent to ``url`` carries on a page of this browser's."""
    settings = platform().settings
    session = request.cookies.get(tickets.cookie_name(settings), "")
    return forms.TOKEN, forms.token(settings.secret(), session, url)


def received(rule: Rule, address: WebAddress) -> Filled:
    """What was sent to ``address``, as it may go out under ``rule``. Raises ``FormRefused``."""
    form = forms.form_at(rule, address)
    if form is None or not rule.supervised:
        # A scripted rule may list one and not be watched: nothing is sent then.
        raise FormRefused(str(Reason.METHOD))
    scheme = urlsplit(platform().settings.resources_url or "").scheme
    said = (request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin"))
    if not forms.from_our_page(*said, f"{scheme}://{request.host}"):
        raise FormRefused("form_token")
    body: bytes | None = g.get("form_body")
    if body is None:
        raise FormRefused("form")
    _name, word = hidden(address.text)
    return forms.read(form, request.headers.get("Content-Type", ""), body, word)
