"""Forms for classes. Those for writing courses are in ``forms_authoring.py``."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import DateTimeLocalField, HiddenField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, Optional

from dask_platform.features.courses.classes import NAME_MOST

NEEDED = _l("Fill in this field.")
TOO_LONG = _l("This is too long.")
LOCAL_TIME = "%Y-%m-%dT%H:%M"


class ClassForm(FlaskForm):  # type: ignore[misc]
    name = StringField(
        _l("Name of the class"),
        [InputRequired(NEEDED), Length(max=NAME_MOST, message=TOO_LONG)],
    )
    unit_id = SelectField(_l("Unit"), [InputRequired(NEEDED)])


class EnrolForm(FlaskForm):  # type: ignore[misc]
    """A list of user names, pasted or as a file."""

    names = TextAreaField(_l("User names, one on each line"), [Optional()])
    file = FileField(_l("Or a file with user names (CSV)"))


class DeadlineForm(FlaskForm):  # type: ignore[misc]
    """``seen`` is the deadline as it was shown, so that a later one is not overwritten unseen."""

    due_at = DateTimeLocalField(_l("Due"), [Optional()], format=[LOCAL_TIME, "%Y-%m-%dT%H:%M:%S"])
    cutoff_at = DateTimeLocalField(
        _l("Closes"), [Optional()], format=[LOCAL_TIME, "%Y-%m-%dT%H:%M:%S"]
    )
    seen = HiddenField()
