"""Forms of the whitelists, and how a form becomes a rule."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from pydantic import ValidationError
from wtforms import (
    BooleanField,
    DateField,
    Field,
    HiddenField,
    RadioField,
    SelectChoice,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.validators import InputRequired, Length, Optional

from dask_platform.features.whitelists.models import REASON_MOST
from dask_platform.features.whitelists.queries import body_of
from dask_platform.features.whitelists.rules import Effect, Fault, FrozenCopy, Rule
from dask_platform.features.whitelists.service.requests import ADDRESS_MOST, STUDENT_REASON_MOST

NEEDED = _l("Fill in this field.")
TOO_LONG = _l("This is too long.")
NATIONAL = ""
EVERYWHERE = "everywhere"
LINE = [InputRequired(NEEDED), Length(max=300, message=TOO_LONG)]
LIST_MOST = 20_000
# Where a fault of the rule is shown: the first part of its place → the field.
_FIELDS = {
    "id": "rule_id",
    "host": "host",
    "subdomains": "subdomains",
    "paths": "paths",
    "only": "only",
    "closed": "closed",
    "profile": "profile",
    "copy": "frozen_copy",
    "effect": "effect",
    "owner": "owner",
    "expires": "expires",
    "scope": "place",
    "reason": "reason",
}
# What pydantic says of text, said so that a person understands it.
_SAID = {
    "string_too_short": NEEDED,
    "string_type": NEEDED,
    "string_too_long": TOO_LONG,
    "string_pattern_mismatch": _l("Write small letters, digits and single hyphens."),
}


class PlaceForm(FlaskForm):  # type: ignore[misc]
    """What every proposal says: where it holds, and why it is made."""

    place = SelectField(_l("Where it holds"))
    reason = TextAreaField(
        _l("Why"), [InputRequired(NEEDED), Length(max=REASON_MOST, message=TOO_LONG)]
    )
    based_on = HiddenField()
    request_id = HiddenField()

    def offer(self, units: Iterable[tuple[UUID, str]]) -> None:
        self.place.choices = [
            SelectChoice(NATIONAL, str(_l("The whole country"))),
            *(SelectChoice(str(unit), name) for unit, name in units),
        ]

    def unit_id(self) -> UUID | None:
        return UUID(self.place.data) if self.place.data else None

    def seen(self) -> int | None:
        """The version that the form was filled from."""
        raw = self.based_on.data or ""
        return int(raw) if raw.isdecimal() and len(raw) < 18 else None

    def request(self) -> UUID | None:
        try:
            return UUID(self.request_id.data or "")
        except ValueError:
            return None


class RuleForm(PlaceForm):
    """The fields that most rules are made of. What it does not have (parameters, helper hosts,
    forms, hours, courses) is kept as it is, and written in the file form."""

    rule_id = StringField(
        _l("Short name"), [InputRequired(NEEDED), Length(max=60, message=TOO_LONG)]
    )
    title_nb = StringField(_l("Title, bokmål"), LINE)
    title_nn = StringField(_l("Title, nynorsk"), LINE)
    title_en = StringField(_l("Title, English"), [Length(max=300, message=TOO_LONG)])
    description_nb = StringField(_l("Description, bokmål"), LINE)
    description_nn = StringField(_l("Description, nynorsk"), LINE)
    description_en = StringField(_l("Description, English"), [Length(max=300, message=TOO_LONG)])
    effect = RadioField(
        _l("What the rule does"),
        choices=[
            SelectChoice("allow", _l("It opens")),
            SelectChoice("deny", _l("It keeps closed, whatever other rules open")),
        ],
        default="allow",
    )
    host = StringField(_l("Host"), LINE)
    subdomains = BooleanField(_l("Also every host below it"))
    paths = TextAreaField(
        _l("What lies under, one on each line"), [Length(max=LIST_MOST, message=TOO_LONG)]
    )
    only = TextAreaField(
        _l("Single pages, one on each line"), [Length(max=LIST_MOST, message=TOO_LONG)]
    )
    closed = TextAreaField(
        _l("What stays closed under it, one on each line"),
        [Length(max=LIST_MOST, message=TOO_LONG)],
    )
    profile = RadioField(
        _l("How it is shown"),
        choices=[
            SelectChoice("reader", _l("Cleaned pages without script")),
            SelectChoice("scripted", _l("With the site's own script")),
            SelectChoice("frozen", _l("An approved copy")),
        ],
        default="reader",
    )
    frozen_copy = SelectField(_l("Which copy is shown"), [Optional()])
    supervised = BooleanField(_l("Only while staff have opened it for a room"))
    owner = StringField(_l("Office that answers for it"), LINE)
    expires = DateField(_l("Last day"), [InputRequired(NEEDED)])
    passing = TextAreaField(
        _l("Addresses that must be open, one on each line"),
        [Length(max=LIST_MOST, message=TOO_LONG)],
    )
    refusing = TextAreaField(
        _l("Addresses that must be closed, one on each line"),
        [InputRequired(NEEDED), Length(max=LIST_MOST, message=TOO_LONG)],
    )

    def offer_copies(self, copies: Iterable[tuple[FrozenCopy, str]], old: Rule | None) -> None:
        """The copies that are here, with their titles; and the one that the rule names already,
        though it may not be here."""
        listed = {_named(copy): title for copy, title in copies}
        if old is not None and old.frozen_copy is not None:
            listed.setdefault(_named(old.frozen_copy), str(_l("A copy that is not here")))
        self.frozen_copy.choices = [
            SelectChoice("", str(_l("None. Nothing is shown."))),
            *(
                SelectChoice(name, f"{title} ({name.partition('-')[2][:12]})")
                for name, title in listed.items()
            ),
        ]

    def fill(self, rule: Rule) -> None:
        """Show ``rule`` in the form."""
        self.rule_id.data, self.host.data = rule.id, rule.host
        for name in ("title", "description"):
            for code in ("nb", "nn", "en"):
                self[f"{name}_{code}"].data = getattr(getattr(rule, name), code) or ""
        for name in ("paths", "only", "closed"):
            self[name].data = "\n".join(getattr(rule, name))
        self.subdomains.data, self.supervised.data = rule.subdomains, rule.supervised
        self.frozen_copy.data = _named(rule.frozen_copy) if rule.frozen_copy else ""
        self.effect.data, self.profile.data = str(rule.effect), str(rule.profile)
        self.owner.data, self.expires.data = rule.owner, rule.expires
        self.passing.data = "\n".join(rule.examples.allowed)
        self.refusing.data = "\n".join(rule.examples.refused)

    def rule(self, old: Rule | None, author: str) -> Rule | None:
        """The rule that the form says; what it has no field for is taken from ``old``. None where
        it holds faults, which then stand beside their fields."""
        said: dict[str, Any] = body_of(old) if old else {"reviewer": "–"}
        if not old:
            said |= {"reason": " ".join((self.reason.data or "").split())[:300]}
        # The two people are written in when the second one approves.
        said |= {
            "author": author,
            "id": self.rule_id.data.strip(),
            "title": self._words("title"),
            "description": self._words("description"),
            "effect": self.effect.data,
            "host": self.host.data.strip().lower(),
            "subdomains": self.subdomains.data,
            "paths": _lines(self.paths) or ["/"],
            "only": _lines(self.only),
            "closed": _lines(self.closed),
            "profile": self.profile.data,
            "copy": _copy(self.frozen_copy.data),
            "supervised": self.supervised.data,
            "owner": self.owner.data.strip(),
            "expires": self.expires.data.isoformat(),
            "examples": {"pass": _lines(self.passing), "refuse": _lines(self.refusing)},
        }
        if said["effect"] == Effect.DENY:
            # A rule that closes may not even mention what opens.
            opening = ("only", "closed", "copy", "query", "helpers", "forms", "hours")
            said = {key: value for key, value in said.items() if value or key not in opening}
        try:
            return Rule.model_validate_json(json.dumps(said))
        except ValidationError as error:
            for one in error.errors():
                self._tell(one)
            return None

    def _words(self, name: str) -> dict[str, str | None]:
        return {code: self[f"{name}_{code}"].data.strip() or None for code in ("nb", "nn", "en")}

    def _tell(self, fault: Any) -> None:
        place = [str(part) for part in fault["loc"]]
        name = _FIELDS.get(place[0], "") if place else ""
        if place and place[0] in ("title", "description") and len(place) > 1:
            name = f"{place[0]}_{place[1]}"
        if place and place[0] == "examples" and len(place) > 1:
            name = "passing" if place[1] == "pass" else "refusing"
        if fault["type"] == "value_error":
            wrong: Fault = fault["ctx"]["error"]
            said = _(wrong.message, **wrong.params)
        else:
            said = str(_SAID.get(fault["type"], fault["msg"]))
        if place and place[-1].isdecimal():
            said = _("Line %(line)s: %(what)s", line=int(place[-1]) + 1, what=said)
        if name in self:
            self[name].errors = (*self[name].errors, said)
        else:
            self.form_errors.append(said)


class CopyForm(FlaskForm):  # type: ignore[misc]
    """A copy to be added."""

    file = FileField(_l("The file"))


class FileForm(PlaceForm):
    """A rule as a file, pasted or uploaded."""

    text = TextAreaField(_l("The rule, as YAML"), [Length(max=300_000, message=TOO_LONG)])
    file = FileField(_l("Or a file"))


class RemoveForm(FlaskForm):  # type: ignore[misc]
    reason = TextAreaField(
        _l("Why"), [InputRequired(NEEDED), Length(max=REASON_MOST, message=TOO_LONG)]
    )
    based_on = HiddenField()

    seen = PlaceForm.seen


class ReasonForm(FlaskForm):  # type: ignore[misc]
    """Why something is refused, or is to be opened again."""

    reason = TextAreaField(
        _l("Why"), [InputRequired(NEEDED), Length(max=REASON_MOST, message=TOO_LONG)]
    )


class StopForm(FlaskForm):  # type: ignore[misc]
    """One of the four things that can be stopped. ``where`` is asked for a rule alone."""

    target = SelectField(_l("What"), [InputRequired(NEEDED)])
    where = SelectField(_l("Where"), [Optional()])
    reason = StringField(
        _l("Why"), [InputRequired(NEEDED), Length(max=REASON_MOST, message=TOO_LONG)]
    )


class StudentWishForm(FlaskForm):  # type: ignore[misc]
    address = StringField(
        _l("Address of the page"),
        [InputRequired(NEEDED), Length(max=ADDRESS_MOST, message=TOO_LONG)],
    )
    reason = TextAreaField(
        _l("What you need it for"),
        [
            Optional(),
            Length(
                max=STUDENT_REASON_MOST,
                message=_l("Write at most %(most)s characters.", most=STUDENT_REASON_MOST),
            ),
        ],
    )


class TeacherWishForm(FlaskForm):  # type: ignore[misc]
    address = StringField(
        _l("Address of the page"),
        [InputRequired(NEEDED), Length(max=ADDRESS_MOST, message=TOO_LONG)],
    )
    class_id = SelectField(_l("For which class"), [Optional()])
    wanted_until = DateField(_l("Until which day"), [Optional()])
    reason = TextAreaField(
        _l("What you need it for"),
        [InputRequired(NEEDED), Length(max=REASON_MOST, message=TOO_LONG)],
    )


def _named(copy: FrozenCopy) -> str:
    return f"{copy.kind}-{copy.sha256}"


def _copy(chosen: str | None) -> dict[str, str] | None:
    kind, _hyphen, sha256 = (chosen or "").partition("-")
    return {"kind": kind, "sha256": sha256} if sha256 else None


def _lines(field: Field) -> list[str]:
    return [line.strip() for line in (field.data or "").splitlines() if line.strip()]
