"""Forms of log-in, the own account, people and rooms."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import HiddenField, PasswordField, StringField
from wtforms.validators import EqualTo, InputRequired, Length

NEEDED = _l("Fill in this field.")


class LoginForm(FlaskForm):  # type: ignore[misc]
    username = StringField(
        _l("User name"), [InputRequired(NEEDED), Length(max=256, message=_l("This is too long."))]
    )
    password = PasswordField(
        _l("Password"), [InputRequired(NEEDED), Length(max=1024, message=_l("This is too long."))]
    )
    next = HiddenField()


class NewPasswordForm(FlaskForm):  # type: ignore[misc]
    """Choosing a password twice; ``ticket`` proves that the one-time password was right."""

    ticket = HiddenField()
    next = HiddenField()
    password = PasswordField(_l("New password"), [InputRequired(NEEDED)])
    again = PasswordField(
        _l("New password once more"),
        [
            InputRequired(NEEDED),
            EqualTo("password", message=_l("The two passwords are not the same.")),
        ],
    )


class ChangePasswordForm(FlaskForm):  # type: ignore[misc]
    present = PasswordField(_l("Your password now"), [InputRequired(NEEDED)])
    password = PasswordField(_l("New password"), [InputRequired(NEEDED)])
    again = PasswordField(
        _l("New password once more"),
        [
            InputRequired(NEEDED),
            EqualTo("password", message=_l("The two passwords are not the same.")),
        ],
    )


class CodeForm(FlaskForm):  # type: ignore[misc]
    code = StringField(
        _l("Code"), [InputRequired(NEEDED), Length(max=40, message=_l("This is too long."))]
    )
    next = HiddenField()
