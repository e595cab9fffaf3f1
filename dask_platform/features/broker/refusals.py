"""What was refused, and why, in words a student understands."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Response, make_response, render_template
from flask_babel import gettext as _

from dask_platform.features.broker.addresses import ask_address
from dask_platform.features.whitelists.engine import Reason
from dask_platform.features.whitelists.words import REASONS
from dask_platform.web.context import platform


@dataclass(frozen=True, slots=True)
class Refusal:
    """``reason`` is the engine's, or one of ours: ``session``, ``type``, ``frozen``, ``missing``,
    ``uncopied``, ``upstream``, ``closed``, ``fault``; of a form ``form``, ``form_file``,
    ``form_token``; of too much ``rate``, ``texts``, ``busy``. ``url`` is what was asked for.
    ``message`` is a sentence to be shown. ``written``, fields of a form by name, is given back so
    that nothing is lost."""

    reason: str
    url: str | None
    message: str = ""
    written: tuple[tuple[str, str], ...] = ()


#: Reasons that asking for the page may change.
_CAN_BE_ASKED = frozenset(
    {Reason.NOT_LISTED, Reason.PATH, Reason.CLOSED_PATH, Reason.QUERY, Reason.UNIT, Reason.LEVEL,
     Reason.COURSE, Reason.EXPIRED, Reason.NOT_CANONICAL, "type"}
)  # fmt: skip


def refusal_page(refusal: Refusal, status: int) -> Response:
    school = platform().settings.public_url.rstrip("/")
    ask = None
    if refusal.url and refusal.reason in _CAN_BE_ASKED:
        ask = ask_address(school, refusal.url)
    title, text = words_for(refusal.reason)
    page = render_template(
        "broker/refusal.html",
        title=title,
        text=_(refusal.message) if refusal.message else text,
        url=refusal.url,
        reason=refusal.reason,
        written=[(name, value) for name, value in refusal.written if value],
        ask=ask,
        school=school,
    )
    return make_response(page, status)


def words_for(reason: str) -> tuple[str, str]:
    """A title and a sentence for a reason, in the reader's language."""
    closed = _("This page is not open")
    words = {
        Reason.NOT_LISTED: (closed, _("The school has not opened this site.")),
        Reason.PATH: (closed, _("The site is open, but not this page of it.")),
        Reason.CLOSED_PATH: (closed, _("The site is open, but this page is kept closed.")),
        Reason.QUERY: (closed, _("The address holds something that the school does not send on.")),
        Reason.UNIT: (closed, _("The site is not open where you are.")),
        Reason.LEVEL: (closed, _("The site is not open where you are.")),
        Reason.COURSE: (closed, _("The site is open for another course.")),
        Reason.SITTING: (closed, _("During an exam only the exam's own aids are open.")),
        Reason.EXPIRED: (closed, _("The site was open until a day that has passed.")),
        Reason.HOURS: (_("Not open now"), _("The site is open at other hours.")),
        Reason.SUPERVISED: (
            _("Not open now"),
            _("The site is open while a teacher has opened it for this room. Ask your teacher."),
        ),
        Reason.DENIED: (closed, _("The school keeps this page closed.")),
        Reason.STOPPED: (_("Stopped"), _("The school has stopped this site for now.")),
        Reason.METHOD: (closed, _("Nothing can be sent to this site.")),
        "form": (
            _("Not sent"),
            _(
                "Something you wrote cannot be sent to this site. Go back, write it shorter or"
                " simpler, and try again. Nothing has been sent."
            ),
        ),
        "form_file": (_("Not sent"), _("Files cannot be sent to a site. Nothing has been sent.")),
        "form_token": (
            _("Not sent"),
            _(
                "Open the page with the form once more, and send it from there. Nothing has been"
                " sent."
            ),
        ),
        "rate": (_("Too fast"), _("You open many pages at once. Wait a moment, and try again.")),
        "texts": (
            _("Too fast"),
            _("You have searched or written many times. Wait a minute, and try again."),
        ),
        "busy": (_("The site is slow"), _("Many are waiting for it. Try again in a moment.")),
        "type": (closed, _("The school does not show files of this kind.")),
        "uncopied": (
            _("Not in the copy"),
            _("The school has a copy of this site. This page is not in the copy."),
        ),
        "frozen": (closed, _("The school has no copy of this page yet.")),
        "session": (
            _("Open the site from the school"),
            _("Go back to the school, log in, and open the site from the list there."),
        ),
        "missing": (_("The page cannot be fetched"), _("The site has no such page.")),
        "upstream": (_("The page cannot be fetched"), _("Try again later.")),
        "fault": (_("Something went wrong"), _("The fault is ours and has been noted. Try again.")),
    }
    default = (_("That did not work"), _("The address cannot be used."))
    return words.get(reason, default)


def in_short(reason: str) -> str:
    """Why something was refused, in a few words for those who read the log."""
    own: dict[str, str] = {
        "form": _("something in the form that may not be sent"),
        "form_file": _("a file in a form"),
        "form_token": _("a form that was not opened first"),
        "rate": _("many pages at once"),
        "texts": _("free text too often"),
        "busy": _("too many waited for the site"),
        "type": _("a kind of file that is not shown"),
        "uncopied": _("not in the copy"),
        "frozen": _("no copy yet"),
        "session": _("not opened from the school"),
        "missing": _("the site has no such page"),
        "upstream": _("the site did not answer"),
        "fault": _("a fault of ours"),
    }
    if reason in set(Reason):
        return str(REASONS[Reason(reason)])
    return own.get(reason, str(_("cannot be used")))
