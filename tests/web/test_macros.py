"""The macros tie labels, hints and errors to their fields, and show every text as text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from werkzeug.datastructures import MultiDict
from wtforms import (
    BooleanField,
    FieldList,
    FileField,
    Form,
    FormField,
    HiddenField,
    RadioField,
    SelectChoice,
    StringField,
)
from wtforms.validators import InputRequired

import dask_platform.web

TEMPLATES = Path(dask_platform.web.__file__).parent / "templates"
STATIC = Path(dask_platform.web.__file__).parent / "static"


@pytest.fixture(scope="module")
def macros() -> Any:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.install_null_translations(newstyle=True)  # type: ignore[attr-defined]
    environment.filters["filesize"] = lambda size: f"{size} B"
    environment.globals["csrf_field"] = lambda: Markup('<input name="csrf_token">')
    return environment.get_template("_macros.html").module


class Town(Form):
    town = StringField("Town", [InputRequired("Write the town.")])


class Everything(Form):
    name = StringField("<b>Name</b>", [InputRequired("Write your name.")], description="In full.")
    note = StringField("Note")
    file = FileField("File")
    grade = RadioField(
        "Grade",
        [InputRequired("Choose.")],
        choices=[SelectChoice("1", "Pass"), SelectChoice("2", "Fail")],
    )
    sure = BooleanField("I am sure", [InputRequired("Tick it.")])
    token = HiddenField("Token", default="t")
    home = FormField(Town)
    more = FieldList(FormField(Town), min_entries=1)


@pytest.fixture
def refused() -> Everything:
    form = Everything(MultiDict({"more-0-town": ""}))
    assert not form.validate()
    return form


def attribute(html: str, name: str) -> str:
    found = re.search(rf'<(?:input|fieldset)[^>]*\s{name}="([^"]*)"', html)
    assert found is not None, f"no {name} in {html}"
    return found[1]


def test_a_field_names_its_hint_and_its_error(macros: Any, refused: Everything) -> None:
    html = str(macros.field(refused.name))
    assert attribute(html, "aria-describedby").split() == ["name-hint", "name-error"]
    assert attribute(html, "aria-invalid") == "true"
    for part in attribute(html, "aria-describedby").split():
        assert f'id="{part}"' in html
    assert "&lt;b&gt;Name" in html


def test_a_field_without_fault_says_nothing_about_one(macros: Any) -> None:
    html = str(macros.field(Everything().note))
    assert "aria-" not in html
    assert "optional" in html


def test_a_group_of_choices_is_a_fieldset(macros: Any, refused: Everything) -> None:
    html = str(macros.field(refused.grade))
    assert html.startswith("<fieldset")
    assert attribute(html, "aria-describedby") == "grade-error"
    assert html.count('type="radio"') == html.count("<label") == 2


def test_a_hidden_field_is_only_itself(macros: Any) -> None:
    html = str(macros.field(Everything().token))
    assert html.startswith("<input")
    assert "label" not in html


def test_the_summary_links_to_controls_that_exist(macros: Any, refused: Everything) -> None:
    summary = str(macros.error_summary(refused))
    flat = [refused.name, refused.grade, refused.sure, refused.home.form.town]
    page = "".join(str(macros.field(f)) for f in [*flat, refused.more[0].form.town])
    targets = re.findall(r'href="#([^"]+)"', summary)
    assert len(targets) == 5
    for target in targets:
        assert f'id="{target}"' in page
    assert "autofocus" in summary


def test_no_summary_without_faults(macros: Any) -> None:
    assert str(macros.error_summary(Everything())).strip() == ""


@pytest.mark.parametrize(
    "make",
    [
        lambda m, t: m.alert("info", t, t),
        lambda m, t: m.empty(t, t, t, "/"),
        lambda m, t: m.status_tag(t),
        lambda m, t: m.definition([(t, t)]),
        lambda m, t: m.data_table(t, [t], [[t]]),
        lambda m, t: m.file_row(t, 1, detail=t),
        lambda m, t: m.row(t, meta=t),
        lambda m, t: m.card(t, "/", t),
        lambda m, t: m.page_head(t, t),
        lambda m, t: m.crumbs([(t, "/"), (t, None)]),
        lambda m, t: m.pager((t, "/"), (t, "/")),
        lambda m, t: m.post_button("/", t, {"a": t}, confirm=t),
    ],
)
def test_a_text_stays_a_text(macros: Any, make: Any) -> None:
    evil = '"><script>alert(1)</script>'
    assert "<script" not in str(make(macros, evil))


def test_every_post_button_carries_the_token(macros: Any) -> None:
    for confirm in (None, "Really?"):
        assert 'name="csrf_token"' in str(macros.post_button("/", "Do it", confirm=confirm))


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: path.name)
def test_nothing_is_inline(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for pattern in (
        r"\sstyle=",
        r"<style",
        r"\son[a-z]+=",
        r"<script(?![^>]*\ssrc=)",
        r"https?://",
    ):
        assert not re.search(pattern, text), (
            f"{path.name}: {pattern} would be refused by the content security policy;"
            " put it in static/css/app.css or a file under static/js"
        )


@pytest.mark.parametrize("path", sorted(STATIC.glob("css/*.css")), ids=lambda path: path.name)
def test_a_style_sheet_stays_at_home(path: Path) -> None:
    css = path.read_text(encoding="utf-8")
    assert not re.search(r"@import|url\(|https?:", css)
