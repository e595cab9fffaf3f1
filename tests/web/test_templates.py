"""What holds for every template, whoever wrote it."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest
from jinja2 import nodes

import dask_platform

ROOT = Path(dask_platform.__file__).parent
TEMPLATES = sorted(ROOT.rglob("templates/**/*.html"))
TRANSLATING = {"_", "gettext", "ngettext", "pgettext"}
#: HTML that was cleaned when it was stored, by the name it is shown under.
CLEANED = {"body", "preview", "cleaned_css"}

parser = jinja2.Environment(extensions=["jinja2.ext.i18n"], autoescape=True)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_only_sentences_of_ours_are_translated(path: Path) -> None:
    """Jinja takes what is translated for safe HTML: a variable there is a hole."""
    for call in parser.parse(path.read_text("utf-8")).find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in TRANSLATING:
            assert isinstance(call.args[0], nodes.Const), (
                f"{path.name}:{call.lineno} translates a variable. Translate it in the view,"
                " with flask_babel.gettext, and hand the template the sentence."
            )


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_only_cleaned_html_is_called_safe(path: Path) -> None:
    for found in parser.parse(path.read_text("utf-8")).find_all(nodes.Filter):
        if found.name == "safe":
            assert isinstance(found.node, nodes.Const | nodes.Name), f"{path.name}:{found.lineno}"
            assert isinstance(found.node, nodes.Const) or found.node.name in CLEANED, (
                f"{path.name}:{found.lineno} calls {found.node.name!r} safe. Only what"
                " security/html.py cleaned is; if this is, add its name to CLEANED here."
            )
