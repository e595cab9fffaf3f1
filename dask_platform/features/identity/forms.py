"""Forms of log-in, the own account, people and rooms."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import HiddenField, PasswordField, SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import EqualTo, InputRequired, Length

from dask_platform.features.identity.queries.listings import UnitLine

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


ROLES = (
    SelectChoice("student", _l("Student")),
    SelectChoice("teacher", _l("Teacher")),
    SelectChoice("workshop", _l("Workshop officer")),
    SelectChoice("security", _l("Security officer")),
    SelectChoice("operator", _l("Operator")),
)


class _UnitForm(FlaskForm):  # type: ignore[misc]
    """A form with the actor's own units to choose from."""

    unit = SelectField(_l("Unit"), [InputRequired(NEEDED)])

    def offer(self, units: Iterable[UnitLine]) -> None:
        self.unit.choices = [SelectChoice(str(unit.id), unit.name) for unit in units]

    def unit_id(self) -> UUID:
        return UUID(self.unit.data)


class AddPersonForm(_UnitForm):
    display_name = StringField(
        _l("Name"), [InputRequired(NEEDED), Length(max=100, message=_l("This is too long."))]
    )
    username = StringField(
        _l("User name"), [InputRequired(NEEDED), Length(max=40, message=_l("This is too long."))]
    )
    role = SelectField(_l("Role"), [InputRequired(NEEDED)], choices=ROLES)


class BringPersonForm(_UnitForm):
    username = StringField(
        _l("User name"), [InputRequired(NEEDED), Length(max=100, message=_l("This is too long."))]
    )
    role = SelectField(_l("Role"), [InputRequired(NEEDED)], choices=ROLES)


class RoleForm(_UnitForm):
    role = SelectField(_l("Role"), [InputRequired(NEEDED)], choices=ROLES[1:])


class TransferForm(_UnitForm):
    pass


class RenameForm(FlaskForm):  # type: ignore[misc]
    display_name = StringField(
        _l("Name"), [InputRequired(NEEDED), Length(max=100, message=_l("This is too long."))]
    )


class RoomForm(_UnitForm):
    name = StringField(
        _l("Name of the room"),
        [InputRequired(NEEDED), Length(max=100, message=_l("This is too long."))],
    )
    network = StringField(_l("Network"), [Length(max=60, message=_l("This is too long."))])


class NetworkForm(FlaskForm):  # type: ignore[misc]
    network = StringField(
        _l("Network"), [InputRequired(NEEDED), Length(max=60, message=_l("This is too long."))]
    )
