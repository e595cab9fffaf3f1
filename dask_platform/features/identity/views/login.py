"""Logging in and out, the language, and the first own password."""

from __future__ import annotations

from flask import flash, g, make_response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from dask_platform.features.identity import queries
from dask_platform.features.identity.forms import LoginForm, NewPasswordForm
from dask_platform.features.identity.service import account, credentials, sessions
from dask_platform.features.identity.service.login import (
    Desk,
    Entered,
    MustChange,
    Outcome,
    Refused,
    enter,
    log_in,
)
from dask_platform.features.identity.views import hasher, identity
from dask_platform.features.identity.views.local_address import safe_next
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.errors import DaskError, Invalid, NotAuthenticated, Throttled
from dask_platform.kernel.messages import N_
from dask_platform.web.access import public
from dask_platform.web.context import actor_or_none, platform, uow
from dask_platform.web.errors import status_of
from dask_platform.web.i18n import CODES
from dask_platform.web.sessions import clear_token, set_token, token_cookie

# Why a session is over, for the person who had it. Says nothing about who else did what.
ENDED = {
    "account_closed": N_("Your account was closed. Speak to your school."),
    "left_room": N_("You can only use the platform from a classroom of your unit."),
    "moved": N_("You have moved to another unit. Log in again to go on."),
    "other_login": N_("You logged in on another PC. Then you were logged out here."),
    "password": N_("Your password was changed. Log in with the new one."),
    "role": N_("Your roles were changed. Log in again to go on."),
    "second_factor": N_("Your second factor was changed. Log in again."),
    "ran_out": N_("You were away for a while. Log in again to go on."),
    "staff": N_("A member of staff logged you out. Log in again to go on."),
}
ENDED_OTHERWISE = N_("You were logged out. Log in again to go on.")


def desk() -> Desk:
    parts = platform()
    return Desk(parts.settings, hasher(), parts.directory, parts.rooms.current())


@identity.route("/login", methods=["GET", "POST"])
@public("nobody is logged in before this page")
def login() -> ResponseReturnValue:
    form = LoginForm(next=request.args.get("next", ""))
    before = actor_or_none()
    if request.method == "GET":
        if before is not None:
            return _already_in(before, form.next.data)
        return _login_page(form, lost=_why_lost(), forget=bool(g.get("session_lost")))
    if not form.validate_on_submit():
        return _login_page(form, status=400)
    outcome = log_in(
        uow(),
        desk(),
        form.username.data,
        form.password.data,
        platform().clock.now(),
        before=before,
    )
    return _answer(outcome, form, form.next.data)


@identity.route("/login/new-password", methods=["POST"])
@public("the ticket in the form shows that the password was right; there is no session yet")
def new_password() -> ResponseReturnValue:
    form = NewPasswordForm()
    now = platform().clock.now()
    work = uow()
    try:
        ticket = credentials.open_ticket(work, platform().settings, form.ticket.data or "", now)
    except NotAuthenticated as error:
        return _login_page(LoginForm(formdata=None, next=form.next.data), error=error, status=401)
    if not form.validate_on_submit():
        return _new_password_page(form, 400)
    try:
        credentials.choose_first(work, hasher(), ticket, form.password.data, now)
    except Invalid as error:
        form.password.errors = (_(error.message, **error.params),)
        return _new_password_page(form, status_of(error))
    outcome = enter(work, desk(), ticket.account, now)
    return _answer(outcome, LoginForm(formdata=None, next=form.next.data), form.next.data)


@identity.route("/logout", methods=["POST"])
@public("whoever is logged out already may say so once more")
def logout() -> ResponseReturnValue:
    leaving = actor_or_none()
    if leaving is not None:
        sessions.log_out(uow(), leaving, platform().clock.now())
    _forget(leaving)
    flash(_("You are logged out."), "success")
    response = make_response(redirect(url_for("identity.login"), 303))
    clear_token(response, platform().settings)
    return response


@identity.route("/language", methods=["POST"])
@public("the language can be chosen before log-in")
def set_locale() -> ResponseReturnValue:
    chosen = request.form.get("locale", "")
    if chosen not in CODES:
        raise Invalid(N_("The platform does not have this language."))
    who = actor_or_none()
    if who is not None:
        account.set_locale(uow(), who, chosen)
    session["locale"] = chosen
    return redirect(safe_next(request.form.get("next")), 303)


def _answer(outcome: Outcome, form: LoginForm, wanted: str | None) -> ResponseReturnValue:
    if isinstance(outcome, Refused):
        return _login_page(form, error=outcome.error, status=status_of(outcome.error))
    if isinstance(outcome, MustChange):
        change = NewPasswordForm(formdata=None, ticket=outcome.ticket, next=wanted)
        return _new_password_page(change, 200)
    return enter_browser(outcome, wanted)


def enter_browser(outcome: Entered, wanted: str | None) -> ResponseReturnValue:
    """Give the browser its token. Nothing from before the log-in lives on, form tokens neither."""
    _forget(outcome.actor)
    response = make_response(redirect(safe_next(wanted), 303))
    set_token(response, platform().settings, outcome.token)
    return response


def _forget(who: Actor | None) -> None:
    """Empty the form cookie, but stay in the person's language."""
    locale = who.locale if who is not None else session.get("locale")
    session.clear()
    if locale:
        session["locale"] = locale


def _already_in(who: Actor, wanted: str | None) -> ResponseReturnValue:
    """A student whose PC has left the rooms of the unit is logged out; others just go on."""
    here = request.remote_addr
    if who.unit_id is not None and not platform().rooms.current().admits(who.unit_id, here):
        sessions.leave_room(uow(), who, platform().clock.now())
        g.actor = None
        return _login_page(LoginForm(formdata=None), lost=ENDED["left_room"], forget=True)
    return redirect(safe_next(wanted), 303)


def _why_lost() -> str | None:
    token = request.cookies.get(token_cookie(platform().settings))
    if not token or not g.get("session_lost"):
        return None
    reason = queries.session_end(uow(), sessions.hash_token(token), platform().clock.now())
    if reason == sessions.EndReason.LOGOUT:
        return None
    return ENDED.get(reason or "", ENDED_OTHERWISE)


def _login_page(
    form: LoginForm,
    *,
    error: DaskError | None = None,
    lost: str | None = None,
    forget: bool = False,
    status: int = 200,
) -> ResponseReturnValue:
    page = render_template(
        "identity/login.html",
        form=form,
        error=_(error.message, **error.params) if error else None,
        lost=_(lost) if lost else None,
    )
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, Throttled) else {}
    response = make_response(page, status, headers)
    if forget:
        clear_token(response, platform().settings)
    return response


def _new_password_page(form: NewPasswordForm, status: int) -> ResponseReturnValue:
    return render_template("identity/new_password.html", form=form), status
