"""The second factor: asked for at log-in, set up, replaced."""

from __future__ import annotations

import io

import segno
from flask import Response, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from dask_platform.features.identity.forms import CodeForm
from dask_platform.features.identity.service import second_factor as factor
from dask_platform.features.identity.service.login import too_many
from dask_platform.features.identity.service.throttle import Wait
from dask_platform.features.identity.views import identity
from dask_platform.features.identity.views.local_address import safe_next
from dask_platform.kernel.errors import DaskError, SecondFactorNeeded, Throttled
from dask_platform.kernel.messages import N_
from dask_platform.security.permissions import Permission
from dask_platform.web.access import requires
from dask_platform.web.context import actor, platform, uow
from dask_platform.web.errors import status_of
from dask_platform.web.sessions import set_token


@identity.route("/login/second-factor", methods=["GET", "POST"])
@requires(Permission.ACCOUNT_SELF, before_second_factor=True)
def second_factor() -> ResponseReturnValue:
    form = CodeForm(next=request.args.get("next", ""))
    who, parts = actor(), platform()
    if who.second_factor or who.is_student:
        return redirect(safe_next(form.next.data), 303)
    if not who.has_second_factor:
        return redirect(url_for("identity.second_factor_setup", next=form.next.data or None), 303)
    if not form.validate_on_submit():
        return _code_page("second_factor", form, 200 if request.method == "GET" else 400)
    answer = factor.confirm(uow(), who, parts.settings, form.code.data, parts.clock.now())
    if not isinstance(answer, factor.Confirmed):
        return _refused("second_factor", form, answer)
    return _with_token(redirect(safe_next(form.next.data), 303), answer)


@identity.route("/account/second-factor", methods=["GET", "POST"])
@requires(Permission.SECOND_FACTOR_SELF, before_second_factor=True)
def second_factor_setup() -> ResponseReturnValue:
    form = CodeForm(next=request.args.get("next", ""))
    who, parts = actor(), platform()
    if who.has_second_factor and not who.second_factor:
        raise SecondFactorNeeded(N_("Confirm with your second factor."))
    if who.has_second_factor:
        return redirect(url_for("identity.account"), 303)
    # Also when the form comes back: what it was for may have ended meanwhile, and begins anew then.
    factor.begin(uow(), who, parts.settings)
    if not form.validate_on_submit():
        status = 200 if request.method == "GET" else 400
        return _code_page("second_factor_setup", form, status, **_setup())
    answer = factor.finish(uow(), who, parts.settings, form.code.data, parts.clock.now())
    if not isinstance(answer, factor.Confirmed):
        return _refused("second_factor_setup", form, answer, **_setup())
    return _codes_page(answer, form.next.data)


@identity.route("/account/second-factor.svg")
@requires(Permission.SECOND_FACTOR_SELF, before_second_factor=True)
def second_factor_qr() -> ResponseReturnValue:
    """The QR code as a picture of its own, for the page may hold no inline one; kept by nobody.

    There is none before a set-up has begun, and none after it.
    """
    uri = factor.provisioning_uri(uow(), actor(), platform().settings)
    picture = io.BytesIO()
    segno.make(uri, error="m").save(
        picture, kind="svg", scale=5, border=4, dark="#000", light="#fff"
    )
    response = make_response(picture.getvalue())
    response.mimetype = "image/svg+xml"
    response.headers["Cache-Control"] = "no-store"
    return response


@identity.route("/account/second-factor/remove", methods=["GET", "POST"])
@requires(Permission.SECOND_FACTOR_SELF)
def second_factor_remove() -> ResponseReturnValue:
    form = CodeForm()
    if not actor().has_second_factor:
        return redirect(url_for("identity.account"), 303)
    if not form.validate_on_submit():
        return _code_page("second_factor_remove", form, 200 if request.method == "GET" else 400)
    parts = platform()
    answer = factor.remove_own(uow(), actor(), parts.settings, form.code.data, parts.clock.now())
    if not isinstance(answer, factor.Confirmed):
        return _refused("second_factor_remove", form, answer)
    flash(_("Your second factor is removed. You can set up a new one."), "success")
    return _with_token(redirect(url_for("identity.account"), 303), answer)


@identity.route("/account/recovery-codes", methods=["GET", "POST"])
@requires(Permission.SECOND_FACTOR_SELF)
def recovery_codes() -> ResponseReturnValue:
    form = CodeForm()
    if not actor().has_second_factor:
        return redirect(url_for("identity.account"), 303)
    if not form.validate_on_submit():
        return _code_page("recovery_codes", form, 200 if request.method == "GET" else 400)
    parts = platform()
    answer = factor.renew_codes(uow(), actor(), parts.settings, form.code.data, parts.clock.now())
    if not isinstance(answer, factor.Confirmed):
        return _refused("recovery_codes", form, answer)
    return _codes_page(answer, None)


def _setup() -> dict[str, str]:
    return {"secret": factor.pending_secret(uow(), actor(), platform().settings)}


def _code_page(name: str, form: CodeForm, status: int, **context: object) -> ResponseReturnValue:
    return render_template(f"identity/{name}.html", form=form, **context), status


def _refused(
    name: str, form: CodeForm, answer: Wait | DaskError, **context: object
) -> ResponseReturnValue:
    error = too_many(answer) if isinstance(answer, Wait) else answer
    form.code.errors = (_(error.message, **error.params),)
    response = make_response(_code_page(name, form, status_of(error), **context))
    if isinstance(error, Throttled):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _codes_page(answer: factor.Confirmed, wanted: str | None) -> ResponseReturnValue:
    """Shown in the answer itself and not after a redirect: the codes exist nowhere else, and a
    cookie is no place to carry them."""
    page = render_template("identity/codes.html", codes=answer.codes, on=safe_next(wanted))
    return _with_token(make_response(page), answer)


def _with_token(response: ResponseReturnValue, answer: factor.Confirmed) -> Response:
    made = make_response(response)
    set_token(made, platform().settings, answer.token)
    return made
