"""Forms for writing a course in the browser."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import (
    BooleanField,
    HiddenField,
    RadioField,
    SelectChoice,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.validators import InputRequired, Length, NumberRange
from wtforms.widgets import CheckboxInput, ListWidget

from dask_platform.features.courses.aims import CODE_MOST, TEXT_MOST
from dask_platform.features.courses.authoring import SUMMARY_MOST, TITLE_MOST
from dask_platform.features.courses.content import FILES_MOST, MEGABYTES_MOST
from dask_platform.features.courses.forms import NEEDED, TOO_LONG
from dask_platform.security.markdown import MAX_CHARS
from dask_platform.web.fields import WholeNumberField

LANGUAGES = [
    SelectChoice("nb", "Bokmål"),
    SelectChoice("nn", "Nynorsk"),
    SelectChoice("en", "English"),
]
FILE_TYPES = [
    SelectChoice("pdf", _l("PDF")),
    SelectChoice("image", _l("Pictures")),
    SelectChoice("text", _l("Plain text")),
    SelectChoice("office", _l("Word, Excel, PowerPoint and their like")),
]
GRADINGS = [
    SelectChoice("grade", _l("Grade from 1 to 6")),
    SelectChoice("passfail", _l("Passed or not passed")),
]


class _CourseForm(FlaskForm):  # type: ignore[misc]
    title = StringField(
        _l("Title"), [InputRequired(NEEDED), Length(max=TITLE_MOST, message=TOO_LONG)]
    )
    summary = TextAreaField(
        _l("What the course is about"),
        [InputRequired(NEEDED), Length(max=SUMMARY_MOST, message=TOO_LONG)],
    )
    language = SelectField(_l("Language of the course"), choices=LANGUAGES)


class CourseForm(_CourseForm):
    """A new course."""

    school_id = SelectField(_l("School"), [InputRequired(NEEDED)])


class EditCourseForm(_CourseForm):
    """A course that is there. ``version``: see ``edit_course``."""

    published = BooleanField(_l("Published: classes can be started with this course"))
    version = HiddenField()


class ModuleForm(FlaskForm):  # type: ignore[misc]
    title = StringField(
        _l("Title of the module"),
        [InputRequired(NEEDED), Length(max=TITLE_MOST, message=TOO_LONG)],
    )


class AimForm(FlaskForm):  # type: ignore[misc]
    """A competence aim. ``seen`` is its stamp as it was shown."""

    code = StringField(
        _l("Code of the aim"), [InputRequired(NEEDED), Length(max=CODE_MOST, message=TOO_LONG)]
    )
    curriculum = StringField(
        _l("Code of the curriculum"),
        [InputRequired(NEEDED), Length(max=CODE_MOST, message=TOO_LONG)],
    )
    text = TextAreaField(
        _l("The words of the aim"),
        [InputRequired(NEEDED), Length(max=TEXT_MOST, message=TOO_LONG)],
    )
    verified = BooleanField(_l("Checked: two people have compared code and words with Grep"))
    seen = HiddenField()


class PageForm(FlaskForm):  # type: ignore[misc]
    """A page; with what ``AssignmentForm`` adds, an assignment. ``version``: see ``save_item``."""

    title = StringField(
        _l("Title"), [InputRequired(NEEDED), Length(max=TITLE_MOST, message=TOO_LONG)]
    )
    module_id = SelectField(_l("Module"), [InputRequired(NEEDED)])
    source = TextAreaField(
        _l("Text"), [InputRequired(NEEDED), Length(max=MAX_CHARS, message=TOO_LONG)]
    )
    picture = FileField(_l("Picture"))
    picture_text = StringField(_l("What the picture shows"), [Length(max=500, message=TOO_LONG)])
    aims = SelectMultipleField(
        _l("Competence aims that this serves"),
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )
    published = BooleanField(_l("Published: the classes see it"))
    version = HiddenField()


class AssignmentForm(PageForm):
    grading = RadioField(_l("How it is marked"), choices=GRADINGS, default="grade")
    text_wanted = BooleanField(_l("The student writes a text"), default=True)
    files_most = WholeNumberField(
        _l("How many files at most"),
        [
            InputRequired(NEEDED),
            NumberRange(0, FILES_MOST, _l("Write a number from 0 to %(most)s.", most=FILES_MOST)),
        ],
        default=0,
    )
    megabytes = WholeNumberField(
        _l("How large a file may be, in MB"),
        [
            InputRequired(NEEDED),
            NumberRange(
                1, MEGABYTES_MOST, _l("Write a number from 1 to %(most)s.", most=MEGABYTES_MOST)
            ),
        ],
        default=20,
    )
    file_types = SelectMultipleField(
        _l("Kinds of file that are taken"),
        choices=FILE_TYPES,
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )
