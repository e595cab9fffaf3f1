"""The forms of hand-ins. What they hold is checked in the service; here only its shape."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import HiddenField, MultipleFileField, RadioField, TextAreaField
from wtforms.validators import InputRequired, NumberRange
from wtforms.widgets import HiddenInput

from dask_platform.features.handins.marking import GRADES
from dask_platform.features.handins.words import GRADE_WORDS
from dask_platform.web.fields import WholeNumberField

OLD_FORM = _l("This form was too old. Load the page again.")
VERSION_MOST = 2_000_000_000


def version_field() -> WholeNumberField:
    """The version that a page was made from, 0 for none."""
    in_range = NumberRange(0, VERSION_MOST, message=OLD_FORM)
    return WholeNumberField(validators=[InputRequired(OLD_FORM), in_range], widget=HiddenInput())


class DraftForm(FlaskForm):  # type: ignore[misc]
    """A student's text and files, in one form that works without script."""

    version = version_field()
    text = TextAreaField(_l("Your text"))
    file = MultipleFileField(_l("Add a file"))


class HandInForm(FlaskForm):  # type: ignore[misc]
    """The last step: ``attempt`` is the draft, ``shown`` the fingerprint of what was shown."""

    attempt = HiddenField(validators=[InputRequired(OLD_FORM)])
    shown = HiddenField(validators=[InputRequired(OLD_FORM)])


class MarkingForm(FlaskForm):  # type: ignore[misc]
    version = version_field()
    grade = RadioField(_l("Grade"), validate_choice=False)
    comment = TextAreaField(_l("Comment to the student"))

    def offer(self, grading: str) -> None:
        """Put the grades of this kind of grading into the form; none comes first."""
        self.grade.choices = [
            ("", _l("No grade")),
            *((one, GRADE_WORDS.get(one, one)) for one in GRADES[grading]),
        ]
        if self.grade.data is None:
            self.grade.data = ""
