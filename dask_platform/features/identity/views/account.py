"""One's own account."""

from __future__ import annotations

from flask import flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from dask_platform.features.identity import queries
from dask_platform.features.identity.forms import ChangePasswordForm
from dask_platform.features.identity.service import credentials
from dask_platform.features.identity.service import second_factor as factor
from dask_platform.features.identity.service.login import too_many
from dask_platform.features.identity.service.throttle import Wait
from dask_platform.features.identity.views import hasher, identity
from dask_platform.kernel.errors import Throttled
from dask_platform.security.permissions import Permission
from dask_platform.web.access import requires
from dask_platform.web.context import actor, platform, uow
from dask_platform.web.errors import status_of


@identity.route("/account")
@requires(Permission.ACCOUNT_SELF)
def account() -> ResponseReturnValue:
    who = actor()
    return render_template(
        "identity/account.html",
        me=queries.own_account(uow(), who),
        codes_left=factor.codes_left(uow(), who) if who.has_second_factor else 0,
        required=platform().settings.second_factor_required,
    )


@identity.route("/account/password", methods=["GET", "POST"])
@requires(Permission.ACCOUNT_SELF)
def change_password() -> ResponseReturnValue:
    form, parts = ChangePasswordForm(), platform()
    if not form.validate_on_submit():
        return _page(form), 200 if request.method == "GET" else 400
    answer = credentials.change_own(
        uow(),
        actor(),
        parts.settings,
        hasher(),
        form.present.data,
        form.password.data,
        parts.clock.now(),
    )
    if answer is None:
        flash(_("Your password is changed."), "success")
        return redirect(url_for("identity.account"), 303)
    error = too_many(answer) if isinstance(answer, Wait) else answer
    field = form.password if getattr(error, "field", None) == "password" else form.present
    field.errors = (_(error.message, **error.params),)
    response = make_response(_page(form), status_of(error))
    if isinstance(error, Throttled):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _page(form: ChangePasswordForm) -> str:
    return render_template("identity/change_password.html", form=form)
