"""Forms of the recorder."""

from __future__ import annotations

from collections.abc import Iterable

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    DateField,
    RadioField,
    SelectChoice,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.validators import InputRequired, Length
from wtforms.widgets import CheckboxInput, ListWidget

from dask_platform.features.recorder.models import ADDRESS_MOST, REASON_MOST
from dask_platform.features.recorder.seen import Seen

NEEDED = _l("Fill in this field.")
TOO_LONG = _l("This is too long.")
LINE = [InputRequired(NEEDED), Length(max=300, message=TOO_LONG)]
PARTS, PAGES = "parts", "pages"


class StartForm(FlaskForm):  # type: ignore[misc]
    address = StringField(
        _l("Address of the site"),
        [InputRequired(NEEDED), Length(max=ADDRESS_MOST, message=TOO_LONG)],
    )
    reason = TextAreaField(
        _l("Why"), [InputRequired(NEEDED), Length(max=REASON_MOST, message=TOO_LONG)]
    )
    copying = BooleanField(_l("Make a copy of what I open"))


class DraftForm(FlaskForm):  # type: ignore[misc]
    """What the officer chooses and says; the rest of the rule is worked out."""

    pages = SelectMultipleField(
        _l("Pages that students need"),
        validate_choice=True,
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )
    width = RadioField(
        _l("How much to open"),
        choices=[
            SelectChoice(PAGES, _l("These pages and nothing else")),
            SelectChoice(PARTS, _l("Whole parts of the site, where three or more pages share one")),
        ],
        default=PARTS,
    )
    profile = RadioField(_l("How it is shown"))
    rule_id = StringField(
        _l("Short name"), [InputRequired(NEEDED), Length(max=60, message=TOO_LONG)]
    )
    title_nb = StringField(_l("Title, bokmål"), LINE)
    title_nn = StringField(_l("Title, nynorsk"), LINE)
    description_nb = StringField(_l("Description, bokmål"), LINE)
    description_nn = StringField(_l("Description, nynorsk"), LINE)
    owner = StringField(_l("Office that answers for it"), LINE)
    expires = DateField(_l("Last day"), [InputRequired(NEEDED)])

    def offer(self, pages: Iterable[Seen], *, copying: bool) -> None:
        """The pages that can be chosen, and how they can be shown."""
        self.pages.choices = [
            SelectChoice(one.path, f"{one.title} – {one.path}" if one.title else one.path)
            for one in pages
        ]
        self.profile.choices = [
            SelectChoice("reader", _l("Cleaned pages without script")),
            SelectChoice("scripted", _l("With the site's own script")),
            *([SelectChoice("frozen", _l("The copy that was made"))] if copying else []),
        ]
