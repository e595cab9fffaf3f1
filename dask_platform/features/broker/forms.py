"""Forms that are sent by POST: what a student writes to a site, where a rule has listed the form.

A form on a cleaned page carries a word of ours (``TOKEN``), made for this browser's way to this
site and for this one form. What comes in is read anew, field by field, against the rule; only the
listed fields go out, in the order in which the rule lists them, and never the word. Whatever does
not fit is refused whole: nothing is left out or cut short on the way, or the site would be told
something that the student has not written.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode

from dask_platform.features.whitelists.parameters import fits
from dask_platform.features.whitelists.rules import Form, Kind, Parameter, Rule
from dask_platform.security.weburl import WebAddress

#: The name of our own field. Rules cannot list a field whose name begins with ``_dask_``.
TOKEN: Final = "_dask_token"  # noqa: S105 - a name, and not the secret
#: As much as goes out in one request; twenty fields of 500 plain characters are 10 KB.
LARGEST: Final = 64 * 1024
_TYPE: Final = re.compile(
    r"application/x-www-form-urlencoded[ \t]*(?:;[ \t]*charset[ \t]*=[ \t]*\"?utf-?8\"?[ \t]*)?",
    re.IGNORECASE,
)
_ENCODED: Final = re.compile(rb"(?:[A-Za-z0-9*\-._~!'()+&=]|%[0-9A-Fa-f]{2})*")


class FormRefused(Exception):
    """What came is not what the rule lists. ``reason`` is a reason of the refusal page, ``written``
    what the student wrote as far as it could be read, so that it is not lost."""

    def __init__(self, reason: str, written: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.written = written


@dataclass(frozen=True, slots=True)
class Filled:
    """A form that may go out: ``body`` in the encoding of forms, ``fields`` the same to read.
    ``typed``: there is free text in it."""

    body: bytes
    fields: tuple[tuple[str, str], ...]
    typed: bool


def form_at(rule: Rule, address: WebAddress) -> Form | None:
    """The form of the rule that is sent with POST to this very address; None for any other."""
    if address.host != rule.host:
        return None
    return next((f for f in rule.forms if f.method == "POST" and f.path == address.path), None)


def token(secret: str, session: str, url: str) -> str:
    """The word for the form that is sent to ``url``, good as long as ``session``, the token of the
    browser's way to this site. It tells nothing of either."""
    parts = "\0".join(("form of a site", session, url.partition("?")[0]))
    return hmac.new(secret.encode(), parts.encode(), hashlib.sha256).hexdigest()


def from_our_page(site: str | None, said: str | None, origin: str) -> bool:
    """Whether the browser says that one of the site's own pages, at ``origin``, sent it.
    ``site`` is its ``Sec-Fetch-Site``, ``said`` its ``Origin``.

    Browsers that do not say ``Sec-Fetch-Site`` say ``Origin``; ``null`` is what a page without
    referrer says of itself, and so it counts only beside the other. Neither is no browser of ours.
    """
    if said not in (None, "null", origin):
        return False
    return site == "same-origin" if site is not None else said == origin


def read(form: Form, content_type: str, body: bytes, expected: str) -> Filled:
    """The form in ``body``, as it may go out. ``expected`` is the word that our page gave with it.

    Refused: another encoding (files come in one), more than ``LARGEST`` bytes, text that is not
    UTF-8, a wrong or missing word (``form_token``), a field that the rule does not list, one that
    comes twice, one that does not fit its kind and length (``form``).
    """
    if not _TYPE.fullmatch(content_type.strip()):
        raise FormRefused("form_file")
    if len(body) > LARGEST or not _ENCODED.fullmatch(body):
        raise FormRefused("form")
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, strict_parsing=bool(body),
            errors="strict", max_num_fields=len(form.fields) + 1,
        )  # fmt: skip
    except ValueError:
        raise FormRefused("form") from None
    words = [value for name, value in pairs if name == TOKEN]
    if len(words) != 1 or not hmac.compare_digest(words[0].encode(), expected.encode()):
        raise FormRefused("form_token")
    written = tuple((name, value) for name, value in pairs if name != TOKEN)
    given = dict(written)
    listed = {one.name: one for one in form.fields}
    if len(given) != len(written) or not given.keys() <= listed.keys():
        raise FormRefused("form", written)
    if not all(_fits(listed[name], value) for name, value in written):
        raise FormRefused("form", written)
    ordered = tuple((one.name, given[one.name]) for one in form.fields if one.name in given)
    typed = any(value and listed[name].type is Kind.TEXT for name, value in ordered)
    return Filled(urlencode(ordered).encode("ascii"), ordered, typed)


def _fits(field: Parameter, value: str) -> bool:
    """As in an address, but that free text may have several lines. A browser counts a new line as
    one character, and sends two."""
    if field.type is Kind.TEXT:
        value = value.replace("\r\n", " ")
    return fits(field, value)
